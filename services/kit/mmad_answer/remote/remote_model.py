"""A model behind a remote API: what `Model` asks for, for any provider. A service adds its `Dialect`."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Generic, TypeVar

from mmad_answer.model import (
    Answer,
    ChainOfThought,
    Failure,
    FailureReason,
    Inspection,
    LoadError,
    Model,
    Question,
    Reply,
    WholeCallError,
)
from mmad_answer.prompt import Message
from mmad_answer.remote import asking
from mmad_answer.remote.bridge import Bridge
from mmad_answer.remote.dialect import Dialect, Wanted
from mmad_answer.remote.faults import ProviderError
from mmad_answer.remote.images import ImagePolicy, ImageTooLargeError
from mmad_answer.remote.keys import read_key
from mmad_answer.remote.options import RemoteOptions
from mmad_answer.remote.pictures import Pictures
from mmad_answer.remote.provider import Provider

RemoteOptionsT = TypeVar("RemoteOptionsT", bound=RemoteOptions)


class RemoteModel(Model[RemoteOptionsT], abc.ABC, Generic[RemoteOptionsT]):
    """Asks a provider. A service says `describe`, `dialect`, `key_variables`, and more where it differs."""

    batch_size = 1

    def __init__(self, options: RemoteOptionsT) -> None:
        super().__init__(options)
        self.workers = options.concurrency  # type: ignore[misc]  # an option's, not the class's
        self._opened = contextlib.ExitStack()

    @property
    @abc.abstractmethod
    def key_variables(self) -> Sequence[str]:
        """Environment variables that may hold the key; the first that is set counts."""

    @property
    def key_required(self) -> bool:
        """Whether there is no use in asking without a key."""
        return True

    @abc.abstractmethod
    def dialect(self) -> Dialect:
        """The provider's language, with this service's settings. Called once, in `load`."""

    def image_policy(self) -> ImagePolicy:
        """When images are encoded anew: as the options say."""
        options = self.options
        return ImagePolicy(
            max_pixels=options.max_image_pixels,
            max_side=options.max_image_side,
            max_bytes=options.max_image_bytes,
        )

    def arranged(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The conversation as this model takes it: as it is."""
        return messages

    def shared_name(self) -> str:
        """For `Card.name`: as the options say."""
        return self.options.name or self.options.model.rstrip("/").rsplit("/", 1)[-1].lower()

    def shared_settings(self) -> dict[str, str]:
        """For `Card.settings`: what the options that all remote services share mean for answers."""
        options = self.options
        return {
            "max_new_tokens": "provider's" if options.max_new_tokens is None else str(options.max_new_tokens),
            "max_reasoning_tokens": str(options.max_reasoning_tokens),
            "reply_cache": "off" if options.reply_cache is None else "on",
            **self.image_policy().settings(),
        }

    def shared_notes(self) -> tuple[str, ...]:
        """For `Card.notes`: where the model is asked. No part of its identity: one model may be at many."""
        return (f"asked at {self.options.base_url.rstrip('/')}",)

    def load(self) -> None:
        """Read the key, open the provider, and have the dialect check key and model.

        Raises:
            LoadError: there is no key, the provider does not accept it or the model, or is out of reach.
        """
        # They tell of each request at INFO, and of each header that comes back at DEBUG.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        key = read_key(self.options.key_file, self.key_variables)
        if key is None and self.key_required:
            variables = " or ".join(self.key_variables)
            raise LoadError(f"there is no key: name a file that holds it with --key-file, or set {variables}")
        self._language: Dialect = self.dialect()
        self._policy: ImagePolicy = self.image_policy()
        with contextlib.ExitStack() as opened:
            self._bridge: Bridge = opened.enter_context(Bridge())
            self._provider: Provider = self._bridge.open(Provider(self._language, key, self.options))
            try:
                self._bridge.call(self._language.check, self._provider)
            except (ProviderError, WholeCallError) as error:
                raise LoadError(str(error)) from None
            self._opened = opened.pop_all()

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Ask the questions, in the order that `asking` gives its reasons for."""
        for inspection in batch:
            if inspection.stopped.is_set():
                continue
            try:
                pictures = Pictures(inspection, self._policy, self._language)
            except ImageTooLargeError as error:
                failure = Failure(FailureReason.PROVIDER, str(error))
                yield from (Reply(inspection, each.question_id, failure) for each in inspection.questions)
                continue
            untold_seconds = pictures.encode_seconds
            for reply in self._bridge.draw(
                functools.partial(self._replies, inspection, pictures), inspection.stopped
            ):
                if isinstance(reply.outcome, Answer):
                    outcome = dataclasses.replace(reply.outcome, encode_seconds=untold_seconds)
                    reply = dataclasses.replace(reply, outcome=outcome)
                    untold_seconds = 0.0
                yield reply

    def close(self) -> None:
        """End the connections and the thread of the event loop."""
        self._opened.close()

    def _replies(self, inspection: Inspection, pictures: Pictures) -> AsyncGenerator[Reply, None]:
        async def ask(messages: Sequence[Message], question: Question | None) -> Answer:
            messages, wanted = self.arranged(messages), self._wanted(inspection, question)
            answer = await self._provider.ask(self._language.request(pictures.said(messages), wanted), wanted)
            if question is not None and inspection.generation.return_prompt:
                transcript = pictures.transcript(messages)
                answer = dataclasses.replace(answer, prompt=transcript, images=pictures.records)
            return answer

        return asking.replies(inspection, ask)

    def _wanted(self, inspection: Inspection, question: Question | None) -> Wanted:
        generation, options = inspection.generation, self.options
        asked, reasoning = generation.max_reasoning_tokens, options.max_reasoning_tokens
        reasoning = reasoning if asked is None else asked
        if question is None:
            return Wanted(generation, reasoning, asked)
        most = options.max_new_tokens if generation.max_new_tokens is None else generation.max_new_tokens
        thinks = inspection.chain_of_thought is ChainOfThought.PER_QUESTION
        if most is not None and thinks:
            most += reasoning
        letters: tuple[str, ...] = ()
        if generation.option_scores and not thinks:  # after thoughts, the first position is no answer's
            letters = tuple(option.letter for option in question.options)
        return Wanted(generation, most, asked, letters)
