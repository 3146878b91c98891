"""The report of a study folder: one page, Markdown, CSV, LaTeX and pictures, from files alone (no model, no torch)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saywhy.report.study.load import StudyRun, is_study, load_study

if TYPE_CHECKING:
    from rich.console import Console

    from saywhy.report.study.summary import StudySummary

__all__ = ["StudyRun", "is_study", "load_study", "show_study_report", "write_study_report"]


def write_study_report(folder: Path | str, png: bool = False, *, summary: StudySummary | None = None) -> Path:
    """Write ``report.html``, ``report.md``, CSV and LaTeX tables, and ``pictures/`` into a study folder or bank.

    Args:
        folder: The folder; of an unfinished study the report shows what was measured, and says what is missing.
        png: Also write the pictures as PNG files (200 dots an inch), beside the SVG ones. Existing PNG files are
            drawn again in any case, so that they show the same numbers as the page.
        summary: The study's numbers; None: they are computed here.

    Returns:
        The path of ``report.html``.

    Raises:
        SaywhyError: If the folder is no study, or holds a broken file.
    """
    from saywhy.folders.store import write_text
    from saywhy.report.picture_files import write_pictures
    from saywhy.report.study.files import cells_csv, confirmatory_csv, retention_csv, study_markdown
    from saywhy.report.study.latex import tables_tex
    from saywhy.report.study.page import study_page
    from saywhy.report.study.parts import last_parts, parts_of
    from saywhy.report.study.pictures import study_picture_plans
    from saywhy.report.study.summary import summarise_study

    folder = Path(folder)
    summary = summary or summarise_study(load_study(folder))
    parts, last = parts_of(summary), last_parts(summary)
    write_text(folder / "cells.csv", cells_csv(summary))
    write_text(folder / "confirmatory.csv", confirmatory_csv(summary))
    write_text(folder / "retention.csv", retention_csv(summary))
    write_text(folder / "tables.tex", tables_tex([*parts, *last]))
    drawn = write_pictures(study_picture_plans(summary), folder / "pictures", png=png)
    write_text(folder / "report.md", study_markdown(summary, [*parts, *last], drawn))
    write_text(folder / "report.html", study_page(summary, parts, last, drawn))
    return folder / "report.html"


def show_study_report(folder: Path | str, console: Console | None = None) -> StudySummary:
    """Print the five sentences and the confirmatory table in the terminal; return the numbers for the page."""
    from rich.text import Text

    from saywhy.progress import PlainConsole
    from saywhy.report.study.answer import answer_sentences
    from saywhy.report.study.sheets import confirmatory_sheet
    from saywhy.report.study.summary import missing_from_study, summarise_study
    from saywhy.report.terminal import show_sheets

    console = console or PlainConsole()
    summary = summarise_study(load_study(folder))
    for number, sentence in enumerate(answer_sentences(summary), start=1):
        console.print(Text(f"{number}. {sentence}"))
    for line in missing_from_study(summary):
        console.print(Text(f"missing: {line}"))
    table = confirmatory_sheet(summary)
    show_sheets([table] if table else [], console)
    return summary
