"""What the three have in common: tokens, positions of three dimensions (M-RoPE), 4 to 16 tokens an image."""

import text
import transformers as hf

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
POSITIONS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
LEAST, MOST = 4, 16


def tokenizer() -> hf.PreTrainedTokenizerFast:
    return text.tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )


def token_ids(tokenizer: hf.PreTrainedTokenizerFast) -> dict[str, int]:
    names = ("image_token", "video_token", "vision_start_token", "vision_end_token")
    return {f"{name}_id": tokenizer.convert_tokens_to_ids(getattr(tokenizer, name)) for name in names}


def text_config(tokenizer: hf.PreTrainedTokenizerFast, **more: object) -> dict[str, object]:
    end = tokenizer.eos_token_id
    return text.SIZES | {"rope_parameters": POSITIONS, "bos_token_id": None, "eos_token_id": end} | more


def processor(
    kind: type[hf.ProcessorMixin], tokenizer: hf.PreTrainedTokenizerFast, patch: int, **template: bool
) -> hf.ProcessorMixin:
    area = (2 * patch) ** 2  # of one token, in pixels: two by two patches are merged
    size = {"shortest_edge": LEAST * area, "longest_edge": MOST * area}
    videos = hf.Qwen3VLVideoProcessor if kind is hf.Qwen3VLProcessor else hf.Qwen2VLVideoProcessor
    return kind(
        hf.Qwen2VLImageProcessor(patch_size=patch, size=size),
        tokenizer,
        videos(patch_size=patch),
        chat_template=text.in_order(IMAGE, **template),
    )
