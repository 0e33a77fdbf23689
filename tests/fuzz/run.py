"""Runs schemathesis over the whole OpenAPI document against a fresh gateway.

Each route gets requests that fit its description and requests that break it, in any state that the
earlier ones left behind. No answer may be a server error, differ from its description, or take 2 s.
502 and 503 are no errors where they are described: requests to unlink the phone are among the
made-up ones, and until it is linked again that is the truth.
"""

import argparse
import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Demo, RunningGateway, running_gateway

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
SLOWEST_SECONDS = 2
RELINK_SECONDS = 0.5
LONG_RUN_CASES = 100
SETTINGS = """\
[parameters]
"path.instanceId" = "{demo.instance_id}"
"path.instanceToken" = "{demo.instance_token}"

[headers]
Client-Token = "{demo.client_token}"

[auth.openapi]
ClientToken = {{ api_key = "{demo.client_token}" }}
PartnerToken = {{ bearer = "{demo.partner_token}" }}

[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503]

[[operations]]
include-operation-id = "deleteInstance"
parameters = {{ "path.instanceId" = "00000000000000000000000000000000" }}

[[operations]]
include-operation-id = "streamEvents"
enabled = false
"""


def main() -> int:
    """Prints schemathesis' own summary; the exit code is 1 if it found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=LONG_RUN_CASES, help="per route and phase")
    given, further = parser.parse_known_args()
    with (
        public_folder() as folder,
        running_gateway(folder, None, GATEWAY_SANDBOX_RECEIPTS="off") as gateway,
    ):
        asyncio.run(gateway.ready())
        return fuzz(gateway, ["--max-examples", str(given.cases), *further])


def fuzz(
    gateway: RunningGateway, options: Sequence[str], *, slowest_seconds: float = SLOWEST_SECONDS
) -> int:
    """The exit code of schemathesis, which writes to our own output."""
    demo = gateway.demo()
    settings = gateway.data_dir / "schemathesis.toml"
    settings.write_text(SETTINGS.format(demo=demo))
    with staying_linked(demo):
        return subprocess.run(
            [
                *(SCHEMATHESIS, "--config-file", settings, "run", DOCUMENT),
                *("--url", demo.base_url, "--checks", ",".join(CHECKS)),
                *("--max-response-time", str(slowest_seconds)),
                *("--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"),
                *("--warnings", "off", *options),
            ],
            cwd=gateway.data_dir,
            check=False,
        ).returncode


@contextmanager
def staying_linked(demo: Demo) -> Iterator[None]:
    """Scans the code again whenever a request unlinks the phone."""
    stopping = threading.Event()

    def scan() -> None:
        headers = {"Client-Token": demo.client_token}
        with httpx.Client(
            base_url=demo.base_url, headers=headers, timeout=PATIENCE_SECONDS
        ) as http:
            while not stopping.wait(RELINK_SECONDS):
                http.post(f"/sandbox/{demo.instance_id}/scan", json={})

    thread = threading.Thread(target=scan, name="phone")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
