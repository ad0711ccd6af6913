"""A model's Options dataclass as options of the command line, and back.

A field `map_scale: float = 0.5` becomes `--map-scale FLOAT`, and MMAD_ANSWER_MAP_SCALE in the environment.
Its help is the string under the field, as in the rest of this project.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import itertools
import pathlib
import textwrap
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any

import click

from mmad_answer.loading import ServiceError, own_code
from mmad_answer.model import Model

ENVIRONMENT_PREFIX = "MMAD_ANSWER_"


def environment_variable(name: str) -> str:
    """The environment variable that stands for an option."""
    return ENVIRONMENT_PREFIX + name.upper()


def click_options(model: type[Model[Any]], taken: Collection[str]) -> list[click.Option]:
    """One option for each field of `model.Options`; `taken` are names that the command has already.

    Raises:
        ServiceError: a field's name is taken, or its type has no form on the command line.
    """
    hints = typing.get_type_hints(model.Options)
    helps = _attribute_docstrings(model.Options)
    options = []
    for field in dataclasses.fields(model.Options):
        where = f"{model.__name__}.Options.{field.name}"
        if field.name in taken:
            raise ServiceError(f"{where}: the command has an option of this name already; choose another")
        options.append(_click_option(field, hints[field.name], helps.get(field.name), where))
    return options


def make_options(model: type[Model[Any]], values: Mapping[str, Any]) -> Any:
    """The model's options from the parsed values of `click_options`.

    Raises:
        click.UsageError: the dataclass itself refuses the values.
    """
    hints = typing.get_type_hints(model.Options)
    converted = {
        name: _kind(hints[name])(value) if _is_enum(_kind(hints[name])) and value is not None else value
        for name, value in values.items()
    }
    with own_code(model):
        try:
            return model.Options(**converted)
        except ValueError as error:
            raise click.UsageError(str(error)) from None


def _click_option(field: dataclasses.Field[Any], hint: Any, text: str | None, where: str) -> click.Option:
    kind = _kind(hint)
    dashed = field.name.replace("_", "-")
    declaration = f"--{dashed}/--no-{dashed}" if kind is bool else f"--{dashed}"
    return click.Option(
        [declaration, field.name],
        type=_click_type(kind, where),
        envvar=environment_variable(field.name),
        help=text,
        **_default(field),
    )


def _default(field: dataclasses.Field[Any]) -> dict[str, Any]:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING:
        return {"required": True}
    shown = default.value if isinstance(default, enum.Enum) else default
    return {"default": shown, "show_default": shown not in (None, "")}


def _click_type(kind: Any, where: str) -> Any:
    if kind in (str, int, float, bool):
        return kind
    if kind is pathlib.Path:
        return click.Path(path_type=pathlib.Path)
    if _is_enum(kind):
        return click.Choice([member.value for member in kind])
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    raise ServiceError(
        f"{where}: {kind} has no form on the command line: str, int, float, bool, Path, "
        "Literal and enumerations of strings have, and each of them or None"
    )


def _kind(hint: Any) -> Any:
    """X for both X and X | None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _is_enum(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, enum.Enum)


def _attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    """The string under each field, those that the class inherits included."""
    docs: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        docs |= _own_attribute_docstrings(each)
    return docs


def _own_attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):
        return {}
    docs: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, below in itertools.pairwise(statements):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs
