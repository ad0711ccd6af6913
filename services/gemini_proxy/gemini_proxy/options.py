"""The options of the service: the shared ones, with the provider's address, and Gemini's own."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mmad_answer.remote.options import RemoteOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeminiOptions(RemoteOptions):
    """How a model of Gemini is asked."""

    base_url: str = "https://generativelanguage.googleapis.com"
    """The API's address, without the version."""
    model: str
    """A model's id: "gemini-2.5-flash"."""
    media_resolution: Literal["default", "low", "medium", "high"] = "default"
    """How finely images are looked at, and how many tokens they take; "default" is the model's own."""
    thinking_budget: int | None = None
    """Tokens of hidden thoughts, unless the request bounds them; 0: none, where the model can do without
    (default: as the model likes)."""
    option_scores: bool = False
    """Offer option scores, which few models can give; a request of a few tokens finds out at the start."""

    def __post_init__(self) -> None:
        """Refuse what can mean nothing.

        Raises:
            ValueError: as `RemoteOptions` says, and a negative budget.
        """
        super().__post_init__()
        if self.thinking_budget is not None and self.thinking_budget < 0:
            raise ValueError(
                f"--thinking-budget {self.thinking_budget}: give a number from 0 up, or leave it out"
            )
