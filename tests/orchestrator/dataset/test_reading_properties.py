"""Whatever a data set says is read as it was written, and no file can do worse than a DataError."""

import contextlib
import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dataset.reading import read
from orchestrator.errors import DataError
from orchestrator.vocabulary import Option, Question, QuestionType, Sample

names = st.text(
    st.characters(codec="utf-8", exclude_characters='/\\\0:"', exclude_categories=["Cc"]), min_size=1
).filter(lambda name: name not in (".", ".."))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)
lines = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
paths = st.lists(names, min_size=3, max_size=5).map("/".join)


@st.composite
def questions(draw: st.DrawFn, text: st.SearchStrategy[str], typed: bool) -> list[Question]:
    made = []
    for index in range(draw(st.integers(1, 4))):
        letters = "ABCDE"[: draw(st.integers(1, 5))]
        options = tuple(Option(letter, draw(text)) for letter in letters)
        kind = draw(st.sampled_from(QuestionType)) if typed else None
        made.append(Question(index, draw(texts), kind, options, draw(st.sampled_from(letters))))
    return made


@st.composite
def samples(draw: st.DrawFn, hub: bool) -> list[Sample]:
    made = []
    for key in draw(st.lists(paths, min_size=1, max_size=4, unique=True)):
        parts = key.split("/")
        one = st.lists(paths, max_size=1 if hub else 3).map(tuple)
        made.append(
            Sample(
                key=key,
                dataset=parts[0],
                product=parts[1],
                defect_kind=parts[-2] if len(parts) > 3 else "",
                abnormal="good" not in key,
                questions=tuple(draw(questions(lines if hub else texts, not hub))),
                mask=draw(st.one_of(st.just(""), paths)),
                random_templates=() if hub else draw(one),
                similar_templates=draw(one),
            )
        )
    return made


def write_json(root: Path, made: list[Sample]) -> None:
    content: dict[str, Any] = {
        sample.key: {
            "conversation": [
                {
                    "Question": question.text,
                    "Answer": question.answer,
                    "Options": {option.letter: option.text for option in question.options},
                    "type": question.type,
                }
                for question in sample.questions
            ],
            "mask_path": sample.mask,
            "random_templates": sample.random_templates,
            "similar_templates": sample.similar_templates,
        }
        for sample in made
    }
    (root / "mmad.json").write_text(json.dumps(content, ensure_ascii=len(made) % 2 == 0), encoding="utf-8")


def write_csv(root: Path, made: list[Sample]) -> None:
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["query_image", "question", "options", "answer", "template_image", "mask"])
        for sample in made:
            template = sample.similar_templates[0] if sample.similar_templates else ""
            for question in sample.questions:
                options = "\n".join(f"{option.letter}: {option.text}" for option in question.options)
                rows.writerow([sample.key, question.text, options, question.answer, template, sample.mask])


@given(samples(hub=False))
def test_what_mmad_json_says_is_what_is_read(made: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder), made)
        assert list(read(Path(folder)).samples) == made


@given(samples(hub=True))
def test_what_the_hub_table_says_is_what_is_read(made: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder), made)
        assert list(read(Path(folder)).samples) == made


@pytest.mark.parametrize("name", ["mmad.json", "metadata.csv"])
@given(data=st.data())
def test_a_spoilt_file_gives_a_data_error_or_is_read(name: str, data: st.DataObject) -> None:
    hub = name == "metadata.csv"
    made = data.draw(samples(hub=hub))
    with tempfile.TemporaryDirectory() as folder:
        (write_csv if hub else write_json)(Path(folder), made)
        path = Path(folder, name)
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        splice = data.draw(
            st.one_of(st.binary(max_size=6), st.sampled_from([b"{", b"null", b"\\ud800", b'"', b"\x00"]))
        )
        path.write_bytes(content[:start] + splice + content[end:])
        for on_broken in (None, lambda error: None):
            with contextlib.suppress(DataError):
                read(Path(folder), on_broken)


@pytest.mark.parametrize("name", ["mmad.json", "metadata.csv", "domain_knowledge.json"])
@given(st.binary(max_size=200))
def test_any_bytes_at_all_give_a_data_error_or_are_read(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if name == "domain_knowledge.json":
            write_json(Path(folder), [Sample("a/b/c", "a", "b", "", True, (), "", (), ())])
        Path(folder, name).write_bytes(content)
        with contextlib.suppress(DataError):
            read(Path(folder))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    json_values,
    st.sampled_from(["Question", "Answer", "Options", "type", "entry", "conversation", "mask_path"]),
)
def test_any_json_value_in_any_field_gives_a_data_error_or_is_read(value: Any, field: str) -> None:
    question: dict[str, Any] = {
        "Question": "Defect?",
        "Answer": "A",
        "Options": {"A": "Yes"},
        "type": "Anomaly Detection",
    }
    entry: Any = {
        "conversation": [question],
        "mask_path": "",
        "random_templates": [],
        "similar_templates": [],
    }
    if field == "entry":
        entry = value
    elif field in question:
        question[field] = value
    else:
        entry[field] = value
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "mmad.json").write_text(json.dumps({"a/b/c.png": entry}))
        with contextlib.suppress(DataError):
            read(Path(folder))
