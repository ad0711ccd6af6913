"""Words that others wrote, made fit for one line at a terminal and for a protobuf string."""

from __future__ import annotations


def utf8(text: str) -> str:
    """The text with "?" for what UTF-8 cannot hold: surrogates, as undecodable file names have them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def in_one_line(error: BaseException) -> str:
    """An exception's type and the first line of its message. Never raises, whatever the exception does."""
    return f"{type(error).__name__}: {message(error)}".strip().splitlines()[0]


def message(error: BaseException) -> str:
    """What an exception says. Never raises, though its `__str__` is anybody's code."""
    try:
        return utf8(str(error))
    except Exception:
        return "(its message cannot be read)"
