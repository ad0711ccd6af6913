import importlib.metadata
import platform

from mmad_answer.environment import versions


def test_versions_of_python_the_kit_and_what_the_service_requires(service_folder):
    folder = service_folder(
        "",
        requirements="# pinned\n--extra-index-url x\n\nHypothesis[cli]>=6 ; python_version > '3'  # why\n"
        "no-such-package==1\n./local\n",
    )
    found = versions(folder)
    assert found == {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("grpcio", "protobuf", "pillow", "hypothesis")},
    }


def test_a_service_without_requirements_states_the_kits(tmp_path):
    assert set(versions(tmp_path)) == {"python", "grpcio", "protobuf", "pillow"}
