import threading

import pytest

from mmad_answer.model import (
    BudgetSpentError,
    Card,
    ChainOfThought,
    FailureReason,
    Generation,
    ImageRecord,
    ImageRole,
    LoadError,
    PassingFaultError,
    UnusableError,
)
from mmad_answer.remote.remote_model import RemoteModel

KEY = "sk-test-0123456789"
GOOD = {"text": "A"}
SHORT = {"max_reasoning_tokens": 50}


@pytest.fixture
def model(provider, plain, options, monkeypatch):
    """Make a loaded model of the scripted provider."""
    monkeypatch.setenv("PLAIN_KEY", KEY)
    provider.play(provider.reply(200, GOOD))
    opened = []

    class PlainModel(RemoteModel):
        Options = options
        key_variables = ("PLAIN_KEY", "OTHER_KEY")

        def describe(self):
            return Card(self.shared_name(), "plain", settings=self.shared_settings())

        def dialect(self):
            return plain

    def make(**more):
        opened.append(PlainModel(options(**({"base_url": provider.url, "attempts": 2} | more))))
        opened[-1].load()
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_each_image_is_encoded_once_however_many_questions_there_are(
    model, plain, provider, inspect, make_picture
):
    query, template = make_picture(), make_picture(ImageRole.NORMAL_TEMPLATE, colour="blue")
    inspection = inspect(5, images=(template, query, template))
    assert len(list(model().answer([inspection]))) == 5
    assert len(plain.encoded) == 2
    sent = [part for part in provider.posts[-1].body["said"][1] if isinstance(part, dict)]
    assert len(sent) == 3
    assert len(provider.posts) == 5


def test_encoding_is_told_with_the_first_answer_only(model, inspect):
    seconds = [reply.outcome.encode_seconds for reply in model().answer([inspect(3)])]
    assert seconds[0] > 0
    assert seconds[1:] == [0.0, 0.0]


def test_the_prompt_comes_back_with_its_images_as_placeholders(model, inspect, make_picture):
    inspection = inspect(images=(make_picture(size=(40, 20)),), generation=Generation(return_prompt=True))
    [reply] = model(max_image_side=10).answer([inspection])
    assert "[user]\nImage 1, the image under inspection:<image/png, 10 x 5, sha256 " in reply.outcome.prompt
    assert "Question: Question 1?" in reply.outcome.prompt
    assert reply.outcome.images == (ImageRecord(10, 5),)


def test_the_analysis_of_a_run_with_prompts_leaves_the_answers_prompt_its_own(model, inspect):
    thinking = {
        "chain_of_thought": ChainOfThought.PER_INSPECTION,
        "generation": Generation(return_prompt=True),
    }
    [reply] = model().answer([inspect(**thinking)])
    assert reply.outcome.prompt.count("Question: Question 1?") == 1


def test_an_image_that_cannot_be_made_small_enough_fails_its_inspection_and_names_the_option(
    model, provider, inspect
):
    replies = list(model(max_image_bytes=10).answer([inspect(2)]))
    assert [reply.question_id for reply in replies] == ["q1", "q2"]
    assert all(reply.outcome.reason is FailureReason.PROVIDER for reply in replies)
    assert all("--max-image-bytes 10: " in reply.outcome.message for reply in replies)
    assert provider.posts == []


@pytest.mark.parametrize(
    ("chain", "generation", "settings", "bounds"),
    [
        (ChainOfThought.NONE, Generation(), {}, [(None, None)]),
        (ChainOfThought.NONE, Generation(), {"max_new_tokens": 9}, [(9, None)]),
        (ChainOfThought.NONE, Generation(max_new_tokens=5), {"max_new_tokens": 9}, [(5, None)]),
        (ChainOfThought.NONE, Generation(max_new_tokens=5, max_reasoning_tokens=100), {}, [(5, 100)]),
        (ChainOfThought.PER_QUESTION, Generation(max_new_tokens=5), SHORT, [(55, None)]),
        (ChainOfThought.PER_QUESTION, Generation(max_new_tokens=5, max_reasoning_tokens=9), {}, [(14, 9)]),
        (ChainOfThought.PER_QUESTION, Generation(), {}, [(None, None)]),
        (ChainOfThought.PER_INSPECTION, Generation(max_new_tokens=5), SHORT, [(50, None), (5, None)]),
        (ChainOfThought.PER_INSPECTION, Generation(max_reasoning_tokens=70), SHORT, [(70, 70), (None, 70)]),
    ],
)
def test_thoughts_in_the_text_and_hidden_ones_have_bounds_on_top_of_the_answers(
    model, provider, inspect, chain, generation, settings, bounds
):
    list(model(**settings).answer([inspect(chain_of_thought=chain, generation=generation)]))
    sent = [(post.body["max_tokens"], post.body["max_hidden_tokens"]) for post in provider.posts]
    assert sent == bounds


