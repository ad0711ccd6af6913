"""`orchestrator hints`: a detector behind the contract makes the anomaly maps of a data set's images.

It is asked as in a run, with one question for each image, since a map comes with any answer; the dispatcher
and its patience are the same. Instead of a journal there are the maps themselves: one that is there is not
asked for again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.dispatch import ConnectedModel, Effort, Prompting
from orchestrator.endpoints.discovery.where import VARIABLE as DISCOVER_VARIABLE
from orchestrator.endpoints.participants import given_endpoints, local_services, model_names
from orchestrator.errors import Interrupted, UserError
from orchestrator.hints.formats import HintError, refuse_shared
from orchestrator.interruption import Interruption
from orchestrator.journal.schema import FILE_NAME
from orchestrator.loop import run_loop
from orchestrator.map_folder import MapFolder
from orchestrator.options import MAP_SETTINGS, RunOptions, parse
from orchestrator.plan import Plan, effective_shots, fit, inspections
from orchestrator.recording import Progress
from orchestrator.reports.terminal import Screen
from orchestrator.results import open_run
from orchestrator.runfolder import locked
from orchestrator.session import check_participants, prepare
from orchestrator.settings_file import SETTINGS_FILE, read_settings
from orchestrator.vocabulary import Attempt, Endpoint, Inspection, ModelCard, Outcome, Reply

_PARTICIPANTS: Final = ("local", "endpoint", "endpoints", "discover")
_FAILURES_KEPT: Final = 5
_PROMPTING: Final = Prompting(anomaly_map=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What became of a folder of maps."""

    maps: int
    """That are there now."""
    failed: int
    failures: tuple[str, ...]
    """The first few, each with its reason."""
    missing: int
    """Not asked for any more, because the model was given up."""


def settings(who: str, given: Mapping[str, Any]) -> RunOptions:
    """Return the settings under which maps are made.

    Args:
        who: a local service's name, NAME=TARGET, with `discover` the name of a model that runs, or a run's
            folder: the model in it that gives maps is asked about its images with its templates.
        given: settings from the command line, by name; they count more than a run's own.

    Raises:
        UserError: there is no such run, no model of it gives maps, or a setting is wrong.
    """
    if (Path(who) / FILE_NAME).is_file() or ("/" in who and "=" not in who):
        values = _of_run(Path(who))
        if any(name in given for name in _PARTICIPANTS):  # it is somewhere else now
            values = {name: value for name, value in values.items() if name not in _PARTICIPANTS}
        return parse(values | dict(given))
    if "=" in who:
        which = "endpoint"
    else:
        which = "model" if "discover" in given or os.environ.get(DISCOVER_VARIABLE) else "local"
    return parse({**given, which: [who, *given.get(which, ())]})


def _of_run(folder: Path) -> dict[str, Any]:
    with open_run(folder) as run:
        able = [model.name for model in run.models if model.card.get("anomaly_map")]
        if len(able) != 1:
            names = ", ".join(able or (model.name for model in run.models))
            raise UserError(
                f"{folder}: {'several models' if able else 'no model'} of this run can make anomaly maps "
                f"({names}). Name a service instead: orchestrator hints template_diff"
            )
    values = read_settings(folder / SETTINGS_FILE)
    return {name: values[name] for name in MAP_SETTINGS if name in values} | {"model": able}


def make_maps(options: RunOptions, out: Path, screen: Screen) -> Made:
    """Ask for every map that is not in `out` yet, and write it there.

    Raises:
        UserError: for anything that the person can mend. The maps that came are kept.
        Interrupted: after Ctrl-C, once what was under way has been kept.
    """
    check_participants(options)
    plan = prepare(options, screen)
    refuse_shared([sample.key for sample in plan.samples])
    work = _Work(plan, options, out, screen)
    try:
        return run_loop(work.run(), work.interruption.wish)
    except (KeyboardInterrupt, asyncio.CancelledError):  # before the asking, or the second one
        raise Interrupted(work.how_to_go_on()) from None


