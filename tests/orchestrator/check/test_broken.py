"""For each promise a service that breaks it, and it alone: exactly this promise fails, and says what came."""

import asyncio
import contextlib
import dataclasses
import random

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.refusal import RefusalError, unavailable
from orchestrator.check import Outcome
from orchestrator.check.registry import all_promises


def broken(promise, *words, **changes):
    """A fault: the promise that it breaks, words of what is said, and what differs from an honest service."""
    return pytest.param(promise, words, changes, id=promise)


def again(promise, what, *words, **changes):
    """Another fault that breaks the same promise."""
    return pytest.param(promise, words, changes, id=f"{promise}-{what}")


def overlooks(promise, *reasons, **changes):
    """A fault: what the kit's checks say of this is passed over, and the request is answered."""

    def check(self, request):
        try:
            super(type(self), self).check(request)
        except RefusalError as refusal:
            if not any(reason in str(refusal) for reason in reasons):
                raise

    return broken(promise, "INVALID_ARGUMENT |", check=check, **changes)


def parent(self):
    return super(type(self), self)


# ------------------------------------------------------------------------------------ health and the card


async def tell_dead(self, process, service):
    await parent(self).tell_health(2 if self.state == pb.STATE_LOADING else process, service)


async def tell_serving(self, process, service):
    await parent(self).tell_health(process, 1 if self.state == pb.STATE_LOADING else service)


async def tell_dead_when_ready(self, process, service):
    await parent(self).tell_health(2 if self.state == pb.STATE_READY else process, service)


class ForgetsToServe(health.aio.HealthServicer):
    async def Check(self, request, context):  # noqa: N802 - gRPC's name
        response = await super().Check(request, context)
        return health_pb2.HealthCheckResponse(status=2) if request.service else response


def answers_while_loading(self):
    if self.state == pb.STATE_DRAINING:
        raise unavailable("draining")


def card_with(**fields):
    def card(self):
        card = parent(self).card()
        card.MergeFrom(pb.GetModelResponse(**fields))
        return card

    return card


def card_without(field):
    def card(self):
        card = parent(self).card()
        card.ClearField(field)
        return card

    return card


def card_that_changes(self):
    card = parent(self).card()
    card.revision = str(random.random())
    return card


def card_that_loads_again(self):
    card = parent(self).card()
    if self.looks > 5:
        card.state = pb.STATE_LOADING
    return card


def card_in_no_state(self):
    card = parent(self).card()
    if card.state == pb.STATE_READY and self.looks > 5:
        card.state = 9
    return card


def card_without_limits(self):
    card = parent(self).card()
    card.limits.max_in_flight = 0
    return card


# ------------------------------------------------------------------------------------ protocol and answers


def answers_everything(self):
    async def method(request, context):
        return b""

    return {"ThisMethodIsNotThere": grpc.unary_unary_rpc_method_handler(method)}


def parses_garbage(self, content):
    try:
        return pb.AnswerRequest.FromString(content)
    except Exception:
        return pb.AnswerRequest(questions=[pb.Question(question_id="?", options=[pb.Option(letter="A")])])


def when(condition, then):
    """Change what is sent where `condition` holds of the request."""

    async def responses(self, request):
        sent = [response async for response in parent(self).responses(request)]
        for response in then(sent) if condition(request) else sent:
            yield response

    return responses


def many(request):
    return len(request.questions) > 1


def plain(request):
    return len(request.questions) == 1


def unset(request):
    return not request.HasField("generation")


def remembers(request):
    return request.prompting.conversation_history and not request.history


def refuses(condition, code=grpc.StatusCode.INTERNAL):
    async def responses(self, request):
        if condition(request):
            raise RefusalError(code, "this service cannot do that")
        async for response in parent(self).responses(request):
            yield response

    return responses


def failed(sent):
    failure = pb.Failure(reason=pb.FAILURE_REASON_INTERNAL, message="boom")
    return [pb.AnswerResponse(question_id=sent[0].question_id, failure=failure)]


def failed_for_no_reason(sent):
    return [pb.AnswerResponse(question_id=sent[0].question_id, failure=pb.Failure(reason=77))]


def renamed(sent):
    for response in sent:
        response.question_id = response.question_id.encode("ascii", "ignore").decode()
    return sent


def negative(sent):
    sent[0].timing.queue_seconds = -1.0
    return sent


def always_the_whole_wait(sent):
    for response in sent:
        response.timing.queue_seconds = 5.0
    return sent


def jpeg(request):
    return any(image.content.startswith(b"\xff\xd8") for image in request.images)


