"""Checks a data set's annotations and files: everything that would spoil a run, in one table.

Every picture is decoded to its last pixel, since a truncated file opens without complaint. Of each only its
size and a hash of its pixels are kept, so memory grows by some hundred bytes a picture. Pictures are compared
by their pixels: the same one saved as PNG and as BMP is still the same picture.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from orchestrator.dataset import consistency, masks, reading
from orchestrator.dataset.entry import BrokenEntryError
from orchestrator.dataset.findings import Fault, Finding
from orchestrator.dataset.spelling import Spelling
from orchestrator.errors import DataError
from orchestrator.vocabulary import Sample

if TYPE_CHECKING:
    from rich.table import Table

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LISTS: Final = {
    reading.MMAD_JSON: ("similar_templates", "random_templates"),
    reading.METADATA_CSV: ("similar_templates",),
}
_BATCH: Final = 256
"""Pictures handed to the threads at once: enough to keep them busy, few enough to stay small."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and what is wrong with it."""

    root: str
    source: str
    samples: int
    questions: int
    images: int
    """Different query images and templates."""
    findings: tuple[Finding, ...]
    """Broken entries in the file's order, then the rest by kind and path."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Picture:
    digest: bytes
    width: int
    height: int


def verify(directory: Path, progress: Callable[[int, int], None] | None = None) -> Report:
    """Check the data set in a folder, of either format.

    Args:
        directory: the folder that holds mmad.json or metadata.csv.
        progress: is told (done, total) while images and masks are being decoded.

    Raises:
        DataError: there is no data set, or its annotations are so broken that they cannot be read on.
    """
    broken: list[BrokenEntryError] = []
    dataset = reading.read(directory, on_broken=broken.append)
    root, samples = Path(dataset.root), dataset.samples
    findings = [Finding(Fault.BROKEN_ENTRY, dataset.source, str(error)) for error in broken]
    lacking = {(error.key, error.part) for error in broken}
    images = dict.fromkeys(path for sample in samples for path in (sample.key, *_templates(sample)))
    masked = [s for s in samples if s.abnormal and (s.mask or (s.key, "mask") not in lacking)]
    step = _steps(progress, len(images) + len(masked))
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        missing = list(_missing(root, samples, images))
        findings += missing
        absent = {finding.path for finding in missing}
        pictures: dict[str, _Picture] = {}
        there = [path for path in images if path not in absent]
        for path, picture in _each(workers, there, lambda path: _decode(root / path), step):
            if isinstance(picture, str):
                findings.append(Finding(Fault.UNREADABLE, path, picture))
            else:
                pictures[path] = picture
        for _, finding in _each(workers, masked, lambda s: _mask(root, s, pictures.get(s.key)), step):
            if finding is not None:
                findings.append(finding)
    lists = _LISTS[dataset.source]
    findings += [finding for sample in samples for finding in consistency.check(sample, lists, lacking)]
    findings += _shown_to_itself(samples, pictures)
    findings += _shared(samples, pictures)
    order = list(Fault)
    findings[len(broken) :] = sorted(
        findings[len(broken) :],
        key=lambda finding: (order.index(finding.kind), finding.path, finding.detail),
    )
    questions = sum(len(sample.questions) for sample in samples)
    return Report(str(root), dataset.source, len(samples), questions, len(images), tuple(findings))


def table(report: Report, rows_per_kind: int = 20) -> Table:
    """Lay a report out for the terminal: at most so many rows of each kind, and how many more there are."""
    from rich.markup import escape
    from rich.table import Table

    result = Table(title=f"What is wrong with {escape(report.root)}", title_justify="left")
    result.add_column("what", no_wrap=True)
    result.add_column("where", overflow="fold")
    result.add_column("detail", overflow="fold")
    by_kind: dict[Fault, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_kind[finding.kind].append(finding)
    for kind, findings in by_kind.items():
        for finding in findings[:rows_per_kind]:
            result.add_row(kind.value, escape(finding.path), escape(finding.detail))
        if len(findings) > rows_per_kind:
            result.add_row(kind.value, f"... and {len(findings) - rows_per_kind} more", "")
        result.add_section()
    return result


def _steps(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return step


def _each(
    workers: ThreadPoolExecutor,
    items: Sequence[_Item],
    check: Callable[[_Item], _Result],
    step: Callable[[int], None],
) -> Iterator[tuple[_Item, _Result]]:
    """Yield every item with its result, in order, a batch of them at a time in the threads."""
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        yield from zip(batch, workers.map(check, batch), strict=True)
        step(len(batch))


# ------------------------------------------------------------------------------------- the single checks


def _templates(sample: Sample) -> tuple[str, ...]:
    return (*sample.random_templates, *sample.similar_templates)


def _missing(root: Path, samples: Sequence[Sample], images: Iterable[str]) -> Iterator[Finding]:
    queries, spelling = {sample.key for sample in samples}, Spelling(root)
    for path in images:
        found = spelling.on_disk(path)
        if found is None:
            kind = Fault.MISSING_IMAGE if path in queries else Fault.MISSING_TEMPLATE
            yield Finding(kind, path, "there is no such file")
        elif found != path:
            yield Finding(Fault.SPELLED_OTHERWISE, path, f"on disk it is {found}")


def _decode(path: Path) -> _Picture | str:
    """A picture's hash and size, or what is wrong with it."""
    from PIL import Image

    if not path.is_file():  # opening a pipe would wait for someone to write into it
        return "it is no regular file"
    try:
        with Image.open(path) as image:
            pixels = image.convert("RGBA" if "A" in image.getbands() else "RGB").tobytes()
            return _Picture(hashlib.blake2b(pixels, digest_size=16).digest(), *image.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error).replace(str(path), "the file")


