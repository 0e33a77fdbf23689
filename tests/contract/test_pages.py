"""Links, files, settings, statements and names that the documents mention exist."""

import re
from functools import cache
from pathlib import Path

import pytest

from gateway.database.queries import queries_in
from gateway.environment import PREFIX, variable_name
from gateway.observability.metrics import Metrics
from gateway.providers.loading import load_provider, provider_names
from gateway.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
NOT_YET_WRITTEN = {  # what the page on adding a send tells its reader to write
    "tests/contract/golden/send-note.json",
    "tests/contract/golden/echoes/send-note.json",
}
FILE = re.compile(r"`((?:gateway|sql|tests)/[\w./-]*\w\.\w+|(?:gateway|sql|tests)/[\w/-]+)`")
SETTING = re.compile(r"`(GATEWAY_[A-Z_]*[A-Z])(?:=[^`]*)?`")
CLASS = re.compile(r"`([A-Z][a-z]\w*[a-z])(?:\([^`]*\))?`")
METRIC_ROW = re.compile(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram) \|", re.MULTILINE)
ARROW = re.compile(r"^ {4}\S+ --> \S+: (\w+)", re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
EXAMPLES = {"SendNote", "GatewayDown", "Sandbox"}
"""Names of documents only: an example, an alert."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as Markdown hosts make them."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(without_code)
    }


@cache
def source() -> str:
    return "\n".join(file.read_text() for file in sorted((ROOT / "gateway").rglob("*.py")))


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}#{anchor}"


@every_page
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    missing = {name for name in FILE.findall(page.read_text()) if not (ROOT / name).exists()}

    assert missing <= NOT_YET_WRITTEN


@every_page
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = set(Settings.defaults())
    for name in provider_names():
        prefix = f"{PREFIX}{name.upper()}_"
        known |= {variable_name(f, prefix) for f in load_provider(name).settings.model_fields}

    assert set(SETTING.findall(page.read_text())) <= known


@every_page
def test_every_class_that_a_page_names_exists(page: Path) -> None:
    named = set(CLASS.findall(page.read_text())) - EXAMPLES

    assert {name for name in named if not re.search(rf"\b{name}\b", source())} == set()


def test_every_arrow_of_the_state_diagram_names_a_statement() -> None:
    statements = ARROW.findall((ROOT / "docs" / "architecture.md").read_text())

    assert len(statements) > 10
    assert set(statements) <= queries_in("send_queue").keys()


def test_every_metric_of_the_operations_page_is_declared() -> None:
    named = METRIC_ROW.findall((ROOT / "docs" / "operations.md").read_text())
    samples = {family.name for family in Metrics().registry.collect()}

    assert len(named) > 10
    assert {name for name in named if name.removesuffix("_total") not in samples} == set()
