"""A steel spur gear on a dark mat."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, dent, missing, scratch, stain
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import Surface, box, circle, cloud

_TEETH = 16
_ROOT, _TIP = 0.64, 0.78
_HOLES = 6


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    s.colour[:] = (0.035, 0.042, 0.055)
    s.colour *= (1 + 0.10 * cloud(rng, s.u.shape, 40))[..., None]
    radius, angle = np.hypot(s.u, s.v), np.arctan2(s.v, s.u)
    turn = (angle / (2 * np.pi)) % 1 * _TEETH
    across = np.abs(turn % 1 - 0.5)
    tip = np.where(turn.astype(int) == change.element, _ROOT + (1 - change.missing) * (_TIP - _ROOT), _TIP)
    outline = np.minimum(_ROOT + (_TIP - _ROOT) * np.clip((0.36 - across) / 0.14, 0, 1), tip)
    body = (radius - outline) * 0.75
    bore = np.minimum(circle(s, 0, 0, 0.17), box(s, 0, -0.17, 0.045, 0.06))
    sector = (angle / (2 * np.pi) * _HOLES) % 1 - 0.5
    holes = np.hypot(radius - 0.45, radius * sector * (2 * np.pi / _HOLES)) - 0.075
    solid = np.maximum(np.maximum(body, -bore), -holes).astype(np.float32)
    brushed = np.interp(radius, np.linspace(0, 1.6, 500), rng.normal(0, 1, 500)).astype(np.float32)
    steel = np.array((0.36, 0.38, 0.41), np.float32) * (1 + 0.05 * brushed)[..., None]
    bevel = 0.09 + np.clip(-solid, 0, 0.018) * 1.2
    s.paint(s.cover(solid), steel, height=bevel, gloss=0.35, body=1)
    hub = np.abs(radius - 0.27) - 0.055
    s.height += np.clip(-hub, 0, 0.015) * 1.3


_FACE = tuple(
    (0.55 * math.cos(a), 0.55 * math.sin(a)) for a in (2 * math.pi * (k + 0.5) / 12 for k in range(12))
)
_TOOTH = tuple(
    (0.71 * math.cos(a), 0.71 * math.sin(a))
    for a in (2 * math.pi * (k + 0.5) / _TEETH for k in range(_TEETH))
)

PART = Part(
    dataset="Sample-Parts",
    product="gear",
    noun="a spur gear",
    size=(640, 640),
    suffix=".png",
    freedom=1.0,
    draw=_draw,
    defects=(
        Defect(
            kind="broken_tooth",
            label="Broken tooth",
            description="One of the teeth on the rim is broken off, wholly or at its tip",
            effect="The gears no longer mesh at that point: they skip, and load shocks reach the neighbours",
            cause="Overload or fatigue at the root of the tooth",
            sites=_TOOTH,
            fault=missing,
        ),
        Defect(
            kind="scratch",
            label="Scratch",
            description="A thin bright line runs over the steel face",
            effect="It is mostly cosmetic, though it can be where corrosion starts",
            cause="A hard edge was dragged over the face during handling",
            sites=_FACE,
            mark=scratch((0.95, 0.95, 0.97)),
        ),
        Defect(
            kind="rust",
            label="Rust",
            description="A reddish-brown spot with soft edges covers some of the steel",
            effect="It eats into the steel, and its particles contaminate the lubricant",
            cause="The steel stood in moisture without oil",
            sites=_FACE,
            mark=stain((0.24, 0.075, 0.02)),
        ),
        Defect(
            kind="dent",
            label="Dent",
            description="A hollow in the steel face shows by its shading, without another colour",
            effect="The face is no longer flat, so that the gear seats badly and wobbles",
            cause="Something heavy struck the face",
            sites=_FACE,
            mark=dent,
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "How many teeth are there around the rim?",
            "16",
            ("10", "24", "32"),
            unless=("broken_tooth",),
        ),
        Fact(
            STRUCTURE,
            "What lies around the central bore?",
            "A raised ring, and outside it six round holes",
            (
                "A raised ring, and outside it four square holes",
                "Six straight spokes with nothing between them",
                "A flat face without any holes",
            ),
        ),
        Fact(
            DETAILS,
            "What shape has the central opening?",
            "A circle with a rectangular keyway",
            ("A plain hexagon", "A plain square", "A five-pointed star"),
        ),
        Fact(
            ANALYSIS,
            "What is the part for?",
            "To pass rotation on to another part that it meshes with",
            ("To seal a joint between pipes", "To dissipate heat from a chip", "To close a bottle"),
        ),
    ),
    normal=(
        "A flawless gear has sixteen equal teeth, a clean grey face with concentric brushing, a raised hub "
        "ring, six round holes and a bore with one keyway."
    ),
)
