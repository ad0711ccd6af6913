"""What differs from family to family: one subclass in each service, some tens of lines."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from mmad_answer.model import ImageRecord
from mmad_answer.prompt import Message

Tensors: TypeAlias = dict[str, Any]
"""Names to torch tensors."""


class Family(abc.ABC):
    """A family of checkpoints: how it places and cuts images, and how its cache behaves."""

    name: ClassVar[str]
    """As on the model card: "qwen"."""
    model_types: ClassVar[frozenset[str]]
    """Of config.json: the checkpoints that belong to the family."""
    position_inputs: ClassVar[tuple[str, ...]] = ()
    """Of the images' inputs, those that the language model needs for the positions of its tokens."""
    repeats_cache: ClassVar[bool] = True
    """Whether the cache of a prefix can be laid out for several questions at once, with padding after it."""

    def arrange(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Change the conversation's form to one that the family's chat template knows."""
        return messages

    def template_options(self) -> Mapping[str, Any]:
        """Variables for the chat template besides the messages."""
        return {}

    def take(self, processor: Any, config: Any) -> None:  # noqa: B027 - most have nothing to note
        """Note what `split` and `record` need of the loaded checkpoint. Called before everything below."""

    def limit_pixels(self, processor: Any, config: Any, max_pixels: int) -> None:
        """Set the processor, and the model's config, so that images of more than `max_pixels` become smaller.

        Raises:
            ValueError: the checkpoint cannot do that; says what it can.
        """
        raise ValueError("its images have one fixed size")

    @abc.abstractmethod
    def max_pixels(self, processor: Any) -> int:
        """Say from how many pixels on an image is scaled down; 0: never."""

    @abc.abstractmethod
    def split(self, processed: Mapping[str, Any], count: int) -> list[Tensors]:
        """Take the image processor's output apart.

        Args:
            processed: what the image processor made of an inspection's images, all together.
            count: how many these are.

        Returns:
            For each image, in their order: the arguments of the model's `get_image_features`.
        """

    @abc.abstractmethod
    def record(self, inputs: Tensors, tokens: int) -> ImageRecord:
        """Say how large the model saw an image, given its part of `split`."""

    def notes(self, config: Any) -> tuple[str, ...]:
        """Say what a reader of the scores should know about this checkpoint, one line each."""
        return ()

    def advice(self, config: Mapping[str, Any]) -> str:
        """Say what to use instead of a checkpoint that is not of this family; "" if that is not known."""
        return ""
