"""What the two have in common: slices, a text model with a recurrent layer, answers without thoughts."""

import text
import transformers as hf

NAMES = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": 14,
    "image_size": 112,
}


def text_config(**rope: object) -> dict[str, object]:
    return text.SIZES | {
        "model_type": "qwen3_5_text",
        "layer_types": ["linear_attention", "full_attention"],
        "head_dim": 16,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 32,  # on a CPU, weights of 4 bits come in rows of 32
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.25,
            **rope,
        },
    }


def processor(kind: type[hf.ProcessorMixin]) -> hf.ProcessorMixin:
    sizes = {"scale_resolution": 112, "max_slice_nums": 4, "patch_size": 14}
    return kind(
        hf.MiniCPMV4_6ImageProcessor(**sizes),
        hf.MiniCPMV4_6VideoProcessor(**sizes),
        text.tokenizer(**NAMES),
        chat_template=text.in_order(NAMES["image_token"], no_thoughts=True),
    )
