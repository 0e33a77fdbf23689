#!/bin/sh
# Lists the internal listener of every worker as a target, then becomes the command it is given.
# Worker n listens on GATEWAY_INTERNAL_PORT + n - 1; compose.yaml leaves the first at 9464.
set -eu
workers="${GATEWAY_WORKERS:-1}"
refuse() {
    echo "GATEWAY_WORKERS must be a whole number above 0" >&2
    exit 1
}
case "$workers" in
    *[!0-9]*) refuse ;;
esac
[ "$workers" -gt 0 ] 2>/dev/null || refuse
targets=""
worker=0
while [ "$worker" -lt "$workers" ]; do
    targets="$targets${targets:+, }\"gateway:$((9464 + worker))\""
    worker=$((worker + 1))
done
printf '[{"targets": [%s]}]\n' "$targets" > "${TARGETS:-/etc/prometheus/targets}/gateway.json"
exec "$@"
