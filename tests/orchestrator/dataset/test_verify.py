import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from orchestrator.dataset.findings import Fault, Finding
from orchestrator.dataset.verify import Report, table, verify
from orchestrator.errors import DataError

QUERY = "Tiny/nut/image/broken/000.png"
TEMPLATE = "Tiny/nut/train/good/000.png"
OUTSIDE = "should be relative to the data set's folder, with / between its parts"
MASK = "Tiny/nut/mask/broken/000.png"


def kinds(report: Report) -> list[Fault]:
    return [finding.kind for finding in report.findings]


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def test_a_flawless_data_set_has_no_findings_and_everything_is_counted(tiny) -> None:
    report = verify(tiny.root)
    assert report.findings == ()
    assert (report.samples, report.questions, report.images) == (4, 4, 8)


def test_the_drawn_sample_is_flawless(sample_folder: Path) -> None:
    assert verify(sample_folder).findings == ()


def test_missing_files_are_named_by_what_they_are_for(tiny) -> None:
    for path in (QUERY, TEMPLATE, MASK):
        (tiny.root / path).unlink()
    findings = {finding.kind: finding.path for finding in verify(tiny.root).findings}
    assert findings == {
        Fault.MISSING_IMAGE: QUERY,
        Fault.MISSING_TEMPLATE: TEMPLATE,
        Fault.MISSING_MASK: QUERY,
    }


def test_a_truncated_image_that_opens_but_does_not_decode_is_found(tiny) -> None:
    file = tiny.root / QUERY
    file.write_bytes(file.read_bytes()[:-60])
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.UNREADABLE, QUERY)


def test_a_pipe_in_place_of_an_image_is_found_and_not_waited_for(tiny) -> None:
    (tiny.root / QUERY).unlink()
    os.mkfifo(tiny.root / QUERY)
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.UNREADABLE, QUERY)


def test_a_text_file_in_place_of_a_template_is_found(tiny) -> None:
    (tiny.root / TEMPLATE).write_text("version https://git-lfs.github.com/spec/v1")
    assert only(verify(tiny.root)).path == TEMPLATE


def test_a_file_spelled_in_another_case_is_found_with_its_real_name(tiny) -> None:
    (tiny.root / "Tiny/nut/image/broken").rename(tiny.root / "Tiny/nut/image/Broken")
    finding = only(verify(tiny.root))
    assert finding.kind is Fault.SPELLED_OTHERWISE
    assert "Tiny/nut/image/Broken/000.png" in finding.detail


def test_every_fault_of_every_entry_is_listed_and_the_rest_of_it_is_still_checked(tiny) -> None:
    entry = tiny.entries[QUERY]
    (question,) = entry["conversation"]
    entry["conversation"] = [
        {**question, "Answer": "E", "type": "Anomaly Detektion", "Options": {"A": "Yes", "b": 1}},
        {**question, "Question": "Is it broken?"},
        {**question, "Answer": "F"},
    ]
    entry["random_templates"] = ["../a.png", "Tiny/nut/train/good/gone.png", 7]
    entry["similar_template"] = entry.pop("similar_templates")
    entry["mask_path"] = ["mask"]
    tiny.entries["Tiny/pill/image/good/000.png"]["conversation"] = "?"
    tiny.write()
    report = verify(tiny.root)
    assert [f.detail.split(f"{QUERY}': ")[-1] for f in report.findings if f.kind is Fault.BROKEN_ENTRY] == [
        "question 0: type 'Anomaly Detektion' is unknown. Did you mean 'Anomaly Detection'?",
        "question 0: option 'b': an option's name is one capital letter.",
        "question 0: option 'b' should be a text.",
        "question 0: its answer 'E' is not among its options A, b.",
        "question 2: its answer 'F' is not among its options A, B.",
        "'mask_path' should be a text.",
        "'random_templates' should hold texts only.",
        f"'random_templates': path '../a.png': {OUTSIDE}.",
        "'similar_templates' is missing. Did you mean 'similar_template'?",
        report.findings[-2].detail,
    ]
    assert "'Tiny/pill/image/good/000.png': 'conversation' should be a list." in report.findings[-2].detail
    assert (report.findings[-1].kind, report.findings[-1].path) == (
        Fault.MISSING_TEMPLATE,
        "Tiny/nut/train/good/gone.png",
    )
    assert (report.samples, report.questions) == (4, 3)


