"""Where in an annotation file something is wrong: the streaming readers know no lines.

The file is looked through once more, and whole, when there is something to say of it. An error may be slow, a
good file is not.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Final

_STRING: Final = r'"(?:[^"\\]|\\.)*'
_CONSTANT: Final = re.compile(rf'{_STRING}(?:"|\Z)|(NaN|-?Infinity|(?<![\d.])-?\d{{20,}}(?![\d.eE]))')
"""What Python takes and the streaming reader does not: what is no JSON, and integers above 64 bits.
Strings are matched to be passed over."""
_KEY: Final = re.compile(rf'({_STRING}")\s*:'.encode())


def broken_json(path: Path, error: Exception) -> str:
    """Say where a JSON file is broken and why; `error` is the streaming parser's own word for it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return not_utf8(path)
    reason, end = _one_line(error), None
    try:
        json.loads(text)
    except json.JSONDecodeError as exact:
        reason, end = exact.msg, exact.pos
    except RecursionError:
        reason = "nested too deeply"
    except ValueError:  # an integer of thousands of digits, which is found below
        pass
    for found in _CONSTANT.finditer(text[:end]):
        if found[1] and (found[1].endswith(("NaN", "Infinity")) or end is None):
            reason, end = f"{_short(found[1])} is no value that can be read", found.start()
            break
    if end is None:
        return f"{path}: broken JSON: {reason}."
    line, column = text.count("\n", 0, end) + 1, end - text.rfind("\n", 0, end)
    return f"{path}, line {line}, column {column}: broken JSON: {reason}."


def not_utf8(path: Path) -> str:
    """Say in which line the first bytes stand that are not UTF-8."""
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as exact:
        line = content.count(b"\n", 0, exact.start) + 1
        return f"{path}, line {line}: not UTF-8: {exact.reason}."
    return f"{path}: not UTF-8."


def _short(value: str) -> str:
    return value if len(value) <= 24 else f"{value[:20]}..."


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


class KeyLines:
    """The lines on which a JSON file's keys first and last stand; it is read when the first is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, tuple[int, int]] = {}

    def first(self, key: str) -> int:
        """The line of the key's first appearance, counted from 1."""
        return self._places().get(key, (1, 1))[0]

    def last(self, key: str) -> int:
        """The line of its last appearance."""
        return self._places().get(key, (1, 1))[1]

    def _places(self) -> dict[str, tuple[int, int]]:
        if not self._found:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    for match in _KEY.finditer(line):
                        with contextlib.suppress(ValueError):
                            key = json.loads(match[1])
                            self._found[key] = (self._found.get(key, (number, 0))[0], number)
        return self._found
