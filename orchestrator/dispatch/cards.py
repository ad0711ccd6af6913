"""What model cards decide: whether two are of one model, what may be asked of it, what all replicas take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from orchestrator.dispatch import Prompting
from orchestrator.vocabulary import ModelCard, ModelIdentity


def differences(one: ModelIdentity, other: ModelIdentity) -> list[str]:
    """Return, for people, each part of the identity that differs: "revision: 'a1' and 'b2'".

    The names are compared as well: what a service calls itself, whatever the run calls it.
    """
    found = [
        f"{field.name}: {getattr(one, field.name)!r} and {getattr(other, field.name)!r}"
        for field in dataclasses.fields(ModelIdentity)
        if field.name != "settings" and getattr(one, field.name) != getattr(other, field.name)
    ]
    ones, others = dict(one.settings), dict(other.settings)
    return found + [
        f"setting {key}: {ones.get(key, '(none)')!r} and {others.get(key, '(none)')!r}"
        for key in sorted(ones.keys() | others.keys())
        if ones.get(key) != others.get(key)
    ]


def shortfalls(card: ModelCard, other: ModelCard) -> list[str]:
    """Return, for people, each thing that `card` promises and `other` cannot take: "2 images, not 3".

    A run plans what it sends by the first card, so a replica that takes less would refuse it.
    """
    limits = (
        ("images", card.max_images, other.max_images),
        ("bytes in a request", card.max_request_bytes, other.max_request_bytes),
    )
    abilities = (
        ("conversation history", card.conversation_history, other.conversation_history),
        ("thinking", card.chain_of_thought, other.chain_of_thought),
        ("option scores", card.option_scores, other.option_scores),
        ("questions without images", card.text_only, other.text_only),
        ("anomaly maps", card.anomaly_map, other.anomaly_map),
    )
    return [f"{less} {what}, not {number}" for what, number, less in limits if less < number] + [
        f"no {what}" for what, able, still in abilities if able and not still
    ]


def unsupported(card: ModelCard, prompting: Prompting, *, hints: bool = False) -> list[str]:
    """Return, for people, everything that is asked of a model but that it cannot do. Empty: it can do all.

    Templates and examples that it has no room for are left out; a query without its hint is another one.
    """
    demands = (
        (prompting.history, card.conversation_history, "it keeps no conversation history (--history)"),
        (prompting.cot is not None, card.chain_of_thought, "it does not think before it answers (--cot)"),
        (
            prompting.option_scores,
            card.option_scores,
            "it gives no option scores (--option-scores, --answer-by scores)",
        ),
        (prompting.text_only, card.text_only, "it does not answer without an image (--text-only)"),
        (prompting.anomaly_map, card.anomaly_map, "it gives no anomaly maps"),
        (not prompting.text_only, card.max_images > 0, "it takes no image (only --text-only can be asked)"),
        (hints, card.max_images > 1, "it takes one image, and a hint is one more beside the query (--hints)"),
    )
    return [reason for wanted, able, reason in demands if wanted and not able]


def common(cards: Sequence[ModelCard]) -> ModelCard:
    """Return one card for the replicas of a model: the first one's, with what every replica can take."""
    return dataclasses.replace(
        cards[0],
        max_images=min(card.max_images for card in cards),
        max_in_flight=min(card.max_in_flight for card in cards),
        max_request_bytes=min(card.max_request_bytes for card in cards),
        option_scores=all(card.option_scores for card in cards),
        conversation_history=all(card.conversation_history for card in cards),
        chain_of_thought=all(card.chain_of_thought for card in cards),
        deterministic=all(card.deterministic for card in cards),
        text_only=all(card.text_only for card in cards),
        anomaly_map=all(card.anomaly_map for card in cards),
    )
