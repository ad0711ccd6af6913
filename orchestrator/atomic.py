"""Files that are whole or not there: written beside their place, synced, then moved into it.

The price is the room for both versions at once, and a leftover with a dot before its name after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import DiskFullError, RunError


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that takes the place of `path` if the block ends well, and vanishes if it does not.

    Raises:
        RunError: if it cannot be written, for lack of room or rights.
    """
    text = "b" not in mode
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            mode,
            dir=path.parent,
            prefix=f".{path.name}.",
            delete=False,
            encoding="utf-8" if text else None,
            newline="\n" if text else None,
        ) as file:
            draft = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)  # a temporary file is private; a result is for colleagues
        draft.replace(path)
        draft = None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{path}: cannot be written: {error.strerror}. All answers are kept. Make room on that disk, "
                "then run the same command again."
            ) from None
        raise RunError(f"{path}: cannot be written: {error.strerror}.") from None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def clear(folder: Path, keep: str) -> None:
    """Remove whatever is in a folder but the file named `keep`."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != keep:
            path.unlink()
