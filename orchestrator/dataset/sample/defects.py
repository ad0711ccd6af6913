"""What can go wrong with a part: marks on its surface, each from hard to see (severity 0) to obvious (1).

A mark changes a surface in place around one point. What changes a part's build instead (a tooth broken off, a
component missing) is a `Change`, which the part's own drawing takes into account.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from orchestrator.dataset.sample.surface import Colour, FloatArray, Surface, blob, box, circle, cloud, line


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One of the part's elements is not as it should be. The default changes nothing."""

    element: int = -1
    missing: float = 0.0
    """The share of the element that is gone."""
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    """How far the element is out of place."""
    colour: Colour | None = None


Mark = Callable[[Surface, float, float, float, np.random.Generator], None]
"""(surface, x, y, severity 0..1, rng): leave a mark at a point."""
Fault = Callable[[int, float, np.random.Generator], Change]
"""(element, severity 0..1, rng): what is wrong with an element."""


@dataclasses.dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect of one part: how it is made, where it can be, and what there is to say about it."""

    kind: str
    """The folder's name."""
    label: str
    description: str
    effect: str
    cause: str
    sites: tuple[tuple[float, float], ...]
    """Points of the part where it can be; for a fault, the places of the elements."""
    mark: Mark | None = None
    fault: Fault | None = None


def scratch(colour: Colour) -> Mark:
    """A thin, nearly straight line that lays bare another colour."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        reach = 0.13 + 0.15 * severity
        points = _stroke(x, y, reach, rng, wander=0.05, segments=4)
        area = s.near(x, y, reach * 1.2)
        ink = (
            area.cover(line(area, points) - (0.0035 + 0.006 * severity)) * (0.45 + 0.5 * severity) * area.body
        )
        area.paint(ink, colour)
        area.height -= ink * 0.006

    return mark


def crack(colour: Colour) -> Mark:
    """A jagged, dark line with a branch."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        reach = 0.15 + 0.17 * severity
        points = _stroke(x, y, reach, rng, wander=0.25, segments=9)
        turn = points[5]
        branch = _stroke(*turn, reach * 0.4, rng, wander=0.25, segments=5)
        area = s.near(x, y, reach * 1.7)
        distance = np.minimum(line(area, points), line(area, [turn, *branch[3:]]))
        ink = area.cover(distance - (0.0035 + 0.005 * severity)) * (0.5 + 0.45 * severity) * area.body
        area.paint(ink, colour)
        area.height -= ink * 0.012

    return mark


def fibre(colour: Colour) -> Mark:
    """A curved hair or thread that lies on the part."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        reach = 0.11 + 0.12 * severity
        start, bend = rng.uniform(0, 2 * np.pi), rng.choice((-1, 1)) * rng.uniform(1.6, 2.8)
        angles = start + bend * np.linspace(-0.5, 0.5, 12)
        points = [(x + reach * math.cos(a) * 0.9, y + reach * math.sin(a) * 0.6) for a in angles]
        middle = (sum(p[0] for p in points) / 12 - x, sum(p[1] for p in points) / 12 - y)
        points = [(px - middle[0], py - middle[1]) for px, py in points]
        area = s.near(x, y, reach * 1.5)
        ink = area.cover(line(area, points) - (0.005 + 0.005 * severity)) * (0.6 + 0.4 * severity)
        area.paint(ink, colour, gloss=0.1)
        area.height += ink * 0.012

    return mark


def dent(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
    """A round hollow that shows by its shading alone."""
    radius = 0.09 + 0.07 * severity
    area = s.near(x, y, radius * 1.6)
    distance = circle(area, x, y, 0) / np.float32(radius)
    hollow = np.exp(-(np.clip(distance, 0, 2) ** 4) * 1.2) * area.body
    area.height -= hollow * (0.028 + 0.042 * severity)


def stain(colour: Colour, opacity: float = 0.85) -> Mark:
    """An irregular soft-edged spot that the surface shows through."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        radius = 0.06 + 0.09 * severity
        area = s.near(x, y, radius * 2)
        ink = area.cover(blob(area, x, y, radius, rng), softness=8)
        mottle = 0.85 + 0.15 * cloud(rng, ink.shape, 9) if ink.size else np.float32(1)
        ink = np.clip(ink * mottle * opacity * (0.45 + 0.55 * severity), 0, 1) * area.body
        area.paint(ink, colour)
        area.gloss *= 1 - ink

    return mark


