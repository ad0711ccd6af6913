"""A red crown cap with a printed star."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, dent, displaced, fibre, scratch, stain
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import FloatArray, Surface, cloud

_CRIMPS = 21


def _star(s: Surface, x: float, y: float, angle: float, radius: float) -> FloatArray:
    """Distance (about) to a star of five points, one of which is up."""
    du, dv = s.u - x, s.v - y
    turn = np.arctan2(du, -dv) - angle
    sector = np.abs((turn / (2 * np.pi) * 5 + 0.5) % 1 - 0.5) * (2 * np.pi / 5)
    far = np.hypot(du, dv)
    px, py = far * np.cos(sector), far * np.sin(sector)
    inner = radius * 0.4
    ax, ay = inner * math.cos(math.pi / 5), inner * math.sin(math.pi / 5)
    nx, ny = ay, radius - ax
    length = math.hypot(nx, ny)
    return np.asarray(((px - radius) * nx + py * ny) / length, np.float32)


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    s.colour[:] = (0.5, 0.47, 0.42)
    s.colour *= (1 + 0.04 * cloud(rng, s.u.shape, 50))[..., None]
    radius, angle = np.hypot(s.u, s.v), np.arctan2(s.v, s.u)
    wave = np.cos(angle * _CRIMPS)
    cap = radius - (0.78 + 0.035 * wave)
    skirt = np.clip((radius - 0.6) / 0.2, 0, 1)
    dome = 0.16 - 0.09 * skirt**1.5 + 0.02 * skirt * wave
    orange_peel = 0.0006 * cloud(rng, s.u.shape, 90)
    s.paint(
        s.cover(cap), (0.5, 0.018, 0.022), height=(dome + orange_peel).astype(np.float32), gloss=0.4, body=1
    )
    white = (0.78, 0.77, 0.74)
    s.paint(s.cover(np.abs(radius - 0.5) - 0.022), white)
    moved = change if change.element == 0 else Change()
    s.paint(s.cover(_star(s, moved.x, moved.y, moved.angle, 0.36)), white)


_TOP = tuple((0.42 * math.cos(a), 0.42 * math.sin(a)) for a in (2 * math.pi * k / 12 for k in range(12)))

PART = Part(
    dataset="Sample-Parts",
    product="bottle_cap",
    noun="a crown cap of a bottle",
    size=(512, 512),
    suffix=".jpg",
    freedom=1.0,
    draw=_draw,
    defects=(
        Defect(
            kind="misprint",
            label="Misprint",
            description="The printed star is shifted and turned, no longer in the middle of its ring",
            effect="The cap still seals, but the print no longer meets the brand's specification",
            cause="The sheet was out of register when it was printed",
            sites=((0.0, 0.0),),
            fault=displaced(0.11, 0.35),
        ),
        Defect(
            kind="dent",
            label="Dent",
            description="A round hollow in the top shows by its shading alone",
            effect="The cap may no longer press evenly on the bottle's mouth and can leak",
            cause="The cap was hit, or squeezed while closing",
            sites=_TOP,
            mark=dent,
        ),
        Defect(
            kind="scratch",
            label="Scratch",
            description="A thin line of bare, silvery metal runs through the red coating",
            effect="The coating is open there, so the metal can rust",
            cause="The cap rubbed against a sharp edge of the feeder",
            sites=_TOP,
            mark=scratch((0.75, 0.75, 0.77)),
        ),
        Defect(
            kind="grease",
            label="Grease stain",
            description="A dark, soft-edged smear lies over the coating",
            effect="It is a matter of hygiene: what lies there can get to the mouth of who drinks",
            cause="Lubricant dripped from the machine",
            sites=_TOP,
            mark=stain((0.03, 0.022, 0.015), opacity=0.8),
        ),
        Defect(
            kind="fibre",
            label="Foreign fibre",
            description="A curved dark hair lies on top",
            effect="Foreign matter is on the product, which must be cleaned off, but the metal is whole",
            cause="A brush or cloth on the line sheds hairs",
            sites=_TOP,
            mark=fibre((0.02, 0.02, 0.025)),
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "What does the rim look like?",
            "Evenly crimped all around",
            ("Smooth all around", "Cut into six flaps", "Square, with rounded corners"),
        ),
        Fact(
            DETAILS,
            "How many points has the printed star?",
            "5",
            ("4", "6", "8"),
        ),
        Fact(
            DETAILS,
            "What is printed around the star?",
            "A thin white ring",
            ("Two black squares", "A yellow triangle", "Nothing at all"),
        ),
        Fact(
            ANALYSIS,
            "What is the part for?",
            "To close a glass bottle",
            ("To transmit torque", "To connect two wires", "To cover a floor"),
        ),
    ),
    normal=(
        "A flawless cap is evenly red, with an even crimped rim, and a white five-pointed star in the middle "
        "of a thin white ring."
    ),
)
