"""Fetches checkpoints into the volume that the services read: OWNER/NAME or OWNER/NAME@REVISION, any number.

The layout is the hub's own cache, so services find a checkpoint by its id, offline. What is there is not
fetched again, and what was broken off goes on. Afterwards every file is read once more and held against the
hub's digest, which the cache keeps as its name: a minute for 20 GB, which finds a damaged disk or copy.
`--verify` does only that, without a network: for a volume that was carried to another site.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_CHUNK_BYTES = 2**22


class DownloadError(Exception):
    """What a user can mend, in one line."""


def main(arguments: list[str]) -> int:
    """Fetch or verify what the command line names."""
    parser = argparse.ArgumentParser(prog="download", description="Fetch checkpoints into the volume.")
    parser.add_argument("checkpoints", nargs="*", metavar="OWNER/NAME[@REVISION]")
    parser.add_argument("--revision", help="a commit, tag or branch, of those that name none themselves")
    parser.add_argument("--verify", action="store_true", help="read what is there, and fetch nothing")
    options = parser.parse_args(arguments)
    # The profile gives one argument for each setting, and an empty one for each that is not set.
    wanted = [each for each in options.checkpoints if each.partition("@")[0]]
    if not wanted:
        parser.error("name a checkpoint: OWNER/NAME, here or as a *_CHECKPOINT in .env")
    failed = 0
    for each in wanted:
        name, _, revision = each.partition("@")
        try:
            for line in _lines(name, revision or options.revision, fetch=not options.verify):
                print(line, flush=True)
        except DownloadError as error:
            failed += 1  # the others are fetched all the same
            print(f"download: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("download: stopped; the same command goes on from here", file=sys.stderr)
            return 130
    return 1 if failed else 0


def _lines(name: str, revision: str | None, *, fetch: bool) -> Iterator[str]:
    """Yield a line for each commit that is there now."""
    if name.startswith("/"):
        yield f"{name}: is a folder, nothing to fetch"
        return
    if not _ID.fullmatch(name):
        raise DownloadError(f"{name}: is no hub id (OWNER/NAME)")
    for commit in [revision] if fetch or revision else _kept(name):
        yield _verified(name, _snapshot(name, commit, fetch=fetch))


def _verified(name: str, snapshot: Path) -> str:
    files = sorted(path for path in snapshot.rglob("*") if path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise DownloadError(f"{name}: has no safetensors files, and the services read no others")
    total = sum(path.stat().st_size for path in files)
    for path in files:
        _verify(name, path)
    return f"{name}: commit {snapshot.name}, {len(files)} files, {total / 1e9:,.2f} GB, digests verified"


def _kept(name: str) -> list[str]:
    """Return the commits of a checkpoint that are there: one that was fetched by its number has no name."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="model"), "snapshots")
    if not (found := sorted(path.name for path in folder.glob("*"))):
        raise DownloadError(f"{name}: nothing of it is in the volume")
    return found


def _snapshot(name: str, revision: str | None, *, fetch: bool) -> Path:
    import huggingface_hub
    from files import CHECKPOINT_FILES

    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(CHECKPOINT_FILES), local_files_only=not fetch
        )
    except Exception as error:  # of several libraries, down to the sockets
        said = " ".join(str(error).split())[:400] or type(error).__name__
        raise DownloadError(f"{name}{f'@{revision}' if revision else ''}: {said}") from error
    return Path(folder)


def _verify(name: str, path: Path) -> None:
    """Hold a file against its digest: SHA-256 for large ones, Git's own of a blob for the others.

    Raises:
        DownloadError: it differs. The file is removed, where it can be, so that the next call fetches it.
    """
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
        return  # another server's ETag, of which nothing is known
    digest = hashlib.sha256() if len(blob.name) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(blob.name) == 40:
        digest.update(b"blob %d\0" % blob.stat().st_size)
    with blob.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() == blob.name:
        return
    if os.access(blob.parent, os.W_OK):
        blob.unlink()
        path.unlink(missing_ok=True)
        raise DownloadError(f"{name}: {path.name} was damaged, and is removed: fetch it again")
    raise DownloadError(f"{name}: {path.name} is damaged: fetch or copy it again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
