"""`orchestrator data`: make, check, count and get data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make, check, count and get data sets.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder.")]
FAULTS_FOUND = 1


@app.command()
def sample(
    folder: Folder,
    images: Annotated[int | None, typer.Option(min=1, metavar="N", help="Query images to draw.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Another seed, other pictures.")] = 0,
    like_mmad: Annotated[
        bool,
        typer.Option(
            "--like-mmad",
            metavar="",
            help="MMAD's exact composition, 8,366 tiny images and 39,672 questions, for tests of scale.",
        ),
    ] = False,
) -> None:
    """Draw a data set in MMAD's format: the same seed gives the same files."""
    from orchestrator.dataset import sample as drawing
    from orchestrator.errors import UserError

    if like_mmad:
        if images is not None:
            raise UserError("--like-mmad has MMAD's own number of images: leave --images out.")
        drawing.draw_like_mmad(folder, seed)
    else:
        drawing.draw(folder, images or drawing.DEFAULT_IMAGES, seed)
    typer.echo(f"Drawn: {folder}")


@app.command()
def verify(folder: Folder) -> None:
    """Check every path, image, mask and answer of a data set; exit 1 if something is wrong."""
    from rich.console import Console
    from rich.progress import Progress

    from orchestrator.dataset import verify as checks

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Checking images", total=None)
        report = checks.verify(folder, lambda done, total: bar.update(task, completed=done, total=total))
    console = Console(highlight=False)
    if report.findings:
        console.print(checks.table(report))
    count = len(report.findings)
    verdict = f"{count:,} fault{'s' if count > 1 else ''}" if count else "no faults"
    console.print(
        f"{report.source}: {report.samples:,} samples, {report.questions:,} questions, "
        f"{report.images:,} images: {verdict}."
    )
    if report.findings:
        raise typer.Exit(FAULTS_FOUND)


@app.command()
def summary(folder: Folder) -> None:
    """Count images and questions by data set, product, label and type."""
    from rich.console import Console

    from orchestrator.dataset import reading
    from orchestrator.dataset import summary as counting

    dataset = reading.read(folder)
    console = Console(highlight=False)
    console.print(counting.table(counting.summarise(dataset)))
    for limitation in dataset.limitations:
        console.print(f"Note: {limitation}")


@app.command()
def download(
    folder: Folder,
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT", help="A revision of the hub's copy (default: the one DIR is pinned to)."
        ),
    ] = None,
) -> None:
    """Get MMAD from the Hugging Face hub, about 28 GB: resumable, its licence shown first.

    The newest revision is looked up once and written down in DIR, so that a later call gets the same one.
    """
    from orchestrator.dataset import download as hub

    pin = hub.download(folder, lambda text: typer.echo(text, err=True), revision)
    typer.echo(f"{folder} holds {pin.repository} at revision {pin.commit}.")
