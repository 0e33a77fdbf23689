# Sends the requests of its input: method, path and the file of the body, "-" for none.
while read -r method path file; do
    set -- "$1"
    if [ "$file" != - ]; then
        set -- "$1" -H "Content-Type: application/json" --data-binary "@$file"
    fi
    curl -sS -g -X "$method" -H "Client-Token: $CLIENT_TOKEN" -o "${TMPDIR:-/tmp}/answer.$$" \
        -w '%{http_code} ' "$@" "$BASE$path"
    cat "${TMPDIR:-/tmp}/answer.$$"
    echo
done
rm -f "${TMPDIR:-/tmp}/answer.$$"
