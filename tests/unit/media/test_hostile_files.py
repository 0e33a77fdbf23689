"""Each file that was made to exhaust its reader is refused, or read, within the limits."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.contract.media import MediaFile
from gateway.media.converting import Converter
from gateway.media.jobs import JobLimits
from gateway.media.known_types import ZIP_TYPE
from gateway.media.spooling import BadFile
from tests.fixtures.conversions import new_converter
from tests.fixtures.hostile_files import (
    HOSTILE_FILES,
    HostileFile,
    nested_page,
    nested_zip,
    zip_of_entries,
)
from tests.fixtures.patience import PATIENCE_SECONDS

_MIB = 1024 * 1024
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.fixture(scope="module")
async def converter() -> AsyncIterator[Converter]:
    converter = new_converter(JobLimits(memory_bytes=512 * _MIB))
    yield converter
    await converter.close()


@pytest.mark.parametrize(
    "hostile", [each for each in HOSTILE_FILES if not each.slow], ids=lambda each: each.name
)
async def test_hostile_file_stays_within_the_limits(
    converter: Converter, hostile: HostileFile, tmp_path: Path
) -> None:
    path = tmp_path / "original"
    hostile.build(path)
    mime_type = await converter.type_of(path, None, instance_id="i")
    file = MediaFile(path, mime_type, path.stat().st_size, "")

    refused = hostile.expected and pytest.raises(BadFile, match=hostile.expected)
    with refused or nullcontext():
        await converter.convert(file, hostile.kind, tmp_path, instance_id="i")


@pytest.mark.parametrize(("name", "mime_type"), [(None, ZIP_TYPE), ("x.docx", _WORD)])
async def test_zip_of_two_million_entries_is_a_zip(
    converter: Converter, tmp_path: Path, name: str | None, mime_type: str
) -> None:
    zip_of_entries(tmp_path / "zip", 2_000_000)

    assert await converter.type_of(tmp_path / "zip", name, instance_id="i") == mime_type


async def test_nested_zip_is_not_opened(converter: Converter, tmp_path: Path) -> None:
    (tmp_path / "zip").write_bytes(nested_zip())

    assert await converter.type_of(tmp_path / "zip", None, instance_id="i") == ZIP_TYPE


async def test_nested_page_ends_within_its_processor_time(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page").write_bytes(nested_page())
    limits = replace(converter.readings.limits, cpu_seconds=0)  # the system counts whole seconds
    monkeypatch.setattr(converter.readings, "limits", limits)
    monkeypatch.setattr("gateway.media.job_pool._WALL_GRACE_SECONDS", PATIENCE_SECONDS)

    with pytest.raises(BadFile, match="processor time"):
        await converter.read("page", tmp_path / "page", instance_id="i")
