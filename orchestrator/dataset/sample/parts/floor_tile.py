"""A glazed floor tile with a blue rosette."""

from __future__ import annotations

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, chip, crack, scratch, stain
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import Surface, box, circle, cloud

_HALF = 0.84


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    s.colour[:] = (0.2, 0.19, 0.18)
    s.colour *= (1 + 0.12 * cloud(rng, s.u.shape, 70))[..., None]
    tile = box(s, 0, 0, _HALF, _HALF, rounding=0.03)
    glaze = np.array((0.66, 0.65, 0.6), np.float32) * (1 + 0.02 * cloud(rng, s.u.shape, 25))[..., None]
    rounded = 0.07 + np.clip(-tile, 0, 0.03)
    rounded += 0.0007 * cloud(rng, s.u.shape, 20)
    s.paint(s.cover(tile), glaze.astype(np.float32), height=rounded.astype(np.float32), gloss=0.3, body=1)
    blue = (0.035, 0.11, 0.34)
    radius, angle = np.hypot(s.u, s.v), np.arctan2(s.v, s.u)
    petals = radius - 0.42 * (0.45 + 0.55 * np.abs(np.cos(angle * 4)))
    s.paint(s.cover(petals * 0.5), blue)
    s.paint(s.cover(np.abs(radius - 0.5) - 0.02), blue)
    s.paint(s.cover(circle(s, 0, 0, 0.12)), (0.62, 0.4, 0.08))
    for x in (-_HALF, _HALF):
        for y in (-_HALF, _HALF):
            corner = np.abs(circle(s, x, y, 0.3)) - 0.035
            s.paint(s.cover(np.maximum(corner, tile + 0.03)), blue)
    frame = np.abs(box(s, 0, 0, _HALF - 0.07, _HALF - 0.07)) - 0.008
    s.paint(s.cover(frame), blue)


_PLACES = tuple((x, y) for x in (-0.52, 0.0, 0.52) for y in (-0.52, 0.0, 0.52))
_EDGE = tuple(
    point
    for along in (-0.55, 0.0, 0.55)
    for point in ((along, -_HALF), (along, _HALF), (-_HALF, along), (_HALF, along))
)

PART = Part(
    dataset="Sample-Surfaces",
    product="floor_tile",
    noun="a glazed floor tile",
    size=(704, 640),
    suffix=".jpg",
    freedom=1.0,
    draw=_draw,
    defects=(
        Defect(
            kind="crack",
            label="Crack",
            description="A jagged dark line with a branch runs through the glaze",
            effect="The tile is weakened all through and will break under load",
            cause="Stress in firing, or a blow",
            sites=_PLACES,
            mark=crack((0.03, 0.025, 0.02)),
        ),
        Defect(
            kind="chipped_edge",
            label="Chipped edge",
            description="A flake is missing at the edge, showing the reddish clay",
            effect="The joint cannot be grouted cleanly along that side",
            cause="The tile knocked against another in handling",
            sites=_EDGE,
            mark=chip((0.4, 0.13, 0.06)),
        ),
        Defect(
            kind="stain",
            label="Stain",
            description="A yellowish-brown spot with soft edges discolours the glaze, which is whole",
            effect="Only the look suffers: the tile is as strong and as even as it should be",
            cause="Impurities in the glaze ran together in firing",
            sites=_PLACES,
            mark=stain((0.3, 0.16, 0.03)),
        ),
        Defect(
            kind="scratch",
            label="Scratch",
            description="A thin, nearly straight grey line is scored into the glaze",
            effect="Dirt settles in the open groove of the glaze, and no cleaning gets it out",
            cause="Grit was dragged over the glaze",
            sites=_PLACES,
            mark=scratch((0.2, 0.2, 0.2)),
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "What surrounds the rosette in the middle?",
            "A blue ring",
            ("A red square", "A green triangle", "Nothing: it stands free"),
        ),
        Fact(
            STRUCTURE,
            "What is in the tile's corners?",
            "A quarter of a circle in each",
            ("A star in each", "A round hole in each", "Nothing at all"),
        ),
        Fact(
            DETAILS,
            "How many petals has the rosette?",
            "8",
            ("4", "5", "12"),
        ),
        Fact(
            ANALYSIS,
            "Why does the surface shine?",
            "It is covered with fired glaze",
            ("It is polished steel", "It is wet fabric", "It is a layer of solder"),
        ),
    ),
    normal=(
        "A flawless tile has an even, off-white glaze, straight edges, a blue rosette of eight petals in a "
        "ring and a blue quarter circle in each corner."
    ),
)
