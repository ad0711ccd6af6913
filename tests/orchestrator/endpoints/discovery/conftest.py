"""A source whose places a test sets, and a clock that makes looks quick to be old."""

from __future__ import annotations

import pytest

from orchestrator.endpoints.discovery import survey as survey_module
from orchestrator.endpoints.discovery.place import Place, Places, SourceError


class SetSource:
    """Gives the places that it was set to, or raises."""

    def __init__(self):
        self.places: list[Place] = []
        self.error: SourceError | None = None
        self.left_out = 0
        self.looks = 0

    def look(self):
        self.looks += 1
        if self.error:
            raise self.error
        return Places(tuple(self.places), self.left_out)

    def close(self):
        pass

    def put(self, origin, *targets, **changes):
        """Add a place, or replace the one of this origin."""
        changes = {"key": f"{origin}@0", "id": origin, "targets": targets} | changes
        self.places = [place for place in self.places if place.origin != origin]
        self.places.append(Place(origin=origin, **changes))


@pytest.fixture
def source():
    return SetSource()


@pytest.fixture
def fresh_looks(monkeypatch):
    """Let no look be shared."""
    monkeypatch.setattr(survey_module, "_SHARED_SECONDS", -1.0)
