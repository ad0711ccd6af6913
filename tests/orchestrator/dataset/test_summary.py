import io

from rich.console import Console

from orchestrator.dataset.reading import read
from orchestrator.dataset.summary import images, questions, summarise, table
from orchestrator.vocabulary import QuestionType, Subtask


def shown(rows) -> str:
    console = Console(width=220, file=io.StringIO(), record=True)
    console.print(table(rows))
    return console.export_text()


def test_images_and_questions_are_counted_by_product_and_label(tiny) -> None:
    extra = {
        "Question": "How many sides?",
        "Answer": "A",
        "Options": {"A": "6", "B": "4"},
        "type": "Object Structure",
    }
    tiny.entries["Tiny/nut/image/good/000.png"]["conversation"].append(extra)
    tiny.write()
    rows = summarise(read(tiny.root))
    assert [(row.product, row.abnormal, row.images) for row in rows] == [
        ("nut", False, 1),
        ("nut", True, 1),
        ("pill", False, 1),
        ("pill", True, 1),
    ]
    assert rows[0].questions == {QuestionType.ANOMALY_DETECTION: 1, QuestionType.OBJECT_STRUCTURE: 1}
    assert (images(rows, True), questions(rows)) == (2, 5)
    assert questions(rows, Subtask.OBJECT_ANALYSIS) == 1


def test_the_table_has_a_line_for_each_product_and_the_sums(tiny) -> None:
    text = shown(summarise(read(tiny.root)))
    for words in ("nut", "pill", "det.", "obj."):
        assert words in text
    (last,) = [line for line in text.splitlines() if line.startswith("All")]
    assert last.split()[:5] == ["All", "2", "2", "4", "4"]


def test_without_types_there_is_no_column_for_them(tmp_path) -> None:
    (tmp_path / "metadata.csv").write_text(
        "query_image,question,options,answer,template_image,mask\nV/nut/test/bad/1.png,Defect?,A: Yes,A,,\n"
    )
    rows = summarise(read(tmp_path))
    assert questions(rows) == 1
    assert "det." not in shown(rows)


def test_the_table_of_all_of_mmad_fits_eighty_columns_and_cuts_no_number(like_mmad_folder) -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(table(summarise(read(like_mmad_folder))))
    last = out.getvalue().splitlines()[-1]
    assert last.split() == [
        "All",
        "3279",
        "5087",
        "39672",
        "8297",
        "4688",
        "4878",
        "4710",
        "4782",
        "3154",
        "9163",
    ]
