"""Replies kept on disk: one file each, named by the digest of everything that the reply depends on.

Files, and not a database: writing one is atomic, any number of processes can share the folder, and there is
nothing to repair. The price is a folder of many small files. A file that is damaged is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from mmad_answer.model import LoadError

_log = logging.getLogger(__name__)


class ReplyCache:
    """A folder of replies: JSON values under hexadecimal digests. Used from any number of threads."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; make it if needed.

        Raises:
            LoadError: it cannot be written to.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise LoadError(f"--reply-cache {folder}: cannot be written to: {error.strerror}") from None

    def get(self, digest: str) -> Any | None:
        """The reply, or None if there is none or its file is damaged."""
        path = self._path(digest)
        try:
            checksum, content = path.read_bytes().split(b"\n", 1)
            if checksum.decode() != hashlib.sha256(content).hexdigest():
                raise ValueError("the checksum is another")
            return json.loads(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("%s: asking again, as this cached reply cannot be read: %s", path, error)
            return None

    def put(self, digest: str, reply: Any) -> None:
        """Keep a reply. One that cannot be written, on a full disk say, is not kept; that is logged."""
        content = json.dumps(reply).encode()
        path = self._path(digest)
        try:
            path.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                try:
                    file.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(path)
                except BaseException:
                    with contextlib.suppress(OSError):
                        Path(file.name).unlink()
                    raise
        except OSError as error:
            _log.warning("%s: a reply is not cached: %s", path, error.strerror)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest[2:]}.json"
