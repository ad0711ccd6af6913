"""What a request to /chat/completions holds."""

from __future__ import annotations

import base64
import logging
import urllib.parse
from collections.abc import Sequence
from typing import Any, Final

from mmad_answer.model import Answer
from mmad_answer.prompt import Speaker
from mmad_answer.remote.dialect import Dialect, ImagePart, Json, Request, Said, Wanted
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.images import SentImage
from mmad_answer.remote.keys import Key
from mmad_answer.remote.provider import Provider
from openai_proxy import faults, reading
from openai_proxy.options import OpenAiOptions

_DECISIVE: Final = frozenset({Kind.UNUSABLE, Kind.BUDGET_SPENT, Kind.PASSING})
"""Faults of looking a model up that asking it would have as well."""
_GREEDY: Final = 0.0
_SEEDS: Final = 2**63
"""The protocol's seeds are signed 64-bit integers, the contract's unsigned ones."""
_log = logging.getLogger(__name__)


class ChatCompletions(Dialect):
    """OpenAI's protocol, as the options say that this server speaks it."""

    def __init__(self, options: OpenAiOptions) -> None:
        self._options = options
        self._omitted = frozenset(options.omitted)
        self._answering: set[str] = set()
        """Names of models that replies hold, to log each once."""

    def headers(self, key: Key | None) -> dict[str, str]:
        """Bearer, as everywhere in this protocol."""
        return {} if key is None else {"authorization": f"Bearer {key.reveal()}"}

    async def check(self, provider: Provider) -> None:
        """Look the model up. Where that cannot be done, the first request shows what the server is worth.

        Some servers have no such route, and some keys may ask models and not list them.

        Raises:
            ProviderError: the key or the model is not accepted, or nobody is there.
        """
        try:
            await provider.get(f"/models/{urllib.parse.quote(self._options.model)}")
        except ProviderError as error:
            if error.kind in _DECISIVE:
                raise
            _log.info("the model cannot be looked up, the first request will show it: %s", error)

    def image_part(self, image: SentImage) -> ImagePart:
        """A data URL."""
        url = f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}"
        picture = {"url": url}
        if "detail" not in self._omitted:
            picture["detail"] = self._options.detail
        return {"type": "image_url", "image_url": picture}

    def request(self, messages: Sequence[Said], wanted: Wanted) -> Request:
        """One completion, greedy unless the request says otherwise."""
        options, how = self._options, wanted.generation
        spoken = [{"role": self._role(said.speaker), "content": _content(said)} for said in messages]
        body: dict[str, Any] = {"model": options.model, "messages": spoken}
        if wanted.max_tokens is not None:
            body[options.token_limit_field] = wanted.max_tokens + (wanted.max_hidden_tokens or 0)
        if options.reasoning_effort is not None:
            body["reasoning_effort"] = options.reasoning_effort
        sampling = {
            "temperature": _GREEDY if how.temperature is None else how.temperature,
            "top_p": how.top_p,
            "seed": None if how.seed is None else how.seed % _SEEDS,
        }
        body |= {
            field: value
            for field, value in sampling.items()
            if value is not None and field not in self._omitted
        }
        if wanted.scored_letters and "logprobs" not in self._omitted:
            body |= {"logprobs": True, "top_logprobs": options.top_logprobs}
        return Request("/chat/completions", body)

    def read(self, body: Json, wanted: Wanted) -> Answer:
        """The first choice. Some servers send their errors with a status of success."""
        if "error" in body and not body.get("choices"):
            raise self.fault(faults.status_within(body), body)
        self._tell_of(str(body.get("model") or ""))
        return reading.answer(body, wanted.scored_letters)

    def fault(self, status: int, body: Json) -> ProviderError:
        """What the error says, in any of the forms that servers of this protocol use."""
        return faults.fault(status, body, self._options)

    def _tell_of(self, model: str) -> None:
        """An alias stands for a model that changes in time, perhaps within a run."""
        if model and model not in self._answering:
            level = logging.WARNING if self._answering else logging.INFO
            _log.log(level, "replies to %s now come from %s", self._options.model, model)
            self._answering.add(model)

    def _role(self, speaker: Speaker) -> str:
        return self._options.system_role if speaker is Speaker.SYSTEM else speaker.value


def _content(said: Said) -> Json:
    """A string where there are only words, which every server knows."""
    match said.parts:
        case (str() as text,):
            return text
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in said.parts]