@contextlib.contextmanager
def one_of_each_id(self, request):
    ids = self.__dict__.setdefault("ids", set())
    if request.inspection_id in ids:
        raise RefusalError(grpc.StatusCode.ALREADY_EXISTS, "this inspection is under way")
    ids.add(request.inspection_id)
    try:
        yield
    finally:
        ids.discard(request.inspection_id)


async def one_of_each_id_at_once(self, request):
    with one_of_each_id(self, request):
        async for response in parent(self).responses(request):
            yield response


# ------------------------------------------------------------------------------------ capabilities


def moody(self, question):
    return str(random.random())


def crowded(self, question):
    return f"{parent(self).text(question)} {'alone' if self.in_flight == 1 else 'in company'}"


def scores_of_some(self, question):
    return parent(self).scores(question)[1:]


def scores_above_zero(self, question):
    return [pb.OptionScore(letter=each.letter, log_probability=0.5) for each in question.options]


# ------------------------------------------------------------------------------------ load


def keeps_places(self, context):
    return False


def keeps_places_at_deadlines(self, context):
    remaining = context.time_remaining()
    return remaining is None or remaining > 0.01


def keeps_one_place(self, context):
    if self.__dict__.get("kept"):
        return True
    self.kept = True
    return False


def dies_of_a_cancelled_call(self, context):
    self.dying = self.loop.create_task(self.server.stop(None))
    return True


def full_without_a_time(self):
    return RefusalError(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")


def full_as_unavailable(self):
    return RefusalError(grpc.StatusCode.UNAVAILABLE, "full")


def options(*changed):
    def of(kind):
        return (*changed, *(each for each in kind.options if each[0] not in dict(changed)))

    return of


def too_large_later(self, request):
    if request.ByteSize() > 2**20:
        info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1))
        raise RefusalError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", info)
    parent(self).check(request)


# ----------------------------------------------------------------------------- image, silence, stopping


def image(**changes):
    return lambda kind: dataclasses.replace(kind.image, **changes)


class OtherStatus(health.aio.HealthServicer):
    async def Check(self, request, context):  # noqa: N802 - gRPC's name
        response = await super().Check(request, context)
        serving = response.status == health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse(status=99) if request.service and serving else response


class WithoutWatch(health.aio.HealthServicer):
    async def Watch(self, request, context):  # noqa: N802 - gRPC's name
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no Watch here")


class ShortWatch(health.aio.HealthServicer):
    async def Watch(self, request, context):  # noqa: N802 - gRPC's name
        await context.write(await self.Check(request, context))
        await asyncio.sleep(0.05)


async def drains_nothing(self):
    self.state = pb.STATE_DRAINING
    self.question_seconds = 60.0  # whoever waited for what is under way would wait long
    await self.tell_health(2, 2)
    await asyncio.sleep(0.05)
    await self.exit(0)


async def drains_in_secret(self):
    self.state = pb.STATE_DRAINING
    while self.under_way:
        await self.idle.wait()
    await self.exit(0)


async def drains_and_fails(self):
    self.exit = lambda code: type(self).exit(self, 1)
    await parent(self).drain()


async def drains_for_ever(self):
    self.exit = lambda code: asyncio.sleep(0)
    await parent(self).drain()


def takes_on_while_draining(self):
    if self.state == pb.STATE_LOADING:
        raise unavailable("loading")