def hole(colour: Colour, rim: Colour) -> Mark:
    """An opening with a frayed rim."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        radius = 0.03 + 0.06 * severity
        area = s.near(x, y, radius * 2.5)
        distance = blob(area, x, y, radius, rng)
        area.paint(area.cover(distance - 0.015) * 0.7 * area.body, rim)
        opening = area.cover(distance, softness=2) * area.body
        area.paint(opening, colour)
        area.height -= opening * 0.04

    return mark


def chip(colour: Colour) -> Mark:
    """A flake broken out, down to the raw material."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        radius = 0.05 + 0.07 * severity
        area = s.near(x, y, radius * 2)
        ink = area.cover(blob(area, x, y, radius, rng), softness=1.5) * area.body
        rough = 1 + 0.1 * cloud(rng, ink.shape, 12)[..., None] if ink.size else np.float32(1)
        area.paint(ink, np.asarray(np.asarray(colour, np.float32) * rough + np.zeros_like(area.colour)))
        area.height -= ink * 0.03
        area.gloss *= 1 - ink

    return mark


def splash(colour: Colour) -> Mark:
    """A few shiny droplets."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        spread = 0.05 + 0.04 * severity
        area = s.near(x, y, spread * 3)
        for number in range(3 + round(4 * severity)):
            radius = (0.014 + 0.022 * severity) * rng.uniform(0.6, 1.2)
            offset = rng.normal(0, spread * 0.6, 2) * (number > 0)
            drop = circle(area, x + float(offset[0]), y + float(offset[1]), radius)
            area.paint(area.cover(drop), colour, gloss=0.9)
            area.height += np.clip(-drop, 0, radius) * 0.8

    return mark


def gap(colour: Colour, spacing: float) -> Mark:
    """A thread of a weave that is missing over some length, along x."""

    def mark(s: Surface, x: float, y: float, severity: float, rng: np.random.Generator) -> None:
        y = (math.floor(y / spacing) + 0.5) * spacing
        length = 0.12 + 0.16 * severity
        area = s.near(x, y, length * 1.2)
        ink = area.cover(
            box(area, x, y, length, spacing * (0.35 + 0.3 * severity), rounding=0.01), softness=1.5
        )
        ink *= 0.75 + 0.25 * np.cos(area.u * (2 * np.pi / spacing))  # the crossing threads show in the gap
        area.paint(ink * (0.55 + 0.4 * severity), colour)
        area.height -= ink * 0.02

    return mark


def missing(element: int, severity: float, rng: np.random.Generator) -> Change:
    """An element that is gone: wholly from severity 0.5 on, partly below."""
    return Change(element, missing=min(1.0, 0.55 + 0.9 * severity))


def gone(element: int, severity: float, rng: np.random.Generator) -> Change:
    """An element that is gone altogether, whatever the severity."""
    return Change(element, missing=1.0)


def displaced(distance: float, angle: float) -> Fault:
    """An element that lies up to so far (part coordinates) and so turned (radians) from its place."""

    def fault(element: int, severity: float, rng: np.random.Generator) -> Change:
        direction = rng.uniform(0, 2 * np.pi)
        reach = distance * (0.35 + 0.65 * severity)
        turn = angle * (0.35 + 0.65 * severity) * float(rng.choice((-1, 1)))
        return Change(element, x=reach * math.cos(direction), y=reach * math.sin(direction), angle=turn)

    return fault


def recoloured(right: Colour, wrong: Colour) -> Fault:
    """An element whose colour has gone from right towards wrong."""

    def fault(element: int, severity: float, rng: np.random.Generator) -> Change:
        share = 0.4 + 0.6 * severity
        red, green, blue = (a + share * (b - a) for a, b in zip(right, wrong, strict=True))
        return Change(element, colour=(red, green, blue))

    return fault


def _stroke(
    x: float, y: float, reach: float, rng: np.random.Generator, wander: float, segments: int
) -> list[tuple[float, float]]:
    """Points of a line through (x, y), `reach` long to either side, straying sideways by wander * reach."""
    angle = rng.uniform(0, np.pi)
    along = np.linspace(-reach, reach, segments + 1)
    aside = rng.normal(0, wander * reach, segments + 1)
    cos, sin = math.cos(angle), math.sin(angle)
    return [
        (x + float(a) * cos - float(b) * sin, y + float(a) * sin + float(b) * cos)
        for a, b in zip(along, aside, strict=True)
    ]


def difference(flawless: Surface, defective: Surface) -> FloatArray:
    """How strongly each pixel of the surface was changed: what the mask is made from."""
    colour = np.abs(flawless.colour - defective.colour).max(axis=2)
    return np.asarray(colour + np.abs(flawless.height - defective.height) * 4, np.float32)
