"""LLaVA 1.5, 1.6 (NeXT), interleave and OneVision, in llava-hf's form: a fixed square, or tiles of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.hf.model import TransformersModel
from mmad_answer.model import ImageRecord
from mmad_answer.prompt import Message, without_system


class Llava(Family):
    """The LLaVA line. Most of its chat templates know no system; its words open the first turn."""

    name = "llava"
    model_types = frozenset({"llava", "llava_next", "llava_onevision"})

    def arrange(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Put the instruction into the first user turn."""
        return without_system(messages)

    def limit_pixels(self, processor: Any, config: Any, max_pixels: int) -> None:
        """Leave out the arrangements of tiles that are larger."""
        pinpoints = getattr(processor.image_processor, "image_grid_pinpoints", None)
        if not pinpoints:
            raise ValueError("the checkpoint scales every image to one fixed size")
        small = [each for each in pinpoints if each[0] * each[1] <= max_pixels]
        if not small:
            least = min(each[0] * each[1] for each in pinpoints)
            raise ValueError(f"the smallest arrangement of its tiles has {least} pixels")
        processor.image_processor.image_grid_pinpoints = config.image_grid_pinpoints = small

    def max_pixels(self, processor: Any) -> int:
        """The largest arrangement of tiles, or the one size that there is."""
        image_processor = processor.image_processor
        pinpoints = getattr(image_processor, "image_grid_pinpoints", None)
        if pinpoints:
            return max(int(height) * int(width) for height, width in pinpoints)
        crop = getattr(image_processor, "crop_size", None) or image_processor.size
        return int(crop["height"]) * int(crop["width"])

    def split(self, processed: Mapping[str, Any], count: int) -> list[Tensors]:
        """Each image has a row; OneVision cuts tiles only where an image is alone."""
        shown = {"batch_num_images": [min(count, 2)]} if "batch_num_images" in processed else {}
        return [
            {
                "pixel_values": _own_tiles(processed["pixel_values"][i])[None],
                **(
                    {"image_sizes": processed["image_sizes"][i : i + 1]} if "image_sizes" in processed else {}
                ),
                **shown,
            }
            for i in range(count)
        ]

    def record(self, inputs: Tensors, tokens: int) -> ImageRecord:
        """The tiles, side by side."""
        *tiles, _, height, width = inputs["pixel_values"][0].shape
        return ImageRecord((tiles[0] if tiles else 1) * width, height, tokens)

    def notes(self, config: Any) -> tuple[str, ...]:
        """What the chat templates and OneVision do with several images."""
        notes = ["its chat template puts all images of a turn before the turn's words, captions included"]
        if config.model_type == "llava_onevision":
            notes.append(
                "an image that is alone is cut into tiles; one of several is seen whole, at low resolution"
            )
        return tuple(notes)

    def advice(self, config: Mapping[str, Any]) -> str:
        """The authors' own form is another; llava-hf has the same weights converted."""
        architecture = str((config.get("architectures") or [""])[0])
        if architecture in _CONVERTED or "mm_vision_tower" in config:
            converted = _CONVERTED.get(architecture, "the model of the same name")
            return (
                f"it is in the authors' own form ({architecture}): take {converted} from llava-hf, converted"
            )
        return ""


def _own_tiles(tiles: Any) -> Any:
    """Without those that only bring it to its neighbours' number of tiles: of zeros, which no picture has."""
    if tiles.dim() == 3:
        return tiles
    return tiles[: int(tiles.flatten(1).any(dim=1).nonzero().max()) + 1]


_CONVERTED = {
    "LlavaLlamaForCausalLM": "llava-hf/llava-1.5-7b-hf, llava-1.5-13b-hf or llava-v1.6-vicuna-7b-hf",
    "LlavaMistralForCausalLM": "llava-hf/llava-v1.6-mistral-7b-hf",
    "LlavaQwenForCausalLM": "llava-hf/llava-onevision-qwen2-7b-ov-hf or llava-interleave-qwen-7b-hf",
}


class LlavaNext(TransformersModel):
    """Any LLaVA checkpoint that transformers has code for."""

    family = Llava
