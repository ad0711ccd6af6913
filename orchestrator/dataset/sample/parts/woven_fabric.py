"""A plain-woven fabric with blue and red stripes, filling the picture."""

from __future__ import annotations

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect, fibre, gap, hole, stain
from orchestrator.dataset.sample.part import ANALYSIS, DETAILS, STRUCTURE, Fact, Part
from orchestrator.dataset.sample.surface import Surface, cloud

_SPACING = 0.04


def _draw(s: Surface, rng: np.random.Generator, change: Change) -> None:
    across, down = s.u / _SPACING, s.v / _SPACING
    column, row = np.floor(across).astype(int), np.floor(down).astype(int)
    over = (column + row) % 2 == 0
    warp = np.cos((across - column - 0.5) * np.pi)
    weft = np.cos((down - row - 0.5) * np.pi)
    thread = np.where(over, warp, weft).astype(np.float32)
    beige, blue, red = ((0.58, 0.5, 0.38), (0.05, 0.12, 0.36), (0.48, 0.06, 0.05))
    stripes = np.abs(s.u - np.round(s.u / 0.8) * 0.8) < 0.1
    bands = np.abs(s.v - np.round(s.v / 0.8) * 0.8) < 0.04
    upright = np.where(stripes[..., None], np.array(blue), np.array(beige))
    level = np.where(bands[..., None], np.array(red), np.array(beige))
    share = np.where(over, 0.68, 0.32)[..., None]  # of the upright thread: the one below shows through
    s.colour[:] = level + share * (upright - level)
    yarn = 1 + 0.04 * rng.standard_normal(400, dtype=np.float32)
    tone = np.where(over, yarn[column % 200], yarn[200 + row % 200])
    s.colour *= (tone * (0.7 + 0.3 * thread) * (1 + 0.03 * cloud(rng, s.u.shape, 12)))[..., None]
    s.height[:] = 0.008 * thread + 0.004 * cloud(rng, s.u.shape, 5)
    s.body[:] = 1


_PLACES = tuple((x, y) for x in (-0.62, 0.0, 0.62) for y in (-0.62, 0.0, 0.62))

PART = Part(
    dataset="Sample-Surfaces",
    product="woven_fabric",
    noun="a woven fabric",
    size=(640, 640),
    suffix=".jpg",
    freedom=0.4,
    draw=_draw,
    defects=(
        Defect(
            kind="hole",
            label="Hole",
            description="The threads are broken around a dark opening with frayed edges",
            effect="The weave is open and will tear further under tension",
            cause="Something sharp caught the threads",
            sites=_PLACES,
            mark=hole((0.015, 0.015, 0.015), (0.7, 0.63, 0.5)),
        ),
        Defect(
            kind="stain",
            label="Stain",
            description="A dark, soft-edged spot has soaked into the threads, which are all in place",
            effect="The cloth looks dirty and cannot be sold as first quality, but it is as strong as ever",
            cause="Oil dripped from the loom",
            sites=_PLACES,
            mark=stain((0.09, 0.055, 0.02), opacity=0.8),
        ),
        Defect(
            kind="missing_thread",
            label="Missing thread",
            description="A straight dark gap runs along the weft for some length",
            effect="The weave is weaker along one line, where the neighbouring threads will slip",
            cause="A weft thread broke and the loom went on",
            sites=_PLACES,
            mark=gap((0.05, 0.04, 0.03), _SPACING),
        ),
        Defect(
            kind="foreign_thread",
            label="Foreign thread",
            description="A curved loose thread of another colour lies over the weave",
            effect="It has to be picked off before dyeing or printing, and leaves the weave as it was",
            cause="Lint from another batch flew onto the loom",
            sites=_PLACES,
            mark=fibre((0.03, 0.3, 0.1)),
        ),
    ),
    facts=(
        Fact(
            STRUCTURE,
            "How do the threads cross?",
            "Over and under in turn, like a chessboard",
            (
                "They do not cross: all run side by side",
                "In loops, as in knitting",
                "In hexagons, as in a net",
            ),
        ),
        Fact(
            STRUCTURE,
            "How do the coloured stripes run?",
            "Some upright and some level, crossing each other",
            ("All of them upright", "All of them diagonal", "In circles"),
        ),
        Fact(
            DETAILS,
            "Which stripes are wider?",
            "The blue ones",
            ("The red ones", "The yellow ones", "The black ones"),
        ),
        Fact(
            ANALYSIS,
            "What is the material made of?",
            "Interlaced yarn",
            ("Pressed steel", "Glazed clay", "Cast glass"),
        ),
    ),
    normal=(
        "A flawless fabric is an even plain weave of beige yarn with wide blue upright stripes and narrow "
        "red level ones; single threads may be a little lighter or darker."
    ),
)
