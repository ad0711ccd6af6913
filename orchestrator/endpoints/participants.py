"""Who takes part in a run: the addresses that its settings name, and the models to ask."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.endpoints import arguments, file
from orchestrator.errors import EndpointError, alternatives
from orchestrator.options import RunOptions
from orchestrator.vocabulary import Endpoint

NAMING_RUNNING = ("name those that run elsewhere: --endpoint NAME=TARGET, or --endpoints FILE",)
"""What a person can do when no model is found; a line each."""
NAMING = (
    "let services of this checkout be started: --local chance --local template_diff",
    *NAMING_RUNNING,
)
"""The same, of verbs that ask."""


def either(*ways: str) -> str:
    """Return what a person can do as the end of a message, a line each."""
    text = "\n  Or ".join(filter(None, ways))
    return f"\n  {text[0].upper()}{text[1:]}"


def given_endpoints(options: RunOptions) -> list[Endpoint]:
    """Return the addresses that the settings name, in their order; local services have none yet."""
    endpoints = [arguments.parse_endpoint(text, "--endpoint") for text in options.endpoint]
    if options.endpoints:
        endpoints += file.read_endpoints(options.endpoints)
    return endpoints


def local_services(options: RunOptions, names: Sequence[str]) -> list[arguments.LocalService]:
    """Return the services to start, of those that the settings name, for these models."""
    return [each for each in arguments.parse_local(options.local) if each.name in names]


def named(options: RunOptions, endpoints: Sequence[Endpoint]) -> list[str]:
    """Return the names that the settings give to models, each once, whether they are to be asked or not.

    Raises:
        EndpointError: if a service to start and an endpoint have one name.
    """
    local = [each.name for each in arguments.parse_local(options.local)]
    for name in local:
        if any(e.name == name for e in endpoints):
            raise EndpointError(
                f"{name}: is named by --local and by an endpoint. Give the endpoint another name."
            )
    return list(dict.fromkeys([*local, *(e.name for e in endpoints)]))


def model_names(options: RunOptions, endpoints: Sequence[Endpoint], found: Sequence[str] = ()) -> list[str]:
    """Return the names of the models to ask, each once.

    Args:
        options: name some of them.
        endpoints: those that the settings name.
        found: the names of models that nobody had to name.

    Raises:
        EndpointError: if there is none, if `--model` names an unknown one, or one name is given twice.
    """
    known = list(dict.fromkeys([*named(options, endpoints), *found]))
    if not known:
        raise EndpointError(f"There is nobody to ask: no model is named.{either(*NAMING)}")
    for name in options.model:
        if name not in known:
            raise EndpointError(f"--model {name}: no endpoint has this name.{alternatives(name, known)}")
    return [name for name in known if not options.model or name in options.model]
