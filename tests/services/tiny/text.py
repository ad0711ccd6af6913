"""The text side of the tiny checkpoints: a tokenizer, chat templates and a language model's sizes."""

import tokenizers
import tokenizers.decoders
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
import transformers

from mmad_answer import prompt

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VOCABULARY = 704
"""More than the tokenizer has, as in the published models."""

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
}

_LETTERS = " ".join(f"({letter}) {letter}. {letter}:\n{letter}\n {letter}" for letter in "ABCDEFGH" * 8)
_CORPUS = [
    prompt.INSTRUCTION,
    _LETTERS,
    "Image 1, the image under inspection: Question: Is there any defect?",
]


def tokenizer(**special: str) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of some hundred tokens, letters with and without a space before them among them.

    Args:
        special: the names by which a processor knows its special tokens, as `image_token`.
    """
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=[PAD, START, END, *dict.fromkeys(special.values())],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_CORPUS, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, eos_token=END, padding_side="left", extra_special_tokens=special
    )


def in_order(image: str, *, default_system: bool = False, no_thoughts: bool = False) -> str:
    """A chat template that puts each image where it stands among the texts.

    Args:
        image: what stands for one image.
        default_system: a conversation without a system's turn gets one.
        no_thoughts: the answer begins after empty thoughts, which earlier answers are shown without.
    """
    default = (
        "{% if loop.first and message.role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    )
    thoughts = "{% if not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
    return (
        "{% for message in messages %}"
        + (default if default_system else "")
        + "<|im_start|>{{ message.role }}\n"
        "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
        "{% if part.type == 'image' %}" + image + "{% elif part.type == 'text' %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        + (thoughts if no_thoughts else "")
        + "{% endif %}"
    )


def images_first(before: str, after: str, answer: str, *, image: str = "<image>\n", between: str = "") -> str:
    """A chat template that puts a turn's images before its texts, as those of llava-hf do.

    Args:
        before, after: what stands around a turn.
        answer: what stands before the answer that is asked for.
        image: what stands for one image.
        between: what stands before each text.
    """
    return (
        "{% for message in messages %}"
        + before
        + "{% for part in message.content if part.type == 'image' %}"
        + image
        + "{% endfor %}{% for part in message.content if part.type == 'text' %}"
        + between
        + "{{ part.text }}{% endfor %}"
        + after
        + "{% endfor %}{% if add_generation_prompt %}"
        + answer
        + "{% endif %}"
    )
