"""Samples and a protocol make inspections."""

import dataclasses
import pathlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.hints.ground_truth import GroundTruth
from orchestrator.hints.images import Hints
from orchestrator.options import HintStyle, Protocol
from orchestrator.plan import build_plan, completed, effective_shots, fingerprint, fit, identity, inspections
from orchestrator.vocabulary import ImageRole


def hinted(dataset, protocol, style=HintStyle.BOX):
    """A plan that shows the true defects."""
    hints = Hints(GroundTruth(pathlib.Path(dataset.root)), style)
    return dataclasses.replace(build_plan(dataset, protocol), hints=hints)


protocols = st.builds(
    Protocol,
    shots=st.integers(0, 10),
    templates=st.sampled_from(["random", "similar"]),
    defect_examples=st.integers(0, 3),
    repeats=st.integers(1, 2),
    options=st.sampled_from(["original", "shuffled", "circular"]),
    limit=st.none() | st.integers(1, 10),
    seed=st.integers(0, 3),
)
with_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(protocol=protocols)
@with_fixtures
def test_a_plan_is_the_same_every_time_it_is_made(dataset, protocol):
    first, second = build_plan(dataset, protocol), build_plan(dataset, protocol)
    assert list(inspections(first)) == list(inspections(second))
    assert fingerprint(first) == fingerprint(second)


@given(protocol=protocols)
@with_fixtures
def test_question_ids_are_unique_and_counted(dataset, protocol):
    plan = build_plan(dataset, protocol)
    made = list(inspections(plan))
    ids = [q.question_id for i in made for q in i.questions]
    assert len(ids) == len(set(ids)) == plan.question_count
    assert len({i.inspection_id for i in made}) == plan.inspection_count


@given(protocol=protocols)
@with_fixtures
def test_the_right_letter_follows_the_right_text_in_every_order(dataset, protocol):
    plan = build_plan(dataset, protocol)
    for inspection in inspections(plan):
        for asked in inspection.questions:
            original = next(q for q in inspection.sample.questions if q.index == asked.index)
            right = next(o.text for o in original.options if o.letter == original.answer)
            assert next(o.text for o in asked.options if o.letter == asked.correct) == right
            assert [o.letter for o in asked.options] == [o.letter for o in original.options]
            back = {o.letter: o.text for o in original.options}
            assert [back[letter] for letter in asked.original_letters] == [o.text for o in asked.options]


@given(protocol=protocols, room=st.integers(1, 15))
@with_fixtures
def test_what_does_not_fit_is_left_out_but_never_the_query(dataset, protocol, room):
    plan = build_plan(dataset, protocol)
    for inspection in inspections(plan):
        fitted = fit(inspection, room)
        assert len(fitted.images) == min(room, len(inspection.images))
        assert [i for i in inspection.images if i in fitted.images] == list(fitted.images)
        assert sum(i.role is ImageRole.QUERY for i in fitted.images) == 1
        if any(i.role is ImageRole.NORMAL_TEMPLATE for i in fitted.images):  # templates go first
            examples = [i for i in inspection.images if i.role is ImageRole.DEFECT_EXAMPLE]
            assert [i for i in fitted.images if i.role is ImageRole.DEFECT_EXAMPLE] == examples
        shots = sum(i.role is ImageRole.NORMAL_TEMPLATE for i in fitted.images)
        assert shots == effective_shots(plan, room)


def test_a_hint_comes_after_every_query_with_one_caption_whatever_the_label(dataset):
    plan = hinted(dataset, Protocol(shots=2, defect_examples=1))
    made = list(inspections(plan))
    assert {i.images[-1].role for i in made} == {ImageRole.EXPERT_HINT}
    assert {i.images[-2].role for i in made} == {ImageRole.QUERY}
    assert all(i.images[-1].path == i.images[-2].path == i.sample.key for i in made)
    assert {i.images[-1].caption for i in made} == {plan.hints.caption}
    assert {i.sample.abnormal for i in made} == {True, False}


@pytest.mark.parametrize("room", range(2, 9))
def test_templates_and_examples_make_room_for_the_hint_and_shots_say_so(dataset, room):
    plan = hinted(dataset, Protocol(shots=4, defect_examples=2))
    for inspection in inspections(plan):
        roles = [image.role for image in fit(inspection, room).images]
        assert roles[-2:] == [ImageRole.QUERY, ImageRole.EXPERT_HINT]
        assert len(roles) == min(room, 8)
        assert roles.count(ImageRole.NORMAL_TEMPLATE) == effective_shots(plan, room)


def test_hints_belong_to_the_identity_and_a_run_without_any_has_none_there(dataset):
    plain = build_plan(dataset, Protocol())
    assert "hints" not in identity(plain)
    styles = [hinted(dataset, Protocol(), style) for style in HintStyle]
    assert len({fingerprint(plan) for plan in (plain, *styles)}) == 1 + len(HintStyle)
    assert identity(styles[0])["hints"]["source"] == "ground-truth"
    assert completed(identity(plain)) == identity(plain)


def test_images_stand_in_prompt_order_with_the_query_after_its_companions(dataset):
    plan = build_plan(dataset, Protocol(shots=2, defect_examples=1))
    roles = [image.role for image in next(inspections(plan)).images]
    assert roles == [
        ImageRole.NORMAL_TEMPLATE,
        ImageRole.NORMAL_TEMPLATE,
        ImageRole.DEFECT_EXAMPLE,
        ImageRole.QUERY,
    ]


