"""`orchestrator models` as a table, and as JSON.

Why a model is not ready stands below the table, one paragraph each: in a column it would be a ribbon of
words, and it is what people came for.
"""

from __future__ import annotations

import collections
import json
import re
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.endpoints.discovery.labels import CONTRACT_LABEL
from orchestrator.endpoints.discovery.survey import Look
from orchestrator.vocabulary import FoundReplica, ReplicaState

_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_COMMIT_SHOWN = 10
_WIDE = 110
"""Columns of the terminal from which there is room for the device, which else has a line of its own."""
_STYLES = {
    ReplicaState.READY: "green",
    ReplicaState.STARTING: "yellow",
    ReplicaState.DRAINING: "yellow",
    ReplicaState.STOPPED: "dim",
}


def all_ready(look: Look) -> bool:
    """Whether everything that is found is ready, but what was told to stop; and at least one is."""
    states = {replica.state for replica in look.replicas} - {ReplicaState.STOPPED}
    return states == {ReplicaState.READY}


def show(look: Look, console: Console | None = None) -> None:
    """Print who is found, the replicas of a model together."""
    console = console or Console(highlight=False)
    console.print(_table(look, console.width))
    for replica in look.replicas:
        if replica.state is not ReplicaState.READY:
            console.print()
            what = Text.assemble(
                (replica.name or replica.origin, "bold"),
                f" ({replica.origin})" if replica.name else "",
                ": ",
                (str(replica.state), _style(replica)),
                f": {replica.reason}" if replica.reason else "",
            )
            console.print(what)
    if look.left_out:
        console.print(
            f"\n{look.left_out} more ended long ago, or were started anew since: "
            f"docker ps -a --filter label={CONTRACT_LABEL}",
            style="dim",
        )


def json_text(look: Look) -> str:
    """Return the same for programs: {"models": [one object per replica], "left_out": N}."""
    return json.dumps({"models": [_row(r) for r in look.replicas], "left_out": look.left_out}, indent=1)


def _table(look: Look, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    columns = ["model", "checkpoint", "revision", "device", "state", "address"]
    if width < _WIDE:
        columns.remove("device")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("state", "address"))
    models = collections.defaultdict(list)
    for replica in look.replicas:
        models[_model(replica)].append(replica)
    for group in models.values():
        for number, replica in enumerate(group):
            who = _who(replica, width) if number == 0 else {}
            where = Text(replica.target)
            where.append("\n" if replica.target else "")
            where.append(replica.origin.removeprefix("container "), style="dim")
            cells = who | {"state": Text(str(replica.state), style=_style(replica)), "address": where}
            table.add_row(*(cells.get(column, "") for column in columns))
    return table


def _model(replica: FoundReplica) -> object:
    """Return what the replicas of one model have in common, not the name alone; those of nobody nothing."""
    if not replica.name:
        return replica.origin
    return replica.name, replica.card.identity if replica.card else None


def _who(replica: FoundReplica, width: int) -> dict[str, Text]:
    card = replica.card
    if card is None:
        return {"model": Text(replica.name or "?", style="bold" if replica.name else "dim")}
    identity = card.identity
    checkpoint = Text(identity.checkpoint)
    if identity.quantization not in ("", "none"):
        checkpoint.append(f" ({identity.quantization})")
    if width < _WIDE and card.device:
        checkpoint.append(f"\non {card.device}", style="dim")
    return {
        "model": Text(replica.name, style="bold"),
        "checkpoint": checkpoint,
        "revision": Text(_short(identity.revision)),
        "device": Text(card.device),
    }


def _short(revision: str) -> str:
    return revision[:_COMMIT_SHOWN] if _COMMIT.fullmatch(revision) else revision


def _style(replica: FoundReplica) -> str:
    return _STYLES.get(replica.state, "red")


def _row(replica: FoundReplica) -> dict[str, Any]:
    card = replica.card
    return {
        "name": replica.name or None,
        "checkpoint": card.identity.checkpoint if card else None,
        "revision": card.identity.revision if card else None,
        "quantization": card.identity.quantization if card else None,
        "device": card.device if card else None,
        "state": str(replica.state),
        "reason": replica.reason,
        "address": replica.target or None,
        "origin": replica.origin,
    }
