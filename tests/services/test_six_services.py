"""All services that read a prompt, at once: seven processes in seven environments."""

import contextlib
import json
import subprocess
import sys

import pytest

TINY = {
    "qwen_vl": "qwen2_5_vl",
    "internvl": "internvl3",
    "llava_next": "llava_1_6",
    "minicpm_v": "minicpm_v_4_6",
}
SAID = {  # by the paths of the two protocols
    "POST /v1/chat/completions": {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A"}}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 1, "total_tokens": 301},
    },
    "POST /v1beta/models/m:generateContent": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "B"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1},
    },
    "GET /v1/models/m": {"id": "m", "object": "model"},
    "GET /v1beta/models/m": {
        "name": "models/m",
        "inputTokenLimit": 100_000,
        "outputTokenLimit": 8_000,
        "supportedGenerationMethods": ["generateContent"],
        "version": "1",
    },
}


@pytest.fixture
def targets(running, tiny, provider, tmp_path):
    """Six services, ready: name to address."""

    def say(handler):
        provider.reply(200, SAID[f"{handler.command} {handler.path}"])(handler)

    provider.on_get = say
    provider.play(say)
    (tmp_path / "key").write_text("test-key-3b9e")
    remote = ("--model", "m", "--key-file", tmp_path / "key", "--base-url")
    options = {name: ("--checkpoint", tiny(checkpoint)) for name, checkpoint in TINY.items()}
    options["openai_proxy"] = (*remote, f"{provider.url}/v1")
    options["gemini_proxy"] = (*remote, provider.url)
    with contextlib.ExitStack() as stack:
        services = {name: stack.enter_context(running(name, *own)) for name, own in options.items()}
        yield {name: service.target for name, service in services.items()}


@pytest.mark.slow
def test_six_services_answer_a_run_together_and_the_same_run_again_asks_nothing(targets, provider, tmp_path):
    endpoints = [f"--endpoint={name}={target}" for name, target in targets.items()]
    which = ["--data", "sample", "--limit", "4", "--out", tmp_path / "run", "--json"]

    def run():
        line = [sys.executable, "-m", "orchestrator", "run", *which, *endpoints]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=280)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout), ended.stderr

    summary, _ = run()
    counts = {name: model["counts"] for name, model in summary["scores"]["models"].items()}
    assert set(counts) == set(targets)
    for name, each in counts.items():
        assert each["failed"] == each["missing"] == each["refused"] == 0, name
    [questions] = {sum(each.values()) for each in counts.values()}
    assert counts["openai_proxy"]["answered"] == counts["gemini_proxy"]["answered"] == questions > 0
    assert len(provider.posts) == 2 * questions

    again, said = run()
    assert again == summary
    assert "Everything has an answer already" in said
    assert len(provider.posts) == 2 * questions
