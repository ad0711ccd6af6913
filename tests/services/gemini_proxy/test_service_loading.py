"""How the service starts, and why it does not: in one line with exit code 1, and never with the key."""

import subprocess

import pytest

VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


@pytest.fixture
def start(command, gemini):
    """Start the service until it ends; gives its exit code and what it said."""

    def make(*options, model="gemini-plain", **variables):
        line = command("gemini_proxy", "--base-url", gemini.address, "--model", model, *options)
        env = {name: value for name, value in line["env"].items() if name not in VARIABLES} | variables
        ended = subprocess.run(line["args"], env=env, capture_output=True, text=True, timeout=60)
        return ended.returncode, ended.stderr

    return make


def last(said):
    return said.strip().splitlines()[-1]


def test_without_a_key_it_names_the_ways_to_give_one(start):
    code, said = start()
    assert code == 1
    assert all(each in last(said) for each in ("--key-file", *VARIABLES))


def test_a_wrong_key_is_said_in_the_providers_words_without_the_key(start, api):
    code, said = start(GEMINI_API_KEY="another-key-77")
    assert code == 1
    assert "API key not valid" in last(said)
    assert "another-key-77" not in said
    assert not api.requests


@pytest.mark.parametrize("model", ["gemini-none", "../secrets", "a?key=b"])
def test_a_model_that_is_not_there_is_named(start, key, model):
    code, said = start(model=model, GEMINI_API_KEY=key)
    assert code == 1
    assert "not found" in last(said)


def test_a_model_that_generates_no_text_is_refused(start, key):
    code, said = start(model="embedding", GEMINI_API_KEY=key)
    assert code == 1
    assert "models/embedding does not generate text" in last(said)


@pytest.mark.parametrize("reply", ["[]", "{}", '{"name": 3}'])
def test_an_address_of_another_api_is_named(start, api, key, reply):
    api.play({"raw": reply, "when": "models.get"})
    code, said = start(GEMINI_API_KEY=key)
    assert code == 1
    assert "--base-url" in last(said)


def test_option_scores_of_a_model_that_has_none_keep_it_from_starting(start, api, key, error):
    words = "Logprobs is not enabled for models/gemini-plain"
    api.play({"status": 400, "body": error(400, "INVALID_ARGUMENT", words)})
    code, said = start("--option-scores", GEMINI_API_KEY=key)
    assert code == 1
    assert "--option-scores" in last(said)
    assert words in last(said)


def test_option_scores_of_a_model_that_thinks_keep_it_from_starting(start, api, key, candidate):
    thinks = candidate("A", thoughts="Hm")
    thinks["usageMetadata"]["thoughtsTokenCount"] = 3
    api.play({"body": thinks})
    code, said = start("--option-scores", GEMINI_API_KEY=key)
    assert code == 1
    assert "it thinks first" in last(said)


def test_a_spent_quota_keeps_it_from_starting_with_option_scores_in_one_line(start, api, key, error):
    details = ("QuotaFailure", {"violations": [{"quotaId": "RequestsPerDay"}]})
    api.play({"status": 429, "body": error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", details)})
    code, said = start("--option-scores", GEMINI_API_KEY=key)
    assert code == 1
    assert last(said).startswith("mmad-answer: --option-scores: ")
    assert last(said).endswith("Quota exceeded.")


def test_a_provider_that_is_not_there_is_named(command, key):
    line = command("gemini_proxy", "--base-url", "http://127.0.0.1:9", "--model", "m", "--attempts", "1")
    env = line["env"] | {"GEMINI_API_KEY": key}
    ended = subprocess.run(line["args"], env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "127.0.0.1:9 cannot be connected to" in last(ended.stderr)
    assert key not in ended.stderr


def test_a_negative_thinking_budget_is_wrong_use(start, key):
    code, said = start("--thinking-budget", "-1", GEMINI_API_KEY=key)
    assert code == 2
    assert "--thinking-budget" in said


@pytest.mark.parametrize("variable", VARIABLES)
def test_either_variable_of_the_environment_holds_the_key(running, gemini, key, monkeypatch, variable):
    for each in VARIABLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, key)
    options = ("--base-url", gemini.address, "--model", "models/gemini-plain")
    with running("gemini_proxy", *options) as served:
        assert served.card().name == "gemini-plain"
