"""Answers in MMAD's own format, read and written as streams: old results can be scored, new ones compared.

A JSON list of {image, question, question_type, correct_answer, gpt_answer}, where `question` is an object
{text, options} or just the text. The letters of a file are the data set's own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import ijson

from orchestrator.atomic import replacing
from orchestrator.dataset.entry import is_abnormal
from orchestrator.errors import DataError, near_matches
from orchestrator.formats import ScoringProtocol
from orchestrator.scoring.letters import read_letter
from orchestrator.vocabulary import Option, Outcome, QuestionType, Record

_ANY_LETTER: Final = tuple(Option(letter, "") for letter in "ABCDE")
"""What may be read where an entry does not list its options."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_REQUIRED: Final = ("image", "question", "question_type", "correct_answer")


def read(path: Path, protocol: ScoringProtocol = "strict") -> Iterator[Record]:
    """Read an answers file, one record per entry.

    Args:
        path: The file.
        protocol: "strict" reads `gpt_answer` by the rules of `letters` (the options being known or not);
            "mmad" takes it as it is, and its rule 2 then drops what is not a letter.

    Raises:
        DataError: the file is not there, is no such list, or an entry is broken; names the entry.
    """
    indices: Counter[str] = Counter()
    number = 0
    try:
        with path.open("rb") as file:
            if _first_byte(path) != b"[":
                raise DataError(f"{path}: not a JSON list. An answers file is MMAD's list of answers.")
            if file.read(len(_BYTE_ORDER_MARK)) != _BYTE_ORDER_MARK:
                file.seek(0)
            for number, entry in enumerate(ijson.items(file, "item"), start=1):
                where = f"{path}, entry {number}"
                image = _image(entry, where)
                yield _record(entry, where, indices[image], protocol)
                indices[image] += 1
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Give an answers file.") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: broken JSON after entry {number}: {' '.join(str(error).split())}. "
            "Was its writing cut short? Repair the file, or make it anew."
        ) from None


def write(records: Iterable[Record], texts: Mapping[tuple[str, int], str], path: Path) -> None:
    """Write one model's answers, whole or not at all: a reader never sees half a file.

    Options and letters are turned back to the data set's own; of rotations and repeats the first is written,
    as MMAD's format has room for one. An unread answer is "", which MMAD does not count.

    Args:
        records: The model's records, in the order to be written.
        texts: Each question's text by (image key, index).
        path: Replaced when complete.
    """
    with replacing(path) as file:
        separator = "[\n"
        for record in records:
            if record.rotation == 0 and record.repeat == 0:
                text = json.dumps(_entry(record, texts[record.key, record.index]), ensure_ascii=False)
                file.write(separator + text)
                separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


def _entry(record: Record, text: str) -> dict[str, Any]:
    original = dict(zip((option.letter for option in record.options), record.original_letters, strict=True))
    return {
        "image": record.key,
        "question": {
            "text": text,
            "options": dict(sorted((original[option.letter], option.text) for option in record.options)),
        },
        "question_type": record.type,
        "correct_answer": original.get(record.correct, record.correct),
        "gpt_answer": original.get(record.letter, record.letter) if record.letter else "",
    }


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]


def _image(entry: object, where: str) -> str:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: not an object, but {type(entry).__name__}.")
    missing = [name for name in _REQUIRED if name not in entry]
    if missing:
        raise DataError(f"{where}: has no {missing[0]!r}. An entry needs {', '.join(_REQUIRED)}.")
    image = entry["image"]
    if not isinstance(image, str) or image.count("/") < 2:
        raise DataError(f"{where}: image is {image!r}, not a path DATASET/PRODUCT/.../FILE.")
    return image


def _record(entry: dict[str, Any], where: str, index: int, protocol: ScoringProtocol) -> Record:
    image: str = entry["image"]
    options = _options(entry["question"], where)
    correct = entry["correct_answer"]
    letter, outcome = _answer(entry.get("gpt_answer"), options or _ANY_LETTER, protocol)
    return Record(
        key=image,
        dataset=image.split("/")[0],
        product=image.split("/")[1],
        abnormal=is_abnormal(image),
        index=index,
        type=_type(entry["question_type"], where),
        rotation=0,
        repeat=0,
        options=options,
        original_letters=tuple(option.letter for option in options),
        correct=correct if isinstance(correct, str) else "",
        letter=letter,
        outcome=outcome,
    )


def _options(question: object, where: str) -> tuple[Option, ...]:
    if isinstance(question, str):
        return ()
    options = question.get("options") if isinstance(question, dict) else None
    if not isinstance(question, dict) or not isinstance(options, dict | None):
        raise DataError(f"{where}: question is neither a text nor an object of text and options.")
    return tuple(Option(str(letter), str(text)) for letter, text in sorted((options or {}).items()))


def _type(value: object, where: str) -> QuestionType | None:
    if value in (None, ""):
        return None
    try:
        return QuestionType(str(value))
    except ValueError:
        known = [t.value for t in QuestionType]
        hint = near_matches(str(value), known) or f" Known: {', '.join(known)}."
        raise DataError(f"{where}: there is no question type {value!r}.{hint}") from None


def _answer(
    given: object, options: tuple[Option, ...], protocol: ScoringProtocol
) -> tuple[str | None, Outcome]:
    if given is None:
        return None, Outcome.MISSING
    text = str(given)
    letter = text if protocol == "mmad" else read_letter(text, options, cut=False).letter
    return (letter, Outcome.ANSWERED) if letter else (None, Outcome.UNREADABLE)
