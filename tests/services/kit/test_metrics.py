"""What a service tells Prometheus: each number, read over its port, after calls whose outcome is known."""

import asyncio
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mmad_answer.address import ListenError
from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    Capabilities,
    Card,
    Failure,
    FailureReason,
    FinishReason,
    PassingFaultError,
    Reply,
    Usage,
)

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Reading:
    """What one reading of the port says."""

    def __init__(self, url):
        with DIRECT.open(url, timeout=20) as response:
            self.content_type = response.headers["Content-Type"]
            self.text = response.read().decode()
        self.families = {family.name: family for family in text_string_to_metric_families(self.text)}

    def __call__(self, name, **labels):
        """The one value of that name and those labels, the model's name aside."""
        [value] = self.by(name, *labels, only=labels).values()
        return value

    def by(self, name, *labels, only=None):
        """{the labels' values: value}; of one label, its value alone."""
        found = {}
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == f"mmad_answer_{name}" and (only or {}).items() <= sample.labels.items():
                    key = tuple(sample.labels[each] for each in labels)
                    assert key not in found, (name, key)
                    found[key] = sample.value
        return {key[0] if len(key) == 1 else key: value for key, value in found.items()}

    def counted(self, name, *labels):
        """The same, without what is 0."""
        return {key: value for key, value in self.by(name, *labels).items() if value}


@pytest.fixture
def measured(serve, caplog):
    """Serve a model with metrics on a free port, which is in the log; gives also a function that reads it."""
    caplog.set_level("INFO", "mmad_answer.metrics")

    async def start(model, **settings):
        caplog.clear()
        served = await serve(model, metrics_port=0, **settings)
        [url] = re.findall(r"metrics on (http://\S+/metrics)", caplog.text)
        return served, lambda: Reading(url)

    return start


def replies(*outcomes):
    """A script that gives each inspection's questions these outcomes, in their order."""

    def script(batch):
        for inspection in batch:
            for question, outcome in zip(inspection.questions, outcomes, strict=False):
                yield Reply(inspection, question.question_id, outcome)

    return script


async def test_calls_questions_tokens_and_batches_are_counted_exactly(measured, scripted, ask):
    usage = Usage(prompt_tokens=100, completion_tokens=7, cached_prompt_tokens=60, reasoning_tokens=5)
    model = scripted(
        replies(
            Answer("A", usage=usage),
            Answer("no", FinishReason.REFUSED),
            Failure(FailureReason.PROVIDER, "gave up"),
            Failure(FailureReason.CONTEXT_TOO_LONG, "too long"),
        )
    )
    served, read = await measured(model)
    for _ in range(3):
        await served.answers(served.stub.Answer(ask(questions=("q1", "q2", "q3", "q4", "left out"))))
    now = read()
    assert now.counted("requests_total", "code") == {"OK": 3}
    assert now.counted("questions_total", "outcome", "reason") == {
        ("answered", ""): 3,
        ("refused", ""): 3,
        ("failed", "provider"): 3,
        ("failed", "context_too_long"): 3,
        ("failed", "internal"): 3,
    }
    assert now.by("tokens_total", "kind") == {
        "prompt": 300, "completion": 21, "cached": 180, "reasoning": 15
    }  # fmt: skip
    assert (now("batch_inspections_count"), now("batch_inspections_sum")) == (3, 3)


async def test_a_batch_counts_once_with_all_its_inspections(measured, scripted, ask):
    served, read = await measured(scripted(batch_size=4), batch_wait_seconds=20)
    calls = [served.stub.Answer(ask(str(i))) for i in range(4)]
    assert await asyncio.gather(*map(served.answers, calls)) == [[("q1", "A")]] * 4
    now = read()
    assert (now("batch_inspections_count"), now("batch_inspections_sum")) == (1, 4)
    assert now("batch_inspections_bucket", le="2.0") == 0
    assert now("batch_inspections_bucket", le="4.0") == 1


