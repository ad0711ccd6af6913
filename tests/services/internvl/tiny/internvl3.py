"""InternVL in the library's form: 1 to 4 tiles of 28 by 28 pixels and a thumbnail, 4 tokens each."""

import text
import transformers as hf

SIDE, PATCH = 28, 7


def make():
    tokenizer = text.tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    tokens = (SIDE // PATCH) ** 2 // 4  # two by two patches are merged
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [SIDE, SIDE],
        "patch_size": [PATCH, PATCH],
    }
    config = hf.InternVLConfig(
        text_config=text.SIZES | {"model_type": "qwen2", "tie_word_embeddings": False},
        vision_config=vision,
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=tokens,
        tie_word_embeddings=False,
    )
    size = {"height": SIDE, "width": SIDE}
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer,
        hf.InternVLVideoProcessor(size=size),
        image_seq_length=tokens,
        chat_template=text.in_order("<IMG_CONTEXT>\n"),
    )
    return hf.InternVLForConditionalGeneration(config), processor
