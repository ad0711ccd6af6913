"""Small data sets in memory, for everything that reads no image; and the command line on small drawn ones."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from orchestrator.vocabulary import Dataset, Option, Question, QuestionType, Sample

ROOT = pathlib.Path(__file__).parents[2]
DETECTION = (Option("A", "Yes."), Option("B", "No."))
KINDS = (Option("A", "Scratch"), Option("B", "Dent"), Option("C", "Crack"), Option("D", "Stain"))


def make_sample(
    number: int, *, dataset: str = "Parts", product: str = "gear", abnormal: bool = True, questions: int = 2
) -> Sample:
    """A sample with a detection question and, when it is abnormal, `questions - 1` others."""
    kind = "scratch" if abnormal else "good"
    asked = [
        Question(0, "Is there a defect?", QuestionType.ANOMALY_DETECTION, DETECTION, "A" if abnormal else "B")
    ]
    asked += [
        Question(i, f"Which kind, {i}?", QuestionType.DEFECT_CLASSIFICATION, KINDS, "ABCD"[(number + i) % 4])
        for i in range(1, questions if abnormal else 1)
    ]
    return Sample(
        key=f"{dataset}/{product}/image/{kind}/{number:03}.png",
        dataset=dataset,
        product=product,
        defect_kind=kind,
        abnormal=abnormal,
        questions=tuple(asked),
        mask=f"mask/{kind}/{number:03}.png" if abnormal else "",
        random_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in range(8)),
        similar_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in reversed(range(8))),
    )


def make_dataset(*samples: Sample, root: str = "/nowhere") -> Dataset:
    """A data set of these samples; by default two data sets of two products, half of the images abnormal."""
    if not samples:
        samples = tuple(
            make_sample(number, dataset=dataset, product=product, abnormal=number % 2 == 1)
            for dataset in ("Parts", "Surfaces")
            for product in ("gear", "tile")
            for number in range(10)
        )
    return Dataset(
        root=root,
        samples=samples,
        domain_knowledge={("Parts", "gear"): {"scratch": "A thin line.", "dent": "A hollow."}},
        digest="0" * 64,
        source="mmad.json",
    )


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def sample_factory() -> Callable[..., Sample]:
    return make_sample


@pytest.fixture
def dataset_factory() -> Callable[..., Dataset]:
    return make_dataset


# ------------------------------------------------------------------------------------- real runs, in process


@pytest.fixture(autouse=True)
def no_engine(monkeypatch, tmp_path):
    """Let no test find what this machine's Docker happens to run; the tests in tests/docker are to."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    monkeypatch.delenv("MMAD_DISCOVER", raising=False)


@dataclasses.dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch, capfd):
    """Run the command line in this process: `cli("run", "--limit", 3)`."""
    from orchestrator.__main__ import main

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A small drawn data set. Tests that change it take a copy."""
    from orchestrator.dataset import sample

    folder = tmp_path_factory.mktemp("drawn") / "small"
    sample.draw(folder, images=12)
    return folder


@pytest.fixture
def own_data(drawn, tmp_path):
    """A copy of the drawn data set that a test may break."""
    return shutil.copytree(drawn, tmp_path / "own")


@pytest.fixture(scope="session")
def serve_forever():
    """Start services in processes of their own, for the whole session: `serve_forever(folder, *options)`."""
    with contextlib.ExitStack() as stack:

        def start(folder, *options):
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mmad_answer",
                    "serve",
                    folder,
                    "--port",
                    "0",
                    "--exit-with-parent",
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process.stdout.readline().rsplit(" ", 1)[1].strip()

        yield start


@pytest.fixture(scope="session")
def chance(serve_forever):
    """The address of a chance service."""
    return serve_forever(ROOT / "services" / "chance")


@pytest.fixture
def ask(cli, drawn, chance, tmp_path):
    """Run with the chance service on the small data set, into `tmp_path/run`."""

    def call(*arguments, data=drawn, out=tmp_path / "run"):
        return cli("run", "--data", data, "--endpoint", f"chance={chance}", "--out", out, *arguments)

    return call


@pytest.fixture
def summary():
    """Read a run's summary.json: `summary(folder)`."""

    def read(folder):
        return json.loads((folder / "summary.json").read_text())

    return read
