"""Who takes part in a run: the addresses that its settings name, and the models to ask."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.endpoints import arguments, file
from orchestrator.errors import EndpointError, near_matches
from orchestrator.options import RunOptions
from orchestrator.vocabulary import Endpoint


def given_endpoints(options: RunOptions) -> list[Endpoint]:
    """Return the addresses that the settings name, in their order; local services have none yet."""
    endpoints = [arguments.parse_endpoint(text, "--endpoint") for text in options.endpoint]
    if options.endpoints:
        endpoints += file.read_endpoints(options.endpoints)
    return endpoints


def local_services(options: RunOptions, names: Sequence[str]) -> list[arguments.LocalService]:
    """Return the services to start, of those that the settings name, for these models."""
    return [each for each in arguments.parse_local(options.local) if each.name in names]


def model_names(options: RunOptions, endpoints: Sequence[Endpoint]) -> list[str]:
    """Return the names of the models to ask, each once.

    Raises:
        EndpointError: if there is none, if `--model` names an unknown one, or one name is given twice.
    """
    local = [each.name for each in arguments.parse_local(options.local)]
    known = list(dict.fromkeys([*local, *(e.name for e in endpoints)]))
    if not known:
        raise EndpointError(
            "There is nobody to ask. Name services of this checkout with --local (the baselines need "
            "nothing: --local chance --local template_diff), or models that are running with "
            "--endpoint NAME=TARGET or --endpoints FILE."
        )
    for name in local:
        if any(e.name == name for e in endpoints):
            raise EndpointError(
                f"{name}: is named by --local and by an endpoint. Give the endpoint another name."
            )
    for name in options.model:
        if name not in known:
            near = near_matches(name, known) or f" There are: {', '.join(known)}."
            raise EndpointError(f"--model {name}: no endpoint has this name.{near}")
    return [name for name in known if not options.model or name in options.model]
