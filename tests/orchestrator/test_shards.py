"""Shards: which images belong to which, that each asks what the whole run would, what a part is called."""

import contextlib
import dataclasses
import json
import pathlib

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import RunOptions, run
from orchestrator.dispatch import Prompting, wire
from orchestrator.errors import UserError
from orchestrator.hints.ground_truth import GroundTruth
from orchestrator.hints.images import Hints
from orchestrator.journal.reader import JournalReader
from orchestrator.options import HintStyle, Protocol, parse
from orchestrator.plan import (
    build_plan,
    effective_shots,
    fingerprint,
    identity,
    inspections,
    question_numbers,
)
from orchestrator.shards import share
from orchestrator.vocabulary import Shard

with_fixtures = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
kinds = st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(["x", "y", "z"]), st.booleans())
protocols = st.builds(
    Protocol,
    shots=st.integers(0, 3),
    defect_examples=st.integers(0, 3),
    repeats=st.integers(1, 3),
    options=st.sampled_from(["original", "shuffled", "circular"]),
    domain_knowledge=st.booleans(),
    limit=st.none() | st.integers(1, 30),
    only=st.sampled_from([(), ("Parts",), ("Surfaces/tile", "Parts/gear")]),
    seed=st.integers(0, 3),
)


def kind(sample):
    return sample.dataset, sample.product, sample.abnormal


def parts(dataset, protocol, count):
    return [build_plan(dataset, protocol, Shard(index, count)) for index in range(count)]


def request(inspection):
    """The bytes that a service gets, with each image's path in the place of its content."""
    shown = [(image, image.path.encode()) for image in inspection.images]
    asked = wire.answer_request(
        inspection, shown, inspection.questions, (), "", Prompting(instruction="Look.")
    )
    return asked.SerializeToString(deterministic=True)


# ------------------------------------------------------------------------------------------------ the deal


@given(made=st.lists(kinds, max_size=60), count=st.integers(1, 12))
@with_fixtures
def test_shards_are_a_partition_and_equal_in_size_and_in_every_kind(sample_factory, made, count):
    samples = [
        sample_factory(number, dataset=dataset, product=product, abnormal=abnormal)
        for number, (dataset, product, abnormal) in enumerate(made)
    ]
    shards = [share(samples, Shard(index, count)) for index in range(count)]
    assert sorted(s.key for shard in shards for s in shard) == sorted(s.key for s in samples)
    for some in (lambda sample: True, *(lambda s, of=of: kind(s) == of for of in set(made))):
        sizes = [sum(map(some, shard)) for shard in shards]
        assert max(sizes) - min(sizes) <= 1
    place = {sample.key: number for number, sample in enumerate(samples)}
    for shard in shards:  # in the data set's order, which keeps a product's images together
        assert [place[s.key] for s in shard] == sorted(place[s.key] for s in shard)


@given(protocol=protocols, count=st.integers(1, 7))
@with_fixtures
def test_the_shards_together_ask_byte_for_byte_what_the_whole_run_asks(dataset, protocol, count):
    whole = build_plan(dataset, protocol)
    if protocol.domain_knowledge:
        assert whole.dataset.domain_knowledge
    shards = parts(dataset, protocol, count)
    asked = [request(inspection) for shard in shards for inspection in inspections(shard)]
    assert sorted(asked) == sorted(request(inspection) for inspection in inspections(whole))
    assert sum(shard.question_count for shard in shards) == whole.question_count
    assert sum(shard.inspection_count for shard in shards) == whole.inspection_count


@given(protocol=protocols, count=st.integers(1, 7))
@with_fixtures
def test_a_shards_questions_are_numbered_by_their_place_in_the_whole_run(dataset, protocol, count):
    whole = [q.question_id for i in inspections(build_plan(dataset, protocol)) for q in i.questions]
    for shard in parts(dataset, protocol, count):
        ids = [q.question_id for i in inspections(shard) for q in i.questions]
        assert [whole[number - 1] for number in question_numbers(shard)] == ids


def test_an_image_stays_in_its_shard_whatever_the_seed_the_order_and_the_repeats(dataset):
    plain = [shard.share for shard in parts(dataset, Protocol(), 3)]
    for protocol in (Protocol(seed=7), Protocol(options="circular", repeats=3), Protocol(shots=4)):
        assert [shard.share for shard in parts(dataset, protocol, 3)] == plain


def test_what_a_model_gets_to_see_is_told_of_the_whole_run_in_every_shard(dataset_factory, sample_factory):
    """Templates that only some images list, and maps that make one scale, are not told apart by the part."""
    rich, poor = sample_factory(1), dataclasses.replace(sample_factory(2), random_templates=("a.png",))
    for shard in parts(dataset_factory(rich, poor), Protocol(shots=5), 3):  # the last one is empty
        assert effective_shots(shard) == 5
        assert len(shard.samples) == 2


