"""Unpacks a downloaded archive into a data set's folder: resumable, and never outside of that folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from orchestrator.dataset.entry import EntryError, safe
from orchestrator.errors import DataError

_CHUNK_BYTES: Final = 1 << 20
_PART: Final = ".part"


def unpack(
    archive: Path, root: Path, *, renew: bool, within: Sequence[str], progress: Callable[[int], None]
) -> None:
    """Unpack a ZIP archive.

    A member that is there already with the same size is skipped, so an interrupted call goes on where it was:
    each file is written beside its place and moved into it when its checksum is right.

    Args:
        archive: the ZIP file.
        root: where to.
        renew: unpack also what is there already.
        within: folders of which the archive should have some at its top. Where it has them one level down, in
            a folder of its own, that folder is left out.
        progress: is told how many more bytes of the unpacked files are in place.

    Raises:
        DataError: not a ZIP archive, damaged, a member that would lie outside `root`, or too little room.
        OSError: a file cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            above = _above(members, within)
            places = {member.filename: root / _place(archive, member, above) for member in members}
            wanted = [m for m in members if renew or _size(places[m.filename]) != m.file_size]
            needed = sum(m.file_size - (_size(places[m.filename]) or 0) for m in wanted)
            require_room(root, needed, "unpacking")
            progress(sum(m.file_size for m in members) - sum(m.file_size for m in wanted))
            for member in wanted:
                _extract(content, member, places[member.filename])
                progress(member.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{archive}: the archive is damaged: {error}. Remove it and download again."
        ) from None


def unpacked_bytes(archive: Path) -> int:
    """How many bytes the members have, unpacked.

    Raises:
        DataError: not a ZIP archive.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            return sum(member.file_size for member in content.infolist())
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{archive}: the archive is damaged: {error}. Remove it and download again."
        ) from None


def require_room(root: Path, needed_bytes: int, what: str) -> None:
    """Check that the file system has room.

    Raises:
        DataError: it has not; says how much is needed and how much there is.
    """
    free = shutil.disk_usage(root).free
    if needed_bytes > free:
        raise DataError(
            f"{root}: {what} needs {needed_bytes / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free there. "
            "Make room, or give a folder on another disk."
        )


def _above(members: Sequence[zipfile.ZipInfo], within: Sequence[str]) -> str:
    """The folder that the whole archive lies in, to be left out, with its slash; "" if there is none."""
    heads = {tuple(member.filename.split("/")[:2]) for member in members}
    if any(head[0] in within for head in heads):
        return ""
    outer = {head[0] for head in heads if len(head) > 1 and head[1] in within}
    return f"{outer.pop()}/" if len(outer) == 1 else ""


def _place(archive: Path, member: zipfile.ZipInfo, above: str) -> str:
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(f"{archive}: {member.filename!r} is a link, which this archive should not have.")
    try:
        return safe(member.filename).removeprefix(above)
    except EntryError as error:
        raise DataError(f"{archive}: {error}: it would lie outside.") from None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _extract(content: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + _PART)
    try:
        with content.open(member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
