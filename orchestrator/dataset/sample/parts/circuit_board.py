"""A green circuit board with a chip, six resistors, two capacitors and a connector."""

from __future__ import annotations

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, displaced, gone, scratch, splash, stain
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import Surface, box, circle, cloud, line

_RESISTORS = ((-0.62, -0.52), (-0.12, -0.55), (0.5, -0.52), (-0.62, 0.5), (-0.05, 0.55), (0.55, 0.5))
_CAPACITORS = ((0.78, -0.12), (0.78, 0.2))
_HOLES = ((-0.92, -0.66), (0.92, -0.66), (-0.92, 0.66), (0.92, 0.66))
_TRACES = (
    [(-0.62, -0.52), (-0.3, -0.52), (-0.16, -0.36), (-0.16, -0.1)],
    [(-0.12, -0.55), (0.0, -0.43), (0.0, -0.1)],
    [(0.5, -0.52), (0.3, -0.52), (0.14, -0.36), (0.14, 0.0)],
    [(-0.62, 0.5), (-0.32, 0.5), (-0.16, 0.34), (-0.16, 0.1)],
    [(-0.05, 0.55), (0.0, 0.5), (0.0, 0.1)],
    [(0.55, 0.5), (0.3, 0.5), (0.14, 0.34), (0.14, 0.1)],
    [(0.1, -0.08), (0.5, -0.08), (0.54, -0.12), (0.78, -0.12)],
    [(0.1, 0.08), (0.5, 0.08), (0.62, 0.2), (0.78, 0.2)],
    [(-0.1, 0.0), (-0.82, 0.0)],
    [(-0.1, 0.12), (-0.5, 0.12), (-0.62, 0.24), (-0.82, 0.24)],
    [(-0.1, -0.12), (-0.5, -0.12), (-0.62, -0.24), (-0.82, -0.24)],
    [(0.62, -0.52), (0.84, -0.3), (0.84, -0.12)],
    [(0.67, 0.5), (0.9, 0.3), (0.84, 0.2)],
)
_SOLDER = (0.62, 0.63, 0.62)
_GOLD = (0.75, 0.5, 0.12)


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    s.colour[:] = (0.42, 0.42, 0.43)
    s.colour *= (1 + 0.03 * cloud(rng, s.u.shape, 60))[..., None]
    board = box(s, 0, 0, 1.06, 0.8, rounding=0.05)
    for x, y in _HOLES:
        board = np.maximum(board, -circle(s, x, y, 0.055))
    s.paint(s.cover(board), (0.012, 0.135, 0.05), height=0.05, gloss=0.08, body=1)
    for points in _TRACES:
        xs, ys = zip(*points, strict=True)
        middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
        trace = s.near(*middle, max(max(xs) - min(xs), max(ys) - min(ys)) / 2 + 0.03)
        trace.paint(trace.cover(line(trace, points) - 0.013), (0.03, 0.25, 0.09), height=0.056)
    for x, y in _HOLES:
        area = s.near(x, y, 0.12)
        area.paint(area.cover(np.abs(circle(area, x, y, 0.07)) - 0.018), _GOLD, gloss=0.5)
    _chip(s.near(0, 0, 0.34))
    for index, (x, y) in enumerate(_RESISTORS):
        _resistor(s.near(x, y, 0.3), x, y, change if index == change.element else Change())
    for x, y in _CAPACITORS:
        area = s.near(x, y, 0.14)
        can = circle(area, x, y, 0.105)
        area.paint(area.cover(can), (0.5, 0.51, 0.53), height=0.16, gloss=0.3)
        area.paint(area.cover(can) * area.cover(area.u - x + 0.055), (0.02, 0.02, 0.025))
    _connector(s.near(-0.92, 0, 0.5))


def _chip(s: Surface) -> None:
    for side in (-1, 1):
        for k in range(6):
            along = -0.15 + 0.06 * k
            for x, y, w, h in ((side * 0.22, along, 0.045, 0.014), (along, side * 0.22, 0.014, 0.045)):
                s.paint(s.cover(box(s, x, y, w, h)), _SOLDER, height=0.065, gloss=0.6)
    s.paint(s.cover(box(s, 0, 0, 0.2, 0.2, rounding=0.015)), (0.012, 0.012, 0.014), height=0.11, gloss=0.1)
    s.paint(s.cover(circle(s, -0.14, -0.14, 0.02)), (0.12, 0.12, 0.12))
    for y in (-0.03, 0.04):
        s.paint(s.cover(box(s, 0.02, y, 0.11, 0.012)), (0.2, 0.2, 0.2))


