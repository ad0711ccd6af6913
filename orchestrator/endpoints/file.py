"""endpoints.yaml: the models that a site shares.

endpoints:
  - name: qwen2.5-vl-7b
    target: gpu1:50051
  - name: internvl3-8b
    targets: [gpu2:50051, gpu3:50051]    # replicas: one model, one name
    notes: on the shared machines
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pydantic
import yaml
from pydantic_core import ErrorDetails

from orchestrator.endpoints.arguments import make_endpoint
from orchestrator.errors import EndpointError, near_matches
from orchestrator.vocabulary import Endpoint


class _Entry(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    name: str
    target: str | None = None
    targets: list[str] = []
    notes: str = ""

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.target is None) == (not self.targets):
            raise ValueError("give either target, or targets with at least one address")
        return self


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    endpoints: list[_Entry] = pydantic.Field(min_length=1)


def read_endpoints(path: Path) -> list[Endpoint]:
    """Return the endpoints that the file lists, in its order.

    Raises:
        EndpointError: the file cannot be read, or holds anything else; names the file and each line.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        content = yaml.SafeLoader("").construct_document(root) if root is not None else None
    except OSError as error:
        raise EndpointError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise EndpointError(f"{path}: not a UTF-8 text file") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise EndpointError(f"{path}, line {line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise EndpointError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if root is None:
        raise EndpointError(f"{path}: the file is empty; it should list endpoints: name, target.")
    try:
        file = _File.model_validate(content)
    except pydantic.ValidationError as errors:
        problems = [
            f"{path}, line {_line(root, error['loc'])}: {_explain(error)}" for error in errors.errors()
        ]
        raise EndpointError("\n".join(problems)) from None
    return _endpoints(file, path, root)


def _endpoints(file: _File, path: Path, root: yaml.Node) -> list[Endpoint]:
    endpoints, problems = [], []
    for index, entry in enumerate(file.endpoints):
        where = f"{path}, line {_line(root, ('endpoints', index))}"
        for target in [entry.target] if entry.target is not None else entry.targets:
            try:
                endpoints.append(make_endpoint(entry.name, target, where, where))
            except EndpointError as error:
                problems.append(str(error))
    if problems:
        raise EndpointError("\n".join(problems))
    return endpoints


def _explain(error: ErrorDetails) -> str:
    location = error["loc"]
    if not location:
        return "expected `endpoints:` and below it a list of entries with `name:` and `target:`."
    if error["type"] == "extra_forbidden":
        known = _Entry.model_fields if len(location) > 1 else _File.model_fields
        return f"there is no key {location[-1]!r}.{near_matches(str(location[-1]), known)}"
    keys = ".".join(str(part) for part in location if isinstance(part, str))
    return f"{keys}: {error['msg'].removeprefix('Value error, ')}"


def _line(node: yaml.Node, location: Sequence[int | str]) -> int:
    """Return the line where the part of the document stands, or the nearest part around it that exists."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