def test_a_stopped_inspection_is_not_begun_and_one_under_way_hangs_up(model, provider, inspect):
    provider.play(provider.silence())
    ready, over = model(timeout_seconds=30), inspect()
    over.stopped.set()
    assert list(ready.answer([over])) == []
    assert provider.posts == []
    going = inspect(3)
    thread = threading.Thread(target=lambda: list(ready.answer([going])))
    thread.start()
    while not provider.posts:
        thread.join(0.01)
    going.stopped.set()
    thread.join(10)
    assert not thread.is_alive()
    assert provider.hung_up.acquire(timeout=10)
    assert len(provider.posts) == 1, "nothing more was asked"


def test_a_stopped_inspection_waits_for_no_other_attempt(model, provider, inspect):
    provider.play(provider.reply(429, {}, retry_after="50"))
    ready, going = model(max_wait_seconds=60), inspect()
    thread = threading.Thread(target=lambda: list(ready.answer([going])))
    thread.start()
    while not provider.posts:
        thread.join(0.01)
    going.stopped.set()
    thread.join(10)
    assert not thread.is_alive()
    assert len(provider.posts) == 1


def test_it_works_on_as_many_inspections_as_the_option_says(model):
    assert model(concurrency=7).workers == 7


def test_without_a_key_it_does_not_load_and_says_where_one_is_looked_for(model, monkeypatch):
    monkeypatch.delenv("PLAIN_KEY")
    with pytest.raises(LoadError, match=r"no key: .* --key-file, or set PLAIN_KEY or OTHER_KEY"):
        model()


@pytest.mark.parametrize("status", [401, 404, 500])
def test_what_the_provider_refuses_at_the_start_is_a_load_error_without_the_key(model, provider, status):
    provider.on_get = provider.reply(status, {"message": f"no {KEY}"})
    with pytest.raises(LoadError, match=rf"{provider.url} says {status} .*: no \[key\]"):
        model(attempts=1)


@pytest.mark.parametrize("fault", [PassingFaultError("out"), BudgetSpentError("out"), UnusableError("out")])
def test_whatever_ends_the_check_at_the_start_is_a_load_error(model, plain, fault):
    async def check(provider):
        raise fault

    plain.check = check
    with pytest.raises(LoadError, match="out"):
        model()


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("SSL_CERT_FILE", "/missing.pem", r"certificates that SSL_CERT_FILE .* No such file"),
        ("SSL_CERT_FILE", __file__, "certificates that SSL_CERT_FILE .* cannot be read"),
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:9", "ALL_PROXY .* give one as http://"),
        ("HTTPS_PROXY", "ftp://user:secret@127.0.0.1:9", "HTTPS_PROXY.* give one as http://"),
        ("HTTP_PROXY", "http://user:secret@127.0.0.1:port", "HTTP_PROXY.* give one as http://"),
    ],
)
def test_what_the_environment_says_wrongly_is_one_line_that_names_the_variable(
    model, monkeypatch, variable, value, line
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(LoadError, match=line) as refused:
        model()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["xn--", "ä..b"])
def test_an_address_that_cannot_be_asked_is_a_load_error(model, host):
    with pytest.raises(LoadError, match=r"--base-url .* is no address"):
        model(base_url=f"http://{host}/v1")


def test_the_card_says_what_the_options_change_and_not_where_they_are(model, tmp_path):
    settings = model(reply_cache=tmp_path / "cache", max_new_tokens=5).describe().settings
    assert settings["reply_cache"] == "on"
    assert settings["max_new_tokens"] == "5"
    assert str(tmp_path) not in f"{settings}"
    assert model().describe().settings["reply_cache"] == "off"


def test_the_name_is_made_of_the_models_id(model):
    assert model(model="Org/Big-Model/").describe().name == "big-model"
    assert model(model="Org/Big", name="mine").describe().name == "mine"
