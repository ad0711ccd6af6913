"""`orchestrator merge`: the shards of a run become the run that they are parts of.

Everything is proved before a byte is written: that they are all shards of one run, each of them once, asked
with the same models, and that nobody is working on them. The new run is made in a hidden folder beside its
place and moved there when it is complete, results and all, so a merge that is killed leaves nothing that
looks like a run, and the same command starts anew. The price is that `--out` must not exist, not even empty.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.atomic import clear, replacing
from orchestrator.errors import Interrupted, RunError
from orchestrator.journal.joining import join
from orchestrator.journal.reader import StoredModel
from orchestrator.plan import completed
from orchestrator.reports.files import write_files
from orchestrator.reports.terminal import Screen
from orchestrator.results import Run, open_run
from orchestrator.runfolder import LOCK, differences, locked, resting
from orchestrator.settings_file import SETTINGS_FILE, whole_settings_text
from orchestrator.shards import parse_shard
from orchestrator.vocabulary import Outcome, Shard


def merge(
    shards: Iterable[Path | str],
    out: Path | str,
    *,
    allow_missing: bool = False,
    screen: Screen | None = None,
) -> Run:
    """Join the folders of all shards of a run, in any order, into the folder `out`.

    Args:
        shards: their folders, which are only read.
        out: where the whole run goes; nothing may be there yet.
        allow_missing: take questions that a shard has not asked yet as missing, instead of refusing.
        screen: where to say how it goes on; nowhere by default.

    Raises:
        RunError: they are not all shards of one run, each once, finished and at rest; naming what is wrong.
        Interrupted: by Ctrl-C; nothing is left of it.
    """
    out, screen = Path(out), screen or Screen(quiet=True)
    if out.exists():
        raise RunError(f"--out {out} is there already, and a merge overwrites nothing. Give another --out.")
    folders = [Path(folder) for folder in shards]
    try:
        with contextlib.ExitStack() as at_rest:
            for folder in folders:
                at_rest.enter_context(resting(folder))
            parts = _in_order([_read(folder) for folder in folders])
            _check_models(parts)
            if not allow_missing:
                _check_finished(parts)
            _write(parts, out, screen)
    except KeyboardInterrupt:
        raise Interrupted("Stopped. Nothing is left of the merge; the same command starts anew.") from None
    return open_run(out)


# ------------------------------------------------------------------------------------------------ the proof


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """What a shard's journal says of it."""

    folder: Path
    shard: Shard
    whole: dict[str, Any]
    """The identity of the run that it is a part of."""
    images: int
    """Of that run."""
    questions: int
    """Of that run."""
    models: dict[str, StoredModel]
    open: dict[str, int]
    """Questions without any outcome, by model."""
    root: str


def _read(folder: Path) -> _Part:
    with open_run(folder) as run:
        identity = completed(run.journal.meta("identity"))
        part = identity.pop("shard", None)
        if part is None:
            raise RunError(
                f"{folder} is a whole run and not a shard: there is nothing to join it with. `orchestrator "
                "score` scores it; shards come from `orchestrator run --shard I/N`."
            )
        models = {model.name: model for model in run.models}
        return _Part(
            folder,
            parse_shard(part["number"]),
            identity,
            part["of_images"],
            part["of_questions"],
            models,
            {name: run.journal.counts(name)[Outcome.MISSING] for name in models},
            run.journal.meta("root"),
        )


def _in_order(parts: Sequence[_Part]) -> list[_Part]:
    """Return the parts by their numbers, if each is there once and all are of one run."""
    first = parts[0]
    for part in parts[1:]:
        names = f"in {first.folder}", f"in {part.folder}"
        different = differences(first.whole, part.whole, *names)
        if first.shard.count != part.shard.count:
            different.append(
                f"  shards in all: {first.shard.count} {names[0]}, {part.shard.count} {names[1]}"
            )
        if different:
            raise RunError(
                f"{first.folder} and {part.folder} are not shards of one run. What differs:\n"
                + "\n".join(different)
            )
    found: dict[int, list[_Part]] = collections.defaultdict(list)
    for part in parts:
        found[part.shard.index].append(part)
    count = first.shard.count
    wrong = [
        f"  {same[0].shard} is there {len(same)} times: {', '.join(str(part.folder) for part in same)}"
        for _, same in sorted(found.items())
        if len(same) > 1
    ]
    if missing := [f"{index}/{count}" for index in range(count) if index not in found]:
        wrong.append(f"  missing: {', '.join(missing)}")
    if wrong:
        raise RunError("Every shard must be there once:\n" + "\n".join(wrong))
    return [found[index][0] for index in range(count)]


