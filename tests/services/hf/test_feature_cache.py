"""The kept features are bounded in bytes; the least recently used go first. Run where torch is."""

import subprocess

SCRIPT = """
import types
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling
from mmad_answer.hf.features import FeatureEncoder
from mmad_answer.model import Image, ImageRole

encoded = []

def encode(pixel_values, return_dict):
    encoded.append(None)
    return BaseModelOutputWithPooling(pooler_output=(torch.zeros(10, 10),))  # 400 bytes

model = types.SimpleNamespace(device="cpu", get_image_features=encode)
features = FeatureEncoder(model, cache_bytes=900)  # room for two

def needed(name, role=ImageRole.NORMAL_TEMPLATE):
    before = len(encoded)
    features.encode(Image(role, b"", "image/png", "", name, None), {"pixel_values": torch.zeros(1)})
    return len(encoded) - before

print(*[needed(name) for name in "abab"], "|", *[needed(name) for name in "cac"], "|", needed("b"))
print(*[needed("q", ImageRole.QUERY) for _ in range(2)])
"""


def test_the_least_recently_used_go_where_there_is_no_room_and_queries_are_never_kept(environment):
    python = environment("services/qwen_vl")
    ended = subprocess.run([python, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # a and b fit; c pushes out a, then a pushes out b; c is still there; b has to be encoded again
    assert ended.stdout.splitlines() == ["1 1 0 0 | 1 1 0 | 1", "1 1"]
