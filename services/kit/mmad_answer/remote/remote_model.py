"""A model behind a remote API: the kit's `Model` on top of a provider."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from mmad_answer.model import Inspection, Model, Reply
from mmad_answer.remote.dialect import Dialect
from mmad_answer.remote.images import ImagePolicy
from mmad_answer.remote.options import RemoteOptions

RemoteOptionsT = TypeVar("RemoteOptionsT", bound=RemoteOptions)


class RemoteModel(Model[RemoteOptionsT], abc.ABC, Generic[RemoteOptionsT]):
    """Asks a provider. A service says `describe`, `dialect`, `key_variables` and perhaps `image_policy`.

    The first question of an inspection goes alone, the others together after it: an engine that caches
    prefixes has then computed the images once for all. The price is one reply's time per inspection, which
    other inspections fill.
    """

    batch_size = 1

    def __init__(self, options: RemoteOptionsT) -> None:
        super().__init__(options)
        self.workers = options.concurrency  # type: ignore[misc]  # by option, not by class

    @property
    @abc.abstractmethod
    def key_variables(self) -> Sequence[str]:
        """Environment variables that may hold the key, the first that is set counts."""

    @property
    def key_required(self) -> bool:
        """Whether there is no use in asking without a key."""
        return True

    @abc.abstractmethod
    def dialect(self) -> Dialect:
        """The provider's language, with this service's settings. Called once, in `load`."""

    def image_policy(self) -> ImagePolicy:
        """When images are encoded anew; by the options, unless the provider has limits of its own."""
        raise NotImplementedError

    def shared_settings(self) -> dict[str, str]:
        """What the options that all remote services share mean for answers; for `Card.settings`."""
        raise NotImplementedError

    def load(self) -> None:
        """Read the key, open the provider, and have the dialect check key and model."""

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Answer every question; see the class for the order."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connections and the thread of the event loop."""
