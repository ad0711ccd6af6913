"""Gemini, through Google's API for developers."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

from gemini_proxy.dialect import GeminiDialect
from mmad_answer.model import Capabilities, Card
from mmad_answer.prompt import PROMPT_SHA256
from mmad_answer.remote.dialect import Dialect
from mmad_answer.remote.options import RemoteOptions
from mmad_answer.remote.remote_model import RemoteModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeminiOptions(RemoteOptions):
    """The shared options, and Gemini's own."""

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
        """Refuse what can mean nothing."""
        super().__post_init__()
        if self.thinking_budget is not None and self.thinking_budget < 0:
            raise ValueError(
                f"--thinking-budget {self.thinking_budget}: give a number from 0 up, or leave it out"
            )


class GeminiProxy(RemoteModel[GeminiOptions]):
    """Asks a model of Gemini behind Google's API for developers."""

    Options = GeminiOptions
    key_variables = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

    def __init__(self, options: GeminiOptions) -> None:
        super().__init__(options)
        self._gemini: Final = GeminiDialect(
            options.model,
            media_resolution=options.media_resolution,
            thinking_budget=options.thinking_budget,
            option_scores=options.option_scores,
        )

    def dialect(self) -> Dialect:
        """Gemini's."""
        return self._gemini

    def describe(self) -> Card:
        """Say which model answers; its version is known once the provider has told it."""
        options, information = self.options, self._gemini.information
        budget = "the model's own" if options.thinking_budget is None else str(options.thinking_budget)
        return Card(
            name=self.shared_name(),
            family="gemini",
            checkpoint=options.model,
            revision=information.version,
            device="remote",
            capabilities=Capabilities(
                option_scores=options.option_scores,
                conversation_history=True,
                chain_of_thought=True,
                text_only=True,
            ),
            prompt_sha256=PROMPT_SHA256,
            settings={
                **self.shared_settings(),
                "media_resolution": options.media_resolution,
                **({"thinking_budget": budget} if information.thinking else {}),
            },
            notes=(
                "runs at the provider: temperature 0 and a seed make its answers alike, not the same",
                "the provider scales images as it likes",
            ),
        )
