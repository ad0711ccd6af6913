"""Gemini, through Google's API for developers."""

from __future__ import annotations

from gemini_proxy.dialect import GeminiDialect
from gemini_proxy.options import GeminiOptions
from mmad_answer.model import Capabilities, Card
from mmad_answer.prompt import PROMPT_SHA256
from mmad_answer.remote.remote_model import RemoteModel


class GeminiProxy(RemoteModel[GeminiOptions]):
    """Asks a model of Gemini behind Google's API for developers."""

    Options = GeminiOptions
    key_variables = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

    def __init__(self, options: GeminiOptions) -> None:
        super().__init__(options)
        self._gemini = GeminiDialect(options)

    def dialect(self) -> GeminiDialect:
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
            max_images=options.max_images,
            max_image_pixels=options.max_image_pixels or 0,
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
                *self.shared_notes(),
                "runs at the provider: temperature 0 and a seed make its answers alike, not the same",
                "the provider scales images as it likes",
            ),
        )
