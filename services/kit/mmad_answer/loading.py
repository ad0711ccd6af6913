"""Finds the model in a service's folder: the one subclass of `Model` that its service.py defines.

The folder goes first on `sys.path`, so that a service may have modules of its own beside service.py.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mmad_answer.model import Model


class ServiceError(Exception):
    """The folder holds no service that can be started. Its message is one line for people."""


def find_model_class(folder: Path) -> type[Model[Any]]:
    """The model class of a service's folder. Runs its service.py.

    Raises:
        ServiceError: no such folder, no service.py, a package that is missing, a mistake in the file, no
            model class or several.
    """
    path = folder / "service.py"
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


def missing_package(error: ModuleNotFoundError, folder: Path) -> ServiceError:
    """What to do about a module that a service imports and nobody installed."""
    requirements = folder / "requirements.txt"
    remedy = f"pip install -r {requirements}" if requirements.is_file() else "install it"
    return ServiceError(f"{folder}: needs {error.name!r}, which is not installed in {sys.prefix}: {remedy}")


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
        raise missing_package(error, path.parent) from None
    except SyntaxError as error:
        raise ServiceError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        line = _line_in(error, path)
        raise ServiceError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    return module


def _line_in(error: Exception, path: Path) -> int:
    traceback, line = error.__traceback__, 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
