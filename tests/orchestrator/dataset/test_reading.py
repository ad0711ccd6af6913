import hashlib
import json
import tracemalloc
from pathlib import Path

import pytest

from orchestrator.dataset.reading import read
from orchestrator.errors import DataError
from orchestrator.vocabulary import Option, QuestionType

QUERY = "Tiny/nut/image/broken/000.png"
HEADER = "query_image,question,options,answer,template_image,mask\n"


def line_of(tiny, text: str) -> int:
    lines = (tiny.root / "mmad.json").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def hub(root: Path, rows: str) -> Path:
    (root / "metadata.csv").write_text(HEADER + rows)
    return root


# ---------------------------------------------------------------------------------------------- mmad.json


def test_an_entry_becomes_a_sample_with_all_that_it_says(tiny) -> None:
    dataset = read(tiny.root)
    sample = next(s for s in dataset.samples if s.key == QUERY)
    assert (sample.dataset, sample.product, sample.defect_kind, sample.abnormal) == (
        "Tiny",
        "nut",
        "broken",
        True,
    )
    assert sample.mask == "mask/broken/000.png"
    assert sample.random_templates == ("Tiny/nut/train/good/000.png", "Tiny/nut/train/good/001.png")
    assert sample.similar_templates == sample.random_templates[::-1]
    (question,) = sample.questions
    assert question.index == 0
    assert question.type is QuestionType.ANOMALY_DETECTION
    assert question.options == (Option("A", "Yes"), Option("B", "No"))
    assert question.answer == "A"
    assert dataset.source == "mmad.json"
    assert [s.key for s in dataset.samples] == list(tiny.entries)


@pytest.mark.parametrize(
    ("key", "abnormal"),
    [
        ("GoodsAD/drink_can/test/opened/000.jpg", True),
        ("GoodsAD/drink_can/test/good/000.jpg", False),
        ("MVTec-LOCO/pushpins/test/logical_anomalies/000.png", True),
    ],
)
def test_lower_case_good_in_the_path_means_normal(tiny, key: str, abnormal: bool) -> None:
    tiny.entries = {key: tiny.entries[QUERY]}
    tiny.write()
    assert read(tiny.root).samples[0].abnormal is abnormal


def test_equal_options_and_texts_are_kept_once(tiny) -> None:
    one, two = read(tiny.root).samples[:2]
    assert one.questions[0].options is two.questions[0].options
    assert one.questions[0].text is two.questions[0].text
    assert one.random_templates[0] is two.random_templates[0]


def test_a_byte_order_mark_does_not_matter(tiny) -> None:
    path = tiny.root / "mmad.json"
    before = read(tiny.root).samples
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(tiny.root).samples == before


def test_the_digest_can_be_repeated_with_sha256sum_and_covers_the_domain_knowledge(tiny) -> None:
    (tiny.root / "domain_knowledge.json").write_text('{"Tiny": {"nut": {"broken": "In two."}}}')
    printed = "".join(
        f"{hashlib.sha256((tiny.root / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("mmad.json", "domain_knowledge.json")
    )
    digest = read(tiny.root).digest
    assert digest == hashlib.sha256(printed.encode()).hexdigest()
    (tiny.root / "domain_knowledge.json").write_text('{"Tiny": {"nut": {"broken": "In 2."}}}')
    assert read(tiny.root).digest != digest


def test_domain_knowledge_of_mvtec_is_found_under_the_name_that_the_images_have(tiny) -> None:
    texts = {"MVTec": {"pill": {"crack": "A line."}}, "Tiny": {"nut": {"broken": "In two."}}}
    (tiny.root / "domain_knowledge.json").write_text(json.dumps(texts))
    assert read(tiny.root).domain_knowledge == {
        ("DS-MVTec", "pill"): {"crack": "A line."},
        ("Tiny", "nut"): {"broken": "In two."},
    }


def test_without_domain_knowledge_the_data_set_says_what_cannot_be_asked(tiny) -> None:
    (limitation,) = read(tiny.root).limitations
    assert "--domain-knowledge" in limitation


