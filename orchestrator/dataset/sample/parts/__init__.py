"""The parts that the sample data set shows, one module each. A new part is a new module and a line here."""

from __future__ import annotations

from orchestrator.dataset.sample.part import Part


def all_parts() -> tuple[Part, ...]:
    """Return every part, in the order of the data set."""
    from orchestrator.dataset.sample.parts import (
        bottle_cap,
        circuit_board,
        floor_tile,
        gear,
        pill_blister,
        woven_fabric,
    )

    return (
        gear.PART,
        circuit_board.PART,
        bottle_cap.PART,
        pill_blister.PART,
        woven_fabric.PART,
        floor_tile.PART,
    )
