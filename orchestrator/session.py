"""A run, from its settings to its results: the data flows through the other modules, one way.

The order matters to people: everything that can be wrong with what they gave (data, names, addresses, the
folder) is found before the first service is started or asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.atomic import replacing
from orchestrator.dataset.locate import locate
from orchestrator.dataset.reading import read
from orchestrator.describe import Amount, amount
from orchestrator.dispatch import ConnectedModel, Effort, Prompting
from orchestrator.endpoints.discovery.where import where_to_look
from orchestrator.endpoints.participants import given_endpoints, local_services, model_names, named
from orchestrator.errors import DiskFullError, EndpointError, Interrupted, UserError
from orchestrator.hints.label import sentence
from orchestrator.instruction import read_instruction
from orchestrator.interruption import Interruption
from orchestrator.journal.reader import StoredModel
from orchestrator.journal.schema import FILE_NAME
from orchestrator.journal.writer import Journal
from orchestrator.loop import run_loop
from orchestrator.options import Protocol, RunOptions
from orchestrator.plan import (
    Plan,
    build_plan,
    completed,
    effective_shots,
    fingerprint,
    fit,
    identity,
    inspections,
    question_numbers,
)
from orchestrator.recording import Progress, Recording
from orchestrator.reports.files import write_files
from orchestrator.reports.terminal import Screen
from orchestrator.results import Run
from orchestrator.runfolder import check_identity, check_model, default_folder, locked
from orchestrator.settings_file import SETTINGS_FILE, settings_text
from orchestrator.shards import part_sentence
from orchestrator.vocabulary import Endpoint, Inspection, ModelCard, Outcome

_RUNS = Path("runs")


def prepare(options: RunOptions, screen: Screen | None = None) -> Plan:
    """Read the data set (or draw the sample) and plan what to ask.

    Raises:
        UserError: for anything wrong with the data or the settings.
    """
    screen = screen or Screen(quiet=True)
    dataset = read(locate(options.data, screen.note))
    for limitation in dataset.limitations:
        screen.note(f"Note: {limitation}")
    plan = build_plan(dataset, _protocol(options), options.shard)
    if not options.hints:
        return plan
    from orchestrator.hints.opening import open_hints

    hints = open_hints(
        options.hints, options.hint_style, options.hint_threshold, dataset, plan.samples, screen.note
    )
    return dataclasses.replace(plan, hints=hints)


def _protocol(options: RunOptions) -> Protocol:
    protocol = options.protocol()
    if options.instruction_from:
        if protocol.instruction:
            raise UserError("`instruction` and `instruction-from` are both set: leave one of them out.")
        instruction = read_instruction(options.instruction_from)
        protocol = protocol.model_copy(update={"instruction": instruction})
    return protocol


def check_participants(options: RunOptions) -> None:
    """Find what is wrong with the models' names and addresses, before a data set is read or drawn.

    No model is asked anything, and none is waited for.

    Raises:
        UserError: naming it.
    """
    given = given_endpoints(options)
    if (where := where_to_look(options)) is None:
        model_names(options, given)
        return
    from orchestrator.endpoints.discovery.joining import check

    named(options, given)
    check(where)


def run(
    options: RunOptions,
    plan: Plan | None = None,
    *,
    command: Sequence[str] = (),
    screen: Screen | None = None,
) -> Run:
    """Ask all models everything that is not answered yet, then score and write the results.

    Args:
        options: see `RunOptions`.
        plan: from `prepare`, if it was made already.
        command: the command line, for the record.
        screen: where to show progress; nowhere by default.

    Raises:
        UserError: for anything that the person can mend. What was answered is kept.
        Interrupted: after Ctrl-C, once what was under way has been kept.
    """
    screen = screen or Screen(quiet=True)
    check_participants(options)
    session = _Session(options, plan or prepare(options, screen), tuple(command), screen)
    try:
        return run_loop(session.work(), session.interruption.wish)
    except (KeyboardInterrupt, asyncio.CancelledError):  # before the asking, or the second one
        raise Interrupted(session.how_to_go_on()) from None


def dry_run(options: RunOptions, plan: Plan | None = None, screen: Screen | None = None) -> dict[str, Amount]:
    """Return how much each model would be asked, by name; "any model" where none is named or found.

    Models that run already are asked for their card; local ones are not started, so their room is not known.

    Raises:
        UserError: as `run` would, for the settings, the data and the addresses.
    """
    screen = screen or Screen(quiet=True)
    plan = plan or prepare(options, screen)
    names, cards = run_loop(_cards(options, screen))
    room = {name: cards[name].max_images if name in cards else None for name in names}
    return {name: amount(plan, images) for name, images in (room or {"any model": None}).items()}


async def _cards(options: RunOptions, screen: Screen) -> tuple[list[str], dict[str, ModelCard]]:
    """Return the names of those who would be asked, and the cards of those of them that run already."""
    from orchestrator.endpoints.connect import connect
    from orchestrator.endpoints.discovery.joining import discovered

    given = given_endpoints(options)
    try:
        async with discovered(options, given, screen.note) as found:
            names = model_names(options, given, [model.name for model in found])
    except EndpointError as error:
        if options.discover or options.model or given or options.local:
            raise
        screen.note(str(error))  # what would be asked can be said all the same
        return [], {}
    asked = [endpoint for endpoint in given if endpoint.name in names]
    connected = await connect(asked, options.wait, screen.note) if asked else []
    return names, {model.name: model.card for model in (*connected, *found)}


@dataclasses.dataclass
class _Session:
    """One process's work on a run."""

    options: RunOptions
    plan: Plan
    command: tuple[str, ...]
    screen: Screen
    folder: Path | None = None
    """Once it is chosen."""
    interruption: Interruption = dataclasses.field(default_factory=Interruption)

    def how_to_go_on(self) -> str:
        """Say what an interrupted person needs to know."""
        if self.folder is None or not (self.folder / FILE_NAME).is_file():
            return "Stopped before anything was asked."
        return f"Stopped. Every answer so far is in {self.folder}; the same command goes on from there."

    async def work(self) -> Run:
        # Imported here, so that `--help` and `--dry-run` need no gRPC.
        from orchestrator.endpoints.discovery.joining import discovered

        given = given_endpoints(self.options)
        async with discovered(self.options, given, self.screen.note) as found:
            return await self._work(given, found)

    async def _work(self, given: Sequence[Endpoint], found: Sequence[ConnectedModel]) -> Run:
        from orchestrator.endpoints.local import LocalServices

        names = model_names(self.options, given, [model.name for model in found])
        folder = self.folder = self.options.out or default_folder(
            _RUNS,
            datetime.date.today().isoformat(),
            Path(self.plan.dataset.root).name,
            fingerprint(self.plan),
            names,
            retry_failed=self.options.retry_failed,
        )
        with locked(folder):
            with contextlib.closing(Journal(folder)) as journal:
                known = journal.meta("identity")
                if known is not None:
                    check_identity(folder, completed(known), identity(self.plan))
                local = local_services(self.options, names)
                services = LocalServices(local, folder / "services", self.options.wait, self.screen.note)
                async with services as own:
                    models = await self._connect([e for e in (*given, *own) if e.name in names], found)
                    self._set_up(folder, journal, models)
                    await self._ask(folder, journal, models)
            # After the journal is closed, so that it is one whole file; still under the lock, because nobody
            # else may write these files now.
            done = Run(folder)
            self.screen.note("Scoring ...")
            write_files(done)
        return done

    async def _connect(
        self, endpoints: Sequence[Endpoint], found: Sequence[ConnectedModel]
    ) -> list[ConnectedModel]:
        from orchestrator.endpoints.connect import connect, refuse_unable

        models = [*await connect(endpoints, self.options.wait, self.screen.note), *found]
        refuse_unable(models, self._prompting(), hints=self.plan.hints is not None)
        return models

    def _set_up(self, folder: Path, journal: Journal, models: Sequence[ConnectedModel]) -> None:
        """Give a new journal its questions, and enter the models, if they are those that it may know.

        Only now, when all models have answered: a typing error must not leave a run behind that refuses the
        corrected command.
        """
        if journal.meta("identity") is None:
            journal.create(
                identity(self.plan),
                inspections(self.plan),
                self.plan.dataset.root,
                question_numbers(self.plan),
            )
        journal.set_root(self.plan.dataset.root)
        stored = {model.name: model for model in journal.models()}
        for model in models:
            who = model.card.identity
            shots = effective_shots(self.plan, model.card.max_images)
            entry = StoredModel(
                name=model.name,
                # With its shots: a replica that takes fewer images would be asked something else.
                identity=dataclasses.asdict(who) | {"settings": dict(who.settings), "shots": shots},
                # With its addresses in this session; each attempt has its own besides.
                card=dataclasses.asdict(model.card)
                | {"endpoints": [dataclasses.asdict(endpoint) for endpoint in model.endpoints]},
                shots=shots,
            )
            if model.name in stored:
                check_model(folder, model.name, stored[model.name].identity, entry.identity)
            # Whoever asks nothing leaves the record as it is: the addresses are those of who was asked.
            if model.name not in stored or self._to_do(journal, model.name)[Outcome.MISSING]:
                journal.add_model(entry)
            asked = self.plan.protocol.shots
            if shots < asked and not self.plan.protocol.text_only:
                listed = effective_shots(self.plan)
                why = f"it takes {model.card.max_images} images" if shots < listed else "no more are listed"
                self.screen.note(f"{model.name}: gets {shots} of {asked} templates ({why}).")
        with replacing(folder / SETTINGS_FILE) as file:
            file.write(settings_text(self.options, self.plan))

    async def _ask(self, folder: Path, journal: Journal, models: Sequence[ConnectedModel]) -> None:
        from orchestrator.dispatch.fanout import fan_out

        total = journal.question_count()
        progress = {
            m.name: Progress(total, self._to_do(journal, m.name), journal.right(m.name)) for m in models
        }
        recording = Recording(
            journal,
            self.plan.protocol.answer_by,
            progress,
            self.screen.note,
            retry_failed=self.options.retry_failed,
        )
        open_models = [m for m in models if progress[m.name].counts[Outcome.MISSING]]
        if self.plan.shard:
            self.screen.note(part_sentence(self.plan.part, len(self.plan.share)))
        if not total:
            self.screen.note("This shard is empty, since there are fewer images than shards: all is done.")
            return
        if not open_models:
            self.screen.note(f"Everything has an answer already, in {folder}.")
            return
        if self.plan.hints:
            self.screen.note(sentence(self.plan.hints.identity))
        self.screen.note(
            f"Asking {', '.join(m.name for m in open_models)}: {total:,} questions about "
            f"{self.plan.inspection_count:,} images. Results: {folder}"
        )
        began = time.monotonic()
        started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        journal.begin_session(started_at, self.command, versions(), list(progress))
        ending = "stopped by an error"
        try:
            with self.interruption.stopping(self.screen.note) as stop, self.screen.live(progress):
                endings = await fan_out(
                    root=Path(self.plan.dataset.root),
                    inspections=self._inspections_for,
                    models=open_models,
                    prompting=self._prompting(),
                    effort=self._effort(),
                    recorder=recording,
                    observer=recording,
                    stop=stop,
                    hints=self.plan.hints,
                )
            given_up = [f"{e.model}: given up: {e.reason}" for e in endings if e.reason]
            ending = "interrupted" if stop.is_set() else "; ".join(["finished", *given_up])
        except DiskFullError:
            ending = "disk full"
            raise
        finally:
            with contextlib.suppress(DiskFullError):
                journal.end_session(time.monotonic() - began, ending)
        if stop.is_set():
            raise Interrupted(self.how_to_go_on())
        for line in given_up:
            self.screen.note(line)

    def _to_do(self, journal: Journal, model: str) -> dict[Outcome, int]:
        """Count a model's questions by outcome; what failed and is asked again counts as missing."""
        counts = journal.counts(model)
        if self.options.retry_failed:
            counts[Outcome.MISSING] += counts[Outcome.FAILED]
            counts[Outcome.FAILED] = 0
        return counts

    def _inspections_for(self, card: ModelCard) -> Iterator[Inspection]:
        return (fit(inspection, card.max_images) for inspection in inspections(self.plan))

    def _prompting(self) -> Prompting:
        protocol = self.plan.protocol
        return Prompting(
            instruction=protocol.instruction,
            history=protocol.history,
            cot=protocol.cot,
            text_only=protocol.text_only,
            max_new_tokens=protocol.max_new_tokens,
            max_reasoning_tokens=protocol.max_reasoning_tokens,
            temperature=protocol.temperature,
            option_scores=protocol.wants_scores,
            keep_prompts=self.options.keep_prompts,
        )

    def _effort(self) -> Effort:
        return Effort(
            concurrency=self.options.concurrency,
            timeout_seconds=self.options.timeout,
            patience_seconds=self.options.patience,
        )


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    names = ("mmad-orchestrator", "grpcio", "protobuf", "numpy", "scipy", "pillow")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
