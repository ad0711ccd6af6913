"""A conversation as a request of the API: `GenerateContentRequest` in JSON."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmad_answer.model import Generation
from mmad_answer.prompt import Speaker
from mmad_answer.remote.dialect import ImagePart, Said
from mmad_answer.remote.images import SentImage

_ROLES: Final = {Speaker.USER: "user", Speaker.ASSISTANT: "model"}
_SEEDS: Final = 2**31
"""The API's seed is a signed 32-bit number; the contract's has 64 bits."""
MOST_LOGPROBS: Final = 20
"""Tokens per position, the most that the API lists."""
MOST_THOUGHTS: Final = 32_768
"""The largest thinking budget of any model, in tokens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Thinking:
    """Whether a model thinks before it answers, and for how many tokens at most (None: as it likes)."""

    able: bool = False
    budget: int | None = None

    @property
    def room(self) -> int:
        """Tokens to be left for thoughts, which the API counts as output: the answer would get none."""
        if not self.able:
            return 0
        return MOST_THOUGHTS if self.budget is None else self.budget

    @property
    def config(self) -> dict[str, Any]:
        """`ThinkingConfig`; nothing for a model that does not think, which would refuse the whole request."""
        if not self.able:
            return {}
        if self.budget is None:
            return {"includeThoughts": True}
        return {"includeThoughts": self.budget > 0, "thinkingBudget": self.budget}


def image_part(image: SentImage) -> ImagePart:
    """An image in line."""
    data = base64.b64encode(image.content).decode("ascii")
    return {"inlineData": {"mimeType": image.media_type, "data": data}}


def conversation(messages: Sequence[Said]) -> dict[str, Any]:
    """The system's words by themselves, then the turns."""
    system, *turns = messages
    return {
        "systemInstruction": {"parts": _parts(system)},
        "contents": [{"role": _ROLES[turn.speaker], "parts": _parts(turn)} for turn in turns],
    }


def generation_config(
    generation: Generation,
    thinking: Thinking,
    *,
    max_tokens: int | None,
    scored: bool,
    media_resolution: str = "default",
    output_token_limit: int = 0,
) -> dict[str, Any]:
    """How to generate: `GenerationConfig`.

    Args:
        generation: what the caller asks for; greedy where it leaves the temperature open.
        thinking: of this request.
        max_tokens: of the reply, without hidden thoughts; None: the model's own.
        scored: whether the log probabilities are wanted.
        media_resolution: "low", "medium", "high", or "default": the model's own.
        output_token_limit: the model's, thoughts included; 0: unknown.
    """
    config: dict[str, Any] = {"temperature": generation.temperature or 0.0}
    if generation.top_p is not None:
        config["topP"] = generation.top_p
    if generation.seed is not None:
        config["seed"] = generation.seed % _SEEDS
    if max_tokens is not None:
        most = max_tokens + thinking.room
        config["maxOutputTokens"] = min(most, output_token_limit or most)
    if scored:
        config |= {"responseLogprobs": True, "logprobs": MOST_LOGPROBS}
    if thinking.config:
        config["thinkingConfig"] = thinking.config
    if media_resolution != "default":
        config["mediaResolution"] = f"MEDIA_RESOLUTION_{media_resolution.upper()}"
    return config


def _parts(said: Said) -> list[Mapping[str, Any]]:
    return [{"text": part} if isinstance(part, str) else part for part in said.parts]
