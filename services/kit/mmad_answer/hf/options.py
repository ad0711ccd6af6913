"""The options that every service on transformers has, on the command line and in the environment."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class TransformersOptions:
    """How a checkpoint is loaded, and how its answers are made."""

    checkpoint: str
    """A folder, or a model's id on the Hugging Face hub."""
    revision: str | None = None
    """Of a hub id: a commit, a tag or a branch (default: the newest)."""
    name: str | None = None
    """The model's name in runs and reports (default: the checkpoint's last part, in lower case)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; auto: the checkpoint's own."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Weights in 8 bits (LLM.int8) or 4 bits (nf4), by bitsandbytes."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto: a GPU if there is one."""
    device_map: Literal["none", "auto"] = "none"
    """auto: spread the weights over all GPUs."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """The implementation of attention; auto: flash_attention_2 where it is installed and fits, else sdpa."""
    max_pixels: int | None = None
    """Scale images down to about this many pixels, or cut them into fewer tiles, before they are encoded
    (default: the checkpoint's own limit)."""
    max_new_tokens: int = 64
    """Of an answer, unless the request says otherwise."""
    max_reasoning_tokens: int = 512
    """Of thoughts, on top of an answer's; and of an inspection's analysis. A request may say otherwise."""
    share_prefix: bool = True
    """Compute what an inspection's questions have in common once, its images included."""
    batch_questions: bool = True
    """Generate the answers to an inspection's questions together."""
    feature_cache_mib: int = 256
    """Of encoded templates, kept for the inspections that follow; 0: none."""

    def __post_init__(self) -> None:
        """Refuse what no checkpoint can do.

        Raises:
            ValueError: for a number out of its range, or options that exclude each other.
        """
        for option, least in (("max_new_tokens", 1), ("max_reasoning_tokens", 1), ("feature_cache_mib", 0)):
            if getattr(self, option) < least:
                raise ValueError(f"--{option.replace('_', '-')} must be at least {least}")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise ValueError("--max-pixels must be at least 1")
        if self.device_map == "auto" and self.device != "auto":
            raise ValueError("--device-map auto chooses the devices itself: leave --device out")
