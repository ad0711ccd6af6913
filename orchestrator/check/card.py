"""What GetModel says: complete, usable in file names, and the same every time."""

from __future__ import annotations

import re

from orchestrator.check import BrokenError, DoubtError, Promises
from orchestrator.check.service import Service, enum_name
from orchestrator.dispatch import wire
from orchestrator.dispatch.cards import differences
from orchestrator.dispatch.stubs import answer_pb2 as pb
from orchestrator.endpoints.arguments import make_endpoint
from orchestrator.errors import EndpointError

promises = Promises("card")
_LOOKS = 5


@promises.add("name", "The model's name can stand in file names")
async def name(service: Service) -> str:
    try:
        make_endpoint(service.card.name, service.endpoint.target, "", "name")
    except EndpointError as error:
        raise BrokenError(
            "a name of letters, digits and .-_+", str(error), "give GetModelResponse.name such a value"
        ) from None
    return service.card.name


@promises.add("complete", "What identifies the model is filled in")
async def complete(service: Service) -> str:
    empty = [
        field
        for field in ("family", "checkpoint", "quantization", "device")
        if not getattr(service.card, field)
    ]
    if empty:
        raise BrokenError(
            "family, checkpoint, quantization and device once the state is READY",
            f"empty: {', '.join(empty)}",
            'fill them in; where nothing is quantized, say "none"',
        )
    if not service.card.revision:  # some providers tell none
        raise DoubtError(
            "a revision that pins the model: a commit, a digest, a provider's version",
            "none",
            "fill it in if there is any: without it nobody notices that the model has become another",
        )
    return f"{service.card.checkpoint} at {service.card.revision}"


@promises.add("prompt", "The prompt is pinned by its sha256")
async def prompt(service: Service) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", service.card.prompt_sha256):
        raise BrokenError(
            "prompt_sha256: 64 hexadecimal digits, in small letters",
            repr(service.card.prompt_sha256),
            "give the SHA-256 of the prompt template; of nothing, where there is none",
        )
    return ""


@promises.add("limits", "Its limits are stated")
async def limits(service: Service) -> str:
    stated = service.card.limits
    empty = [field for field in ("max_in_flight", "max_request_bytes") if not getattr(stated, field)]
    if not stated.max_images and not service.card.capabilities.text_only:
        empty.append("max_images, though the card does not claim text_only")
    if empty:
        raise BrokenError(
            "Limits of more than 0", f"0: {', '.join(empty)}", "fill GetModelResponse.limits in"
        )
    return (
        f"{stated.max_images} images, {stated.max_in_flight} in flight, "
        f"{stated.max_request_bytes / 2**20:.0f} MiB"
    )


@promises.add("state", "Its state is READY when it can answer")
async def state(service: Service) -> str:
    came = (await service.get_model()).state
    if came != pb.STATE_READY:
        raise BrokenError(
            "STATE_READY, as before",
            enum_name(pb.State.DESCRIPTOR, came),
            "keep the state until the service is to stop",
        )
    return ""


@promises.add("stable", "It says the same each time")
async def stable(service: Service) -> str:
    return await unchanged(service, "tell what is fixed when the model is loaded, and nothing that changes")


async def unchanged(service: Service, advice: str) -> str:
    """Ask a few times, and compare everything that must not change."""
    before = wire.model_card(service.card)
    for _ in range(_LOOKS):
        message = await service.get_model()
        changed = differences(before.identity, wire.model_card(message).identity)
        changed += [
            field
            for field in ("limits", "capabilities")
            if getattr(service.card, field) != getattr(message, field)
        ]
        if changed:
            raise BrokenError("the same identity, limits and capabilities", "; ".join(changed), advice)
    return f"{_LOOKS} calls"
