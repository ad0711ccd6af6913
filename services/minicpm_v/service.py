"""MiniCPM-V 4.6 and 4.7: the whole image, and slices of it when it is large."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.hf.model import TransformersModel
from mmad_answer.model import ImageRecord


class MiniCPM(Family):
    """The MiniCPM-V line. Some of its layers keep a state, not keys and values."""

    name = "minicpm"
    model_types = frozenset({"minicpmv4_6", "minicpmv4_7"})
    position_inputs = ("target_sizes",)
    repeats_cache = False

    def __init__(self) -> None:
        self._patch_size = 14

    def template_options(self) -> Mapping[str, Any]:
        """Answer without thoughts of its own: they are asked for in words, as of every model."""
        return {"enable_thinking": False}

    def take(self, processor: Any, config: Any) -> None:
        """Note the size of a patch."""
        self._patch_size = int(processor.image_processor.patch_size)

    def limit_pixels(self, processor: Any, config: Any, max_pixels: int) -> None:
        """Allow as many slices as have that area."""
        slice_pixels = processor.image_processor.scale_resolution**2
        if max_pixels < slice_pixels:
            raise ValueError(f"one slice has {slice_pixels} pixels already, and an image has at least one")
        processor.image_processor.max_slice_nums = max_pixels // slice_pixels

    def max_pixels(self, processor: Any) -> int:
        """What the slices hold together; one more shows the whole image."""
        image_processor = processor.image_processor
        return int(image_processor.max_slice_nums) * int(image_processor.scale_resolution) ** 2

    def split(self, processed: Mapping[str, Any], count: int) -> list[Tensors]:
        """The slices of all images lie in one row, each as long as its patches."""
        slices = [int(each) for each in processed["num_patches_per_image"]]
        sizes = processed["target_sizes"].split(slices)
        lengths = [int(each.prod(dim=1).sum()) * self._patch_size for each in sizes]
        patches = processed["pixel_values"].split(lengths, dim=-1)
        return [{"pixel_values": patches[i], "target_sizes": sizes[i]} for i in range(count)]

    def record(self, inputs: Tensors, tokens: int) -> ImageRecord:
        """The whole image as it is seen before its slices."""
        rows, columns = inputs["target_sizes"][0].tolist()
        return ImageRecord(columns * self._patch_size, rows * self._patch_size, tokens)

    def notes(self, config: Any) -> tuple[str, ...]:
        """Whether its linear attention is fast here."""
        kernels = {"flash-linear-attention": "fla", "causal-conv1d": "causal_conv1d"}
        absent = [name for name, module in kernels.items() if importlib.util.find_spec(module) is None]
        return (f"slower than it could be: {', '.join(absent)} not installed",) if absent else ()


class MiniCPMV(TransformersModel):
    """Any MiniCPM-V checkpoint that transformers has code for."""

    family = MiniCPM
