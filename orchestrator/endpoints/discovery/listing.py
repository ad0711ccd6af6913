"""Everything that is found, for people to look at: what runs ask, and what they do not, and why."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence

from orchestrator.dispatch import DirectoryError
from orchestrator.endpoints.discovery.joining import nobody, open_source, wait_for
from orchestrator.endpoints.discovery.place import Place, Places, Source, SourceError
from orchestrator.endpoints.discovery.survey import Look, Survey
from orchestrator.endpoints.discovery.where import Where, where_to_look
from orchestrator.endpoints.dns import resolve
from orchestrator.endpoints.participants import NAMING_RUNNING, given_endpoints
from orchestrator.errors import EndpointError, alternatives
from orchestrator.options import RunOptions
from orchestrator.vocabulary import Endpoint, ReplicaState


class Given:
    """A source: the addresses that the user has written, with the names that they are to have."""

    def __init__(self, endpoints: Sequence[Endpoint], *, awaited: bool) -> None:
        """`awaited` says that whoever does not answer yet is to be waited for."""
        self._endpoints = endpoints
        self._awaited = awaited

    def look(self) -> Places:
        """Return them, in their order; of a name, a place for each address that it has."""
        return Places(tuple(place for endpoint in self._endpoints for place in self._places(endpoint)))

    def _places(self, endpoint: Endpoint) -> Iterator[Place]:
        key = f"{endpoint.name}={endpoint.target}"
        try:
            targets = resolve(endpoint)
        except DirectoryError as error:
            yield Place(
                key, key, endpoint.origin, endpoint.name, state=ReplicaState.NO_ADDRESS, reason=str(error)
            )
            return
        for each in targets:
            key = f"{each.name}={each.target}"
            yield Place(
                *(key, key, each.origin, each.name, (each.target,)),
                may_change=True,
                starting=self._awaited,
            )

    def close(self) -> None:
        """Hold nothing."""


class Both:
    """A source: what is named and what is found."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def look(self) -> Places:
        """Return the places of all, in their order.

        Raises:
            SourceError: one of them cannot be read.
        """
        looks = [source.look() for source in self._sources]
        return Places(sum((look.places for look in looks), ()), sum(look.left_out for look in looks))

    def close(self) -> None:
        """Let go of what they hold."""
        for source in self._sources:
            source.close()


def find(options: RunOptions, wait_seconds: float, on_note: Callable[[str], None]) -> Look:
    """Look at all that the options name or let be found, and wait for what is starting.

    Raises:
        EndpointError: nothing can be found, or nothing of a name in `options.model`.
    """
    endpoints, where = given_endpoints(options), where_to_look(options)
    source: Source = Given(endpoints, awaited=wait_seconds > 0)
    if where is not None:
        source = Both(source, open_source(where)) if endpoints else open_source(where)
    look = asyncio.run(_find(source, where, wait_seconds, on_note, options.model))
    if not look.replicas:
        raise nobody(where or Where(""), None, look.left_out, NAMING_RUNNING)
    for name in options.model:
        known = sorted({replica.name for replica in look.replicas if replica.name})
        if name not in known:
            raise EndpointError(f"--model {name}: no model of this name is found.{alternatives(name, known)}")
    chosen = tuple(r for r in look.replicas if not options.model or r.name in options.model)
    return dataclasses.replace(look, replicas=chosen)


async def _find(
    source: Source,
    where: Where | None,
    wait_seconds: float,
    on_note: Callable[[str], None],
    chosen: Sequence[str],
) -> Look:
    survey = Survey(source)
    try:
        return await wait_for(survey, wait_seconds, on_note, chosen)
    except SourceError as error:
        raise nobody(where or Where(""), error, naming=NAMING_RUNNING) from None
    finally:
        await survey.close()
