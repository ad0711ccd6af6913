"""Each fault over a real socket: what is asked again, how often, and how it ends."""

import asyncio
import contextlib
import json
import socket

import pytest

from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    FinishReason,
    Generation,
    PassingFaultError,
    UnusableError,
)
from mmad_answer.remote.dialect import Request, Wanted
from mmad_answer.remote.faults import Kind, ProviderError

KEY = "sk-test-0123456789"
REQUEST = Request("/ask", {"said": "hello"})
WANTED = Wanted(Generation())
GOOD = {"text": "A"}
pytestmark = pytest.mark.usefixtures("no_key_in_the_log")


PASSING_FAULTS = {
    "429": lambda server: server.reply(429, {"message": "slow down"}),
    "408": lambda server: server.reply(408, {}),
    "409": lambda server: server.reply(409, {}),
    "500": lambda server: server.reply(500, {"message": "oops"}),
    "503": lambda server: server.reply(503, "<html>", retry_after="0"),
    "529": lambda server: server.reply(529, {}),
    "reset": lambda server: server.reset(),
    "half a body": lambda server: server.half(GOOD),
    "HTML": lambda server: server.reply(200, "<html><title>Sign in</title></html>"),
    "empty": lambda server: server.reply(200, ""),
    "silence": lambda server: server.silence(),
}
each_passing_fault = pytest.mark.parametrize(
    ("fault", "timeout_seconds"),
    [(fault, 1.0 if name == "silence" else 60.0) for name, fault in PASSING_FAULTS.items()],
    ids=PASSING_FAULTS,
)


@each_passing_fault
async def test_after_a_passing_fault_the_same_is_asked_again(provider, opened, fault, timeout_seconds):
    provider.play(fault(provider), provider.reply(200, GOOD))
    async with opened(timeout_seconds=timeout_seconds) as one:
        assert (await one.ask(REQUEST, WANTED)).text == "A"
    first, second = provider.posts
    assert (first.path, first.body) == (second.path, second.body) == ("/ask", {"said": "hello"})


@each_passing_fault
async def test_attempts_are_bounded_and_an_outage_is_a_passing_fault(
    provider, opened, fault, timeout_seconds
):
    provider.play(fault(provider))
    async with opened(timeout_seconds=timeout_seconds, attempts=3) as one:
        with pytest.raises(PassingFaultError, match=provider.url):
            await one.ask(REQUEST, WANTED)
    assert len(provider.posts) == 3


async def test_when_others_are_answered_meanwhile_the_fault_is_the_requests_own(provider, opened):
    async with opened(attempts=3) as one:

        def answer_another(handler):
            asyncio.run_coroutine_threadsafe(one.ask(REQUEST, WANTED), loop).result(10)
            provider.reply(500, {"message": "this one hurts"})(handler)

        loop = asyncio.get_running_loop()
        fault = provider.reply(500, {"message": "this one hurts"})
        provider.play(answer_another, provider.reply(200, GOOD), fault)
        with pytest.raises(ProviderError, match="500 Internal Server Error: this one hurts") as final:
            await one.ask(REQUEST, WANTED)
    assert final.value.kind is Kind.PASSING


async def test_a_reply_that_leaves_the_answer_out_is_asked_for_again_and_no_outage(provider, opened, plain):
    def read(body, wanted):
        if "text" in body:
            return Answer(body["text"])
        raise ProviderError(Kind.NO_ANSWER, "there is no text")

    plain.read = read
    provider.play(provider.reply(200, {}), provider.reply(200, GOOD), provider.reply(200, {}))
    async with opened(attempts=3) as one:
        before = one._pace.limit
        assert (await one.ask(REQUEST, WANTED)).text == "A"
        with pytest.raises(ProviderError, match="there is no text"):
            await one.ask(REQUEST, WANTED)
        assert one._pace.limit >= before  # no congestion either
    assert len(provider.posts) == 2 + 3