def test_a_data_set_of_broken_entries_only_is_a_table_of_them(tiny) -> None:
    tiny.entries = {"nut.png": tiny.entries[QUERY], QUERY: 1}
    tiny.write()
    report = verify(tiny.root)
    assert kinds(report) == [Fault.BROKEN_ENTRY] * 2
    assert report.samples == 0


def test_every_fault_of_every_row_is_listed_and_the_rest_of_it_is_still_checked(tiny) -> None:
    lines = ["query_image,question,options,answer,template_image,mask"]
    lines += [f"{QUERY}, ,A: Yes,C,Tiny/nut/train/good/gone.png,../m.png"]
    lines += [f"{QUERY},Defect?,A: Yes,A"]
    (tiny.root / "metadata.csv").write_text("\n".join(lines))
    (tiny.root / "mmad.json").unlink()
    report = verify(tiny.root)
    assert [finding.detail.split(f"{QUERY}': ")[-1] for finding in report.findings] == [
        f"path '../m.png': {OUTSIDE}.",
        "its text is empty.",
        "its answer 'C' is not among its options A.",
        "should have 6 fields or as many as the first line.",
        "there is no such file",
    ]
    assert [finding.kind for finding in report.findings[-1:]] == [Fault.MISSING_TEMPLATE]


def test_a_template_that_is_the_query_is_found_by_path_and_by_content(tiny) -> None:
    tiny.entries[QUERY]["random_templates"] = [QUERY]
    (tiny.root / TEMPLATE).write_bytes((tiny.root / "Tiny/nut/image/good/000.png").read_bytes())
    tiny.write()
    report = verify(tiny.root)
    assert kinds(report) == [Fault.TEMPLATE_IS_QUERY] * 2
    assert {finding.path for finding in report.findings} == {QUERY, "Tiny/nut/image/good/000.png"}


def test_an_image_under_two_products_is_found_even_if_it_was_saved_again(tiny) -> None:
    """That is how metal nuts among the pills of MMAD's first release show."""
    from PIL import Image

    with Image.open(tiny.root / "Tiny/nut/image/good/000.png") as image:
        image.save(tiny.root / "Tiny/pill/image/good/000.png", compress_level=0)
    finding = only(verify(tiny.root))
    assert finding.kind is Fault.TWO_PRODUCTS
    assert finding.path == "Tiny/nut/image/good/000.png"
    assert finding.detail == "the same picture as Tiny/pill/image/good/000.png"


@pytest.mark.parametrize("borrower", ["nut", "pill"])
def test_a_template_borrowed_from_another_product_shows_whose_list_it_is_in(tiny, borrower) -> None:
    """Whichever of the two products comes first in the file."""
    lender = {"nut": "pill", "pill": "nut"}[borrower]
    borrowed, key = f"Tiny/{lender}/train/good/001.png", f"Tiny/{borrower}/image/good/000.png"
    tiny.entries[key]["random_templates"].append(borrowed)
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.TWO_PRODUCTS, borrowed)
    assert finding.detail == f"is among the templates of {key}"


def test_a_template_saved_again_as_another_products_shows_whose_list_it_is_in(tiny) -> None:
    copied = "Tiny/pill/train/good/000.png"
    (tiny.root / copied).write_bytes((tiny.root / TEMPLATE).read_bytes())
    key = "Tiny/pill/image/good/000.png"
    assert only(verify(tiny.root)).detail == f"the same picture as {copied}, a template of {key}"


NORMAL = "Tiny/nut/image/good/000.png"


@pytest.mark.parametrize(
    ("key", "change", "fault", "detail"),
    [
        (QUERY, {"Options": {"A": "Yes"}}, Fault.ONE_OPTION, "'Yes'"),
        (QUERY, {"Options": {"A": "Yes", "B": "No", "C": "no "}}, Fault.SAME_OPTIONS, "B and C have"),
        (
            QUERY,
            {"Answer": "B"},
            Fault.AGAINST_LABEL,
            "answer is 'No', its image's path says that it is abnormal",
        ),
        (
            NORMAL,
            {"Answer": "A"},
            Fault.AGAINST_LABEL,
            "answer is 'Yes', its image's path says that it is normal",
        ),
    ],
)
def test_a_question_that_cannot_measure_anything_is_found(tiny, key, change, fault, detail) -> None:
    tiny.entries[key]["conversation"][0].update(change)
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (fault, key)
    assert finding.detail.startswith("question 0: ")
    assert detail in finding.detail


def test_only_a_detection_question_is_held_against_the_label(tiny) -> None:
    tiny.entries[NORMAL]["conversation"][0].update(
        {"Question": "Is the thread cut?", "Answer": "A", "type": "Object Structure"}
    )
    tiny.write()
    assert verify(tiny.root).findings == ()


