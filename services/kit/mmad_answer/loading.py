"""Finds the model in a service's folder: the one subclass of `Model` that its service.py defines.

The folder goes first on `sys.path`, so that a service may have modules of its own beside service.py.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from mmad_answer.model import LoadError, Model
from mmad_answer.wording import in_one_line


class ServiceError(Exception):
    """The folder holds no service that can be started. Its message is one line for people."""


def find_model_class(folder: Path) -> type[Model[Any]]:
    """The model class of a service's folder. Runs its service.py.

    Raises:
        ServiceError: no such folder, no service.py, a package that is missing, a mistake in the file, no
            model class or several.
    """
    path = folder / "service.py"
    if folder.exists() and not folder.is_dir():
        raise ServiceError(f"{folder}: is a file; name the folder of a service")
    if not folder.is_dir():
        raise ServiceError(f"{folder}: there is no such folder")
    if not path.is_file():
        raise ServiceError(f"{folder}: a service's folder holds a service.py, and this one does not")
    module = _run(path)
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Model)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if not found:
        raise ServiceError(f"{path}: defines no subclass of mmad_answer.model.Model")
    if len(found) > 1:
        names = " and ".join(cls.__name__ for cls in found)
        raise ServiceError(f"{path}: defines more than one subclass of Model: {names}; leave one")
    return found[0]


@contextlib.contextmanager
def own_code(model_class: type[Model[Any]]) -> Iterator[None]:
    """Run a model's own code on the way to its start.

    Raises:
        ServiceError: for whatever that code raises unforeseen, sys.exit() included: one line with the place,
            the last one in the service's folder if there is one. The exception is its cause.
        LoadError, click.ClickException: as the code raised them.
    """
    folder = Path(inspect.getfile(model_class)).parent
    try:
        yield
    except (LoadError, ServiceError, click.ClickException, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        raise (_missing_package if error.name else _unimportable)(error, folder) from error
    except BaseException as error:
        raise _mistake(error, folder) from error


def _missing_package(error: ModuleNotFoundError, folder: Path) -> ServiceError:
    requirements = folder / "requirements.txt"
    remedy = f"pip install -r {requirements}" if requirements.is_file() else "install it"
    return ServiceError(f"{folder}: needs {error.name!r}, which is not installed in {sys.prefix}: {remedy}")


def _unimportable(error: ModuleNotFoundError, folder: Path) -> ServiceError:
    """What a library says that tries a package and finds it broken: the reason is in the cause."""
    cause = error.__cause__ or error
    return ServiceError(
        f"{folder}: a package that it needs is there and cannot be imported: {in_one_line(cause)}"
    )


def _mistake(error: BaseException, folder: Path) -> ServiceError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_in(folder, Path(frame.filename))]
    place = (own or frames)[-1]
    return ServiceError(f"{place.filename}, line {place.lineno}: {in_one_line(error)}")


def _is_in(folder: Path, file: Path) -> bool:
    # Code that comes from no file is "<string>"; the folder may hold an environment too.
    inside = file.is_absolute() and file.resolve().is_relative_to(folder.resolve())
    return inside and "site-packages" not in file.parts


def _run(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location("service", path)
    if spec is None or spec.loader is None:
        raise ServiceError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["service"] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise _missing_package(error, path.parent) from error
    except SyntaxError as error:
        raise ServiceError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() too would end this without a word
        raise _mistake(error, path.parent) from error
    return module