def test_only_a_shard_is_another_run_and_without_its_number_it_is_the_whole_one(dataset):
    whole, first, second = build_plan(dataset, Protocol()), *parts(dataset, Protocol(), 2)
    assert "shard" not in identity(whole)  # so runs from before there were any go on
    assert len({fingerprint(plan) for plan in (whole, first, second)}) == 3
    assert {name: value for name, value in identity(first).items() if name != "shard"} == identity(whole)
    assert identity(second)["shard"] == {"number": "1/2", "of_images": 40, "of_questions": 60}
    hinted = dataclasses.replace(first, hints=Hints(GroundTruth(pathlib.Path("/")), HintStyle.BOX))
    assert identity(hinted)["shard"] == identity(first)["shard"]


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("3/3", "--shard: 3/3: the first number goes from 0 to 2"),
        ("8/3", "--shard: 8/3: the first number goes from 0 to 2"),
        ("0/0", "at least 1"),
        ("/8", "expected I/N, as in 0/8"),  # a variable that is not set
        ("", "expected I/N"),
        ("-1/8", "expected I/N"),
        ("1", "expected I/N"),
        ("1/2/3", "expected I/N"),
        (["0/2"], "expected I/N"),
    ],
)
def test_what_is_no_shard_is_refused_with_what_is_expected(given, message):
    with pytest.raises(UserError) as caught:
        parse({"shard": given})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_is_read_from_texts_and_given_as_it_is():
    assert parse({"shard": " 07 / 12"}).shard == RunOptions(shard=Shard(7, 12)).shard == Shard(7, 12)
    assert parse({}).shard is None


def test_a_wrong_shard_is_one_line_on_the_command_line(cli):
    result = cli("run", "--shard", "3/3", "--local", "chance")
    assert result.code == 2
    assert result.err == "Error: --shard: 3/3: the first number goes from 0 to 2\n"


# ------------------------------------------------------------------------------------------------ a run


def test_a_shard_says_wherever_it_is_shown_that_it_is_a_part(ask, cli, summary, tmp_path):
    result = ask("--shard", "2/5", "--limit", 10)
    assert result.code == 0, result.err
    told = "Shard 2/5: 2 of 10 images (20 %). Scores are of this part alone"
    assert told in result.err
    assert told in result.out
    folder = tmp_path / "run"
    assert summary(folder)["run"]["note"].startswith(told)
    assert summary(folder)["run"]["shard"]["number"] == "2/5"
    assert (folder / "answers_1_shot_shard_2_of_5_chance.json").exists()
    assert told in cli("score", folder).out
    assert json.loads(cli("score", folder, "--json").out)["chance"]["note"].startswith(told)
    assert yaml.safe_load((folder / "config.yaml").read_text())["shard"] == "2/5"
    again = cli("run", "--config", folder / "config.yaml", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert summary(tmp_path / "again")["scores"] == summary(folder)["scores"]


def test_a_shard_goes_on_as_itself_and_another_is_refused_by_name(ask):
    assert ask("--shard", "0/3", "--limit", 6).code == 0
    assert "Everything has an answer already" in ask("--shard", "0/3", "--limit", 6).err
    result = ask("--shard", "1/3", "--limit", 6)
    assert result.code == 2
    assert "shard.number: '0/3' there, '1/3' now" in result.err
    result = ask("--limit", 6)
    assert result.code == 2
    assert "shard.number: '0/3' there, 'not set' now" in result.err


def test_a_shard_for_which_no_image_is_left_is_a_finished_run(ask, cli, summary, tmp_path):
    result = ask("--shard", "3/4", "--limit", 3)
    assert result.code == 0, result.err
    assert "Shard 3/4: 0 of 3 images (0 %)" in result.out
    assert "This shard is empty" in result.err
    assert sum(summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"].values()) == 0
    assert ask("--shard", "3/4", "--limit", 3).code == 0
    assert "holds no answer" in cli("score", tmp_path / "run").err


def test_a_dry_run_describes_the_share(ask, tmp_path):
    result = ask("--dry-run", "--shard", "0/4", "--limit", 12, "--shots", 2)
    assert result.code == 0, result.err
    assert "Shard 0/4: 3 of 12 images (25 %)" in result.out
    assert "3 inspections" in result.out
    assert "9 images" in result.out
    assert not (tmp_path / "run").exists()
    assert (
        json.loads(ask("--dry-run", "--json", "--shard", "0/4", "--limit", 12).out)["chance"]["inspections"]
        == 3
    )


def test_a_shard_can_be_run_from_python(drawn, chance, tmp_path):
    options = RunOptions(data=str(drawn), endpoint=[f"chance={chance}"], shard="1/4", out=tmp_path / "run")
    with run(options) as done:
        assert done.shard == Shard(1, 4)
        assert "3 of 12 images" in done.part
    with contextlib.closing(JournalReader(tmp_path / "run")) as journal:
        assert journal.image_count() == 3
