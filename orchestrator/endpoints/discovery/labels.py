"""The labels by which a container is found, of its image or its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.dispatch.stubs import answer_pb2

CONTRACT_LABEL = "org.mmad.answer.contract"
PORT_LABEL = "org.mmad.answer.port"
PROJECT_LABEL = "com.docker.compose.project"

CONTRACT_VERSION = answer_pb2.DESCRIPTOR.package.rpartition(".")[2]
"""What the contract's label must say: "v1"."""


def port_of(labels: Mapping[str, str]) -> int | None:
    """Return the port that the label names, or None where there is none or it is no port."""
    text = labels.get(PORT_LABEL, "")
    return int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) and 0 < int(text) < 65536 else None
