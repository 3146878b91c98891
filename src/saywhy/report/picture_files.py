"""Pictures as files: SVG with its namespaces, PNG for slides and papers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from saywhy.folders.store import write_bytes, write_text
from saywhy.report.looks import RC_PARAMS
from saywhy.report.plots import SVG_NAMESPACES, Picture, PicturePlan, run_picture_plans, svg
from saywhy.report.summary import Summary


def write_png(summary: Summary, folder: Path, *, png: bool) -> None:
    """Write every picture of a run as ``figure-NAME.png`` with ``png``, else those that are there: of older numbers."""
    for plan in run_picture_plans(summary):
        if png or (folder / f"figure-{plan.name}.png").is_file():
            _write_png_file(plan, folder / f"figure-{plan.name}.png")


def write_pictures(plans: Sequence[PicturePlan], folder: Path, *, png: bool) -> list[Picture]:
    """Draw every picture and write it as ``NAME.svg``, with ``png``, or where it is there, also as ``NAME.png``."""
    drawn = [Picture(plan.name, plan.title, plan.caption, svg(plan.name, plan.draw)) for plan in plans]
    for picture in drawn:
        write_text(folder / f"{picture.name}.svg", _standalone_svg(picture.svg))
    for plan in plans:
        if png or (folder / f"{plan.name}.png").is_file():
            _write_png_file(plan, folder / f"{plan.name}.png")
    return drawn


def _write_png_file(plan: PicturePlan, path: Path) -> None:
    """Write a picture as a PNG file (200 dots an inch), the same bytes every time."""
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context({**RC_PARAMS, "svg.hashsalt": plan.name}):
        plan.draw().savefig(content, format="png", dpi=200, metadata={"Software": None})
    write_bytes(path, content.getvalue())


def _standalone_svg(element: str) -> str:
    """Return an element that ``svg`` drew as the content of an SVG file: with its namespaces declared."""
    return element.replace("<svg", "<svg" + "".join(SVG_NAMESPACES), 1) + "\n"
