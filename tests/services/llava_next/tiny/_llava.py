"""What the four have in common: the text model, and vision towers of 28 by 28 pixels, 16 patches."""

import text
import transformers as hf

SIDE, PATCH = 28, 7
PINPOINTS = [[28, 56], [56, 28], [56, 56]]
SIZE = {"height": SIDE, "width": SIDE}
CHATML = ("<|im_start|>{{ message.role }}\n", "<|im_end|>\n", "<|im_start|>assistant\n")
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
CLIP = _TOWER | {"model_type": "clip_vision_model", "projection_dim": 32}
SIGLIP = _TOWER | {"model_type": "siglip_vision_model", "vision_use_head": False}
LLAMA = text.SIZES | {"model_type": "llama"}
QWEN = text.SIZES | {"model_type": "qwen2"}


def tokenizer() -> hf.PreTrainedTokenizerFast:
    return text.tokenizer(image_token="<image>", video_token="<video>")
