"""Gemini's language: `models.get` and `generateContent` of `google.ai.generativelanguage.v1beta`."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import Final

from gemini_proxy.answer import answer
from gemini_proxy.faults import fault, fault_within
from gemini_proxy.messages import GenerateContentResponse, ModelInformation
from gemini_proxy.options import GeminiOptions
from gemini_proxy.request import Thinking, conversation, generation_config, image_part
from mmad_answer.model import Answer, Generation, WholeCallError
from mmad_answer.prompt import Speaker
from mmad_answer.remote.dialect import Dialect, ImagePart, Json, Request, Said, Wanted
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.images import SentImage
from mmad_answer.remote.keys import Key
from mmad_answer.remote.provider import Provider

_METHOD: Final = "generateContent"
_PROBE: Final = (
    Said(Speaker.SYSTEM, ("Reply with one letter.",)),
    Said(Speaker.USER, ("Which letter comes first in the alphabet?",)),
)


class GeminiDialect(Dialect):
    """How one model of Gemini is spoken to.

    `check` learns what the model is and can take, once and before any other request; nothing else changes.
    """

    def __init__(self, options: GeminiOptions) -> None:
        self._options = options
        self._path = f"/v1beta/models/{urllib.parse.quote(options.model.removeprefix('models/'), safe='')}"
        self.information = ModelInformation()

    @property
    def version(self) -> str:
        """As `models.get` tells it."""
        return self.information.version

    def headers(self, key: Key | None) -> dict[str, str]:
        """The key in its header; in the address, where the API takes it too, it would end up in logs."""
        return {"x-goog-api-key": key.reveal()} if key else {}

    async def check(self, provider: Provider) -> None:
        """Ask for the model and, if option scores are to be given, for one letter with its probability."""
        information = _information(await provider.get(self._path))
        if not information.name:
            message = f"--base-url: what is at {self._path} is no model of Gemini's API"
            raise ProviderError(Kind.UNUSABLE, message)
        if _METHOD not in information.supported_generation_methods:
            raise ProviderError(Kind.UNUSABLE, f"{information.name} does not generate text")
        self.information = information
        if self._options.option_scores:
            await self._check_option_scores(provider)

    async def _check_option_scores(self, provider: Provider) -> None:
        wanted = Wanted(Generation(), max_tokens=1, scored_letters=("A",))
        try:
            reply = await provider.ask(self.request(_PROBE, wanted), wanted)
        except (ProviderError, WholeCallError) as error:
            raise ProviderError(Kind.UNUSABLE, f"--option-scores: {error}") from None
        if not reply.option_scores:
            reason = "it thinks first" if reply.usage.reasoning_tokens else "the reply holds none"
            message = f"--option-scores: this model gives no log probabilities of its answer: {reason}"
            raise ProviderError(Kind.UNUSABLE, message)

    def image_part(self, image: SentImage) -> ImagePart:
        """An image in line."""
        return image_part(image)

    def request(self, messages: Sequence[Said], wanted: Wanted) -> Request:
        """A call of `generateContent`."""
        asked = wanted.max_hidden_tokens
        config = generation_config(
            wanted.generation,
            Thinking(self.information.thinking, self._options.thinking_budget if asked is None else asked),
            max_tokens=wanted.max_tokens,
            scored=bool(wanted.scored_letters),
            media_resolution=self._options.media_resolution,
            output_token_limit=self.information.output_token_limit,
        )
        body = conversation(messages) | {"generationConfig": config}
        return Request(f"{self._path}:{_METHOD}", body)

    def read(self, body: Json, wanted: Wanted) -> Answer:
        """The reply of `generateContent`, or an error that came in its place."""
        if error := fault_within(body):
            raise error
        return answer(GenerateContentResponse.read(body), wanted.scored_letters)

    def fault(self, status: int, body: Json) -> ProviderError:
        """A `google.rpc.Status`."""
        return fault(status, body)


def _information(body: Json) -> ModelInformation:
    """What the API says about a model; nothing, if it is another API."""
    try:
        return ModelInformation.read(body)
    except ValueError:
        return ModelInformation()