FAULTS = [
    broken("health.loading_process", "NOT_SERVING", tell_health=tell_dead),
    broken("health.loading_service", "SERVING", tell_health=tell_serving),
    broken("health.loading_answer", "OK", check_state=answers_while_loading),
    broken("health.ready_process", "NOT_SERVING", tell_health=tell_dead_when_ready),
    broken("health.ready_service", "NOT_SERVING", health_kind=ForgetsToServe),
    again("health.ready_service", "no such status", "99, which is no ServingStatus", health_kind=OtherStatus),
    broken("card.name", "'my model/7b'", card=card_with(name="my model/7b")),
    broken("card.complete", "empty: family", card=card_without("family")),
    broken("card.prompt", "'the prompt'", card=card_with(prompt_sha256="the prompt")),
    broken("card.limits", "max_in_flight", card=card_without_limits),
    broken("card.state", "STATE_LOADING", card=card_that_loads_again),
    again("card.state", "no such state", "9, which is no State", card=card_in_no_state),
    broken("card.stable", "revision: '0.", card=card_that_changes),
    broken("protocol.reflection", "UNIMPLEMENTED", "v1 or v1alpha", reflect=lambda self: None),
    broken("protocol.unknown_method", "OK", more_methods=answers_everything),
    broken("protocol.garbage", "OK", parsed=parses_garbage),
    broken("answers.plain", "empty text", answered=lambda self, *_, **__: pb.Answered()),
    again("answers.plain", "failure", "boom", "FAILURE_REASON_INTERNAL", responses=when(plain, failed)),
    again("answers.plain", "no such reason", "77, which is no FailureReason",
          responses=when(plain, failed_for_no_reason)),
    again("answers.plain", "status", "INTERNAL: this service cannot", responses=refuses(plain)),
    broken("answers.once", "2 answers to 'z'", responses=when(many, lambda sent: [*sent, sent[1]])),
    again("answers.once", "forgets", "no answer to 'a b'", responses=when(many, lambda sent: sent[:-1])),
    again("answers.once", "renames", "which was not asked", "no answer to '\u00fc'",
          responses=when(many, renamed)),
    broken("answers.images", "INTERNAL", responses=refuses(jpeg)),
    broken("answers.fields", "INTERNAL", responses=refuses(lambda r: r.generation.seed >= 2**32)),
    broken("answers.defaults", "INTERNAL",
           responses=refuses(lambda r: unset(r) and plain(r))),
    broken("answers.same_id", "ALREADY_EXISTS", responses=one_of_each_id_at_once),
    broken("answers.timing", "queue_seconds: -1",
           responses=when(lambda r: unset(r) and many(r), negative)),
    again("answers.timing", "told twice", "10.00 s", responses=when(many, always_the_whole_wait)),
    broken("capabilities.text_only", "INTERNAL", responses=refuses(lambda r: not r.images)),
    broken("capabilities.history", "q3, q2, q1, q0",
           responses=when(remembers, lambda sent: sent[::-1])),
    broken("capabilities.turns", "INTERNAL", responses=refuses(lambda r: bool(r.history))),
    broken("capabilities.scores", "scores of B", scores=scores_of_some),
    again("capabilities.scores", "above 0", "0.5", scores=scores_above_zero),
    broken("capabilities.thoughts", "INTERNAL",
           responses=refuses(lambda r: r.prompting.chain_of_thought == 1)),
    broken("capabilities.analysis", "no reasoning", analysis=lambda self, request: request.analysis),
    broken("capabilities.analysis_kept", "'my own'", analysis=lambda self, request: "my own"),
    broken("capabilities.map", "8 bits, colour type 2", map=lambda self: parent(self).map("RGB")),
    again("capabilities.map", "on its side", "16 x 24", map=lambda self: parent(self).map(size=(16, 24))),
    again("capabilities.map", "no picture", "4 bytes that are none", map=lambda self: b"what"),
    again("capabilities.map", "with each", "answers 1, 2", sends_map=lambda self, first: True),
    broken("capabilities.deterministic", "asked twice", text=moody),
    broken("capabilities.deterministic_amid", "in company", text=crowded),
    overlooks("refusals.no_question", "there is no question"),
    overlooks("refusals.no_option", "there is no option"),
    overlooks("refusals.letter_twice", "letter: 'A' is there twice"),
    overlooks("refusals.question_twice", "question_id: 'q0' is there twice"),
    overlooks("refusals.broken_image", "is not an image"),
    overlooks("refusals.truncated_image", "truncated"),
    overlooks("refusals.too_many_images", "this model takes at most 8"),
    overlooks("refusals.no_role", "role: is unspecified"),
    overlooks("refusals.no_query", "0 of the images are query images"),
    overlooks("refusals.two_queries", "2 of the images are query images"),
    overlooks("refusals.no_caption", "a hint needs a caption"),
    overlooks("refusals.no_image", "this model needs one", able=("deterministic",)),
    overlooks("refusals.stray_history", "goes only with prompting.conversation_history"),
    overlooks("refusals.stray_analysis", "goes only with CHAIN_OF_THOUGHT"),
    overlooks("refusals.temperature", "generation.temperature"),
    overlooks("refusals.top_p", "generation.top_p"),
    overlooks("refusals.no_tokens", "generation.max_new_tokens"),
    broken("load.cancelled", "RESOURCE_EXHAUSTED", "full", gives_back=keeps_places),
    broken("load.deadline", "RESOURCE_EXHAUSTED", "full", gives_back=keeps_places_at_deadlines),
    broken("load.concurrent", "turned away", room=lambda self: 2),
    again("load.concurrent", "after a leak", "1 of them were turned away", gives_back=keeps_one_place),
    broken("load.overload", "none: RESOURCE_EXHAUSTED: full", full=full_without_a_time),
    again("load.overload", "other status", "UNAVAILABLE: full", full=full_as_unavailable),
    broken("load.largest", "RESOURCE_EXHAUSTED", options=options(("grpc.max_receive_message_length", 2**19))),
    broken("load.too_large", "OK", options=options(("grpc.max_receive_message_length", -1))),
    again("load.too_large", "later", "RetryInfo of 1 s",
          options=options(("grpc.max_receive_message_length", -1)), check=too_large_later),
    broken("image.labels", "org.mmad.answer.port=(none)",
           image=image(labels={"org.mmad.answer.contract": "v1"})),
    again("image.labels", "no such port", "org.mmad.answer.port=70000",
          image=image(labels={"org.mmad.answer.contract": "v1", "org.mmad.answer.port": "70000"})),
    broken("image.healthy", "unhealthy", image=image(container_health=lambda: "unhealthy")),
    broken("silence.stream", "the stream ended", health_kind=ShortWatch),
    again("silence.stream", "no Watch", "UNIMPLEMENTED", "Watch belongs to it", health_kind=WithoutWatch),
    broken("stopping.work", "UNAVAILABLE", drain=drains_nothing),
    broken("stopping.health", "nothing", drain=drains_in_secret),
    broken("stopping.new", "OK", check_state=takes_on_while_draining),
    broken("stopping.exit", "exit code 1", drain=drains_and_fails),
    again("stopping.exit", "never", "it still runs", drain=drains_for_ever),
]  # fmt: skip


