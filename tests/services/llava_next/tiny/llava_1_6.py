"""LLaVA 1.6, LLaVA-NeXT: a view of the whole and tiles, as many as the picture's shape asks for."""

import _llava
import text
import transformers as hf


def make():
    tokenizer = _llava.tokenizer()
    config = hf.LlavaNextConfig(
        text_config=_llava.LLAMA,
        vision_config=_llava.CLIP,
        image_token_index=tokenizer.image_token_id,
        image_seq_length=16,
        image_grid_pinpoints=_llava.PINPOINTS,
    )
    processor = hf.LlavaNextProcessor(
        hf.LlavaNextImageProcessor(
            size={"shortest_edge": _llava.SIDE},
            crop_size=_llava.SIZE,
            image_grid_pinpoints=_llava.PINPOINTS,
        ),
        tokenizer,
        patch_size=_llava.PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=text.images_first(
            "{% if message.role == 'user' %}[INST] {% endif %}",
            "{% if message.role == 'user' %} [/INST]{% else %}" + text.END + "{% endif %}",
            "",
        ),
    )
    return hf.LlavaNextForConditionalGeneration(config), processor
