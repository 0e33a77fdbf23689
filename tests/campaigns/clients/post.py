"""Sends the requests of its input: method, path and the file of the body, "-" for none."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

BASE = os.environ["BASE"]


def by_urllib(method: str, url: str, headers: dict[str, str], body: bytes | None) -> str:
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def by_library(method: str, url: str, headers: dict[str, str], body: bytes | None) -> str:
    library = __import__(sys.argv[1])  # requests and httpx are called alike
    named = {"data" if sys.argv[1] == "requests" else "content": body}
    answer = library.request(method, url, headers=headers, timeout=60, **named)
    return f"{answer.status_code} {answer.text}"


send = by_urllib if sys.argv[1] == "urllib" else by_library
for line in sys.stdin:
    way, path, file = line.split()
    content = None if file == "-" else Path(file).read_bytes()
    tokens = {"Client-Token": os.environ["CLIENT_TOKEN"]}
    if content is not None:
        tokens["Content-Type"] = "application/json"
    sys.stdout.write(send(way, BASE + path, tokens, content) + "\n")
