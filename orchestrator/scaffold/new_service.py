"""Writing a new service into a checkout: nothing but new files, and all of them or none."""

from __future__ import annotations

import contextlib
import keyword
import re
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

import yaml

from orchestrator.endpoints.checkout import service_names
from orchestrator.errors import UserError

_TEMPLATE = Path(__file__).parent / "template"
_PLACEHOLDER = "my_model"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 40
_TAKEN = ("answer", "kit", "mmad", "mmad_answer", "orchestrator", "service")
"""The network alias of all services, the folder of the kit, and modules that every service has."""


def write_service(checkout: Path, name: str) -> list[Path]:
    """Write a new service's files; return their paths, relative to the checkout.

    Raises:
        UserError: the name will not do, one of the files is there already, or one cannot be written. The
            checkout is then as it was.
    """
    if problem := _name_problem(checkout, name):
        raise UserError(f"{name}: {problem}")
    files = render(name)
    if there := _in_the_way(checkout, name, files):
        raise UserError(f"{name}: nothing is overwritten, and these are there already: {', '.join(there)}.")
    with contextlib.ExitStack() as undo:
        for path, text in files.items():
            try:
                _write(checkout / path, text, undo)
            except OSError as error:
                raise UserError(
                    f"{name}: {error.filename or checkout / path} cannot be written: {error.strerror}. "
                    "Nothing is left of it."
                ) from None
        undo.pop_all()
    return list(files)


def _in_the_way(checkout: Path, name: str, files: Iterable[Path]) -> list[str]:
    """Return what is there already of the files, and whatever else in `docker/` bears the name."""
    own = {path for path in files if (checkout / path).exists()}
    others = {path.relative_to(checkout) for path in (checkout / "docker").glob(f"{name}.*")}
    folder = Path("docker", name)
    return sorted(map(str, own | others | ({folder} if (checkout / folder).exists() else set())))


def _write(path: Path, text: str, undo: contextlib.ExitStack) -> None:
    """Write a new file, and each folder that it needs; `undo` is told how to take them away."""
    for folder in reversed(path.parents):
        if not folder.is_dir():
            folder.mkdir()
            undo.callback(folder.rmdir)
    with path.open("x", encoding="utf-8") as file:
        undo.callback(path.unlink)
        file.write(text)


def render(name: str) -> dict[Path, str]:
    """Return a new service's files: each one's text by its path in a checkout."""
    files = {}
    for source in sorted(_TEMPLATE.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:  # pip compiles what it installs
            path = str(source.relative_to(_TEMPLATE)).replace(_PLACEHOLDER, name)
            files[Path(path)] = source.read_text(encoding="utf-8").replace(_PLACEHOLDER, name)
    return files


def _name_problem(checkout: Path, name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        return (
            "this is no name for a service. It names a folder, an image and perhaps a Python module: a "
            "lower-case letter, then lower-case letters and digits, with single underscores between them, "
            f"at most {_LONGEST_NAME} in all."
        )
    if name in service_names(checkout):
        return f"there is a service of this name in {checkout / 'services'}."
    if name in _TAKEN or name in _compose_services(checkout):
        return "this name means something else here. Take another one."
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        return "this name is Python's own, and could not be a module beside service.py. Take another one."
    if (checkout / name).exists():
        return f"this checkout has a folder {name}/, which is something else. Take another one."
    if PathFinder.find_spec(name) is not None:
        return "a Python package that is installed here has this name. Take another one."
    return ""


def _compose_services(checkout: Path) -> list[str]:
    """Return the names that a fragment would not stand beside, but be merged into.

    Raises:
        UserError: compose.yaml cannot be read.
    """
    path = checkout / "compose.yaml"
    try:
        services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError):
        raise UserError(f"{path}: there are no services in it. Is this the project's own?") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}. Mend it first.") from None
    return list(services or ())
