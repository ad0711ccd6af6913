"""Any server of OpenAI's protocol: OpenAI itself, and the engines that serve open checkpoints by it."""

from __future__ import annotations

from collections.abc import Sequence

from mmad_answer.model import Capabilities, Card
from mmad_answer.prompt import PROMPT_SHA256, Message, without_system
from mmad_answer.remote.remote_model import RemoteModel
from openai_proxy.dialect import ChatCompletions
from openai_proxy.options import OpenAiOptions


class OpenAiProxy(RemoteModel[OpenAiOptions]):
    """Asks a model behind POST /chat/completions, at any address that offers it."""

    Options = OpenAiOptions
    key_variables = ("OPENAI_API_KEY",)

    @property
    def key_required(self) -> bool:
        """Servers of one's own often want none."""
        return self.options.at_openai

    def dialect(self) -> ChatCompletions:
        """OpenAI's."""
        return ChatCompletions(self.options)

    def arranged(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Without a system's turn, if the user is to say the instruction."""
        return without_system(messages) if self.options.system_role == "user" else messages

    def describe(self) -> Card:
        """Say which model is asked, and how."""
        options, omitted = self.options, self.options.omitted
        return Card(
            name=self.shared_name(),
            family="openai",
            checkpoint=options.model,
            device="remote",
            max_images=options.max_images,
            max_image_pixels=options.max_image_pixels or 0,
            capabilities=Capabilities(
                option_scores="logprobs" not in omitted,
                conversation_history=True,
                chain_of_thought=True,
                text_only=True,
            ),
            prompt_sha256=PROMPT_SHA256,
            settings={
                **self.shared_settings(),
                "detail": "left out" if "detail" in omitted else options.detail,
                "left_out": ", ".join(omitted) or "nothing",
                "system_role": options.system_role,
                "top_logprobs": str(options.top_logprobs),
                "reasoning_effort": options.reasoning_effort or "model's own",
            },
            notes=(
                *self.shared_notes(),
                "runs at a provider: temperature 0 and a seed make its answers alike, not the same",
            ),
        )
