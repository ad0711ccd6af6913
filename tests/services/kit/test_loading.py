from pathlib import Path

import pytest

from mmad_answer.loading import ServiceError, find_model_class

MODEL = """
from mmad_answer.model import Card, Model


class {name}(Model):
    def describe(self):
        return Card("{name}", "test")

    def answer(self, batch):
        yield from ()
"""


def refused(folder):
    with pytest.raises(ServiceError) as error:
        find_model_class(folder)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_one_model_class_is_found(service_folder):
    assert find_model_class(service_folder(MODEL.format(name="Mine"))).__name__ == "Mine"


def test_base_classes_and_imported_models_do_not_count(service_folder):
    folder = service_folder(
        "import abc\nfrom shared import Shared\n"
        + MODEL.format(name="Mine")
        + "class Base(Model):\n    @abc.abstractmethod\n    def part(self): ...\n"
    )
    (folder / "shared.py").write_text(MODEL.format(name="Shared"))  # a module of the service's own
    assert find_model_class(folder).__name__ == "Mine"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert refused(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: there is no such folder"


def test_a_folder_without_service_py_is_named(tmp_path):
    assert "service.py" in refused(tmp_path)


def test_no_model_class_is_said(service_folder):
    assert "defines no subclass" in refused(service_folder("x = 1"))


def test_two_model_classes_are_named(service_folder):
    message = refused(service_folder(MODEL.format(name="One") + MODEL.format(name="Two")))
    assert "One and Two" in message


def test_a_missing_package_is_named_with_the_requirements_to_install(service_folder):
    folder = service_folder("import no_such_package_here", requirements="no-such-package-here==1\n")
    message = refused(folder)
    assert "'no_such_package_here'" in message
    assert f"pip install -r {folder}/requirements.txt" in message


def test_a_syntax_error_is_given_with_file_and_line(service_folder):
    folder = service_folder("x = 1\nclass :\n")
    assert refused(folder).startswith(f"{folder}/service.py, line 2: ")


def test_a_mistake_at_import_is_given_with_its_line_and_error(service_folder):
    folder = service_folder("x = 1\n\ny = x / 0\n")
    assert refused(folder) == f"{folder}/service.py, line 3: ZeroDivisionError: division by zero"


def test_a_mistake_is_given_with_its_line_in_a_relative_folder_too(service_folder, monkeypatch):
    folder = service_folder("x = 1\n\ny = x / 0\n")
    monkeypatch.chdir(folder.parent)
    message = refused(Path(folder.name))
    assert message == f"{folder}/service.py, line 3: ZeroDivisionError: division by zero"


def test_code_that_comes_from_no_file_is_not_taken_for_the_folders(service_folder, monkeypatch):
    folder = service_folder("exec('1 / 0')\n")
    monkeypatch.chdir(folder)
    assert refused(Path()).startswith(f"{folder}/service.py, line 1: ")


def test_a_mistake_in_a_module_beside_service_py_is_given_there(service_folder):
    folder = service_folder("import json\nimport its_own_module\n")
    (folder / "its_own_module.py").write_text("import json\njson.loads('no')\n")
    assert refused(folder).startswith(f"{folder}/its_own_module.py, line 2: JSONDecodeError: ")


def test_a_service_that_exits_when_imported_is_told_like_any_mistake(service_folder):
    folder = service_folder("import sys\nsys.exit('no licence')\n")
    assert refused(folder) == f"{folder}/service.py, line 2: SystemExit: no licence"


def test_a_file_instead_of_a_folder_is_called_so(tmp_path):
    (tmp_path / "weights.bin").touch()
    assert "is a file" in refused(tmp_path / "weights.bin")
