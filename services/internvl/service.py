"""InternVL 2.5, 3 and 3.5 in the `-hf` form: square tiles, and the whole image as one more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.hf.model import TransformersModel
from mmad_answer.model import ImageRecord


class Intern(Family):
    """The InternVL line."""

    name = "internvl"
    model_types = frozenset({"internvl"})

    def limit_pixels(self, processor: Any, config: Any, max_pixels: int) -> None:
        """Allow as many tiles as have that area."""
        tile = _tile_pixels(processor)
        if max_pixels < tile:
            raise ValueError(f"one tile has {tile} pixels already, and an image has at least one")
        processor.image_processor.max_patches = max_pixels // tile

    def max_pixels(self, processor: Any) -> int:
        """What the tiles hold together; one more shows the whole image."""
        return int(processor.image_processor.max_patches) * _tile_pixels(processor)

    def split(self, processed: Mapping[str, Any], count: int) -> list[Tensors]:
        """Each image has a row for each of its tiles."""
        tiles = [int(each) for each in processed["num_patches"]]
        return [{"pixel_values": each} for each in processed["pixel_values"].split(tiles)]

    def record(self, inputs: Tensors, tokens: int) -> ImageRecord:
        """All tiles, side by side."""
        count, _, height, width = inputs["pixel_values"].shape
        return ImageRecord(count * width, height, tokens)

    def advice(self, config: Mapping[str, Any]) -> str:
        """The first form of these checkpoints brings code of its own."""
        if config.get("model_type") == "internvl_chat":
            return "it is in the authors' own form: take the one whose name ends in -hf"
        return ""


def _tile_pixels(processor: Any) -> int:
    size = processor.image_processor.size
    return int(size["height"]) * int(size["width"])


class InternVL(TransformersModel):
    """Any InternVL checkpoint that transformers has code for."""

    family = Intern