def test_the_first_k_templates_of_the_chosen_list_are_used(dataset):
    for templates, listed in (("random", "random_templates"), ("similar", "similar_templates")):
        inspection = next(inspections(build_plan(dataset, Protocol(shots=3, templates=templates))))
        assert tuple(i.path for i in inspection.images[:3]) == getattr(inspection.sample, listed)[:3]


def test_a_query_is_never_its_own_template(dataset_factory, sample_factory):
    sample = sample_factory(0, abnormal=False)
    sample = dataclasses.replace(sample, random_templates=(sample.key, *sample.random_templates))
    inspection = next(inspections(build_plan(dataset_factory(sample), Protocol(shots=1))))
    assert inspection.images[0].path == sample.random_templates[1]


def test_defect_examples_tell_nothing_of_the_label(dataset):
    """As many for a normal query as for an abnormal one, from the same product, never the query itself."""
    for inspection in inspections(build_plan(dataset, Protocol(defect_examples=2))):
        shown = [i.path for i in inspection.images if i.role is ImageRole.DEFECT_EXAMPLE]
        assert len(shown) == len(set(shown)) == 2
        assert inspection.sample.key not in shown
        folder = f"{inspection.sample.dataset}/{inspection.sample.product}/"
        assert all(path.startswith(folder) and "good" not in path for path in shown)


def test_as_many_examples_as_there_are_for_any_label(dataset):
    """More are asked for than a product has: the number must still not tell the label."""
    plan = build_plan(dataset, Protocol(defect_examples=10, shots=4))
    for room in (None, 8):
        sent = [i if room is None else fit(i, room) for i in inspections(plan)]
        numbers = {tuple(sum(i.role is r for i in s.images) for r in ImageRole) for s in sent}
        assert len(numbers) == 1
        templates = {sum(i.role is ImageRole.NORMAL_TEMPLATE for i in s.images) for s in sent}
        assert templates == {effective_shots(plan, room)}


def test_defect_examples_come_from_the_whole_product_even_under_a_limit(dataset):
    plan = build_plan(dataset, Protocol(defect_examples=4, limit=1))
    assert sum(i.role is ImageRole.DEFECT_EXAMPLE for i in next(inspections(plan)).images) >= 4


def test_domain_knowledge_is_all_of_the_products_whatever_the_query(dataset):
    made = list(inspections(build_plan(dataset, Protocol(domain_knowledge=True, only=("Parts/gear",)))))
    assert {i.domain_knowledge for i in made} == {"scratch: A thin line.\n\ndent: A hollow."}
    assert {i.sample.abnormal for i in made} == {True, False}


def test_domain_knowledge_that_is_not_there_is_refused(dataset):
    with pytest.raises(DataError, match=r"domain_knowledge\.json"):
        build_plan(dataclasses.replace(dataset, domain_knowledge={}), Protocol(domain_knowledge=True))


def test_templates_that_the_data_does_not_list_are_refused_with_the_way_out(dataset_factory, sample_factory):
    sample = dataclasses.replace(sample_factory(1), random_templates=())
    with pytest.raises(DataError, match="--templates similar"):
        build_plan(dataset_factory(sample), Protocol())


def test_text_only_shows_no_image(dataset):
    assert all(not i.images for i in inspections(build_plan(dataset, Protocol(text_only=True))))


def test_circular_asks_every_rotation_and_each_option_stands_once_in_each_place(dataset):
    plan = build_plan(dataset, Protocol(options="circular"))
    inspection = next(i for i in inspections(plan) if i.sample.abnormal)
    rotations = [q for q in inspection.questions if q.index == 1]
    assert [q.rotation for q in rotations] == [0, 1, 2, 3]
    for place in range(4):
        assert len({q.options[place].text for q in rotations}) == 4
    assert rotations[0].question_id == f"{inspection.sample.key}#1"
    assert rotations[2].question_id == f"{inspection.sample.key}#1+2"


def test_a_shuffle_is_a_questions_own_whatever_else_is_asked(dataset):
    everything = {
        q.question_id: q.options
        for i in inspections(build_plan(dataset, Protocol(options="shuffled")))
        for q in i.questions
    }
    some = build_plan(
        dataset, Protocol(options="shuffled", only=("Surfaces",), type=("Defect Classification",))
    )
    for inspection in inspections(some):
        for question in inspection.questions:
            assert question.options == everything[question.question_id]
    assert len(set(everything.values())) > 2  # it does shuffle


def test_repeats_have_other_seeds_and_come_after_the_whole_first_pass(dataset):
    plan = build_plan(dataset, Protocol(repeats=2))
    made = list(inspections(plan))
    half = len(made) // 2
    assert [i.repeat for i in made] == [0] * half + [1] * half
    assert made[half].inspection_id == f"{made[0].inspection_id}@1"
    assert made[half].seed != made[0].seed
    assert all(0 <= i.seed < 2**31 for i in made)


def test_the_identity_names_the_data_and_every_setting_that_decides_what_is_asked(dataset):
    base = identity(build_plan(dataset, Protocol()))
    for change in ({"shots": 2}, {"seed": 1}, {"history": True}, {"instruction": "Look."}, {"limit": 3}):
        assert identity(build_plan(dataset, Protocol(**change))) != base
    assert identity(build_plan(dataclasses.replace(dataset, digest="1" * 64), Protocol())) != base


def test_a_setting_that_came_after_a_run_was_made_does_not_make_it_another(dataset):
    current = identity(build_plan(dataset, Protocol()))
    older = {**current, "protocol": {k: v for k, v in current["protocol"].items() if k != "cot"}}
    assert completed(older) == current
    newer = {**current, "protocol": {**current["protocol"], "mirror": True}}
    assert completed(newer) != current