def test_mmad_json_is_preferred_to_the_hub_table(tiny) -> None:
    hub(tiny.root, "broken")
    assert read(tiny.root).source == "mmad.json"


# ------------------------------------------------------------------------------------- what can be wrong


def test_a_folder_that_is_missing_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist.*orchestrator data download.*--data sample"):
        read(tmp_path / "nowhere")


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(DataError, match="f is not a folder"):
        read(tmp_path / "f")


def test_a_folder_without_annotations_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither mmad\.json nor metadata\.csv"):
        read(tmp_path)


def test_broken_json_is_given_with_file_line_and_column(tiny) -> None:
    path = tiny.root / "mmad.json"
    lines = path.read_text().splitlines()
    lines[7] = lines[7].replace(":", "", 1)
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"mmad\.json, line 8, column \d+: broken JSON"):
        read(tiny.root)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "98765432109876543210"])
def test_what_only_python_takes_for_a_number_is_given_with_line_and_column(tiny, constant) -> None:
    """Though a text may hold the word."""
    entries = f'{{"a/b/c.png": {{\n"NaN": "NaN \\"NaN",\n "mask_path": {constant}\n}}}}'
    (tiny.root / "mmad.json").write_text(entries)
    with pytest.raises(DataError) as refused:
        read(tiny.root)
    message = f"mmad.json, line 3, column 15: broken JSON: {constant} is no value that can be read."
    assert str(refused.value).endswith(message)


def test_the_first_fault_is_the_one_that_is_given(tiny) -> None:
    (tiny.root / "mmad.json").write_text('{"a/b/c.png": {\n"x": NaN,\n"y" 1}}')
    with pytest.raises(DataError, match="line 2, column 6: broken JSON: NaN"):
        read(tiny.root)


@pytest.mark.parametrize("name", ["mmad.json", "domain_knowledge.json"])
def test_an_integer_of_thousands_of_digits_is_a_data_error(tiny, name: str) -> None:
    (tiny.root / name).write_text('{"a/b/c.png": %s}' % ("9" * 5000))
    with pytest.raises(DataError, match=name):
        read(tiny.root)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_file_nested_without_end_is_refused_at_once_with_its_entry(tiny, opening: str) -> None:
    entries = json.dumps({QUERY: tiny.entries[QUERY]})[:-1]
    nested = f'{entries},\n"a/b/c.png": {{"conversation": {opening * 20_000}'
    (tiny.root / "mmad.json").write_text(nested)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"mmad\.json, line 2: 'a/b/c\.png': is nested too deeply\."):
            read(tiny.root)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_was_cut_off_is_broken_json(tiny) -> None:
    path = tiny.root / "mmad.json"
    path.write_text(path.read_text()[:-200])
    with pytest.raises(DataError, match=r"mmad\.json, line \d+, column \d+: broken JSON"):
        read(tiny.root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken JSON"),
        (b"[]", "should be one JSON object"),
        (b"{}", "holds no entry"),
        (b'{\n"a/b/c": "\xff"}', "line 2: not UTF-8"),
    ],
)
def test_a_file_of_another_shape_is_refused(tiny, content: bytes, message: str) -> None:
    (tiny.root / "mmad.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tiny.root)


@pytest.mark.parametrize("field", ["Question", "Answer", "Options", "type"])
def test_a_question_without_a_field_is_given_with_line_key_and_field(tiny, field: str) -> None:
    del tiny.entries[QUERY]["conversation"][0][field]
    tiny.write()
    line = line_of(tiny, f'"{QUERY}": {{')
    with pytest.raises(
        DataError, match=rf"mmad\.json, line {line}: '{QUERY}': question 0: '{field}' is missing"
    ):
        read(tiny.root)


@pytest.mark.parametrize("field", ["conversation", "random_templates", "similar_templates"])
def test_an_entry_without_a_field_is_given_with_the_field(tiny, field: str) -> None:
    del tiny.entries[QUERY][field]
    tiny.write()
    with pytest.raises(DataError, match=f"'{QUERY}': '{field}' is missing"):
        read(tiny.root)


def test_an_unknown_type_is_given_with_the_near_matches(tiny) -> None:
    tiny.entries[QUERY]["conversation"][0]["type"] = "Defect Localisation"
    tiny.write()
    with pytest.raises(
        DataError, match=r"'Defect Localisation' is unknown\. Did you mean 'Defect Localization'"
    ):
        read(tiny.root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Answer": "C"}, "its answer 'C' is not among its options A, B"),
        ({"Answer": "a"}, "its answer 'a' is not among"),
        ({"Options": {}}, "it has no options"),
        ({"Options": {"1": "Yes"}}, "option '1'"),
        ({"Options": {"A": 3}}, "option 'A' should be a text"),
        ({"Options": ["Yes"]}, "'Options' should be an object"),
        ({"Question": " "}, "its text is empty"),
        ({"Question": None}, "'Question' should be a text"),
    ],
)
def test_a_question_that_cannot_be_asked_or_scored_is_refused(tiny, change, message: str) -> None:
    tiny.entries[QUERY]["conversation"][0].update(change)
    tiny.write()
    with pytest.raises(DataError, match=f"question 0: {message}"):
        read(tiny.root)


