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
    failed = False
    try:
        for each in wanted:
            name, _, revision = each.partition("@")
            for commit in _commits(name, revision or options.revision, verify=options.verify):
                try:
                    print(_one(name, commit, fetch=not options.verify), flush=True)
                except DownloadError as error:
                    failed = True  # the others are fetched all the same
                    print(f"download: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("download: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _commits(name: str, revision: str | None, *, verify: bool) -> list[str | None]:
    """Return the revision that is meant, or all that are there: one fetched by its commit has no name."""
    if not verify or revision or not _ID.fullmatch(name):
        return [revision]
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    snapshots = Path(HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="model"), "snapshots")
    return sorted(path.name for path in snapshots.glob("*")) or [None]


def _one(name: str, revision: str | None, *, fetch: bool) -> str:
    """Return the line that says what is there now."""
    if name.startswith("/"):
        return f"{name}: is a folder, nothing to fetch"
    if not _ID.fullmatch(name):
        raise DownloadError(f"{name}: is no hub id (OWNER/NAME)")
    snapshot = _snapshot(name, revision, fetch=fetch)
    files = sorted(path for path in snapshot.rglob("*") if path.is_file() or path.is_symlink())
    if missing := [path.name for path in files if not path.exists()]:
        raise DownloadError(f"{name}@{snapshot.name}: {missing[0]} is missing: fetch it again")
    if not any(path.suffix == ".safetensors" for path in files):
        raise DownloadError(f"{name}: has no safetensors files, and the services read no others")
    total = sum(path.stat().st_size for path in files)
    for path in files:
        _verify(name, path)
    return f"{name}: commit {snapshot.name}, {len(files)} files, {total / 1e9:,.2f} GB, digests verified"


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
        blob.unlink()  # the links stay, of other commits too, and show that it is missing
        raise DownloadError(f"{name}: {path.name} was damaged, and is removed: fetch it again")
    raise DownloadError(f"{name}: {path.name} is damaged: fetch or copy it again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
