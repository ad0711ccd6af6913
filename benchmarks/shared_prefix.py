"""One prefix for all questions of an image against one prompt per question: what does encoding once save?

A Qwen2.5-VL of about 56 million parameters with random weights, two pictures of 448 pixels, four questions of
twelve tokens each at most; on whatever device there is. Three sides take turns: the service as it is, the
service with everything turned off, and the library called directly, question by question. All three must say
the same. Run it in the service's environment:

    services/qwen_vl/.venv/bin/python benchmarks/shared_prefix.py
"""

from __future__ import annotations

import hashlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import transformers as hf

from mmad_answer import model as m
from mmad_answer.hf.prompting import as_chat
from mmad_answer.prompt import conversation

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / folder)
    for folder in ("services/qwen_vl", "tests/services/tiny", "tests/services/qwen_vl/tiny")
]
import _qwen  # noqa: E402 - the tests' tokenizer and processor stand in for the real ones

from service import QwenVL  # noqa: E402

ROUNDS = 3
SIDE_PIXELS = 448
QUESTIONS = 4
TOKENS = 12


def checkpoint(folder: str) -> None:
    """Write a random checkpoint that is large enough for its work to count."""
    torch.manual_seed(0)
    tokenizer = _qwen.tokenizer()
    sizes = {
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 10,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "rope_parameters": _qwen.POSITIONS | {"mrope_section": [8, 12, 12]},
    }
    vision = {
        "depth": 8,
        "hidden_size": 320,
        "intermediate_size": 1280,
        "num_heads": 4,
        "out_hidden_size": 512,
        "fullatt_block_indexes": [7],
    }
    config = hf.Qwen2_5_VLConfig(
        text_config=_qwen.text_config(tokenizer, **sizes), vision_config=vision, **_qwen.token_ids(tokenizer)
    )
    processor = _qwen.processor(hf.Qwen2_5_VLProcessor, tokenizer, patch=14, default_system=True)
    processor.image_processor.size = {"shortest_edge": 56 * 56, "longest_edge": SIDE_PIXELS**2}
    model = hf.Qwen2_5_VLForConditionalGeneration(config)
    print(f"{sum(each.numel() for each in model.parameters()) / 1e6:.1f} M parameters")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def picture(role: m.ImageRole, seed: int) -> m.Image:
    """A picture of random colours, as the kit hands it over."""
    pixels = PIL.Image.fromarray(
        np.random.default_rng(seed).integers(0, 255, (SIDE_PIXELS, SIDE_PIXELS, 3), np.uint8)
    )
    file = io.BytesIO()
    pixels.save(file, "PNG")
    content = file.getvalue()
    return m.Image(role, content, "image/png", "", hashlib.sha256(content).hexdigest(), pixels)


def inspection(seed: int) -> m.Inspection:
    """A template, a query of its own, and its questions."""
    options = (m.Option("A", "Yes"), m.Option("B", "No"))
    return m.Inspection(
        f"inspection {seed}",
        (picture(m.ImageRole.NORMAL_TEMPLATE, 0), picture(m.ImageRole.QUERY, seed)),
        tuple(m.Question(f"{i}", f"Is there defect number {i}?", options) for i in range(QUESTIONS)),
        generation=m.Generation(max_new_tokens=TOKENS),
    )


def by_service(service: QwenVL, asked: m.Inspection) -> list[str]:
    """The texts, in the questions' order."""
    replies = {reply.question_id: reply.outcome for reply in service.answer([asked])}
    return [replies[question.question_id].text for question in asked.questions]


def by_library(service: QwenVL, asked: m.Inspection) -> list[str]:
    """The texts, each from a prompt of its own, by nothing but the library."""
    model, processor = service._loaded.model, service._loaded.processor
    texts = []
    for question in asked.questions:
        inputs = processor.apply_chat_template(
            [as_chat(message) for message in conversation(asked, question)],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(model.device)
        with torch.no_grad():
            output = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
        ids = output[0, inputs["input_ids"].shape[1] :]
        texts.append(processor.tokenizer.decode(ids, skip_special_tokens=True))
    return texts


def main() -> None:
    """Measure, and print the medians and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint(folder)
        shared = QwenVL(QwenVL.Options(checkpoint=folder))
        apart = QwenVL(
            QwenVL.Options(checkpoint=folder, share_prefix=False, batch_questions=False, feature_cache_mib=0)
        )
        for service in (shared, apart):
            service.load()
        sides = {
            "shared prefix": lambda asked: by_service(shared, asked),
            "all turned off": lambda asked: by_service(apart, asked),
            "the library, question by question": lambda asked: by_library(apart, asked),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(ROUNDS + 1):
            asked = inspection(turn + 1)
            texts = []
            for name, side in sides.items():
                began = time.perf_counter()
                texts.append(side(asked))
                if turn:  # the first is for warming up
                    seconds[name].append(time.perf_counter() - began)
            assert texts[0] == texts[1] == texts[2], texts
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, median in medians.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds["shared prefix"], strict=True)]
        print(
            f"{name:36} {median:6.2f} s an inspection, {median / medians['shared prefix']:.1f} times "
            f"({min(ratios):.1f} to {max(ratios):.1f} over {ROUNDS} rounds)"
        )


if __name__ == "__main__":
    main()