def _check_models(parts: Sequence[_Part]) -> None:
    """Refuse parts that asked other models: `--allow-missing` is for open questions, not for half a model."""
    asked = [part.models.keys() for part in parts]
    if not any(asked):
        raise RunError("No shard has asked any model yet. Start them again.")
    if any(models != asked[0] for models in asked):
        raise RunError(
            "The shards asked different models:\n"
            + "\n".join(f"  {p.shard} asked {', '.join(p.models) or 'nobody'}, in {p.folder}" for p in parts)
            + "\nEach must ask them all. To add a model to a shard, start it again with the model's endpoint "
            "and the same --out."
        )
    seen: dict[str, _Part] = {}
    for part in parts:
        for name, model in part.models.items():
            first = seen.setdefault(name, part)
            different = differences(
                first.models[name].identity, model.identity, f"in {first.folder}", f"in {part.folder}"
            )
            if different:
                raise RunError(
                    f"Model {name!r} is not the same in {first.folder} and {part.folder}. What differs:\n"
                    + "\n".join(different)
                )


def _check_finished(parts: Sequence[_Part]) -> None:
    unfinished = [line for part in parts for line in _open_questions(part)]
    if unfinished:
        raise RunError(
            "Not finished:\n"
            + "\n".join(unfinished)
            + "\nOr add --allow-missing: what is open then counts as wrong until it is asked."
        )


def _open_questions(part: _Part) -> Iterator[str]:
    told = ", ".join(f"{name} {count:,}" for name, count in part.open.items() if count)
    if not told:
        return
    yield f"  shard {part.shard}, open questions: {told}. To finish it:"
    settings = part.folder / SETTINGS_FILE
    again = (
        f"orchestrator run --config {shlex.quote(str(settings))}" if settings.is_file() else "the same run"
    )
    yield f"    {again} --out {shlex.quote(str(part.folder))}"


# ------------------------------------------------------------------------------------------------ the run


def _write(parts: Sequence[_Part], out: Path, screen: Screen) -> None:
    draft = out.with_name(f".{out.name}.merging")
    with locked(draft), _vanishing(draft):
        clear(draft, LOCK)  # of a merge that was killed
        screen.note(f"Joining {len(parts)} shards ...")
        whole = parts[0]
        images, questions = join((part.folder for part in parts), draft, whole.whole, whole.root)
        if (images, questions) != (whole.images, whole.questions):
            raise RunError(
                f"The shards hold {images:,} images with {questions:,} questions; the whole run has "
                f"{whole.images:,} with {whole.questions:,}. A journal is not what its run has left."
            )
        screen.note(
            f"{len(parts)} shards, {images:,} images, {questions:,} questions: none left out, none double."
        )
        _settings(parts, draft, screen)
        screen.note("Scoring ...")
        with open_run(draft) as run:
            write_files(run)
        try:
            draft.rename(out)
        except OSError as error:
            raise RunError(f"--out {out}: cannot be written: {error.strerror}.") from None


def _settings(parts: Sequence[_Part], draft: Path, screen: Screen) -> None:
    path = next((p for part in parts if (p := part.folder / SETTINGS_FILE).is_file()), None)
    if path is None:
        screen.note(f"Note: no shard has its {SETTINGS_FILE} with it, so the whole run has none.")
        return
    with replacing(draft / SETTINGS_FILE) as file:
        file.write(whole_settings_text(path))


@contextlib.contextmanager
def _vanishing(draft: Path) -> Iterator[None]:
    """Leave nothing of the draft behind if the block does not end well."""
    try:
        yield
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
