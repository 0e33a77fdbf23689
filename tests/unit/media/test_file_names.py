"""The name of a received file is one harmless part of a path, and reads like the original."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

from gateway.clock import Clock
from gateway.media.file_names import safe_file_name
from gateway.media.links import LinkSigner

LONG = "a" * 300 + ".pdf"
WIDE = "\u00e9\u4e2d" * 150 + ".jpeg"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("p\u00e1g 1.html", "p\u00e1g 1.html"),
        ("a/b.pdf", "a_b.pdf"),
        ("..\\..\\windows.ini", "_.._windows.ini"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\x00b\n.pdf", "ab.pdf"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u200f\u2067name.pdf", "name.pdf"),
        ("half \ud800.pdf", "half .pdf"),
        (" .hidden ", "hidden"),
        ("nul:name?.pdf", "nul_name_.pdf"),
        ("..", None),
        (".", None),
        ("/", None),
        ("\x00", None),
        ("", None),
        (None, None),
    ],
)
def test_safe_file_name_stays_one_part_of_a_path(name: str | None, safe: str | None) -> None:
    assert safe_file_name(name) == safe


@pytest.mark.parametrize("name", [LONG, WIDE, "a" * 300, "a." + "b" * 300])
def test_safe_file_name_of_a_long_name_is_shortened(name: str) -> None:
    safe = safe_file_name(name)

    assert safe is not None
    assert len(safe.encode()) <= 200
    suffix = PurePosixPath(name).suffix
    assert len(suffix) > 20 or safe.endswith(suffix)


@pytest.mark.parametrize("name", ["a/../b.pdf", "..%2f", "\u202e\u0645.pdf", LONG, WIDE, "#?&.pdf"])
def test_link_to_a_safe_name_keeps_its_path(name: str) -> None:
    safe = safe_file_name(name)
    assert safe is not None
    links = LinkSigner(["secret"], Clock(), days=1)

    link = links.link_to("I1", "f" * 64, safe, base_url="https://example.com")

    assert [unquote(part) for part in urlsplit(link).path.split("/")] == [
        "", "media", "I1", "f" * 64, safe,
    ]  # fmt: skip
