"""Deletes the key files that no linked device needs, on the node that has them."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

_MIN_AGE = timedelta(days=1)  # another process may be linking a younger one


def delete_orphaned_key_files(folder: Path, owners: Collection[str], now: datetime) -> list[str]:
    """Deletes the files in *folder* of instances that are not among *owners*.

    Args:
        folder: has `<instance id>.db`, and the files that SQLite adds to it.
        owners: ids of the instances that are linked, or whose session is open here.
        now: files that were changed within a day before it stay.

    Returns:
        The ids of the instances whose files it deleted.
    """
    youngest = (now - _MIN_AGE).timestamp()
    orphaned = [
        file
        for file in folder.glob("*.db")
        if file.stem not in owners and file.stat().st_mtime < youngest
    ]
    for file in orphaned:
        delete_key_file(file)
    return sorted(file.stem for file in orphaned)


def delete_key_file(file: Path) -> None:
    """Deletes the file, if it exists, and those that SQLite added to it."""
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink(missing_ok=True)