def broken_kind(honest, changes):
    changes = {
        name: change(honest) if name in ("options", "image") else change for name, change in changes.items()
    }
    return type("BrokenService", (honest,), changes)


@pytest.mark.parametrize(("promise", "words", "changes"), FAULTS)
async def test_a_fault_fails_its_promise_and_no_other(
    check, honest_service, settings, promise, words, changes
):
    quick = dataclasses.replace(settings, timeout_seconds=2.0, stop_seconds=2.0)
    report, shown = await check(broken_kind(honest_service, changes), settings=quick)
    failed = [result for result in report.results if result.outcome is Outcome.FAILED]
    assert [result.promise.id for result in failed] == [promise], shown
    told = f"{failed[0].expected} | {failed[0].detail} | {failed[0].advice}"
    for word in words:
        assert word in told
    assert failed[0].advice
    assert report.failed


LACKING = ("option_scores", "conversation_history", "chain_of_thought", "anomaly_map")


@pytest.mark.parametrize("capability", LACKING)
async def test_a_capability_that_the_card_lacks_must_be_refused(check, honest_service, capability):
    def check_request(self, request):
        try:
            parent(self).check(request)
        except RefusalError as refusal:
            if capability.replace("_", " ") not in str(refusal):
                raise

    able = tuple(each for each in honest_service.able if each != capability)
    report, _ = await check(broken_kind(honest_service, {"able": able, "check": check_request}))
    assert [r.promise.id for r in report.results if r.outcome is Outcome.FAILED] == [
        f"refusals.lacks_{capability}"
    ]


@pytest.mark.parametrize(
    ("promise", "changes", "word"),
    [
        ("image.user", {"user": "answer"}, "'answer'"),
        ("image.user", {"user": ""}, "root"),
        ("image.healthcheck", {"healthcheck": ("CMD-SHELL", "curl localhost")}, "curl localhost"),
    ],
)
async def test_what_only_some_sites_ask_of_an_image_is_a_warning(
    check, honest_service, promise, changes, word
):
    kind = broken_kind(honest_service, {"image": image(**changes)})
    report, _ = await check(kind, [each for each in all_promises() if each.group == "image"])
    (warning,) = [result for result in report.results if result.outcome is Outcome.WARNING]
    assert warning.promise.id == promise
    assert word in warning.detail
    assert not report.failed


async def test_a_model_that_nothing_pins_is_a_warning(check, honest_service):
    report, _ = await check(broken_kind(honest_service, {"card": card_without("revision")}))
    (warning,) = [result for result in report.results if result.outcome is Outcome.WARNING]
    assert warning.promise.id == "card.complete"
    assert not report.failed


async def test_a_refusal_that_names_no_field_fails_every_row_of_bad_input(check, honest_service):
    async def refuse(self, refusal, context):
        if refusal.code is grpc.StatusCode.INVALID_ARGUMENT:
            await context.abort(refusal.code, str(refusal))
        await parent(self).refuse(refusal, context)

    report, _ = await check(broken_kind(honest_service, {"refuse": refuse}))
    rows = [result for result in report.results if result.promise.title.startswith("INVALID_ARGUMENT")]
    tried = [result for result in rows if result.outcome is not Outcome.NOT_TRIED]
    assert len(tried) > 10
    assert all(result.outcome is Outcome.FAILED and "BadRequest" in result.expected for result in tried)
    assert [r for r in report.results if r.outcome is Outcome.FAILED] == tried