async def test_stages_are_counted_once_per_call_as_its_responses_tell_them(measured, scripted, ask, encoded):
    first = Answer("A", encode_seconds=2.0, generate_seconds=3.0)
    served, read = await measured(scripted(replies(first, Answer("B", generate_seconds=4.0))))
    told = [
        response.timing
        async for response in served.stub.Answer(ask(questions=("q1", "q2"), images=[encoded()]))
    ]
    now = read()
    assert now.by("stage_seconds_count", "stage") == {"queue": 1, "encode": 1, "generate": 1}
    assert now("stage_seconds_sum", stage="queue") == pytest.approx(sum(each.queue_seconds for each in told))
    assert now("stage_seconds_sum", stage="encode") == pytest.approx(
        sum(each.encode_seconds for each in told)
    )
    assert now("stage_seconds_sum", stage="encode") > 2  # decoding is part of it
    assert now("stage_seconds_sum", stage="generate") == 7
    assert now("stage_seconds_bucket", stage="generate", le="5.0") == 0
    assert now("stage_seconds_bucket", stage="generate", le="10.0") == 1
    assert now("request_seconds_count") == 1
    assert now("request_seconds_sum") >= now("stage_seconds_sum", stage="queue")


async def test_gauges_say_who_waits_and_who_is_worked_on_and_return_to_0(measured, scripted, ask):
    model = scripted()
    model.gate.clear()
    served, read = await measured(model, max_queue=5)
    calls = [served.stub.Answer(ask(str(i))) for i in range(4)]
    await model.has_begun()
    await served.until(lambda: served.admission.in_flight == 4)
    now = read()
    assert (now("queue_depth"), now("in_flight"), now("max_in_flight")) == (3, 4, 6)
    model.gate.set()
    await asyncio.gather(*map(served.answers, calls))
    await served.until(lambda: not served.admission.in_flight)
    now = read()
    assert (now("queue_depth"), now("in_flight"), now("max_in_flight")) == (0, 0, 6)


async def test_whoever_leaves_is_counted_as_cancelled_and_leaves_the_gauges(measured, scripted, ask):
    model = scripted()
    model.gate.clear()
    served, read = await measured(model)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    waiting, late = served.stub.Answer(ask("waiting")), served.stub.Answer(ask("late"), timeout=1)
    await served.until(lambda: served.admission.in_flight == 3)
    assert (await served.refusal(late))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    waiting.cancel()
    await served.until(lambda: read().counted("requests_total", "code") == {"CANCELLED": 2})
    assert (read()("queue_depth"), read()("in_flight")) == (0, 1)
    working.cancel()
    await served.until(lambda: read().counted("requests_total", "code") == {"CANCELLED": 3})
    assert (read()("queue_depth"), read()("in_flight")) == (0, 1)  # its batch goes on
    model.gate.set()
    await served.until(lambda: not read()("in_flight"))
    now = read()
    assert now("queue_depth") == 0
    assert now.counted("questions_total", "outcome", "reason") == {}
    assert (now("request_seconds_count"), now("stage_seconds_count", stage="queue")) == (0, 0)