def _resistor(s: Surface, x: float, y: float, change: Change) -> None:
    for side in (-1, 1):
        pad = box(s, x + side * 0.1, y, 0.05, 0.065, rounding=0.01)
        s.paint(s.cover(pad), _GOLD, height=0.056, gloss=0.4)
    if change.missing:
        return
    x, y, angle = x + change.x, y + change.y, change.angle
    s.paint(s.cover(box(s, x, y, 0.13, 0.055, angle)), _SOLDER, height=0.085, gloss=0.6)
    s.paint(s.cover(box(s, x, y, 0.09, 0.056, angle)), (0.02, 0.02, 0.022), height=0.09, gloss=0.15)
    s.paint(s.cover(box(s, x, y, 0.05, 0.014, angle)), (0.35, 0.35, 0.35))


def _connector(s: Surface) -> None:
    s.paint(s.cover(box(s, -0.92, 0, 0.1, 0.4, rounding=0.01)), (0.72, 0.7, 0.64), height=0.14, gloss=0.1)
    for k in range(5):
        y = -0.28 + 0.14 * k
        s.paint(s.cover(box(s, -0.9, y, 0.055, 0.05)), (0.3, 0.29, 0.26), height=0.09)
        s.paint(s.cover(box(s, -0.9, y, 0.018, 0.018)), _GOLD, height=0.11, gloss=0.6)


_OPEN = (
    (-0.45, -0.3), (0.4, -0.28), (-0.42, 0.3), (0.42, 0.3), (-0.42, 0.0), (0.45, 0.0),
    (0.2, -0.65), (0.22, 0.65), (-0.35, -0.66), (-0.35, 0.66), (0.88, -0.42), (0.86, 0.45),
    (-0.88, 0.52), (-0.86, -0.5),
)  # fmt: skip

PART = Part(
    dataset="Sample-Parts",
    product="circuit_board",
    noun="a printed circuit board",
    size=(768, 576),
    suffix=".png",
    freedom=0.8,
    draw=_draw,
    defects=(
        Defect(
            kind="missing_component",
            label="Missing component",
            description="Two gold pads lie bare where a resistor should be",
            effect="The circuit is open at that place, so that the board does not work as designed",
            cause="The placement machine dropped the component or did not pick it up",
            sites=_RESISTORS,
            fault=gone,
        ),
        Defect(
            kind="misplaced_component",
            label="Misplaced component",
            description="A resistor lies turned and shifted from its pads",
            effect="The contact to its pads is poor or none, and it may touch a neighbouring trace",
            cause="The component moved before the solder had set",
            sites=_RESISTORS,
            fault=displaced(0.06, 0.9),
        ),
        Defect(
            kind="scratch",
            label="Scratch",
            description="A thin copper-coloured line runs through the green solder mask",
            effect="Traces are laid bare and may be cut or corrode",
            cause="A tool slipped over the board",
            sites=_OPEN,
            mark=scratch((0.72, 0.42, 0.2)),
        ),
        Defect(
            kind="solder_splash",
            label="Solder splash",
            description="Shiny metal droplets lie on the board where none belong",
            effect="They can bridge neighbouring conductors and short the circuit",
            cause="Solder spattered during soldering",
            sites=_OPEN,
            mark=splash((0.7, 0.7, 0.69)),
        ),
        Defect(
            kind="burn",
            label="Burn mark",
            description="A dark brown, soft-edged spot discolours the board",
            effect="The base material is charred: its insulation is weakened",
            cause="Something on the board was overheated",
            sites=_OPEN,
            mark=stain((0.05, 0.022, 0.008), opacity=0.95),
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "Where is the white connector?",
            "At the left edge",
            ("At the right edge", "At the top edge", "In the middle of the board"),
        ),
        Fact(
            STRUCTURE,
            "How is the square chip joined to the board?",
            "By pins along all four of its sides",
            ("By pins along two of its sides only", "By two long wires", "By a round socket"),
        ),
        Fact(
            DETAILS,
            "What colour is the board?",
            "Green",
            ("Blue", "Red", "White"),
        ),
        Fact(
            DETAILS,
            "How many round metal capacitors are there to the right of the chip?",
            "2",
            ("1", "4", "6"),
        ),
        Fact(
            ANALYSIS,
            "What are the holes in the four corners for?",
            "To screw the board down",
            ("To let cooling water through", "To hold the resistors", "To carry light to the chip"),
        ),
    ),
    normal=(
        "A flawless board is evenly green and clean; its chip has pins on all four sides, and six resistors "
        "lie straight on their pads, three above and three below the chip."
    ),
)
