"""Committed documents and generated tables are what the program prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.runtime.readme import renew
from gateway.runtime.settings_page import settings_page
from gateway.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKER = re.compile(r"^<!-- /(\w+) -->$", re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["openapi"], "openapi/openapi.json"),
        (["postman"], "postman/gateway.postman_collection.json"),
        (["postman", "--environment"], "postman/gateway.postman_environment.json"),
    ],
)
def test_committed_document_is_up_to_date(command: list[str], file: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "gateway", *command], cwd=ROOT, capture_output=True, check=True
    ).stdout
    assert (ROOT / file).read_bytes() == printed, f"{file} is stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_the_tables_of_the_program(page: Path) -> None:
    text = page.read_text()

    assert renew(text) == text, f"{page.name} is stale: run `make docs`"


def test_every_generated_table_is_on_a_page() -> None:
    shown = {name for page in PAGES for name in MARKER.findall(page.read_text())}

    assert shown == {
        "coverage",
        "gaps",
        "limits",
        "requirements",
        "rights",
        "scopes",
        "settings",
        "unconfirmed",
        "unsupported",
    }


def test_renew_leaves_a_page_without_markers_alone() -> None:
    assert renew("# A page\n\nText.\n") == "# A page\n\nText.\n"


def test_renew_replaces_what_is_between_the_markers() -> None:
    page = "Before\n\n<!-- settings -->\nstale row\n<!-- /settings -->\n\nAfter\n"

    renewed = renew(page)

    assert renewed.startswith("Before\n\n<!-- settings -->\n\n## Process\n")
    assert renewed.endswith("|\n\n<!-- /settings -->\n\nAfter\n")
    assert "stale row" not in renewed


def test_settings_page_names_every_variable_once() -> None:
    rows = [line.split("`")[1] for line in settings_page() if line.startswith("| `")]
    variables = list(Settings.defaults())

    assert rows[: len(variables)] == variables
    assert len(rows) == len(set(rows))