def _mask(root: Path, sample: Sample, picture: _Picture | None) -> Finding | None:
    if not sample.mask:
        return Finding(Fault.MISSING_MASK, sample.key, "the image is abnormal and names no mask")
    try:
        files = masks.resolve(root, sample)
    except DataError as error:
        return Finding(Fault.MISSING_MASK, sample.key, str(error).removeprefix(f"{sample.key}: "))
    if not files:
        return Finding(Fault.MISSING_MASK, sample.key, f"the folder {sample.mask} holds no mask")
    try:
        marked = masks.load(files)
    except DataError as error:
        return Finding(Fault.MASK_UNREADABLE, sample.key, str(error))
    height, width = marked.shape
    if picture is not None and (width, height) != (picture.width, picture.height):
        detail = f"{width} x {height}, but the image is {picture.width} x {picture.height} pixels"
        return Finding(Fault.MASK_SIZE, sample.key, detail)
    if not marked.any():
        return Finding(Fault.MASK_EMPTY, sample.key, f"{sample.mask} is all zero")
    return None


def _shown_to_itself(samples: Sequence[Sample], pictures: Mapping[str, _Picture]) -> Iterator[Finding]:
    for sample in samples:
        query = pictures.get(sample.key)
        for template in dict.fromkeys(_templates(sample)):
            if template == sample.key:
                yield Finding(Fault.TEMPLATE_IS_QUERY, sample.key, "it is in its own list of templates")
            elif query is not None and template in pictures and pictures[template].digest == query.digest:
                yield Finding(Fault.TEMPLATE_IS_QUERY, sample.key, f"{template} is the same picture")


def _shared(samples: Sequence[Sample], pictures: Mapping[str, _Picture]) -> Iterator[Finding]:
    """Pictures that stand for more than one product: one of them is another product's."""
    places: dict[bytes, dict[tuple[str, str], tuple[str, str]]] = defaultdict(dict)
    for sample in samples:
        for path in (sample.key, *_templates(sample)):
            if path in pictures:
                products = places[pictures[path].digest]
                products.setdefault((sample.dataset, sample.product), (path, sample.key))
    for products in places.values():
        if len(products) > 1:
            # A path that lies in its product's own folder comes first, so that it is the others that borrow.
            uses = sorted(products.items(), key=lambda use: use[1][0].split("/")[1:2] != [use[0][1]])
            path, _ = uses[0][1]
            details = (_borrowed(path, other, key) for _, (other, key) in uses[1:])
            yield Finding(Fault.TWO_PRODUCTS, path, "; ".join(details))


def _borrowed(path: str, other: str, key: str) -> str:
    if other == path:
        return f"is among the templates of {key}"
    return f"the same picture as {other}" + ("" if other == key else f", a template of {key}")