@pytest.mark.parametrize(
    "body", [{"words": "A"}, [1], {"text": "A", "usage": 7}, {"text": "A", "usage": [1]}]
)
async def test_json_of_any_other_shape_is_asked_for_again_and_then_no_answer(provider, opened, body):
    provider.play(provider.reply(200, body), provider.reply(200, GOOD), provider.reply(200, body))
    async with opened(attempts=3) as one:
        assert (await one.ask(REQUEST, WANTED)).text == "A"
        with pytest.raises(ProviderError, match="replied with JSON that holds no answer: ") as told:
            await one.ask(REQUEST, WANTED)
    assert told.value.kind is Kind.NO_ANSWER
    assert len(provider.posts) == 2 + 3


@pytest.mark.parametrize("kind", ["NO_ANSWER", "CONTEXT_TOO_LONG", "REQUEST", "REFUSED"])
async def test_a_refusal_of_another_request_shows_that_there_is_no_outage(provider, opened, kind):
    async with opened(attempts=1) as one:

        def refuse_another(handler):
            with contextlib.suppress(ProviderError):
                asyncio.run_coroutine_threadsafe(one.ask(REQUEST, WANTED), loop).result(10)
            provider.reply(500, {"message": "this one hurts"})(handler)

        loop = asyncio.get_running_loop()
        provider.play(refuse_another, provider.reply(400, {"kind": kind}))
        with pytest.raises(ProviderError, match="this one hurts"):
            await one.ask(REQUEST, WANTED)


async def test_a_provider_that_nobody_runs_is_a_passing_fault(opened):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with opened(base_url=address, attempts=2) as one:
            with pytest.raises(PassingFaultError, match="cannot be connected to"):
                await one.ask(REQUEST, WANTED)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}."}, UnusableError),
        (403, {"message": f"{KEY} has no access"}, UnusableError),
        (404, {"message": "no such model"}, UnusableError),
        (402, {"message": "pay first"}, BudgetSpentError),
        (429, {"kind": "BUDGET_SPENT", "message": "quota"}, BudgetSpentError),
        (307, {}, UnusableError),
    ],
)
async def test_what_asking_again_cannot_mend_ends_at_once_without_the_key(
    provider, opened, status, body, error
):
    provider.play(provider.reply(status, body))
    async with opened() as one:
        with pytest.raises(error, match=f"{provider.url} says {status}") as told:
            await one.ask(REQUEST, WANTED)
    assert KEY not in str(told.value)
    assert len(provider.posts) == 1


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://u:SECRET@there.example:8443/v1?api-key=SECRET#SECRET", "https://there.example:8443/v1"),
        ("/login?next=SECRET", "{url}/login"),
    ],
)
async def test_a_redirect_says_where_to_and_what_to_do_and_is_not_followed(
    provider, opened, location, target
):
    provider.play(provider.reply(308, {"message": "Moved."}, location=location))
    async with opened() as one:
        with pytest.raises(UnusableError) as told:
            await one.ask(REQUEST, WANTED)
    there = target.format(url=provider.url)
    assert f"sends on to {there}; give that server's address with --base-url" in str(told.value)
    assert "SECRET" not in str(told.value)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("depth", [700, 100_000])
async def test_a_reply_nested_without_end_is_malformed(provider, opened, depth):
    provider.play(provider.reply(200, '{"words": ' + "[" * depth + "]" * depth + "}"))
    async with opened(attempts=1) as one:
        with pytest.raises(
            (ProviderError, PassingFaultError), match=r"JSON that holds no answer|not reply in JSON"
        ):
            await one.ask(REQUEST, WANTED)


@pytest.mark.parametrize("kind", ["CONTEXT_TOO_LONG", "REQUEST"])
async def test_what_is_one_requests_own_fault_is_asked_once(provider, opened, kind):
    provider.play(provider.reply(400, {"kind": kind, "message": "no"}))
    async with opened() as one:
        with pytest.raises(ProviderError, match="says 400 Bad Request: no") as told:
            await one.ask(REQUEST, WANTED)
    assert told.value.kind is Kind[kind]
    assert len(provider.posts) == 1


