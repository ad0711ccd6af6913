"""Write a checkpoint that is small enough for tests, and real in everything but its size and its weights.

    PYTHON tiny/build.py SCRIPT FOLDER

Run by the interpreter of the service that will load it. SCRIPT defines `make()`, which returns a model of the
library's own class and its processor; what is the same for every family is done here. It may also define
`ENDS` (the tokens that end a text) and `REPETITION_PENALTY`, where published checkpoints have such. The
weights are random: the texts mean nothing, and depend on every token and pixel of the prompt.
"""

import pathlib
import runpy
import sys

import torch
from text import END

SPREAD = 0.2
"""Standard deviation of the weights, ten times the usual: else the same token follows whatever is shown."""
SHARPNESS = 2.0
"""Added to the norms of queries and keys, where there are any; else all of the prompt counts alike."""
HEAD_WEIGHT = 0.25
"""Of the last layer: which token is likeliest stays the same, and rounding shows less in its probability."""
END_WEIGHT = 1.8
"""How much further than others the end's logit varies, so that some texts end before their limit."""


def main(script: str, folder: str) -> None:
    """Make, spread and save; the same on every call."""
    torch.manual_seed(1)
    sys.path.append(str(pathlib.Path(script).parent))
    made = runpy.run_path(script)
    model, processor = made["make"]()
    ends = processor.tokenizer.convert_tokens_to_ids(list(made.get("ENDS", (END,))))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, SPREAD)
            elif "q_norm" in name or "k_norm" in name:
                parameter += SHARPNESS
        head = model.get_output_embeddings().weight
        head *= HEAD_WEIGHT
        head[ends] *= END_WEIGHT
    model.generation_config.update(
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=processor.tokenizer.pad_token_id,
        repetition_penalty=made.get("REPETITION_PENALTY", 1.0),
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
