"""An inspection's conversations as the model's tokens, by the checkpoint's own processor and chat template.

The images are prepared once for an inspection, however many conversations show them: the processor is given
an image processor that remembers its last output. So the tokens are always those that the library makes.
Words that look like control tokens ("<image>" in a question) are broken up by a space: the library's own
`sanitize_control_tokens` is lost on the way in the processors of two families (transformers 5.23).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.model import Image
from mmad_answer.prompt import Message

_THOUGHT: Final = "<think>"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One conversation, ready for the model."""

    ids: list[int]
    types: list[int] | None
    """Of each token: what it stands for (0 text, 1 image); None where the family needs no types."""
    images_end: int
    """So many tokens hold all the images."""

    def head(self, length: int) -> Prompt:
        """The prompt's first tokens; all images must be among them."""
        types = None if self.types is None else self.types[:length]
        return Prompt(self.ids[:length], types, self.images_end)


class _Remembering:
    """An image processor that gives its last output again when it gets the same images again."""

    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self._images: list[Any] = []
        self.output: Any = None

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        flat = [image for images_of_one in images for image in images_of_one]
        if len(flat) != len(self._images) or any(a is not b for a, b in zip(flat, self._images, strict=True)):
            self.output = self._image_processor(images, *args, **kwargs)
            self._images = flat
        return type(self.output)(self.output)  # the processor takes entries out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image_processor, name)

    def forget(self) -> None:
        self._images, self.output = [], None


class Prompter:
    """Makes prompts with a checkpoint's processor. Not for several threads at once."""

    def __init__(self, processor: Any, family: Family) -> None:
        self._processor = processor
        self._family = family
        self._image_processor = _Remembering(processor.image_processor)
        processor.image_processor = self._image_processor

    def prompts(
        self, images: Sequence[Image], conversations: Sequence[Sequence[Message]]
    ) -> tuple[list[Prompt], list[Tensors]]:
        """Encode conversations that all show the same images.

        Returns:
            A prompt for each conversation, and for each image the arguments of `get_image_features`.
        """
        try:
            prompts = [self._prompt(each) for each in conversations]
            processed = self._image_processor.output
            return prompts, self._family.split(processed, len(images)) if images else []
        finally:
            self._image_processor.forget()

    def text(self, prompt: Prompt) -> str:
        """The prompt as the model gets it, each image's run of placeholders as one."""
        text = self._processor.tokenizer.decode(prompt.ids, skip_special_tokens=False)
        return self._placeholders.sub(r"\1", str(text))

    def opens_thought(self, messages: Sequence[Message]) -> bool:
        """Whether the chat template itself begins a thought where the answer is to come."""
        images = [part for message in messages for part in message.parts if not isinstance(part, str)]
        [prompt], _ = self.prompts(images, [messages])
        return self.text(prompt).rstrip().endswith(_THOUGHT)

    def _prompt(self, messages: Sequence[Message]) -> Prompt:
        encoded = self._processor.apply_chat_template(
            [as_chat(message, self._plain) for message in self._family.arrange(messages)],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            **self._family.template_options(),
        )
        ids, types = _row(encoded["input_ids"]), encoded.get("mm_token_type_ids")
        return Prompt(
            ids, None if types is None else _row(types), _images_end(ids, self._processor.image_token_id)
        )

    def _plain(self, text: str) -> str:
        return self._control_tokens.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    @functools.cached_property
    def _control_tokens(self) -> re.Pattern[str]:
        tokenizer = self._processor.tokenizer
        tokens = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), self._processor.image_token}
        # A token of one character is no control token, but would be broken up everywhere.
        return re.compile("|".join(re.escape(each) for each in sorted(tokens) if len(each) > 1))

    @functools.cached_property
    def _placeholders(self) -> re.Pattern[str]:
        return re.compile(f"({re.escape(self._processor.image_token)})(?:\\1)+")


def as_chat(message: Message, plain: Callable[[str], str] = str) -> dict[str, Any]:
    """A message as `apply_chat_template` takes it, its texts made `plain`."""
    content = [
        {"type": "text", "text": plain(part)}
        if isinstance(part, str)
        else {"type": "image", "image": part.pixels}
        for part in message.parts
    ]
    return {"role": str(message.speaker), "content": content}


def _images_end(ids: Sequence[int], image_token: int) -> int:
    return next((i for i in range(len(ids), 0, -1) if ids[i - 1] == image_token), 0)


def _row(values: Any) -> list[int]:
    """The only row of a batch of one, whatever it came as."""
    row = values.tolist() if isinstance(values, torch.Tensor) else values
    return list(row[0]) if row and isinstance(row[0], list) else list(row)
