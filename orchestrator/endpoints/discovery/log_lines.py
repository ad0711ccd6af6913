"""What a container wrote, for people to read: its log, or what its health check said."""

from __future__ import annotations

import re

from orchestrator.dispatch.faults import printable

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")
"""Colours and the like (ECMA-48's CSI), and titles and links (OSC)."""


def log_lines(log: bytes | str) -> list[str]:
    """Return the lines, without colours, and with a space for whatever else could command a terminal."""
    text = log.decode("utf-8", "replace") if isinstance(log, bytes) else log
    return [printable(line).rstrip() for line in _SEQUENCE.sub("", text).splitlines()]
