"""A run's folder: which one, whose it is at the moment, and whether it is the run that is meant.

Without `--out` the folder is `runs/<date>-<data>-<fingerprint>`. A killed run must go on when the same
command is given again, so an unfinished one of the same identity and models is taken up, whatever its date; a
finished one is left alone, and the command starts anew beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import NotSetUpError, RunError
from orchestrator.journal.reader import JournalReader
from orchestrator.journal.schema import FILE_NAME
from orchestrator.vocabulary import Outcome

LOCK = "lock"
_TRIES = 100


def default_folder(
    base: Path, date: str, name: str, fingerprint: str, models: Sequence[str], *, retry_failed: bool
) -> Path:
    """Return the folder to work in when none is named.

    Args:
        base: the folder that holds all runs.
        date: today's, for a new folder's name.
        name: the data set's, for people.
        fingerprint: of the identity of the run.
        models: the names to be asked; order does not matter.
        retry_failed: also take up a finished run, the newest of this identity: its failures are asked again.
    """
    changed = {}
    for path in base.glob(f"*-{fingerprint}*"):
        with contextlib.suppress(FileNotFoundError):  # one that never began may be removed just now
            if (path / FILE_NAME).is_file():
                changed[path] = path.stat().st_mtime
    for folder in sorted(changed, key=changed.__getitem__, reverse=True):
        if _takes_up(folder, set(models), retry_failed=retry_failed):
            return folder
    fresh = base / f"{date}-{name}-{fingerprint}"
    number = 2
    while fresh.exists() and (fresh / FILE_NAME).exists():
        fresh = base / f"{date}-{name}-{fingerprint}-{number}"
        number += 1
    return fresh


def _takes_up(folder: Path, models: set[str], *, retry_failed: bool) -> bool:
    try:
        journal = JournalReader(folder)
    except NotSetUpError:
        return True
    except RunError:
        return False  # another version's
    with contextlib.closing(journal):
        asked = {model.name for model in journal.models()}
        if retry_failed:
            return models <= asked
        if models != asked:
            return False
        killed = any(session["seconds"] is None for session in journal.sessions()[-1:])
        return killed or any(journal.counts(name)[Outcome.MISSING] for name in asked)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder if need be, and keep every other orchestrator out of it until the end.

    The kernel holds the lock and lets go of it when the process ends, however it ends. If nothing has
    come into the folder by then, what was made here is removed again.

    Raises:
        RunError: if another process works on it, or it cannot be made.
    """
    new = [path for path in (folder / LOCK, folder, *folder.parents) if not path.exists()]
    with _own(folder) as file:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if folder / LOCK in new and [path.name for path in folder.iterdir()] == [LOCK]:
                    new.pop(0).unlink()
                    for empty in new:
                        empty.rmdir()


def _own(folder: Path) -> IO[str]:
    """Open and lock the lock file, which whoever had it may remove at any moment together with the folder."""
    for last in (False,) * _TRIES + (True,):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("a+")
        except OSError as error:
            if isinstance(error, FileNotFoundError | FileExistsError) and not last:
                continue
            raise RunError(f"--out {folder}: cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                raise RunError(
                    f"{folder}: another orchestrator (process {_owner(file)}) works on this run. "
                    "Wait for it, end it, or choose another --out."
                ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
                return file
        file.close()
    raise RunError(f"--out {folder}: is made and removed by others all the time. Choose another --out.")


@contextlib.contextmanager
def resting(folder: Path) -> Iterator[None]:
    """Make sure that nobody works on a run until the end, without writing to its folder.

    Raises:
        RunError: if another process works on it.
    """
    try:
        file = (folder / LOCK).open()
    except (FileNotFoundError, NotADirectoryError):  # a copy without it: nobody can be working on that
        yield
        return
    except OSError as error:
        raise RunError(f"{folder / LOCK}: cannot be read: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                f"{folder}: another orchestrator (process {_owner(file)}) works on this run. "
                "Wait for it, or end it."
            ) from None
        yield


def _owner(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read().strip() or "unknown"


def check_identity(folder: Path, stored: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to go on with a run under another data set or protocol.

    Raises:
        RunError: naming each setting that differs, with both values.
    """
    check_same(folder, "run", stored, current)


def check_model(folder: Path, name: str, stored: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to mix two models under one name.

    Raises:
        RunError: naming each part of the identity that differs, with both values.
    """
    check_same(folder, f"model {name!r}", stored, current)


def check_same(folder: Path, what: str, stored: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to mix what `folder` holds with another `what`.

    Raises:
        RunError: naming each part that differs, with both values.
    """
    if different := differences(stored, current, "there", "now"):
        raise RunError(
            f"{folder} holds another {what}. What differs:\n"
            + "\n".join(different)
            + "\nGive the same options to go on with it, or another --out to start anew."
        )


def differences(first: Mapping[str, Any], second: Mapping[str, Any], here: str, there: str) -> list[str]:
    """Say in lines what differs between two identities: each name, its value in both, and where they are."""
    one, other = dict(_flat(first)), dict(_flat(second))
    return [
        f"  {name}: {one.get(name, 'not set')!r} {here}, {other.get(name, 'not set')!r} {there}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
