"""A blister pack of ten blue pills."""

from __future__ import annotations

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, fibre, gone, recoloured, scratch
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import Surface, box, circle, cloud

_PILLS = tuple((-0.88 + 0.44 * column, -0.3 + 0.6 * row) for row in range(2) for column in range(5))
_BLUE = (0.3, 0.5, 0.78)


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    s.colour[:] = (0.09, 0.10, 0.10)
    s.colour *= (1 + 0.05 * cloud(rng, s.u.shape, 50))[..., None]
    pack = box(s, 0, 0, 1.16, 0.7, rounding=0.08)
    emboss = 0.0016 * np.sin(s.u * 75) * np.sin(s.v * 75) + 0.0008 * cloud(rng, s.u.shape, 30)
    foil = (0.05 + emboss).astype(np.float32)
    s.paint(s.cover(pack), (0.48, 0.49, 0.5), height=foil, gloss=0.35, body=1)
    for index, (x, y) in enumerate(_PILLS):
        tablet = Change() if index != change.element else change
        _pocket(s.near(x, y, 0.24), x, y, tablet, float(rng.uniform(0, np.pi)))


def _pocket(s: Surface, x: float, y: float, change: Change, turn: float) -> None:
    rim = circle(s, x, y, 0.19)
    s.paint(s.cover(rim), (0.36, 0.37, 0.38), height=0.052, gloss=0.2)
    s.height += np.clip(0.03 - np.abs(rim), 0, 0.03) * 0.9
    tablet = circle(s, x, y, 0.15)
    if change.missing >= 1:
        return
    if change.missing:
        bite = 0.15 * (1 - 2 * change.missing)
        tablet = np.maximum(
            tablet, (s.u - x) * np.cos(turn * 2) + (s.v - y) * np.sin(turn * 2) - np.float32(bite)
        )
    dome = 0.06 + 0.09 * np.sqrt(np.clip(-tablet, 0, 0.15) / 0.15)
    score = np.abs((s.u - x) * np.sin(turn) - (s.v - y) * np.cos(turn))
    dome -= 0.012 * s.cover(score - 0.008)
    s.paint(s.cover(tablet), change.colour or _BLUE, height=dome.astype(np.float32), gloss=0.12)


def _broken(element: int, severity: float, rng: np.random.Generator) -> Change:
    """A tablet of which a piece is gone, never all of it."""
    return Change(element, missing=0.12 + 0.38 * severity)


_FOIL = tuple((-0.66 + 0.44 * k, y) for k in range(4) for y in (-0.55, 0.0, 0.55))

PART = Part(
    dataset="Sample-Parts",
    product="pill_blister",
    noun="a blister pack of pills",
    size=(768, 512),
    suffix=".png",
    freedom=0.8,
    draw=_draw,
    defects=(
        Defect(
            kind="missing_pill",
            label="Missing pill",
            description="One pocket is empty",
            effect="The pack holds a dose too few, so that the patient's count goes wrong",
            cause="The feeder did not fill that pocket",
            sites=_PILLS,
            fault=gone,
        ),
        Defect(
            kind="broken_pill",
            label="Broken pill",
            description="A piece has broken off one of the pills along a straight edge",
            effect="That pill holds less of the active substance than it should",
            cause="The pill was too brittle, or was pinched when it was fed",
            sites=_PILLS,
            fault=_broken,
        ),
        Defect(
            kind="discoloured_pill",
            label="Discoloured pill",
            description="One pill has another colour than its neighbours",
            effect="It may be another product or spoilt: the whole batch is in doubt",
            cause="A pill of another kind got into the feed, or moisture did",
            sites=_PILLS,
            fault=recoloured(_BLUE, (0.75, 0.62, 0.22)),
        ),
        Defect(
            kind="fibre",
            label="Foreign fibre",
            description="A dark curved hair lies on the foil",
            effect="The pack is contaminated with foreign matter, although each dose is whole",
            cause="Hair or clothing fibre fell on the line",
            sites=_FOIL,
            mark=fibre((0.03, 0.015, 0.01)),
        ),
        Defect(
            kind="scratch",
            label="Scratch",
            description="A thin dark line runs over the foil between the pockets",
            effect="The foil may be opened there and let moisture in",
            cause="A guide rail with a burr dragged over the foil",
            sites=_FOIL,
            mark=scratch((0.08, 0.08, 0.09)),
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "How are the pockets arranged?",
            "In two rows of five",
            ("In three rows of four", "In one row of eight", "In a circle"),
        ),
        Fact(
            STRUCTURE,
            "How many pockets are there?",
            "10",
            ("6", "8", "14"),
        ),
        Fact(
            DETAILS,
            "What shape are the pills?",
            "Round, with a score line",
            ("Oval, without any line", "Square, with a hole", "Triangular, with a letter"),
            unless=("broken_pill",),
        ),
        Fact(
            DETAILS,
            "What colour are most of the pills?",
            "Blue",
            ("Yellow", "Green", "Red"),
        ),
        Fact(
            ANALYSIS,
            "What does the pack do for the pills?",
            "It keeps each dose apart and dry until it is pressed out",
            ("It dissolves them in water", "It heats them evenly", "It grinds them to powder"),
        ),
    ),
    normal=(
        "A flawless pack holds ten whole, equally blue, round pills, one in each pocket; the foil is clean "
        "and without lines."
    ),
)
