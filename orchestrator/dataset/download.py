"""Gets MMAD from the Hugging Face hub: 28 GB, so it can be broken off at any moment and goes on from there.

Which revision: MMAD's authors mend their data set now and then; a commit chosen here would keep its faults.
So the first download into a folder takes what the asked revision ("main" unless told otherwise) points to at
that moment and writes that commit into the folder; every later call stays on it, unless another revision is
asked for. What a run then reports is the digest of the annotations, not a name that moves.

huggingface_hub speaks to the hub (addresses, tokens, `HF_ENDPOINT`, offline mode, retries within a call). The
partly downloaded file is kept here, because the hub's own download begins anew when its process was ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.dataset.unpacking import require_room, unpack, unpacked_bytes
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import DatasetInfo

REPOSITORY: Final = "jiang-cc/MMAD"
REVISION_FILE: Final = ".mmad-revision"
"""In the data set's folder: which commit it holds or is getting."""
ARCHIVE: Final = "ALL_DATA.zip"
"""Holds all images."""
_ANNOTATIONS: Final = ("mmad.json", "metadata.csv", "domain_knowledge.json", "README.md")
_DATASETS: Final = ("DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD", "MVTec-AD")
_PARTIAL_FOLDER: Final = ".mmad-download"


@dataclasses.dataclass(frozen=True, slots=True)
class Pin:
    """What a folder holds, as its revision file says."""

    repository: str
    revision: str
    """As it was asked for."""
    commit: str
    complete: bool
    replaces: str = ""
    """The commit of which files may still lie there, while this one is getting in its place."""


@dataclasses.dataclass(frozen=True, slots=True)
class _RemoteFile:
    name: str
    size: int
    sha256: str
    """"" where the hub does not say."""


def download(
    directory: Path, note: Callable[[str], None], revision: str | None = None, repository: str = REPOSITORY
) -> Pin:
    """Download and unpack MMAD, or go on with it, or do nothing where it is complete.

    Progress bars go to standard error, as is the hub library's way. The annotations are put in place last: a
    folder that can be read is complete.

    Args:
        directory: where to; made if need be.
        note: is told, a line at a time, the commit, the licence and what is done.
        revision: a commit, branch or tag; None: the folder's own commit, else what "main" is now.
        repository: a data set repository of the hub.

    Raises:
        DataError: the library is not installed, the hub cannot be reached or has no such thing, too little
            room, or a damaged file; what was downloaded so far is kept.
    """
    _require_library()
    pin = pinned(directory)
    if pin is not None and pin.repository != repository:
        raise DataError(f"{directory} holds {pin.repository}: give another folder for {repository}.")
    if pin is not None and pin.complete and revision in (None, pin.revision, pin.commit):
        note(f"{directory} holds {pin.repository} at commit {pin.commit} already.")
        return pin
    asked = revision or (pin.commit if pin else "main")
    with _explained(directory, repository, asked):
        from huggingface_hub import HfApi

        info = HfApi().dataset_info(repository, revision=asked, files_metadata=True)
        new = _next_pin(pin, repository, revision, str(info.sha))
        note(f"{repository} at commit {new.commit}. {_licence(info)}")
        files = _wanted(info, new)
        directory.mkdir(parents=True, exist_ok=True)
        _record(directory, new)
        partial = directory / _PARTIAL_FOLDER / new.commit
        partial.mkdir(parents=True, exist_ok=True)
        _check_room(directory, partial, files)
        for file in files:
            _fetch(new, file, partial, note)
        _unpack(partial / ARCHIVE, directory, renew=bool(new.replaces))
        for file in files:
            if file.name != ARCHIVE:
                (partial / file.name).replace(directory / file.name)
        done = dataclasses.replace(new, complete=True, replaces="")
        _record(directory, done)
        shutil.rmtree(directory / _PARTIAL_FOLDER)
    note(f"{directory} is complete. `orchestrator data verify {directory}` checks every file.")
    return done


def _next_pin(old: Pin | None, repository: str, revision: str | None, commit: str) -> Pin:
    label = revision or (old.revision if old else "main")
    if old is None:
        return Pin(repository, label, commit, complete=False)
    replaces = old.replaces if old.commit == commit else old.commit
    return Pin(repository, label, commit, complete=False, replaces=replaces)