def test_a_key_that_is_there_twice_is_given_with_both_lines(tiny) -> None:
    text = (tiny.root / "mmad.json").read_text().rstrip().removesuffix("}")
    entry = json.dumps(tiny.entries[QUERY])
    (tiny.root / "mmad.json").write_text(f'{text},\n"{QUERY}": {entry}\n}}')
    first = line_of(tiny, f'"{QUERY}": {{')
    with pytest.raises(DataError, match=rf"line \d+: '{QUERY}': is there twice; before in line {first}"):
        read(tiny.root)


@pytest.mark.parametrize(
    "path", ["../secret/a/b.png", "/etc/a/b.png", "a//b/c.png", "C:/a/b.png", "a\\b/c/d.png"]
)
def test_a_path_out_of_the_folder_is_refused_wherever_it_stands(tiny, path: str) -> None:
    """Images are sent away: a data set must not be able to name a person's own files."""
    original = tiny.entries[QUERY]
    for entries in (
        {path: original},
        {QUERY: {**original, "random_templates": [path]}},
        {QUERY: {**original, "similar_templates": [path]}},
        {QUERY: {**original, "mask_path": path}},
    ):
        tiny.entries = entries
        tiny.write()
        with pytest.raises(DataError, match="should be relative to the data set's folder"):
            read(tiny.root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"Tiny": {"nut": {"broken": }}}', r"domain_knowledge\.json, line 1, column \d+"),
        ("[]", r"domain_knowledge\.json: should be an object"),
        ("[" * 100_000, r"domain_knowledge\.json: broken JSON: nested too deeply"),
        ('{"Tiny": {"nut": "text"}}', "Tiny: nut: should be an object"),
        ('{"Tiny": {"nut": {"broken": 1}}}', "Tiny: nut: broken: should be a text"),
    ],
)
def test_broken_domain_knowledge_is_given_with_its_place(tiny, content: str, message: str) -> None:
    (tiny.root / "domain_knowledge.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read(tiny.root)


def test_broken_entries_can_be_collected_while_the_rest_is_read(tiny) -> None:
    tiny.entries[QUERY]["conversation"] = "?"
    tiny.write()
    broken: list[DataError] = []
    dataset = read(tiny.root, on_broken=broken.append)
    assert [len(sample.questions) for sample in dataset.samples] == [1, 0, 1, 1]
    assert "'conversation' should be a list" in str(broken[0])


# ------------------------------------------------------------------------------------------ metadata.csv


def test_rows_of_one_image_become_one_sample_with_one_similar_template(tmp_path: Path) -> None:
    hub(
        tmp_path,
        'V/nut/test/bad/1.png,Defect?,"A: Yes\nB: No",A,V/nut/train/good/0.png,ground_truth/1.png\n'
        'V/nut/test/good/2.png,Defect?,"A: Yes\nB: No", B ,V/nut/train/good/0.png,\n'
        'V/nut/test/bad/1.png,"Where, exactly?","A: left: far\nB: right\nor so",B,V/nut/train/good/0.png,\n',
    )
    one, two = read(tmp_path).samples
    assert [q.text for q in one.questions] == ["Defect?", "Where, exactly?"]
    assert [q.index for q in one.questions] == [0, 1]
    assert one.questions[1].options == (Option("A", "left: far"), Option("B", "right\nor so"))
    assert one.questions[0].type is None
    assert one.mask == "ground_truth/1.png"
    assert (one.random_templates, one.similar_templates) == ((), ("V/nut/train/good/0.png",))
    assert (one.abnormal, two.abnormal) == (True, False)


def test_the_hub_copy_says_what_cannot_be_asked_or_scored(tmp_path: Path) -> None:
    hub(tmp_path, 'V/nut/test/bad/1.png,Defect?,"A: Yes\nB: No",A,,\n')
    text = " ".join(read(tmp_path).limitations)
    for words in (
        "--type",
        "scores by type",
        "--templates random",
        "more than one shot",
        "--domain-knowledge",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('V/nut/test/bad/1.png,Defect?,"A: Yes\nB: No",C,,\n', r"line 3: .*answer 'C' is not among"),
        ("V/nut/test/bad/1.png,Defect?,Yes,A,,\n", "line 2: .*should be lines like"),
        ("V/nut/test/bad/1.png,Defect?\n", "line 2: .*should have 6 fields"),
        ("V/nut/test/bad/1.png,Defect?,A: Yes,A,,,more\n", "line 2: .*should have 6 fields"),
        ("1.png,Defect?,A: Yes,A,,\n", "DATASET/PRODUCT"),
        ("V/nut/test/bad/1.png,Defect?,A: Yes,A,../t.png,\n", "should be relative"),
        ('V/nut/test/bad/1.png,"Defect?,A: Yes,A,,\n', "line 2: broken CSV"),
        ("", "holds no entry"),
    ],
)
def test_a_broken_row_is_given_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    hub(tmp_path, rows)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_bytes_that_are_not_utf8_are_given_with_their_line(tmp_path: Path) -> None:
    row = b'V/nut/test/bad/1.png,Defect?,"A: Yes\nB: No",A,,\n'
    (tmp_path / "metadata.csv").write_bytes(
        HEADER.encode() + row + b"V/nut/test/\xff.png,Defect?,A: Yes,A,,\n"
    )
    with pytest.raises(DataError, match=r"metadata\.csv, line 4: not UTF-8: invalid start byte\."):
        read(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("query_image,question,options\n")
    with pytest.raises(DataError, match="line 1: no column answer, template_image, mask"):
        read(tmp_path)


@pytest.mark.parametrize("content", ["", 'V/nut/test/bad/1.png,Defect?,"A: Yes\nB: No",A,,\n'])
def test_a_table_without_a_header_is_told_what_it_should_be_and_not_repeated(tmp_path: Path, content) -> None:
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(
        DataError, match=r"the first line should name the columns query_image, .*, mask\.$"
    ) as e:
        read(tmp_path)
    assert "Defect?" not in str(e.value)


def test_broken_rows_can_be_collected_while_the_rest_is_read(tmp_path: Path) -> None:
    hub(
        tmp_path,
        "V/nut/test/bad/1.png,Defect?,A: Yes,X,,\nV/nut/test/bad/2.png,Defect?,A: Yes,A,,\n",
    )
    broken: list[DataError] = []
    dataset = read(tmp_path, on_broken=broken.append)
    assert [len(sample.questions) for sample in dataset.samples] == [0, 1]
    assert len(broken) == 1
