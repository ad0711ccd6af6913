"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: images at their own size, in patches that are merged four to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.hf.model import TransformersModel
from mmad_answer.model import ImageRecord


class Qwen(Family):
    """The Qwen-VL line. Its positions have three axes, and depend on the size of every image."""

    name = "qwen"
    model_types = frozenset({"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"})
    position_inputs = ("image_grid_thw",)

    def __init__(self) -> None:
        self._patch_size = 14

    def take(self, processor: Any, config: Any) -> None:
        """Note the size of a patch."""
        self._patch_size = int(processor.image_processor.patch_size)

    def limit_pixels(self, processor: Any, config: Any, max_pixels: int) -> None:
        """Set the largest area; smaller images keep their size."""
        size = processor.image_processor.size
        least = size["shortest_edge"]
        if max_pixels < least:
            raise ValueError(f"the checkpoint scales every image up to at least {least} pixels")
        processor.image_processor.size = {"shortest_edge": least, "longest_edge": max_pixels}

    def max_pixels(self, processor: Any) -> int:
        """The largest area (the processor calls it the longest edge)."""
        return int(processor.image_processor.size["longest_edge"])

    def split(self, processed: Mapping[str, Any], count: int) -> list[Tensors]:
        """Each image has as many rows of patches as its grid has cells."""
        grids = processed["image_grid_thw"]
        patches = processed["pixel_values"].split(grids.prod(dim=1).tolist())
        return [{"pixel_values": patches[i], "image_grid_thw": grids[i : i + 1]} for i in range(count)]

    def record(self, inputs: Tensors, tokens: int) -> ImageRecord:
        """The grid, in pixels."""
        _, rows, columns = inputs["image_grid_thw"][0].tolist()
        return ImageRecord(columns * self._patch_size, rows * self._patch_size, tokens)


class QwenVL(TransformersModel):
    """Any checkpoint of the Qwen-VL line that transformers has code for."""

    family = Qwen
