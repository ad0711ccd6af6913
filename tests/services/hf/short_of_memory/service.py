"""`qwen_vl` on a machine whose memory holds only so much.

What goes through the model beyond that fails as the library fails, by an allocation that is refused. Each
call is told on stderr, as `generate ROWS TOKENS`.
"""

import dataclasses
import functools
import sys
from pathlib import Path

import torch

from mmad_answer.hf.options import TransformersOptions
from mmad_answer.loading import find_model_class

QWEN_VL = Path(__file__).parents[4] / "services" / "qwen_vl"


@dataclasses.dataclass(frozen=True)
class Options(TransformersOptions):
    most_rows: int = 1000
    """Texts that fit together."""
    most_tokens: int = 1_000_000
    """Tokens of one text that fit."""


class ShortOfMemory(find_model_class(QWEN_VL)):
    Options = Options

    def load(self):
        super().load()
        model = self._loaded.model
        generate = model.generate

        @functools.wraps(generate)
        def limited(*, input_ids, **inputs):
            rows, tokens = input_ids.shape
            sys.stderr.write(f"generate {rows} {tokens}\n")
            if rows > self.options.most_rows or tokens > self.options.most_tokens:
                torch.empty(2**60, dtype=torch.uint8)
            return generate(input_ids=input_ids, **inputs)

        model.generate = limited