async def test_refusals_are_counted_by_their_status_and_not_in_the_times(measured, scripted, ask):
    model = scripted(card=Card("scripted", "test", capabilities=Capabilities(text_only=True)))
    served, read = await measured(model, max_queue=0, max_request_bytes=2**20)
    await served.refusal(served.stub.Answer(ask(questions=())))
    await served.refusal(served.stub.Answer(ask(images=[b"no image"])))
    assert read().counted("requests_total", "code") == {"INVALID_ARGUMENT": 2}
    await served.refusal(served.stub.Answer(ask(generation={"option_scores": True})))
    assert read().counted("requests_total", "code") == {"INVALID_ARGUMENT": 2, "FAILED_PRECONDITION": 1}
    # gRPC drops it, and tells the caller something else.
    code, *_ = await served.refusal(served.stub.Answer(ask(domain_knowledge="x" * 2**20)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert read().counted("requests_total", "code") == {"INVALID_ARGUMENT": 3, "FAILED_PRECONDITION": 1}
    model.gate.clear()
    working = served.stub.Answer(ask())
    await model.has_begun()
    for _ in range(4):
        await served.refusal(served.stub.Answer(ask()))
    assert read().counted("requests_total", "code")["RESOURCE_EXHAUSTED"] == 4
    assert read()("queue_depth") == 0
    model.gate.set()
    await served.answers(working)
    now = read()
    assert now.counted("requests_total", "code") == {
        "OK": 1, "INVALID_ARGUMENT": 3, "FAILED_PRECONDITION": 1, "RESOURCE_EXHAUSTED": 4
    }  # fmt: skip
    assert now("request_seconds_count") == 1


async def test_a_call_that_the_model_breaks_off_keeps_what_was_answered(measured, scripted, ask):
    def script(batch):
        yield from replies(Answer("A"))(batch)
        raise faults.pop()

    faults = [BudgetSpentError("no money"), PassingFaultError("later", 3.0), PassingFaultError("down")]
    served, read = await measured(scripted(script))
    for _ in range(3):
        await served.refusal(served.stub.Answer(ask(questions=("q1", "q2"))))
    now = read()
    assert now.counted("requests_total", "code") == {
        "UNAVAILABLE": 1, "RESOURCE_EXHAUSTED": 1, "FAILED_PRECONDITION": 1
    }  # fmt: skip
    assert now.counted("questions_total", "outcome", "reason") == {("answered", ""): 3}
    assert now("request_seconds_count") == 3


async def test_a_bug_of_the_kit_is_counted_as_unknown(measured, scripted, ask, monkeypatch):
    served, read = await measured(scripted())
    monkeypatch.setattr(served.server._pipeline, "answer", lambda request: None)
    assert (await served.refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.UNKNOWN
    assert read().counted("requests_total", "code") == {"UNKNOWN": 1}


async def test_every_batch_that_raises_leaves_the_gauges_at_0(measured, scripted, ask):
    def script(batch):
        raise MemoryError
        yield

    served, read = await measured(scripted(script, batch_size=2), batch_wait_seconds=20)
    calls = [served.stub.Answer(ask(str(i), questions=("q1", "q2"))) for i in range(2)]
    await asyncio.gather(*map(served.answers, calls))
    await served.until(lambda: not served.admission.in_flight)
    now = read()
    assert now.counted("questions_total", "outcome", "reason") == {("failed", "out_of_memory"): 4}
    assert now("batch_inspections_count") == 1  # asked again one by one, it is still the same batch
    assert (now("queue_depth"), now("in_flight")) == (0, 0)


async def test_templates_that_come_again_are_hits_and_queries_are_no_misses(measured, scripted, ask, encoded):
    served, read = await measured(scripted(card=Card("scripted", "test")))
    for grey in range(3):
        images = [encoded(), encoded(colour=(grey, 1, 1))]
        await served.answers(served.stub.Answer(ask(images=images)))
    now = read()
    assert (now("image_cache_hits_total"), now("image_cache_misses_total")) == (2, 1)
    assert now("image_cache_bytes") == 32 * 24 * 4


async def test_the_state_is_told_while_loading_when_ready_and_while_draining(measured, scripted, ask):
    go_on = threading.Event()
    model = scripted(load=lambda: go_on.wait(20))
    served, read = await measured(model, loaded=False)
    loading = asyncio.create_task(served.server.load())
    assert read().by("state", "state") == {"loading": 1, "ready": 0, "draining": 0}
    await served.refusal(served.stub.Answer(ask()))
    assert read().counted("requests_total", "code") == {"UNAVAILABLE": 1}
    go_on.set()
    await loading
    assert read().by("state", "state") == {"loading": 0, "ready": 1, "draining": 0}
    model.gate.clear()
    working = asyncio.create_task(served.answers(served.stub.Answer(ask())))
    await model.has_begun()
    draining = asyncio.create_task(served.server.drain())
    await served.until(lambda: read().by("state", "state") == {"loading": 0, "ready": 0, "draining": 1})
    assert read()("in_flight") == 1
    model.gate.set()
    await asyncio.gather(working, draining)


async def test_who_answers_is_told_as_the_card_says_after_loading_too(measured, scripted):
    card = Card("scripted", "test", checkpoint="O/N", quantization="4bit")
    model = scripted(card=card)
    _, read = await measured(model)
    labels = ("model", "family", "checkpoint", "revision", "quantization")
    assert read().by("model_info", *labels) == {("scripted", "test", "O/N", "", "4bit"): 1}
    model.card = Card("scripted", "test", checkpoint="O/N", quantization="4bit", revision="c0ffee")
    assert read().by("model_info", *labels) == {("scripted", "test", "O/N", "c0ffee", "4bit"): 1}


async def test_every_series_names_its_model_and_is_there_before_the_first_call(measured, scripted):
    _, read = await measured(scripted(), loaded=False)
    now = read()
    assert now.content_type.startswith("text/plain; version=")
    own = [family for name, family in now.families.items() if name.startswith("mmad_answer_")]
    for family in own:
        assert family.samples, family.name
        assert {sample.labels["model"] for sample in family.samples} == {"scripted"}
    assert set(now.by("requests_total", "code")) == {code.name for code in grpc.StatusCode}
    assert set(now.by("questions_total", "outcome", "reason")) == {
        ("answered", ""), ("refused", ""), *(("failed", reason.value) for reason in FailureReason)
    }  # fmt: skip
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "python_info"} <= set(now.families)
    assert "_created" not in now.text


async def test_two_servers_of_one_process_count_apart(measured, scripted, ask):
    one, read_one = await measured(scripted())
    _, read_other = await measured(scripted(card=Card("other", "test")))
    await one.answers(one.stub.Answer(ask()))
    assert read_one().counted("requests_total", "model", "code") == {("scripted", "OK"): 1}
    assert read_other().counted("requests_total", "code") == {}


async def test_the_port_is_closed_with_the_server(measured, scripted):
    served, read = await measured(scripted())
    read()
    await served.server.close()
    with pytest.raises(urllib.error.URLError, match="refused"):
        read()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1:0", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0"),
        ("unix:///{}/s", "127.0.0.1"),
        ("[::1]:0", "[::1]"),
    ],
)
async def test_the_port_is_on_the_services_own_host(serve, scripted, caplog, tmp_path, address, host):
    caplog.set_level("INFO", "mmad_answer.metrics")
    await serve(scripted(), address=address.format(tmp_path), metrics_port=0)
    [(found, port)] = re.findall(r"metrics on http://(\S+):(\d+)/metrics", caplog.text)
    assert found == host
    assert Reading(f"http://{found}:{port}/metrics")("max_in_flight") == 9


async def test_a_port_that_is_taken_says_so_before_anything_is_served(serve, scripted):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = (
            f"cannot serve http://127.0.0.1:{port}/metrics: Address already in use: choose another --metrics"
        )
        with pytest.raises(ListenError, match=re.escape(said)):
            await serve(scripted(), metrics_port=port)


PLAIN = """
from mmad_answer.model import Card, Model


class Plain(Model):
    def describe(self):
        return Card("plain", "test")

    def answer(self, batch):
        yield from ()
"""


def test_the_command_ends_with_one_line_when_the_port_for_metrics_is_taken(service_folder):
    folder = service_folder(PLAIN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "mmad_answer",
            "serve",
            str(folder),
            "--port",
            "0",
            "--metrics-port",
            port,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"mmad-answer: cannot serve http://127.0.0.1:{port}/metrics: Address already"
    )
    assert done.stderr.count("\n") == 1


def test_without_the_option_nothing_of_prometheus_is_even_imported():
    code = "import sys, mmad_answer.__main__; raise SystemExit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
