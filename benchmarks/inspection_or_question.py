"""One call per inspection against one call per question: what does sending the images once save?

Both sides ask the same questions of the same drawn images of the same service, `chance`, whose own work is
nothing: what is measured is reading, sending, checking and decoding. The sides take turns; each has its own
service process, so that neither profits from the other's caches.
"""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.dataset import sample
from orchestrator.dataset.reading import read
from orchestrator.dispatch import ConnectedModel, Effort, Prompting
from orchestrator.dispatch.fanout import fan_out
from orchestrator.endpoints.arguments import parse_local
from orchestrator.endpoints.connect import connect
from orchestrator.endpoints.local import LocalServices
from orchestrator.options import Protocol
from orchestrator.plan import Plan, build_plan, inspections

ROUNDS = 7
IMAGES = 48
SHOTS = 2


class Nowhere:
    """Keeps nothing: the journal's price is the same for both sides."""

    def __init__(self) -> None:
        self.replies = 0

    def kept(self, model, inspection):
        return {}

    async def keep(self, model, inspection, reply):
        assert not reply.failure, reply.failure
        self.replies += 1

    def attempting(self, attempt):
        pass

    async def attempted(self, attempt):
        pass

    def state(self, model, text):
        pass

    def note(self, model, text):
        print(f"{model}: {text}")


def whole(plan: Plan):
    """One inspection per image."""
    return inspections(plan)


def torn(plan: Plan):
    """One inspection per question."""
    for inspection in inspections(plan):
        for question in inspection.questions:
            yield dataclasses.replace(inspection, inspection_id=question.question_id, questions=(question,))


async def ask(plan: Plan, model: ConnectedModel, cut) -> float:
    """Ask everything once; return the seconds that it took."""
    nowhere = Nowhere()
    began = time.perf_counter()
    await fan_out(
        Path(plan.dataset.root), lambda card: cut(plan), [model], Prompting(), Effort(), nowhere, nowhere,
        asyncio.Event(),
    )  # fmt: skip
    assert nowhere.replies == plan.question_count
    return time.perf_counter() - began


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample.draw(Path(folder, "data"), images=IMAGES)
        plan = build_plan(read(Path(folder, "data")), Protocol(shots=SHOTS))
        sides = {"inspection": whole, "question": torn}
        models, seconds = {}, {name: [] for name in sides}
        async with (
            LocalServices(parse_local(["chance"]), Path(folder, "a"), 60, print) as one,
            LocalServices(parse_local(["chance"]), Path(folder, "b"), 60, print) as other,
        ):
            for name, endpoints in zip(sides, (one, other), strict=True):
                (models[name],) = await connect(endpoints, 60, print)
            for _ in range(ROUNDS):
                for name, cut in sides.items():
                    seconds[name].append(await ask(plan, models[name], cut))
    print(f"{plan.question_count} questions about {IMAGES} images, {SHOTS} templates each; {ROUNDS} rounds")
    for name, times in seconds.items():
        print(f"one call per {name:<10}  {spread(times)} seconds")
    ratios = [q / i for i, q in zip(seconds["inspection"], seconds["question"], strict=True)]
    print(f"ratio, by round          {spread(ratios)}")


def spread(values: list[float]) -> str:
    """Say the middle and the ends."""
    return f"median {statistics.median(values):.2f}, {min(values):.2f} to {max(values):.2f}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
