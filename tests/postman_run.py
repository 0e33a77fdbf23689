"""Runs the Postman collection with newman against a fresh gateway, and sums up by folder."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel
from typer import echo

from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Demo, RunningGateway, running_gateway

POSTMAN = Path(__file__).parent.parent / "postman"
COLLECTION = POSTMAN / "gateway.postman_collection.json"
NEWMAN = POSTMAN / "node_modules" / ".bin" / "newman"
AT_MOST_SECONDS = 600


@dataclass
class Tally:
    """What newman did in one folder."""

    requests: int = 0
    checks: int = 0
    failed: int = 0


def main() -> int:
    """Prints newman's summary; the exit code is 1 if anything failed."""
    with (
        public_folder() as folder,
        running_gateway(folder, None, GATEWAY_SANDBOX_RECEIPTS="off") as gateway,
    ):
        asyncio.run(gateway.ready())
        report = run_newman(gateway.demo(), folder)
        failures = print_summary(report)
        if failures:
            print_log(gateway)
    return 1 if failures else 0


def run_newman(demo: Demo, folder: Path) -> dict[str, Any]:
    environment, report = folder / "environment.json", folder / "report.json"
    values = [{"key": to_camel(name), "value": value} for name, value in asdict(demo).items()]
    environment.write_text(json.dumps({"name": "demo", "values": values}))
    newman = subprocess.run(
        [
            *(NEWMAN, "run", COLLECTION, "--environment", environment),
            *("--reporters", "json", "--reporter-json-export", report),
        ],
        timeout=AT_MOST_SECONDS,
        check=False,
    )
    if not report.exists():
        raise SystemExit(f"newman ended with {newman.returncode} and left no report")
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def print_summary(report: Mapping[str, Any]) -> int:
    """One line per folder, then every failure; returns how many there are."""
    run = report["run"]
    folder_of = {
        request["id"]: folder["name"]
        for folder in report["collection"]["item"]
        for request in folder["item"]
    }
    tallies = {folder["name"]: Tally() for folder in report["collection"]["item"]}
    for execution in run["executions"]:
        tally = tallies[folder_of[execution["item"]["id"]]]
        tally.requests += 1
        tally.checks += len(execution.get("assertions", ()))
    for failure in run["failures"]:
        tallies[folder_of[failure["source"]["id"]]].failed += 1
    width = max(map(len, [*tallies, "folder"]))
    echo(f"{'folder':{width}}  requests  checks  failed")
    for name, tally in tallies.items():
        echo(f"{name:{width}}  {tally.requests:8}  {tally.checks:6}  {tally.failed:6}")
    total, failures = run["stats"], len(run["failures"])
    requests, checks = total["requests"]["total"], total["assertions"]["total"]
    echo(f"{'total':{width}}  {requests:8}  {checks:6}  {failures:6}")
    for failure in run["failures"]:
        error = failure["error"]
        where = f"{folder_of[failure['source']['id']]} / {failure['source']['name']}"
        echo(f"FAILED {where}: {error.get('test') or failure['at']}: {error['message']}")
    return failures


def print_log(gateway: RunningGateway) -> None:
    echo("\n".join(["The gateway's log ends with:", *gateway.log.splitlines()[-20:]]))


if __name__ == "__main__":
    sys.exit(main())
