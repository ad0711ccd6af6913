"""A checkpoint that cannot be loaded: one line that says why, exit code 1, and never ready."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest

ROOTS_RIGHTS = ("dac_override", "dac_read_search")
"""By which root reads what nobody may."""


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of a tiny checkpoint, to break."""
    return lambda name: shutil.copytree(tiny(name), tmp_path / name)


def test_a_folder_that_is_not_there_is_named(told, tmp_path):
    line = told("qwen_vl", "--checkpoint", tmp_path / "nothing")
    assert f"--checkpoint {tmp_path / 'nothing'}: there is no such folder" in line


def test_a_hub_id_that_is_not_in_the_cache_is_named_with_the_reason_why_it_is_not_fetched(told):
    assert "HF_HUB_OFFLINE" in told("qwen_vl", "--checkpoint", "no-such/checkpoint")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", ""])
def test_what_this_user_may_not_read_is_named(told, copy, name):
    folder = copy("qwen2_5_vl")
    path = folder / name
    mode = path.stat().st_mode
    path.chmod(0)
    bounds = ",".join(f"-{right}" for right in ROOTS_RIGHTS)
    try:
        line = told(
            "qwen_vl",
            "--checkpoint",
            folder,
            without=("setpriv", f"--bounding-set={bounds}") if os.getuid() == 0 else (),
        )
    finally:
        path.chmod(mode)
    assert f"{path} is not readable by this user (uid {os.getuid()}); chmod -R a+rX {folder}" in line


def test_a_folder_without_weights_is_incomplete(told, copy):
    folder = copy("qwen2_5_vl")
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in told("qwen_vl", "--checkpoint", folder)


def test_a_checkpoint_without_one_of_its_shards_is_incomplete(told, copy, environment):
    folder = copy("qwen2_5_vl")
    shard = (
        "import sys, transformers as t; path = sys.argv[1];"
        "t.AutoModelForImageTextToText.from_pretrained(path).save_pretrained(path, max_shard_size='200KB')"
    )
    subprocess.run([environment("services/qwen_vl"), "-c", shard, folder], check=True, capture_output=True)
    with contextlib.suppress(FileNotFoundError):
        (folder / "model.safetensors").unlink()
    lost = sorted(folder.glob("model-0*.safetensors"))[1]
    lost.unlink()
    assert lost.name in told("qwen_vl", "--checkpoint", folder)


def test_a_file_of_weights_that_was_cut_off_is_refused(told, copy):
    folder = copy("qwen2_5_vl")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "its weights cannot be loaded" in told("qwen_vl", "--checkpoint", folder)


def test_a_checkpoint_that_lacks_some_of_its_weights_is_incomplete(told, copy, environment):
    folder = copy("qwen2_5_vl")
    drop = (
        "import sys, safetensors.torch as s; path = sys.argv[1]; weights = s.load_file(path);"
        "del weights['lm_head.weight']; s.save_file(weights, path, {'format': 'pt'})"
    )
    weights = folder / "model.safetensors"
    subprocess.run([environment("services/qwen_vl"), "-c", drop, weights], check=True, capture_output=True)
    line = told("qwen_vl", "--checkpoint", folder)
    assert "1 of its weights are missing, lm_head.weight first" in line


def test_a_checkpoint_without_a_chat_template_is_refused(told, copy):
    folder = copy("qwen2_5_vl")
    (folder / "chat_template.jinja").unlink()
    assert "no chat template" in told("qwen_vl", "--checkpoint", folder)


def test_a_checkpoint_of_another_family_is_refused_by_its_name(told, tiny, one_of_each):
    other = tiny("internvl3" if one_of_each.service != "internvl" else "qwen2_5_vl")
    said = json.loads((other / "config.json").read_text())["model_type"]
    assert f"model_type {said!r}" in told(one_of_each.service, "--checkpoint", other)


@pytest.mark.parametrize("options", [("--device", "cuda"), ("--device-map", "auto")])
def test_a_gpu_that_is_not_there_is_missed(told, tiny, options):
    line = told("qwen_vl", "--checkpoint", tiny("qwen2_5_vl"), *options)
    assert "no GPU is to be seen here" in line


def test_a_limit_of_pixels_that_a_checkpoint_cannot_keep_is_refused(told, tiny):
    line = told("llava_next", "--checkpoint", tiny("llava_1_5"), "--max-pixels", "1000")
    assert "one fixed size" in line


def test_a_hub_id_is_loaded_from_the_cache_by_its_commit(running, tiny, tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--owner--some-model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    shutil.copytree(tiny("qwen2_vl"), cached / "snapshots" / commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with running("qwen_vl", "--checkpoint", "owner/some-model") as service:
        card = service.card()
        assert (card.name, card.checkpoint, card.revision) == ("some-model", "owner/some-model", commit)


def test_a_folder_has_no_revision(told, tiny):
    line = told("qwen_vl", "--checkpoint", tiny("qwen2_vl"), "--revision", "main")
    assert "leave one of them out" in line
