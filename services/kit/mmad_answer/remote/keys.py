"""Keys of providers: from a file or the environment, and into nothing but a request's header.

No option takes a key, because command lines are seen by everybody on the machine and kept by shells. What a
provider sends back is scrubbed before anyone reads it: some repeat a wrong key in their error. Servers of
one's own are given dummies ("none"), which are words of answers too: a reply is scrubbed of secrets only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mmad_answer.model import LoadError

_HIDDEN: Final = "[key]"
_SHORTEST_SECRET: Final = 16
"""Characters; no provider's keys are shorter."""


class Key:
    """A secret that prints as "[key]"."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def __repr__(self) -> str:
        return _HIDDEN

    def __reduce__(self) -> str:
        raise TypeError("a key is not to be written anywhere")

    def reveal(self) -> str:
        """The secret itself, for a header."""
        return self.__value

    def scrub(self, text: str) -> str:
        """A text for people, with "[key]" for the key."""
        return text.replace(self.__value, _HIDDEN)

    def scrub_reply(self, value: Any) -> Any:
        """A JSON value with "[key]" wherever a string holds the key, unless that is a mere dummy."""
        if len(self.__value) < _SHORTEST_SECRET:
            return value
        match value:
            case str():
                return self.scrub(value)
            case list():
                return [self.scrub_reply(each) for each in value]
            case dict():
                return {self.scrub(name): self.scrub_reply(each) for name, each in value.items()}
            case _:
                return value


def read_key(
    file: Path | None, variables: Sequence[str], environment: Mapping[str, str] = os.environ
) -> Key | None:
    """The key in a file, else in the first of the environment's variables that is set; None if there is none.

    Raises:
        LoadError: the file cannot be read, or what is there can be no key. The message never holds it.
    """
    if file is not None:
        try:
            return _key(file.read_text(encoding="utf-8"), f"--key-file {file}")
        except OSError as error:
            raise LoadError(f"--key-file {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise LoadError(f"--key-file {file}: is not a text file") from None
    for variable in variables:
        if environment.get(variable):
            return _key(environment[variable], f"the environment variable {variable}")
    return None


def _key(text: str, origin: str) -> Key:
    value = text.strip()
    if not value:
        raise LoadError(f"{origin} is empty: put the key into it, and nothing else")
    # Anything else cannot stand in a header, and the error of the HTTP library would show it.
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise LoadError(f"{origin} is no key: it is to hold one line of letters, digits and signs")
    return Key(value)
