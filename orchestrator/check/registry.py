"""All promises, in the order in which they are tried."""

from __future__ import annotations

from orchestrator.check import (
    Promise,
    answers,
    capabilities,
    card,
    health,
    image,
    load,
    protocol,
    refusals,
    silence,
    stopping,
)

GROUPS = {
    "health": "Health",
    "card": "The model's card",
    "protocol": "Protocol",
    "answers": "Answers",
    "capabilities": "What the card claims",
    "refusals": "Bad input",
    "load": "Load",
    "image": "The image",
    "silence": "Silence",
    "stopping": "Stopping",
}


def all_promises() -> tuple[Promise, ...]:
    """Return every promise; whoever adds one adds a function to its group, and nothing here."""
    return (
        *health.promises,
        *card.promises,
        *protocol.promises,
        *answers.promises,
        *capabilities.promises,
        *refusals.promises,
        *load.promises,
        *image.promises,
        *silence.promises,
        *stopping.promises,
    )
