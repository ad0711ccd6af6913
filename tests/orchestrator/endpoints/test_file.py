"""endpoints.yaml."""

import textwrap

import pytest

from orchestrator.endpoints.file import read_endpoints
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "endpoints.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_models_and_their_replicas_are_read_in_order_with_the_line_they_stand_in(written):
    path = written(
        """\
        endpoints:
          - name: qwen
            target: gpu1:50051
          - name: internvl
            targets:
              - gpu2:50051
              - "[::1]:50051"
            notes: shared
        """
    )
    assert read_endpoints(path) == [
        Endpoint("qwen", "gpu1:50051", f"{path}, line 2"),
        Endpoint("internvl", "gpu2:50051", f"{path}, line 4"),
        Endpoint("internvl", "[::1]:50051", f"{path}, line 4"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("endpoints:\n  - name: a\n    traget: h:1\n", 3, "no key 'traget'. Did you mean 'target'"),
        ("endpoint: []\n", 1, "no key 'endpoint'. Did you mean 'endpoints'"),
        ("endpoints:\n  - target: h:1\n", 2, "endpoints.name: Field required"),
        ("endpoints:\n  - name: a\n", 2, "give either target, or targets"),
        (
            "endpoints:\n  - name: a\n    target: h:1\n    targets: [h:2]\n",
            2,
            "give either target, or targets",
        ),
        ("endpoints:\n  - name: a\n    targets: []\n", 2, "give either target, or targets"),
        (
            "endpoints:\n  - name: a\n    target: 50051\n",
            3,
            "endpoints.target: Input should be a valid string",
        ),
        ("endpoints:\n  - name: a\n    target: http://h:1\n", 2, "leave http:// out"),
        ("endpoints:\n  - name: a/b\n    target: h:1\n", 2, "the name 'a/b' will not do"),
        ("endpoints: []\n", 1, "at least 1 item"),
        ("- a\n", 1, "expected `endpoints:`"),
        ("endpoints:\n  - name: [a\n", 3, "not YAML"),
        ("endpoints:\n  - name: *nobody\n", 2, "not YAML"),
        ("endpoints: !!python/name:os.system\n", 1, "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(written, text, line, words):
    path = written(text)
    with pytest.raises(EndpointError) as error:
        read_endpoints(path)
    assert f"{path}, line {line}: " in str(error.value)
    assert words in str(error.value)


def test_all_that_is_wrong_is_said_at_once(written):
    path = written(
        """\
        endpoints:
          - name: a
            target: host
          - name: b
            target: h:0
        """
    )
    with pytest.raises(EndpointError) as error:
        read_endpoints(path)
    assert len(str(error.value).splitlines()) == 2


def test_an_empty_file_and_a_missing_one_and_one_that_is_no_text_are_named(written, tmp_path):
    with pytest.raises(EndpointError, match="the file is empty"):
        read_endpoints(written("# nothing\n"))
    with pytest.raises(EndpointError, match=r"none\.yaml: No such file"):
        read_endpoints(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EndpointError, match="not a UTF-8 text file"):
        read_endpoints(tmp_path / "binary.yaml")
