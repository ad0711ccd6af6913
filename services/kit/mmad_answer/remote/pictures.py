"""An inspection's images on their way to a provider: each encoded once, however often it is sent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

from mmad_answer.model import ImageRecord, Inspection
from mmad_answer.prompt import Message
from mmad_answer.remote.dialect import Dialect, ImagePart, Said
from mmad_answer.remote.images import ImagePolicy, SentImage


class Pictures:
    """The images of one inspection, ready for the wire."""

    def __init__(self, inspection: Inspection, policy: ImagePolicy, dialect: Dialect) -> None:
        began = time.monotonic()
        self._sent: dict[str, SentImage] = {}
        self._parts: dict[str, ImagePart] = {}
        for image in inspection.images:
            if image.sha256 not in self._sent:
                sent = self._sent[image.sha256] = policy.prepare(image)
                self._parts[image.sha256] = dialect.image_part(sent)
        self.encode_seconds = time.monotonic() - began
        self.records = tuple(
            ImageRecord(self._sent[image.sha256].width, self._sent[image.sha256].height)
            for image in inspection.images
        )
        """Sizes as sent; what the provider makes of them it does not say."""

    def said(self, messages: Sequence[Message]) -> tuple[Said, ...]:
        """The messages with their images as the provider wants them, and their texts in one piece each."""
        return tuple(Said(message.speaker, tuple(self._parts_of(message))) for message in messages)

    def transcript(self, messages: Sequence[Message]) -> str:
        """The messages as text, for reports: what was said by whom, with a placeholder for each image."""
        return "\n\n".join(
            f"[{message.speaker.value}]\n"
            + "".join(
                part if isinstance(part, str) else self._placeholder(part.sha256) for part in message.parts
            )
            for message in messages
        )

    def _parts_of(self, message: Message) -> Iterator[str | ImagePart]:
        # Texts hold their own line breaks, and some servers refuse a text that is nothing else.
        for are_texts, parts in itertools.groupby(message.parts, lambda part: isinstance(part, str)):
            if are_texts:
                yield "".join(str(part) for part in parts)
            else:
                yield from (self._parts[part.sha256] for part in parts if not isinstance(part, str))

    def _placeholder(self, sha256: str) -> str:
        sent = self._sent[sha256]
        return f"<{sent.media_type}, {sent.width} x {sent.height}, sha256 {sha256[:12]}>"
