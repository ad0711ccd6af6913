"""A run's side of discovery: who is ready, after waiting for those that are starting; and who comes later.

What is named is asked or is an error; what is found is asked if it is ready, and is told about if it is not,
since a broken container that nobody has mentioned should not keep the others from being asked. Only when none
is ready, or one that `--model` names is not, there is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from orchestrator.dispatch import ConnectedModel, Directory, DirectoryError
from orchestrator.dispatch.cards import common, differences
from orchestrator.endpoints.discovery.alias import Alias
from orchestrator.endpoints.discovery.containers import Containers
from orchestrator.endpoints.discovery.engine import DockerEngine
from orchestrator.endpoints.discovery.labels import CONTRACT_LABEL
from orchestrator.endpoints.discovery.place import Source, SourceError
from orchestrator.endpoints.discovery.survey import Look, Survey, by_name
from orchestrator.endpoints.discovery.where import Where, where_to_look
from orchestrator.endpoints.participants import NAMING, either, named
from orchestrator.errors import EndpointError, alternatives
from orchestrator.options import RunOptions
from orchestrator.vocabulary import Endpoint, FoundReplica, ModelIdentity, ReplicaState

_POLL_SECONDS = 1.0
_MAY_BE_READY_SOON = (ReplicaState.STARTING, ReplicaState.UNHEALTHY)
"""What is waited for. A machine that is busy makes health checks come too late, and may have time again."""


def open_source(where: Where) -> Source:
    """Return what is to be looked at; nothing is contacted yet."""
    return Alias(where.name) if where.name else Containers(DockerEngine(os.environ), where.project)


def check(where: Where) -> None:
    """Find out, without asking any model, whether there is anything that could be asked.

    Raises:
        EndpointError: the source cannot be read, or there is nothing.
    """
    source = open_source(where)
    try:
        found = source.look()
    except SourceError as error:
        if error.passing:  # what comes up while the data set is read need not be there yet
            return
        raise nobody(where, error) from None
    finally:
        source.close()
    if not found.places:
        raise nobody(where, None, found.left_out)


def nobody(
    where: Where, error: SourceError | None, left_out: int = 0, naming: Sequence[str] = NAMING
) -> EndpointError:
    """Return the error that says why nothing can be found, and below it what to do, a line each.

    Args:
        where: was looked at.
        error: why that could not be done; None if there is nothing.
        left_out: how many ended long ago.
        naming: how models can be named instead, a line each.
    """
    if error is None:
        start = f"Start some: docker compose {_project(where)}up -d"
        error = SourceError(_nothing_there(where, left_out), start)
    said = where.said or "No model is found"
    return EndpointError(f"{said}: {error}.{either(error.remedy, *naming)}")


def _project(where: Where) -> str:
    return f"-p {where.project} " if where.project else ""


def _nothing_there(where: Where, left_out: int) -> str:
    of = f" of the Compose project {where.project}" if where.project else ""
    ended = f" ({left_out} ended long ago)" if left_out else ""
    return f"Docker runs no container{of} with the label {CONTRACT_LABEL}{ended}"


@contextlib.asynccontextmanager
async def discovered(
    options: RunOptions, endpoints: Sequence[Endpoint], on_note: Callable[[str], None]
) -> AsyncIterator[list[ConnectedModel]]:
    """Give the models that are found and ready; their directories are good until the end of the block.

    Args:
        options: say where to look, whom to choose and how long to wait.
        endpoints: those that the settings name; a model that is found gives way to one of them.
        on_note: is given lines for people.

    Raises:
        EndpointError: see `Joining.ready`.
    """
    where, taken = where_to_look(options), named(options, endpoints)
    if where is None or (options.model and set(options.model) <= set(taken)):
        yield []
        return
    async with Joining(where, on_note) as joining:
        yield await joining.ready(options.wait, options.model, taken)


class Joining:
    """The models that are found, for a run: an async context manager, in which their directories work."""

    def __init__(self, where: Where, on_note: Callable[[str], None], source: Source | None = None) -> None:
        """`on_note` is given lines for people; `source` is opened as `where` says, unless one is given."""
        self._where = where
        self._note = on_note
        self._survey = Survey(source or open_source(where))

    async def __aenter__(self) -> Joining:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._survey.close()

    async def ready(
        self, wait_seconds: float, chosen: Collection[str] = (), taken: Collection[str] = ()
    ) -> list[ConnectedModel]:
        """Return the models that are ready, by name, once none is on its way or the time is up.

        Args:
            wait_seconds: for those that are starting or unhealthy.
            chosen: only the models of these names; all, if there are none.
            taken: names of models that the user has named, which are asked instead of what is found.

        Raises:
            EndpointError: nothing can be found, none is ready, or one that is chosen is not.
        """
        try:
            look = await wait_for(self._survey, wait_seconds, self._note, chosen)
        except SourceError as error:
            raise nobody(self._where, error) from None
        if not look.replicas:
            raise nobody(self._where, None, look.left_out)
        wanted = [r for r in look.replicas if not chosen or r.name in chosen or not r.name]
        groups = {n: g for n, g in by_name(wanted).items() if n not in taken and (not chosen or n in chosen)}
        _refuse_unready(look, groups, [name for name in chosen if name not in taken], bool(taken))
        for replica in wanted:
            if replica.name in taken:
                self._note(f"{describe(replica)}: not asked: another {replica.name} is named")
            elif replica.state is not ReplicaState.READY:
                self._note(f"{describe(replica)}: not asked: {reason(replica)}")
        return [self._model(name, group) for name, group in groups.items()]

    def _model(self, name: str, group: Sequence[FoundReplica]) -> ConnectedModel:
        cards = [replica.card for replica in group if replica.card is not None]
        where = ", ".join(f"{replica.origin} at {replica.target}" for replica in group)
        self._note(f"Found {name}: {where}")
        return ConnectedModel(
            name,
            common(cards),
            tuple(Endpoint(name, replica.target, replica.origin) for replica in group),
            FoundReplicas(self._survey, name, cards[0].identity),
        )


class FoundReplicas(Directory):
    """Where the replicas of one model are at present, those that are not ready included."""

    def __init__(self, survey: Survey, name: str, identity: ModelIdentity) -> None:
        self._survey = survey
        self._name = name
        self._identity = identity

    async def __call__(self) -> list[Endpoint]:
        """Look, and return the addresses; another model of this name is not among them."""
        try:
            look = await self._survey.look()
        except SourceError as error:
            raise DirectoryError(str(error)) from None
        return [
            Endpoint(self._name, replica.target, replica.origin)
            for replica in look.replicas
            if replica.name == self._name and replica.target and not self._is_another(replica)
        ]

    def _is_another(self, replica: FoundReplica) -> bool:
        card = replica.card
        return card is not None and card.state == "ready" and bool(differences(self._identity, card.identity))


async def wait_for(
    survey: Survey, seconds: float, on_note: Callable[[str], None], chosen: Collection[str] = ()
) -> Look:
    """Look until nothing is starting or unhealthy any more, or the time is up; return the last look.

    Says what is waited for, and when it says something else. What has no name yet may be any model: it is
    waited for unless all that are chosen are ready.

    Raises:
        SourceError: the source cannot be read, and it is not worth waiting for, or was waited for in vain.
    """
    until = time.monotonic() + seconds
    said: dict[str, str] = {}
    while True:
        left = until - time.monotonic()
        try:
            look = await survey.look()
        except SourceError as error:
            if left <= 0 or not error.passing:
                raise
            if not said:
                said[""] = str(error)
                on_note(f"Waiting up to {left:.0f} s: {error}")
        else:
            awaited = _awaited(look, chosen)
            if not awaited or left <= 0:
                return look
            for replica in awaited:
                if said.get(replica.origin) != replica.reason:
                    said[replica.origin] = replica.reason
                    on_note(f"Waiting up to {left:.0f} s for {describe(replica)}: {reason(replica)}")
        await asyncio.sleep(max(0.0, min(_POLL_SECONDS, left)))


def _awaited(look: Look, chosen: Collection[str]) -> list[FoundReplica]:
    awaited = [replica for replica in look.replicas if replica.state in _MAY_BE_READY_SOON]
    if not chosen:
        return awaited
    open_names = set(chosen) - by_name(look.replicas).keys()
    return [r for r in awaited if r.name in chosen or (not r.name and open_names)]


def _refuse_unready(look: Look, ready: Collection[str], chosen: Sequence[str], enough: bool) -> None:
    known = sorted({replica.name for replica in look.replicas if replica.name})
    problems = []
    for name in chosen:
        if name in ready:
            continue
        mine = [replica for replica in look.replicas if replica.name == name]
        if mine:
            problems += [f"--model {name}: {replica.origin}: {reason(replica)}" for replica in mine]
            continue
        nameless = [r for r in look.replicas if not r.name]
        others = "".join(f"\n  {describe(r)}: {reason(r)}" for r in nameless)
        problems.append(
            f"--model {name}: no model of this name is found.{alternatives(name, known)}"
            + (f" It may be one of those that do not answer:{others}" if nameless else "")
        )
    if problems:
        raise EndpointError("\n".join(problems))
    if not ready and not enough:
        lines = [f"  {describe(replica)}: {reason(replica)}" for replica in look.replicas]
        raise EndpointError("\n".join(["None of the models that are found is ready:", *lines]))


def describe(replica: FoundReplica) -> str:
    """Return "chance (container mmad-chance-1)"."""
    return f"{replica.name} ({replica.origin})" if replica.name else replica.origin


def reason(replica: FoundReplica) -> str:
    """Return "exited: exit 1, 3 min ago: no checkpoint"."""
    return f"{replica.state}: {replica.reason}" if replica.reason else str(replica.state)