@dataclasses.dataclass
class _Work:
    plan: Plan
    options: RunOptions
    out: Path
    screen: Screen
    interruption: Interruption = dataclasses.field(default_factory=Interruption)

    def how_to_go_on(self) -> str:
        return f"Stopped. Every map so far is in {self.out}; the same command goes on from there."

    async def run(self) -> Made:
        # Imported here, so that `--help` needs no gRPC.
        from orchestrator.endpoints.discovery.joining import discovered

        given = given_endpoints(self.options)
        async with discovered(self.options, given, self.screen.note) as found:
            return await self._work(given, found)

    async def _work(self, given: Sequence[Endpoint], found: Sequence[ConnectedModel]) -> Made:
        from orchestrator.endpoints.connect import connect, refuse_unable
        from orchestrator.endpoints.local import LocalServices

        names = model_names(self.options, given, [model.name for model in found])
        local = local_services(self.options, names)
        note = self.screen.note
        folder = MapFolder(self.out)
        with locked(self.out):
            folder.refuse_unknown(sample.key for sample in self.plan.dataset.samples)
            services = LocalServices(local, self.out / "services", self.options.wait, note)
            async with services as own:
                endpoints = [each for each in (*given, *own) if each.name in names]
                models = [*await connect(endpoints, self.options.wait, note), *found]
                if len(models) > 1:
                    raise UserError(
                        f"One detector makes the maps of a folder, and here are: {', '.join(names)}."
                    )
                refuse_unable(models, _PROMPTING)
                return await self._make(models[0], folder)

    async def _make(self, model: ConnectedModel, folder: MapFolder) -> Made:
        from orchestrator.dispatch.fanout import fan_out

        folder.claim(self._maker(model))
        total = self.plan.inspection_count
        keeping = _Keeping(folder, self.plan, self.screen.note)
        self.screen.note(
            f"Asking {model.name} for the anomaly maps of {total:,} images. They go to {self.out}"
        )
        with (
            self.interruption.stopping(self.screen.note) as stop,
            self.screen.live({model.name: keeping.progress}),
        ):
            (ending,) = await fan_out(
                root=Path(self.plan.dataset.root),
                inspections=self._inspections,
                models=[model],
                prompting=_PROMPTING,
                effort=Effort(
                    concurrency=self.options.concurrency,
                    timeout_seconds=self.options.timeout,
                    patience_seconds=self.options.patience,
                ),
                recorder=keeping,
                observer=keeping,
                stop=stop,
            )
        if stop.is_set():
            raise Interrupted(self.how_to_go_on())
        if ending.reason:
            self.screen.note(f"{ending.model}: given up: {ending.reason}")
        counts = keeping.progress.counts
        return Made(
            counts[Outcome.ANSWERED], counts[Outcome.FAILED], tuple(keeping.failures), counts[Outcome.MISSING]
        )

    def _maker(self, model: ConnectedModel) -> dict[str, Any]:
        who = model.card.identity
        return {
            "model": dataclasses.asdict(who) | {"settings": dict(who.settings)},
            "data": {"digest": self.plan.dataset.digest},
            "templates": self.plan.protocol.templates.value,
            "shots": effective_shots(self.plan, model.card.max_images),
        }

    def _inspections(self, card: ModelCard) -> Iterator[Inspection]:
        for whole in inspections(self.plan):
            yield dataclasses.replace(fit(whole, card.max_images), questions=whole.questions[:1])


class _Keeping:
    """Where maps become files (`dispatch.Recorder`), and how it stands (`dispatch.Observer`)."""

    def __init__(self, folder: MapFolder, plan: Plan, note: Callable[[str], None]) -> None:
        self._folder = folder
        self._note = note
        there = sum(folder.holds(sample.key) for sample in plan.samples)
        counts = dict.fromkeys(Outcome, 0)
        counts |= {Outcome.ANSWERED: there, Outcome.MISSING: len(plan.samples) - there}
        self.progress = Progress(len(plan.samples), counts, right=None)
        self.failures: list[str] = []

    def kept(self, model: str, inspection: Inspection) -> Mapping[str, Reply]:
        """Return that nothing is to be asked, where there is a map."""
        if not self._folder.holds(inspection.sample.key):
            return {}
        return {question.question_id: Reply(question.question_id) for question in inspection.questions}

    async def keep(self, model: str, inspection: Inspection, reply: Reply) -> None:
        """Write the map that came, or note why there is none."""
        key = inspection.sample.key
        failure = reply.failure or (
            "" if reply.anomaly_map else "no map came: it could not make one of this image"
        )
        if not failure:
            try:
                await asyncio.to_thread(self._folder.keep, key, reply.anomaly_map)
            except HintError as error:
                failure = f"what came is no map: {error}"
        if failure and len(self.failures) < _FAILURES_KEPT:
            self.failures.append(f"{key}: {failure}")
        self.progress.add(Outcome.FAILED if failure else Outcome.ANSWERED, right=False)

    def attempting(self, attempt: Attempt) -> None:
        """Forget an attempt: a map that came says enough."""

    async def attempted(self, attempt: Attempt) -> None:
        """Forget how it ended; a failure is told by `keep`."""

    def state(self, model: str, text: str) -> None:
        """Show how the model's endpoints are."""
        self.progress.state = text

    def note(self, model: str, text: str) -> None:
        """Say one thing about the model."""
        self._note(f"{model}: {text}")
