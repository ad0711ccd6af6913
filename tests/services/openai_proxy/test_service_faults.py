"""Each fault of a provider, as a caller of the service sees it, and the key nowhere."""

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mmad.answer.v1 import answer_pb2 as pb

QUICK = ("--attempts", "2", "--timeout-seconds", "1", "--log-level", "debug")


@pytest.fixture
def started(proxy, key):
    """The service with its log at its most talkative, looked through for the key at the end."""
    with proxy(*QUICK) as service:
        yield service
        service.process.terminate()
        service.process.wait(20)
        log = service.log.read_text()
    assert "ready" in log
    assert key not in log


def refusal(service, request):
    """(status code, message, details) of a call that ends with a status."""
    with pytest.raises(grpc.RpcError) as ended:
        service.ask(request)
    status = rpc_status.from_call(ended.value)
    kinds = (error_details_pb2.RetryInfo, error_details_pb2.ErrorInfo)
    details = {}
    for packed in status.details if status else ():
        for kind in kinds:
            if packed.Is(kind.DESCRIPTOR):
                packed.Unpack(details.setdefault(kind, kind()))
    return ended.value.code(), ended.value.details(), details


PASSING = {
    "429": lambda server, error: server.reply(429, error(code="rate_limit_exceeded")),
    "429 with Retry-After": lambda server, error: server.reply(429, error(), retry_after="0.2"),
    "500": lambda server, error: server.reply(500, error()),
    "reset": lambda server, error: server.reset(),
    "timeout": lambda server, error: server.silence(),
    "half a body": lambda server, error: server.half({"choices": []}),
    "HTML": lambda server, error: server.reply(200, "<html><title>Sign in</title></html>"),
}
each_passing = pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)


@each_passing
def test_one_passing_fault_costs_a_retry_and_no_answer(started, provider, error, completion, ask, fault):
    provider.play(fault(provider, error), provider.reply(200, completion()))
    assert started.ask(ask())["q1"].answered.text == "A"
    assert len(provider.posts) == 2


@each_passing
def test_a_fault_that_stays_sends_the_caller_away_until_later(started, provider, error, ask, fault, request):
    provider.play(fault(provider, error))
    code, message, details = refusal(started, ask())
    limited = "429" in request.node.callspec.id
    assert code is (grpc.StatusCode.RESOURCE_EXHAUSTED if limited else grpc.StatusCode.UNAVAILABLE)
    assert (error_details_pb2.RetryInfo in details) == limited
    assert message.startswith(f"{provider.url}/v1 ")
    assert len(provider.posts) == 2


def test_a_long_retry_after_is_handed_on_and_not_waited_for(started, provider, error, ask):
    provider.play(provider.reply(429, error("come back tomorrow"), retry_after="3600"))
    code, message, details = refusal(started, ask())
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "come back tomorrow" in message
    assert details[error_details_pb2.RetryInfo].retry_delay.seconds == pytest.approx(3600, abs=60)
    assert len(provider.posts) == 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(401, "invalid_api_key", "Incorrect API key provided: {key}."), (404, "model_not_found", "No model m.")],
)
def test_a_wrong_key_or_model_ends_the_model_with_the_providers_words(
    started, provider, error, ask, key, status, code, words
):
    provider.play(provider.reply(status, error(words.format(key=key), code)))
    code, message, details = refusal(started, ask())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert error_details_pb2.ErrorInfo not in details, "no budget is spent"
    assert message.endswith(words.format(key="[key]"))


def test_a_spent_quota_says_that_the_budget_is_spent(started, provider, error, ask):
    provider.play(provider.reply(429, error("You exceeded your current quota", "insufficient_quota")))
    code, _, details = refusal(started, ask())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert details[error_details_pb2.ErrorInfo].reason == "BUDGET_SPENT"
    assert len(provider.posts) == 1


def test_a_field_that_the_model_refuses_ends_the_model_with_the_remedy(started, provider, error, ask):
    words = "Unsupported value: 'temperature' does not support 0 with this model."
    provider.play(provider.reply(400, error(words, "unsupported_value", param="temperature")))
    code, message, _ = refusal(started, ask())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message.endswith("Start the service with --omit temperature.")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("context_length_exceeded", pb.FAILURE_REASON_CONTEXT_TOO_LONG),
        ("invalid_image", pb.FAILURE_REASON_PROVIDER),
    ],
)
def test_one_questions_own_fault_leaves_the_others_their_answers(
    started, provider, error, completion, ask, code, reason
):
    provider.play(provider.reply(400, error("not this one", code)), provider.reply(200, completion()))
    responses = started.ask(ask("q1", "q2"))
    assert responses["q1"].failure.reason == reason
    assert "not this one" in responses["q1"].failure.message
    assert responses["q2"].answered.text == "A"


def test_a_refusal_and_a_content_filter_are_answers_in_the_providers_words(
    started, provider, error, completion, ask
):
    provider.play(
        provider.reply(200, completion(None, refusal="I would rather not.")),
        provider.reply(200, completion("It sho", "content_filter")),
        provider.reply(400, error("Blocked by policy", "content_policy_violation")),
    )
    words = [started.ask(ask())["q1"].answered for _ in range(3)]
    assert [each.text for each in words] == ["I would rather not.", "It sho", "Blocked by policy"]
    assert {each.finish_reason for each in words} == {pb.FINISH_REASON_REFUSED}


def test_a_reply_that_echoes_the_key_is_told_without_it(started, provider, completion, ask, key):
    provider.play(provider.reply(200, completion(f"Your key is {key}", reasoning_content=key)))
    answered = started.ask(ask())["q1"].answered
    assert (answered.text, answered.reasoning) == ("Your key is [key]", "[key]")


def test_a_header_that_echoes_the_key_is_not_logged(started, provider, completion, ask, key):
    provider.play(provider.reply(200, completion(), x_echo=key))
    assert started.ask(ask())["q1"].answered.text == "A"


def test_a_cancelled_call_hangs_up_and_asks_nothing_more(proxy, provider, ask):
    provider.play(provider.silence())
    with proxy("--timeout-seconds", "60") as service:
        call = service.stub.Answer(ask("q1", "q2"), timeout=60)
        assert provider.arrived.acquire(timeout=20)
        call.cancel()
        assert provider.hung_up.acquire(timeout=20)
        assert len(provider.posts) == 1


def test_a_deadline_that_passes_hangs_up_and_asks_nothing_more(proxy, provider, ask):
    provider.play(provider.silence())
    with proxy("--timeout-seconds", "60") as service:
        with pytest.raises(grpc.RpcError) as late:
            list(service.stub.Answer(ask(), timeout=1))
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert provider.hung_up.acquire(timeout=20)
        assert len(provider.posts) == 1