async def test_a_wrong_status_is_named(check, honest_service):
    async def refuse(self, refusal, context):
        await context.abort(grpc.StatusCode.UNKNOWN, "Exception calling application")

    promises = [each for each in all_promises() if each.id == "refusals.no_question"]
    report, _ = await check(broken_kind(honest_service, {"refuse": refuse}), promises)
    assert report.results[0].expected == "INVALID_ARGUMENT"
    assert report.results[0].detail == "UNKNOWN: Exception calling application"


async def test_a_server_with_grpcs_own_limit_of_pings_ends_silent_streams(check, honest_service, settings):
    limits = ("grpc.http2.min_ping_interval_without_data_ms", "grpc.http2.max_ping_strikes")
    options = tuple(each for each in honest_service.options if each[0] not in limits)
    often = dataclasses.replace(settings, ping_seconds=0.1, silence_seconds=5.0)
    promises = [each for each in all_promises() if each.group == "silence"]
    report, _ = await check(broken_kind(honest_service, {"options": lambda kind: options}), promises, often)
    (result,) = report.results
    assert result.outcome is Outcome.FAILED
    assert "Too many pings" in result.detail or "too_many_pings" in result.detail
    assert "min_ping_interval" in result.advice


async def test_after_the_services_death_nothing_more_is_tried(check, honest_service, monkeypatch):
    monkeypatch.setattr("orchestrator.check.runner._REVIVAL_SECONDS", 0.0)
    report, _ = await check(broken_kind(honest_service, {"gives_back": dies_of_a_cancelled_call}))
    outcomes = [result.outcome for result in report.results]
    assert outcomes.count(Outcome.FAILED) == 1
    dead = outcomes.index(Outcome.FAILED)
    assert report.results[dead].promise.id == "load.cancelled"
    assert set(outcomes[dead + 1 :]) == {Outcome.NOT_TRIED}
    assert "does not answer since 'load.cancelled'" in report.results[-1].detail


async def test_of_a_death_it_is_told_how_it_ended_and_what_was_said_last(check, honest_service, monkeypatch):
    async def dies(self, request):
        if plain(request) and request.domain_knowledge:
            self.dying = self.loop.create_task(self.exit(137))
            await self.exited()
        async for response in parent(self).responses(request):
            yield response

    monkeypatch.setattr("orchestrator.check.runner._REVIVAL_SECONDS", 0.3)
    report, shown = await check(broken_kind(honest_service, {"responses": dies}))
    (failed,) = [result for result in report.results if result.outcome is Outcome.FAILED]
    assert failed.promise.id == "answers.fields"
    assert failed.detail.startswith("its process has ended with code 137, after: ")
    assert failed.expected == "a service that goes on, whatever it is asked"
    assert "last words" in failed.advice
    assert "Its last words:\n    good-bye" in shown


async def test_a_service_that_breaks_only_in_company_fails_one_promise(check, honest_service):
    async def responses(self, request):
        if self.under_way > 1:
            raise RefusalError(grpc.StatusCode.INTERNAL, "out of memory")
        async for response in parent(self).responses(request):
            yield response

    promises = [each for each in all_promises() if each.id == "capabilities.deterministic_amid"]
    report, _ = await check(broken_kind(honest_service, {"responses": responses}), promises)
    (result,) = report.results
    assert result.outcome is Outcome.FAILED
    assert "INTERNAL: out of memory" in result.detail


async def test_a_check_that_breaks_fails_its_promise_and_no_other(check, honest_service):
    async def breaks(service):
        raise LookupError("no such\nthing")

    one, other = [each for each in all_promises() if each.group == "protocol"][:2]
    report, _ = await check(honest_service, [dataclasses.replace(one, check=breaks), other])
    assert [result.outcome for result in report.results] == [Outcome.FAILED, Outcome.OK]
    assert report.results[0].detail == "the check itself broke: LookupError: no such thing"


async def test_overload_that_cannot_be_provoked_is_not_called_ok(check, honest_service):
    report, _ = await check(broken_kind(honest_service, {"room": lambda self: 10_000}))
    (result,) = [each for each in report.results if each.promise.id == "load.overload"]
    assert result.outcome is Outcome.NOT_TRIED
    assert "could not be provoked" in result.detail
    assert not report.failed


def test_every_promise_has_a_service_that_breaks_it():
    tested = {fault.values[0] for fault in FAULTS}
    tested |= {f"refusals.lacks_{each}" for each in LACKING} | {"image.user", "image.healthcheck"}
    assert tested == {promise.id for promise in all_promises()}
