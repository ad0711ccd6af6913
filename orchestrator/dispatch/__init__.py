"""Putting a plan's inspections to models, each at its own pace, through every passing fault.

This file holds what the rest of the orchestrator needs to know of it, and imports no gRPC; the work begins
in `dispatch.fanout.fan_out`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import Attempt, Endpoint, Inspection, ModelCard, Reply


class Recorder(Protocol):
    """The run's side of the dispatcher: where replies become durable."""

    def kept(self, model: str, inspection: Inspection) -> Mapping[str, Reply]:
        """Return, by question id, the replies that are durable and not to be asked for again."""

    async def keep(self, model: str, inspection: Inspection, reply: Reply) -> None:
        """Return once the reply is durable.

        Raises:
            DiskFullError: nobody is asked any further, and `fan_out` raises it again.
        """

    def attempting(self, attempt: Attempt) -> None:
        """Take note of a call that begins, without waiting: a process that is killed leaves that much."""

    async def attempted(self, attempt: Attempt) -> None:
        """Take note of how that call ended, or that it could not be made."""


class Observer(Protocol):
    """Whoever shows people how the models are doing."""

    def state(self, model: str, text: str) -> None:
        """Show a line about a model: "2 of 3 replicas out of reach, next try in 8 s"; "" when all is well."""

    def note(self, model: str, text: str) -> None:
        """Say one thing about a model that people should know of, once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prompting:
    """How questions are put, the same for every model."""

    instruction: str = ""
    history: bool = False
    cot: ChainOfThought | None = None
    text_only: bool = False
    max_new_tokens: int | None = None
    max_reasoning_tokens: int | None = None
    temperature: float = 0.0
    option_scores: bool = False
    keep_prompts: bool = False
    anomaly_map: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How hard to work, and how long to insist."""

    concurrency: int | None = None
    """At most so many inspections under way at each replica; None: as many as its card says."""
    timeout_seconds: float = 600.0
    """For one attempt at one inspection."""
    patience_seconds: float = 60.0
    """How long a model may be out of reach altogether before the run goes on without it."""
    attempts: int = 5
    """In a row at one inspection that bring no reply. Being told to come back later does not count, nor does
    waiting for a replica. What breaks at a replica that has gone meanwhile counts from so many on: the
    inspection may be why it has gone."""
    image_cache_bytes: int = 64 * 2**20


class Directory(Protocol):
    """Where a model's replicas are at present: they come, go, and come back at other addresses."""

    async def __call__(self) -> Sequence[Endpoint]:
        """Look, and return the addresses, those that are not ready included.

        Raises:
            DirectoryError: it cannot be read now; what is known stays.
        """


class DirectoryError(Exception):
    """A directory that cannot be read now, in one line."""


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectedModel:
    """A model that answered: its name in this run, its card, and the addresses of its replicas."""

    name: str
    card: ModelCard
    endpoints: tuple[Endpoint, ...]
    directory: Directory | None = None
    """None: the addresses are what the user wrote, and stay."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """How one model's part of a run ended."""

    model: str
    reason: str
    """"" when every question was put; else one line why the rest was not. Those stay missing."""