async def test_a_refusal_in_an_error_is_an_answer_in_the_providers_words(provider, opened):
    provider.play(provider.reply(400, {"kind": "REFUSED", "message": "I would rather not"}))
    async with opened() as one:
        assert await one.ask(REQUEST, WANTED) == Answer("I would rather not", FinishReason.REFUSED)


async def test_the_key_travels_in_a_header_and_is_scrubbed_from_all_that_comes_back(provider, opened):
    provider.play(provider.reply(200, {"text": f"your key is {KEY}"}))
    async with opened() as one:
        assert (await one.ask(REQUEST, WANTED)).text == "your key is [key]"
    [post] = provider.posts
    assert post.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in f"{post.path}{post.body}"


async def test_a_dummy_for_a_key_changes_no_answer(provider, opened):
    provider.play(provider.reply(200, {"text": "there are none"}))
    async with opened(key="none") as one:
        assert (await one.ask(REQUEST, WANTED)).text == "there are none"
    async with opened(key="text") as one:
        assert (await one.ask(REQUEST, WANTED)).text == "there are none"


async def test_what_a_reply_says_against_itself_is_told_without_the_key(provider, opened, plain):
    def read(body, wanted):
        raise ProviderError(Kind.REQUEST, f"broke off: {body['text']}")

    plain.read = read
    provider.play(provider.reply(200, {"text": "hunter2"}))
    async with opened(key="hunter2") as one:
        with pytest.raises(ProviderError, match=rf"{provider.url} says: broke off: \[key\]"):
            await one.ask(REQUEST, WANTED)


@pytest.mark.parametrize("place", [0, 290, 299])
async def test_not_even_a_part_of_the_key_is_left_where_a_long_message_is_cut(provider, opened, place):
    provider.play(provider.reply(500, "x" * place + KEY + "x" * 500))
    async with opened(attempts=1) as one:
        with pytest.raises(PassingFaultError) as told:
            await one.ask(REQUEST, WANTED)
    assert "sk-" not in str(told.value)


async def test_a_page_instead_of_json_is_named_by_its_title(provider, opened):
    provider.play(provider.reply(502, "<html><title>Bad\n&amp; broken gateway</title>" + "x" * 9999))
    async with opened(attempts=1) as one:
        with pytest.raises(
            PassingFaultError, match='says 502 Bad Gateway: text/html: "Bad & broken gateway"'
        ):
            await one.ask(REQUEST, WANTED)


async def test_a_body_is_made_only_once_there_is_a_place_for_its_request(
    provider, opened, monkeypatch, until
):
    made, dumps = [], json.dumps

    def counted(value):
        if value is REQUEST.body:
            made.append(value)
        return dumps(value)

    monkeypatch.setattr(json, "dumps", counted)
    provider.play(provider.silence())
    async with opened(concurrency=1) as one:
        asking = [asyncio.create_task(one.ask(REQUEST, WANTED)) for _ in range(5)]
        await until(lambda: provider.posts)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert len(made) == 1


async def test_a_cancelled_request_hangs_up(provider, opened, until):
    provider.play(provider.silence())
    async with opened() as one:
        asking = asyncio.create_task(one.ask(REQUEST, WANTED))
        await until(lambda: provider.posts)
        asking.cancel()
        assert await asyncio.to_thread(provider.hung_up.acquire, timeout=10)
    assert len(provider.posts) == 1


async def test_the_time_for_a_reply_runs_from_its_sending_to_its_end(provider, opened):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("content-length", "1000000")
        handler.end_headers()
        while not provider.ended.wait(0.02):
            handler.wfile.write(b" ")

    provider.play(trickle)
    async with opened(timeout_seconds=0.3, attempts=1) as one:
        with pytest.raises(PassingFaultError, match=r"gave no whole reply within 0.3 s"):
            await one.ask(REQUEST, WANTED)