def pinned(directory: Path) -> Pin | None:
    """What a folder holds or is getting; None where nothing was downloaded into it.

    Raises:
        DataError: the revision file is broken.
    """
    path = directory / REVISION_FILE
    try:
        return Pin(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}): remove it to download anew.") from None


def _record(directory: Path, pin: Pin) -> None:
    draft = directory / f"{REVISION_FILE}.part"
    draft.write_text(json.dumps(dataclasses.asdict(pin), indent=2) + "\n", encoding="utf-8")
    draft.replace(directory / REVISION_FILE)


def _require_library() -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DataError(
            'Downloading needs the hub\'s library: pip install "huggingface-hub>=1.0", then try again.'
        )


def _licence(info: DatasetInfo) -> str:
    licence = getattr(info.card_data, "license", None)
    if not licence:
        return "Its card names no licence: ask its authors what you may do with it."
    return f"Its card names the licence {licence}: by downloading you accept it."


def _wanted(info: DatasetInfo, pin: Pin) -> list[_RemoteFile]:
    """The files to get, small ones first."""
    there = {
        file.rfilename: _RemoteFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "")
        for file in info.siblings or ()
    }
    if ARCHIVE not in there:
        listed = ", ".join(sorted(there)[:8]) or "nothing"
        raise DataError(f"{pin.repository} at {pin.commit} has no {ARCHIVE}; it has {listed}.")
    return [there[name] for name in (*_ANNOTATIONS, ARCHIVE) if name in there]


def _check_room(directory: Path, partial: Path, files: Sequence[_RemoteFile]) -> None:
    """Images do not compress, so they take about the archive's size once more when unpacked."""
    archive = next(file.size for file in files if file.name == ARCHIVE)
    have = sum(path.stat().st_size for path in partial.iterdir())
    require_room(directory, sum(file.size for file in files) - have + archive, "downloading and unpacking")


def _fetch(pin: Pin, file: _RemoteFile, folder: Path, note: Callable[[str], None]) -> None:
    """Download a file, going on from what an earlier call left, and check it."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public all the same

    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file():
        return
    have = part.stat().st_size if part.is_file() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have:
        note(f"{file.name}: going on from {have / 1e6:,.1f} of {file.size / 1e6:,.1f} MB")
    url = hf_hub_url(pin.repository, file.name, repo_type="dataset", revision=pin.commit)
    with part.open("ab") as target:
        http_get(url, target, resume_size=have, headers=build_hf_headers(), expected_size=file.size)
    if file.sha256:
        with part.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                part.unlink()
                raise DataError(f"{file.name} arrived damaged and was removed: run the same command again.")
    part.replace(path)


def _unpack(archive: Path, directory: Path, renew: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("Unpacking", total=unpacked_bytes(archive))
        unpack(
            archive,
            directory,
            renew=renew,
            within=_DATASETS,
            progress=lambda count: bars.advance(task, count),
        )


@contextlib.contextmanager
def _explained(directory: Path, repository: str, revision: str) -> Iterator[None]:
    """Turn what can go wrong with the hub and the disk into one line that says what to do."""
    from huggingface_hub import constants, errors

    where = f"{repository} on {constants.ENDPOINT}"
    again = "What was downloaded is kept; the same command goes on from there."
    try:
        yield
    except errors.GatedRepoError:
        raise DataError(f"{where}: ask for access on its page, then log in with `hf auth login`.") from None
    except errors.RepositoryNotFoundError:
        raise DataError(f"{where}: there is no such data set, or it is private (`hf auth login`).") from None
    except errors.RevisionNotFoundError:
        raise DataError(f"{where}: there is no revision {revision!r}.") from None
    except errors.OfflineModeIsEnabled:
        raise DataError("HF_HUB_OFFLINE is set: unset it to download, or copy MMAD here by hand.") from None
    except errors.HFValidationError as error:
        raise DataError(f"{repository!r} is no name of a data set: {error}") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        raise DataError(f"{where}: the hub answered {status}. Try again later. {again}") from None
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # the HTTP library's own, which differs by version
        raise DataError(f"{where}: cannot be reached ({error}). {again}") from None
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise DataError(f"{error.filename or directory}: {reason}. {again}") from None
