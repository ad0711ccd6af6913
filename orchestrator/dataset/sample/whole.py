"""A folder that is whole or not there: filled beside its place, then moved into it.

The folder beside it has one name, and whoever fills it holds a lock that ends with the process. So of several
processes that want the same data set (the shards of a run) one makes it and the others wait, and what a
killed one has left is cleared away by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from orchestrator.atomic import clear
from orchestrator.dataset.sample import STAMP
from orchestrator.errors import DataError

_LOCK: Final = ".lock"


def whole_or_nothing(
    directory: Path, settings: Mapping[str, int | str], fill: Callable[[Path], None]
) -> None:
    """Have a folder filled beside the wanted one, then give it its name, with a stamp of the settings.

    Does nothing where the folder carries the same stamp already.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    directory, stamp = directory.absolute(), json.dumps(dict(settings)) + "\n"
    if _is_there(directory, stamp):
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(directory.with_name(f".{directory.name}.drawing")) as partial:
            if _is_there(directory, stamp):  # by now: another process was at it
                return
            clear(partial, _LOCK)
            fill(partial)
            (partial / STAMP).write_text(stamp)
            partial.replace(directory)
            (directory / _LOCK).unlink()
    except OSError as error:
        where = error.filename or directory
        raise DataError(f"{where}: the sample data set cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _alone_in(partial: Path) -> Iterator[Path]:
    """Make the folder and wait until nobody else is in it; at the end it is gone, or moved away."""
    with _locked(partial):
        try:
            yield partial
        finally:
            # Once it is moved this is nothing, or that of another process, which will find that all is there.
            with contextlib.suppress(OSError):
                clear(partial, _LOCK)
                (partial / _LOCK).unlink()
                partial.rmdir()


def _locked(partial: Path) -> IO[str]:
    while True:
        partial.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            lock = opened.enter_context((partial / _LOCK).open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had it may have moved the folder to its place, or removed it.
            if os.path.samestat(os.fstat(lock.fileno()), (partial / _LOCK).stat()):
                opened.pop_all()
                return lock


def _is_there(directory: Path, stamp: str) -> bool:
    try:
        content = [path.name for path in directory.iterdir()]
        found = (directory / STAMP).read_text() if STAMP in content else ""
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(
            f"{directory}: {error.strerror}; give a folder to draw the sample data set in"
        ) from None
    if content and found != stamp:
        what = f"a sample data set drawn with other settings ({found.strip()})" if found else "other files"
        raise DataError(f"{directory} holds {what}: give a new folder, or remove this one first")
    return bool(content)
