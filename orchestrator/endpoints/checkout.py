"""The services of this checkout: where they lie, and which interpreter can run each.

A service is found by the name of its folder alone, so that a new model needs no edit here. Each has an
environment of its own, `services/NAME/.venv`; only one that asks for nothing that this process's environment
lacks may go without.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from orchestrator.errors import EndpointError, near_matches


def find_checkout(start: Path | None = None) -> Path:
    """Return the nearest folder that holds `services/`, from `start` (the working folder) or this file up.

    Raises:
        EndpointError: there is none: the orchestrator was installed without its checkout.
    """
    for origin in (start or Path.cwd(), Path(__file__)):
        for folder in (origin, *origin.parents):
            if service_names(folder):
                return folder
    raise EndpointError(
        "--local starts services of a checkout, and there is none here: no folder services/ in "
        f"{start or Path.cwd()} or above. Go to the project's folder, or use --endpoint NAME=TARGET."
    )


def service_names(checkout: Path) -> list[str]:
    """Return the names of the services in the checkout, sorted."""
    return sorted(path.parent.name for path in (checkout / "services").glob("*/service.py"))


def service_folder(checkout: Path, name: str) -> Path:
    """Return the folder of a service.

    Raises:
        EndpointError: there is no such service; lists those that there are.
    """
    names = service_names(checkout)
    if name not in names:
        raise EndpointError(
            f"--local {name}: there is no such service in {checkout / 'services'}."
            f"{near_matches(name, names)} There are: {', '.join(names)}."
        )
    return checkout / "services" / name


def interpreter(folder: Path) -> str:
    """Return the Python that runs the service in `folder`.

    Raises:
        EndpointError: it needs an environment of its own and has none; names the command that makes it.
    """
    own = folder / ".venv" / "bin" / "python"
    if own.exists():
        return str(own)
    if missing := _missing(folder / "requirements.txt"):
        own_path = f"services/{folder.name}"
        raise EndpointError(
            f"--local {folder.name}: it needs an environment of its own ({missing}). "
            f"In {folder.parent.parent}:\n"
            f"    python3.11 -m venv {own_path}/.venv && {own_path}/.venv/bin/pip install ./services/kit "
            f"-r {own_path}/requirements.txt"
        )
    return sys.executable


def _missing(requirements: Path) -> str:
    """Return the first thing that this process's environment lacks, or ""."""
    lines = requirements.read_text(encoding="utf-8").splitlines() if requirements.exists() else []
    for line in ("mmad-answer", *_stripped(lines)):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            return f"its requirements.txt has {line!r}"
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return f"{requirement.name} is not installed here"
        if not requirement.specifier.contains(version, prereleases=True):
            return f"{requirement} is needed, and {version} is installed here"
    return ""


def _stripped(lines: Sequence[str]) -> list[str]:
    return [text for line in lines if (text := line.split("#", 1)[0].strip())]
