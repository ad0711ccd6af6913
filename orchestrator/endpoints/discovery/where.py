"""What `--discover` says: `docker`, `docker:PROJECT` or `HOST:PORT`."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping

from orchestrator.endpoints.arguments import target_problem
from orchestrator.errors import EndpointError
from orchestrator.options import RunOptions

VARIABLE = "MMAD_DISCOVER"
_DOCKER = "docker"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """Where to look: at a Docker engine, or behind a name."""

    said: str
    """How the user has said it, for messages: "--discover answer:50051"; "" where nobody has."""
    project: str = ""
    """Of Docker: only the containers of this Compose project."""
    name: str = ""
    """HOST:PORT; "" is Docker."""


def where_to_look(options: RunOptions, environment: Mapping[str, str] = os.environ) -> Where | None:
    """Return where models are to be looked for; None: the settings name all that are to be asked.

    What is named is asked, and nothing else, unless `--discover` stands beside it.

    Raises:
        EndpointError: it cannot be read.
    """
    if options.discover is not None:
        return parse_where(options.discover, "--discover")
    if options.local or options.endpoint or options.endpoints:
        return None
    if default := environment.get(VARIABLE):
        return parse_where(default, VARIABLE)
    return Where("")


def parse_where(text: str, setting: str) -> Where:
    """Read what the setting says.

    Raises:
        EndpointError: saying what is wrong with it.
    """
    said = f"{setting} {text}"
    first, colon, rest = text.partition(":")
    if first == _DOCKER and not (colon and rest.isdecimal()):  # docker:50051 is a host of that name
        if colon and not _PROJECT.fullmatch(rest):
            raise EndpointError(f"{said}: {rest!r} is no name of a Compose project. Write docker:PROJECT.")
        return Where(said, project=rest)
    if "://" in text or (problem := target_problem(text)):
        why = problem if "://" not in text else "leave the scheme out."
        raise EndpointError(f"{said}: {why} Write docker, docker:PROJECT or HOST:PORT (answer:50051).")
    return Where(said, name=text)
