"""What is found wrong before anything is asked, in one line, and what is left to the first request."""

import socket
import subprocess

import pytest


@pytest.fixture
def given(provider, tmp_path, key):
    (tmp_path / "key").write_text(key)
    return [
        *("--base-url", f"{provider.url}/v1", "--model", "org/m", "--key-file", tmp_path / "key"),
        *("--attempts", "1"),
    ]


def test_the_model_is_looked_up_at_the_start(running, provider, given, key):
    with running("openai_proxy", *given):
        [look] = provider.asked
    assert (look.method, look.path) == ("GET", "/v1/models/org/m")
    assert look.headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (401, "Incorrect API key provided: {key}.", "invalid_api_key"),
        (403, "This key may not use `org/m`", None),
        (404, "The model `org/m` does not exist", None),
        (404, "No such thing", "model_not_found"),
    ],
)
def test_a_wrong_key_or_model_is_one_line_and_never_ready(
    told, provider, given, error, key, status, words, code
):
    provider.on_get = provider.reply(status, error(words.format(key=key), code))
    line = told("openai_proxy", *given)
    assert line.startswith(f"mmad-answer: {provider.url}/v1 says {status} ")
    assert line.endswith(words.format(key="[key]"))


def test_a_page_where_the_api_should_be_is_named(told, provider, given):
    provider.on_get = provider.reply(200, "<html><title>Welcome</title></html>")
    assert 'did not reply in JSON, but with text/html: "Welcome"' in told("openai_proxy", *given)


def test_nobody_at_the_address_is_named(told):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        line = told("openai_proxy", "--base-url", address, "--model", "m", "--attempts", "1")
    assert line.startswith(f"mmad-answer: {address} cannot be connected to")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"detail": "Not Found"}),
        (404, {"error": "Cannot GET /v1/models/org/m"}),
        (404, "404 page not found"),
        (403, {"error": {"message": "Missing scopes: api.model.read"}}),
        (400, {"error": {"message": "What?"}}),
        (429, {"error": {"message": "Slowly."}}),
    ],
)
def test_a_server_that_cannot_look_a_model_up_shows_at_the_first_request_what_it_is_worth(
    running, provider, given, completion, ask, status, body
):
    provider.on_get = provider.reply(status, body)
    provider.play(provider.reply(200, completion()))
    with running("openai_proxy", *given) as service:
        assert service.ask(ask())["q1"].answered.text == "A"


def test_openais_own_server_is_not_asked_without_a_key(told, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    line = told("openai_proxy", "--model", "gpt-4o")
    assert line == (
        "mmad-answer: there is no key: name a file that holds it with --key-file, or set OPENAI_API_KEY"
    )


def test_a_key_in_the_environment_is_used_and_none_is_sent_where_there_is_none(
    running, provider, monkeypatch, key
):
    given = ["--base-url", provider.url, "--model", "m"]
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with running("openai_proxy", *given):
        pass
    monkeypatch.delenv("OPENAI_API_KEY")
    with running("openai_proxy", *given):
        pass
    assert [look.headers.get("authorization") for look in provider.asked] == [f"Bearer {key}", None]


def test_no_option_takes_a_key(command):
    line = command("openai_proxy", "--help")
    text = subprocess.run(**line, capture_output=True, text=True, check=True).stdout
    assert "--key-file PATH" in text
    assert "--key " not in text
    assert "--api-key" not in text
