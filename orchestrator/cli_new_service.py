"""`orchestrator new-service`: the command line of `scaffold`."""

from __future__ import annotations

from typing import Annotated

import typer


def new_service(
    name: Annotated[
        str, typer.Argument(help="Lower-case letters, digits and underscores: the service's, in all places.")
    ],
) -> None:
    """Write a new model service into this checkout: a folder, a Dockerfile and a compose fragment.

    It runs as it is written, and guesses; the model is yours to fill in. Nothing is overwritten.
    """
    from orchestrator.endpoints.checkout import find_checkout
    from orchestrator.errors import EndpointError, UserError
    from orchestrator.scaffold.new_service import write_service

    try:
        checkout = find_checkout()
    except EndpointError:
        raise UserError(
            "new-service writes into a checkout of this project, and there is none here: no folder services/ "
            "in the working folder or above. Go to the project's folder."
        ) from None
    written = write_service(checkout, name)
    typer.echo(f"In {checkout}:")
    for path in written:
        typer.echo(f"  {path}")
    typer.echo(f"""
It runs as it is, and guesses. Fill in what the TODOs of services/{name}/service.py name. On the way:
  orchestrator run --data sample --local {name}
  docker build -f docker/{name}.Dockerfile -t mmad-answer/{name} .
  orchestrator check mmad-answer/{name}
  docker compose -f compose.yaml -f docker/{name}.compose.yaml up -d {name}
  orchestrator run --data sample
docs/add-a-model.md goes through it.""")