def test_an_image_without_questions_is_found(tiny) -> None:
    tiny.entries[QUERY]["conversation"] = []
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.NO_QUESTIONS, QUERY)


def test_a_mask_of_a_normal_image_is_found(tiny) -> None:
    tiny.entries[NORMAL]["mask_path"] = "mask/broken/000.png"
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.MASK_OF_NORMAL, NORMAL)


def test_a_question_that_is_there_twice_is_found_even_with_its_options_in_another_order(tiny) -> None:
    (question,) = tiny.entries[QUERY]["conversation"]
    other = {**question, "Options": {"A": "No", "B": "Yes"}, "Answer": "B"}
    tiny.entries[QUERY]["conversation"] += [{**question, "Question": "Is it whole?"}, other]
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.ASKED_TWICE, QUERY)
    assert "questions 0 and 2" in finding.detail


def test_a_row_of_the_hub_copy_that_is_there_twice_is_found(tiny) -> None:
    row = f'{NORMAL},Defect?,"A: Yes\nB: No",A,{TEMPLATE},'
    header = "query_image,question,options,answer,template_image,mask"
    (tiny.root / "metadata.csv").write_text("\n".join([header, row, row]))
    (tiny.root / "mmad.json").unlink()
    assert only(verify(tiny.root)).kind is Fault.ASKED_TWICE


def test_empty_lists_of_templates_are_found(tiny) -> None:
    tiny.entries[QUERY]["similar_templates"] = []
    tiny.write()
    finding = only(verify(tiny.root))
    assert (finding.kind, finding.path) == (Fault.NO_TEMPLATES, QUERY)
    assert "similar" in finding.detail


@pytest.mark.parametrize(
    ("pixels", "fault"),
    [
        (np.zeros((16, 16), np.uint8), Fault.MASK_EMPTY),
        (np.full((16, 17), 255, np.uint8), Fault.MASK_SIZE),
    ],
)
def test_a_mask_that_cannot_be_right_is_found(tiny, pixels, fault: Fault) -> None:
    tiny.save(MASK, pixels)
    assert only(verify(tiny.root)).kind is fault


def test_a_mask_that_does_not_decode_is_found(tiny) -> None:
    (tiny.root / MASK).write_bytes(b"no image")
    assert only(verify(tiny.root)).kind is Fault.MASK_UNREADABLE


def test_an_abnormal_image_without_a_mask_is_found(tiny) -> None:
    tiny.entries[QUERY]["mask_path"] = ""
    tiny.write()
    assert only(verify(tiny.root)).kind is Fault.MISSING_MASK


def test_the_hub_copy_is_checked_too(tiny) -> None:
    lines = ["query_image,question,options,answer,template_image,mask"]
    lines += [f'{key},Defect?,"A: Yes\nB: No",A,{TEMPLATE},' for key in tiny.entries if "good" in key]
    (tiny.root / "metadata.csv").write_text("\n".join(lines))
    (tiny.root / "mmad.json").unlink()
    (tiny.root / TEMPLATE).unlink()
    report = verify(tiny.root)
    assert report.source == "metadata.csv"
    assert only(report).kind is Fault.MISSING_TEMPLATE


def test_progress_ends_at_the_total(tiny) -> None:
    seen: list[tuple[int, int]] = []
    verify(tiny.root, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (10, 10)
    assert seen == sorted(seen)


def test_the_table_shows_each_kind_and_says_how_much_it_leaves_out(tiny) -> None:
    findings = tuple(Finding(Fault.MISSING_IMAGE, f"a/b/[{i}].png", "gone") for i in range(30))
    report = Report("root", "mmad.json", 30, 30, 30, (*findings, Finding(Fault.MASK_EMPTY, "x", "zero")))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(report, rows_per_kind=5))
    text = console.export_text()
    assert "a/b/[4].png" in text
    assert "a/b/[5].png" not in text
    assert "and 25 more" in text
    assert "mask marks nothing" in text


def test_no_data_set_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither mmad"):
        verify(tmp_path)


def test_findings_come_in_the_same_order_each_time(tiny) -> None:
    for path in (QUERY, TEMPLATE, MASK, "Tiny/pill/image/good/000.png"):
        (tiny.root / path).unlink()
    first, second = verify(tiny.root), verify(tiny.root)
    assert first == second
    assert json.dumps([f.kind for f in first.findings]) == json.dumps(
        sorted(kinds(first), key=list(Fault).index)
    )
