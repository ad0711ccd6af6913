"""Writing a new service into a checkout: nothing but new files, and all of them or none."""

from __future__ import annotations

import keyword
import re
import sys
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
        UserError: the name will not do, or one of the files is there already. Nothing has been written then.
    """
    if problem := _name_problem(checkout, name):
        raise UserError(f"{name}: {problem}")
    files = render(name)
    if there := [str(path) for path in files if (checkout / path).exists()]:
        raise UserError(f"{name}: nothing is overwritten, and these are there already: {', '.join(there)}.")
    for path, text in files.items():
        target = checkout / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(files)


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
    return ""


def _compose_services(checkout: Path) -> list[str]:
    """Return the names that a fragment would not stand beside, but be merged into."""
    path = checkout / "compose.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["services"]) if path.exists() else []
