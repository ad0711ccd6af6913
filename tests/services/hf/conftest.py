"""Every tiny checkpoint, requests that use all an inspection can hold, and what the library says to them.

A new family is a new folder: its checkpoints are the scripts `tests/services/NAME/tiny/*.py`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import random
import subprocess
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import pytest

from mmad.answer.v1 import answer_pb2 as pb

HERE = Path(__file__).parent
CHECKPOINTS = sorted(HERE.parent.glob("*/tiny/[!_]*.py"))
QUERY, NORMAL = pb.IMAGE_ROLE_QUERY, pb.IMAGE_ROLE_NORMAL_TEMPLATE
DEFECT, HINT = pb.IMAGE_ROLE_DEFECT_EXAMPLE, pb.IMAGE_ROLE_EXPERT_HINT
WORDS = ("any", "defect", "in", "the", "object?", "What", "kind", "of", "scratch", "where", "shown")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint and the service that answers with it."""

    service: str
    name: str
    folder: Path


def named(path):
    return path.stem


@pytest.fixture(scope="session", params=CHECKPOINTS, ids=named)
def checkpoint(request, tiny):
    """Each of them."""
    return Checkpoint(request.param.parents[1].name, request.param.stem, tiny(request.param.stem))


@pytest.fixture(scope="session", params={path.parents[1]: path for path in CHECKPOINTS}.values(), ids=named)
def one_of_each(request, tiny):
    """One for each service, for what does not depend on the checkpoint."""
    return Checkpoint(request.param.parents[1].name, request.param.stem, tiny(request.param.stem))


def image(seed, size, role=QUERY, caption=""):
    """Coloured shapes, the same for the same seed."""
    draw = random.Random(seed)
    picture = PIL.Image.new("RGB", size, tuple(draw.choices(range(256), k=3)))
    pen = PIL.ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (draw.randrange(side) for side in size)
        pen.ellipse((x, y, x + size[0] // 3, y + size[1] // 3), tuple(draw.choices(range(256), k=3)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return pb.Image(role=role, content=buffer.getvalue(), media_type="image/png", caption=caption)


def question(name, options=4):
    """A question whose length depends on its name."""
    draw = random.Random(name)
    return pb.Question(
        question_id=name,
        text=" ".join(draw.choices(WORDS, k=draw.randrange(4, 20))),
        options=[
            pb.Option(letter="ABCDEFGH"[i], text=" ".join(draw.choices(WORDS, k=draw.randrange(1, 6))))
            for i in range(options)
        ],
    )


def inspection(*images, questions=("q1", "q2", "q3"), tokens=8, **fields):
    """A request with these images; the questions' names decide their words."""
    return pb.AnswerRequest(
        inspection_id="i",
        images=images,
        questions=[question(name) for name in questions],
        generation=pb.Generation(max_new_tokens=tokens, max_reasoning_tokens=12, option_scores=True),
        **fields,
    )


SMALL, WIDE, TALL, LARGE = (64, 64), (160, 96), (70, 190), (300, 220)
TEMPLATES = [image("first", WIDE, NORMAL), image("second", WIDE, NORMAL)]
QUERY_IMAGE = image("query", WIDE)
TURN = pb.Turn(question=question("earlier"), answer="B, as before.")
PER_QUESTION, PER_INSPECTION = pb.CHAIN_OF_THOUGHT_PER_QUESTION, pb.CHAIN_OF_THOUGHT_PER_INSPECTION

REQUESTS = {
    "zero_shot": inspection(image("alone", LARGE)),
    "one_shot": inspection(TEMPLATES[0], QUERY_IMAGE),
    "two_shots": inspection(*TEMPLATES, QUERY_IMAGE),
    "templates_swapped": inspection(*TEMPLATES[::-1], QUERY_IMAGE),
    "another_template": inspection(TEMPLATES[0], image("third", WIDE, NORMAL), QUERY_IMAGE),
    "another_query": inspection(*TEMPLATES, image("other", WIDE)),
    "all_roles_and_sizes": inspection(
        image("sample", TALL, NORMAL),
        image("defect", LARGE, DEFECT),
        image("tiny", SMALL),
        image("hint", SMALL, HINT, "the same image, the suspected place in a box."),
        domain_knowledge="Scratches on the rim are usual.",
        questions=("q4", "q5"),
    ),
    "text_only": inspection(questions=("q6", "q7")),
    "one_question": inspection(TEMPLATES[0], image("odd", TALL), questions=("q8",), tokens=16),
    "own_instruction": inspection(QUERY_IMAGE, prompting=pb.Prompting(instruction="Say a letter.")),
    "history": inspection(TEMPLATES[0], QUERY_IMAGE, prompting=pb.Prompting(conversation_history=True)),
    "history_that_goes_on": inspection(
        image("alone", LARGE),
        prompting=pb.Prompting(conversation_history=True),
        history=[TURN],
        questions=("q9", "q1"),
    ),
    "thoughts_in_each_answer": inspection(
        TEMPLATES[0], QUERY_IMAGE, prompting=pb.Prompting(chain_of_thought=PER_QUESTION)
    ),
    "one_analysis": inspection(
        TEMPLATES[1], image("odd", TALL), prompting=pb.Prompting(chain_of_thought=PER_INSPECTION)
    ),
    "analysis_and_history": inspection(
        QUERY_IMAGE,
        prompting=pb.Prompting(chain_of_thought=PER_INSPECTION, conversation_history=True),
        questions=("q2", "q4"),
    ),
    "analysis_brought_along": inspection(
        TEMPLATES[0],
        QUERY_IMAGE,
        prompting=pb.Prompting(chain_of_thought=PER_INSPECTION),
        analysis="There is a scratch.",
        questions=("q5", "q6"),
    ),
}


@pytest.fixture(scope="session")
def requests():
    """Name to request. A test that changes one copies it."""
    return REQUESTS


@pytest.fixture(scope="session")
def library(checkpoint, environment, variables, tmp_path_factory):
    """What the library says to each request: {name: {question id: text, tokens, scores, ...}}."""
    folder = tmp_path_factory.mktemp("requests")
    for name, request in REQUESTS.items():
        (folder / f"{name}.pb").write_bytes(request.SerializeToString())
    said = subprocess.run(
        [environment(f"services/{checkpoint.service}"), HERE / "reference.py", checkpoint.folder, folder],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)
