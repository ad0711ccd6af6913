"""Reads a data set in either of MMAD's two formats: `mmad.json`, else the hub copy's `metadata.csv`.

The annotations are read whole, for a plan must see every sample; images are left where they are. Reading is
strict: an entry that cannot be asked or scored is an error with its place, since leaving it out would change
what a score is measured on without anyone noticing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from orchestrator.dataset import hub_csv, mmad_json, sample
from orchestrator.dataset.entry import BrokenEntryError
from orchestrator.errors import DataError
from orchestrator.vocabulary import Dataset, Sample

MMAD_JSON: Final = "mmad.json"
METADATA_CSV: Final = "metadata.csv"
DOMAIN_KNOWLEDGE: Final = "domain_knowledge.json"

_NO_TYPES: Final = (
    "metadata.csv gives no question types: questions cannot be chosen by --type, and there are no scores by "
    "type, no balanced detection accuracy and no average in MMAD's sense. mmad.json has the types."
)
_ONE_TEMPLATE: Final = (
    "metadata.csv gives one similar template for each image: --templates random and more than one shot "
    "need mmad.json."
)
_NO_KNOWLEDGE: Final = "there is no domain_knowledge.json: --domain-knowledge cannot be used."


def read(directory: Path, on_broken: Callable[[BrokenEntryError], None] | None = None) -> Dataset:
    """Read the data set in a folder.

    Args:
        directory: the folder that holds mmad.json or metadata.csv.
        on_broken: is told of everything that is wrong with an entry, and the rest of the entry is read;
            without it the first such fault is raised.

    Raises:
        DataError: there is none, or its annotations are broken; names the file, the line and what to do.
    """
    if not directory.is_dir():
        what = "is not a folder" if directory.exists() else "does not exist"
        raise DataError(
            f"{directory} {what}. Give the folder that holds mmad.json, get MMAD with "
            f"`orchestrator data download {directory}`, or use `--data sample`."
        )
    limitations: tuple[str, ...] = ()
    try:
        if (directory / MMAD_JSON).is_file():
            source = MMAD_JSON
            samples = _whole(directory / MMAD_JSON, mmad_json.read, on_broken)
        elif (directory / METADATA_CSV).is_file():
            source = METADATA_CSV
            samples = _whole(directory / METADATA_CSV, hub_csv.read, on_broken)
            limitations = (_NO_TYPES, _ONE_TEMPLATE)
        else:
            raise DataError(
                f"{directory} holds neither {MMAD_JSON} nor {METADATA_CSV}. Give MMAD's own folder, or get "
                f"MMAD with `orchestrator data download DIR`."
            )
        limitations += _origin(directory)
        knowledge = _domain_knowledge(directory, {sample.dataset for sample in samples})
        digest = _digest(directory, source)
    except OSError as error:
        raise DataError(f"{error.filename or directory}: cannot be read: {error.strerror}.") from None
    if not knowledge:
        limitations = (*limitations, _NO_KNOWLEDGE)
    return Dataset(str(directory), samples, knowledge, digest, source, limitations)


def _whole(
    path: Path,
    reader: Callable[[Path], Iterator[Sample | BrokenEntryError]],
    on_broken: Callable[[BrokenEntryError], None] | None,
) -> tuple[Sample, ...]:
    samples: list[Sample] = []
    empty = True
    for item in reader(path):
        empty = False
        if isinstance(item, Sample):
            samples.append(item)
        elif on_broken is None:
            raise item
        else:
            on_broken(item)
    if empty:
        raise DataError(f"{path} holds no entry: there is nothing to ask.")
    return tuple(samples)


def _origin(directory: Path) -> tuple[str, ...]:
    """Say so where a folder was drawn to look like MMAD, so that nobody takes its scores for MMAD's."""
    stamp = directory / sample.STAMP
    if stamp.is_file() and sample.LIKE_MMAD in stamp.read_text(errors="replace"):
        return (
            "these images are noise, drawn by `orchestrator data sample --like-mmad`: scores mean nothing.",
        )
    return ()


def _digest(directory: Path, source: str) -> str:
    """Sha256 of what `sha256sum SOURCE domain_knowledge.json` prints, so that anyone can repeat it."""
    lines = []
    for name in (source, DOMAIN_KNOWLEDGE):
        if (directory / name).is_file():
            with (directory / name).open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _domain_knowledge(directory: Path, datasets: set[str]) -> Mapping[tuple[str, str], Mapping[str, str]]:
    path = directory / DOMAIN_KNOWLEDGE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise DataError(f"{path}: broken JSON: nested too deeply.") from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise DataError(f"{path}: cannot be read: {error}.") from None
    knowledge: dict[tuple[str, str], dict[str, str]] = {}
    for dataset, products in _items(content, str(path)):
        name = "DS-MVTec" if dataset == "MVTec" and "MVTec" not in datasets else dataset
        for product, kinds in _items(products, f"{path}: {dataset}"):
            texts = dict(_items(kinds, f"{path}: {dataset}: {product}"))
            for kind, text in texts.items():
                if not isinstance(text, str):
                    raise DataError(f"{path}: {dataset}: {product}: {kind}: should be a text.")
            knowledge[name, product] = {kind: str(text) for kind, text in texts.items()}
    return knowledge


def _items(content: object, where: str) -> list[tuple[str, object]]:
    if not isinstance(content, dict):
        raise DataError(f"{where}: should be an object ({{...}}).")
    return list(content.items())
