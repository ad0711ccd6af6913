"""A provider with a folder for replies."""

import pytest

from mmad_answer.model import (
    Generation,
)
from mmad_answer.remote.dialect import Request, Wanted

KEY = "sk-test-0123456789"
REQUEST = Request("/ask", {"said": "hello"})
WANTED = Wanted(Generation())
GOOD = {"text": "A"}
pytestmark = pytest.mark.usefixtures("no_key_in_the_log")


class TestReplyCache:
    """With a folder for replies."""

    async def test_what_was_answered_is_not_asked_again_not_even_by_another_process(
        self, provider, opened, tmp_path
    ):
        provider.play(provider.reply(200, GOOD | {"usage": {"prompt_tokens": 7}}))
        for _ in range(2):
            async with opened(reply_cache=tmp_path) as one:
                for _ in range(2):
                    answer = await one.ask(REQUEST, WANTED)
                    assert (answer.text, answer.usage.prompt_tokens) == ("A", 7)
        assert len(provider.posts) == 1
        assert answer.generate_seconds == 0.0

    @pytest.mark.parametrize(
        "other",
        [
            {"body": {"said": "hello!"}},
            {"path": "/other"},
            {"generation": Generation(seed=1)},
            {"generation": Generation(temperature=0.5)},
            {"generation": Generation(top_p=0.5)},
            {"max_tokens": 5},
            {"max_hidden_tokens": 5},
            {"model": "n"},
            {"base_url": "/"},
            {"version": "002"},
        ],
        ids=lambda other: next(iter(other)),
    )
    async def test_whatever_changes_a_reply_is_another_entry(self, provider, opened, plain, tmp_path, other):
        provider.play(provider.reply(200, GOOD))
        async with opened(reply_cache=tmp_path) as one:
            await one.ask(REQUEST, WANTED)
        plain.version = other.get("version", "")
        changed = {"model": other.get("model", "m"), "base_url": provider.url + other.get("base_url", "")}
        async with opened(reply_cache=tmp_path, **changed) as one:
            request = Request(other.get("path", REQUEST.path), other.get("body", REQUEST.body))
            bounds = [other.get("max_tokens"), other.get("max_hidden_tokens")]
            await one.ask(request, Wanted(other.get("generation", WANTED.generation), *bounds))
        assert len(provider.posts) == 2

    async def test_what_only_reports_want_changes_no_entry(self, provider, opened, tmp_path):
        provider.play(provider.reply(200, GOOD))
        async with opened(reply_cache=tmp_path) as one:
            for asked in (False, True):
                await one.ask(REQUEST, Wanted(Generation(return_prompt=asked, anomaly_map=asked)))
        assert len(provider.posts) == 1

    async def test_faults_and_refusals_by_error_are_not_kept(self, provider, opened, tmp_path):
        refusal = provider.reply(400, {"kind": "REFUSED", "message": "no"})
        provider.play(refusal, provider.reply(500, {}), provider.reply(200, GOOD))
        async with opened(reply_cache=tmp_path) as one:
            assert (await one.ask(REQUEST, WANTED)).text == "no"
            assert (await one.ask(REQUEST, WANTED)).text == "A"
        assert len(provider.posts) == 3

    async def test_neither_key_nor_its_name_is_in_the_folder(self, provider, opened, tmp_path):
        provider.play(provider.reply(200, {"text": KEY}))
        async with opened(reply_cache=tmp_path) as one:
            await one.ask(REQUEST, WANTED)
        [entry] = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert KEY.encode() not in entry.read_bytes()
        assert b"[key]" in entry.read_bytes()
