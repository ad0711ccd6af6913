"""Write a checkpoint that is small enough for tests, and real in everything but its size and its weights.

    PYTHON tiny/build.py SCRIPT FOLDER

Run by the interpreter of the service that will load it. SCRIPT defines `make()`, which returns a model of the
library's own class and its processor; what is the same for every family is done here. The weights are random: the
texts mean nothing, and depend on every token and pixel of the prompt.
"""

import pathlib
import runpy
import sys

import torch
from text import END

SPREAD = 0.2
"""Standard deviation of the weights, ten times the usual: else the same token follows whatever is shown."""
END_WEIGHT = 2.5
"""How much further than others the end's logit varies, so that about one text in two ends before its limit."""


def main(script: str, folder: str) -> None:
    """Make, spread and save; the same on every call."""
    torch.manual_seed(1)
    sys.path.append(str(pathlib.Path(script).parent))
    model, processor = runpy.run_path(script)["make"]()
    end = processor.tokenizer.convert_tokens_to_ids(END)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, SPREAD)
        model.get_output_embeddings().weight[end] *= END_WEIGHT
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
