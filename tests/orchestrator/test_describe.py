"""What a dry run says."""

from orchestrator.dataset.reading import read
from orchestrator.describe import amount, describe
from orchestrator.options import Protocol
from orchestrator.plan import build_plan, inspections


def test_the_amount_is_what_would_be_sent(drawn):
    plan = build_plan(read(drawn), Protocol(shots=2, repeats=2))
    whole = amount(plan)
    made = list(inspections(plan))
    assert whole.inspections == len(made) == 24
    assert whole.questions == sum(len(i.questions) for i in made)
    assert whole.images == 3 * len(made)
    assert whole.bytes == sum((drawn / image.path).stat().st_size for i in made for image in i.images)
    assert whole.missing == ()


def test_a_model_with_little_room_gets_less(drawn):
    plan = build_plan(read(drawn), Protocol(shots=4))
    assert amount(plan, 1).images == 12
    assert (amount(plan, 1).shots, amount(plan, 3).shots) == (0, 2)


def test_missing_images_are_named(own_data):
    plan = build_plan(read(own_data), Protocol(shots=1))
    key = plan.samples[0].key
    (own_data / key).unlink()
    assert amount(plan).missing == (key,)
    text = describe(plan, {"m": amount(plan, 5)})
    assert f"missing: {key}" in text
    assert text.endswith("Nothing was asked.")


def test_only_what_differs_from_the_default_is_told(drawn):
    plan = build_plan(read(drawn), Protocol(history=True))
    text = describe(plan, {"m": amount(plan)})
    assert "Protocol: history True" in text
    assert "shots" not in text.splitlines()[-3]
