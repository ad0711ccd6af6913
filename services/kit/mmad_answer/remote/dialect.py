"""One provider's language: how a request is said and a reply is read. The only part that differs by service.

A dialect knows nothing of time: waiting, retries, pace, caching and keys' secrecy are the callers'.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mmad_answer.model import Answer, Generation
from mmad_answer.prompt import Speaker
from mmad_answer.remote.images import SentImage
from mmad_answer.remote.keys import Key

if TYPE_CHECKING:
    from mmad_answer.remote.provider import Provider
from mmad_answer.remote.faults import ProviderError

Json: TypeAlias = Any
"""What json.loads gives."""
ImagePart: TypeAlias = Mapping[str, Json]
"""An image as the provider wants it in a message; made once per inspection."""


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """One turn of the conversation, its images ready for the wire, no two texts side by side."""

    speaker: Speaker
    parts: tuple[str | ImagePart, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one reply."""

    generation: Generation
    max_tokens: int | None = None
    """Of the reply's text, with the thoughts that are asked for in it; None: the provider's own bound."""
    max_hidden_tokens: int | None = None
    """Of what a model thinks before its text, on top of that; None: nobody bounds it."""
    scored_letters: tuple[str, ...] = ()
    """The letters whose log probability at the first position is wanted; empty: none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A POST: its path below the base address, and its JSON body."""

    path: str
    body: Mapping[str, Json]


class Dialect(abc.ABC):
    """How one provider is spoken to. Called in one event loop; holds no state that changes."""

    @property
    def version(self) -> str:
        """What `check` learned of the model behind the id, which may be another one later; "": nothing."""
        return ""

    @abc.abstractmethod
    def headers(self, key: Key | None) -> dict[str, str]:
        """The headers of every request, with the key in one of them; never in an address."""

    @abc.abstractmethod
    async def check(self, provider: Provider) -> None:
        """Find out, cheaply, that the key and the model are accepted, if the provider has a way.

        Raises:
            ProviderError: they are not, or the provider cannot be reached. The caller makes it a LoadError.
        """

    @abc.abstractmethod
    def image_part(self, image: SentImage) -> ImagePart:
        """An image as a part of a message. Called once per image of an inspection."""

    @abc.abstractmethod
    def request(self, messages: Sequence[Said], wanted: Wanted) -> Request:
        """The request for one reply. The first message is the system's, unless the service arranges them."""

    @abc.abstractmethod
    def read(self, body: Json, wanted: Wanted) -> Answer:
        """The answer in the body of a status 200, without `prompt`, `images` and times.

        A refusal is an answer: FinishReason.REFUSED with the provider's words.

        Raises:
            ProviderError: there is none in it: NO_ANSWER, if the API leaves it out. Any other exception
                means that too, so that reading stays plain: the body is not what the API promises.
        """

    @abc.abstractmethod
    def fault(self, status: int, body: Json) -> ProviderError:
        """What an error's status and body mean. `body` is None if it is no JSON; it may be of any shape.

        `faults.kind_of_status` tells what the status alone means. Lengths and line breaks of messages are the
        caller's business, and so is what the headers say about waiting.
        """
