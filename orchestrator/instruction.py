"""An instruction from a file: a text as it is, or a constant out of somebody's script, which is never run."""

from __future__ import annotations

import ast
from pathlib import Path

from orchestrator.errors import UserError

_NAME = "instruction"


def read_instruction(path: Path) -> str:
    """Return the whole of a text file, or the string constant named `instruction` in a Python file.

    The constant may stand in a function, and be joined or added from plain strings; where it is set several
    times, the first counts.

    Raises:
        UserError: if the file cannot be read, or holds no such constant.
    """
    where = f"--instruction-from {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{where}: is not a UTF-8 text file.") from None
    if path.suffix == ".py":
        text = _constant(text, where)
    if not text.strip():
        raise UserError(f"{where}: is empty.")
    return text


def _constant(source: str, where: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UserError(f"{where}, line {error.lineno}: this is not Python: {error.msg}.") from None
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == _NAME for target in targets):
            found.append((node.lineno, value))
    for _, value in sorted(found, key=lambda item: item[0]):
        text = _string(value)
        if text is not None:
            return text
    if found:
        raise UserError(f"{where}, line {found[0][0]}: {_NAME} is not a plain string there.")
    raise UserError(f"{where}: no string constant is named {_NAME}.")


def _string(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _string(node.left), _string(node.right)
        return left + right if left is not None and right is not None else None
    return None
