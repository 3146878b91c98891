"""Rows -> tables, pictures and one page. Rebuilt from a run folder alone: no model, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saywhy.folders.store import write_text as _write
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from saywhy.report.rules import Rules

__all__ = ["show_any_report", "show_comparison", "show_report", "write_comparison", "write_report"]


def show_any_report(folder: Path | str, *, png: bool = False, rules: Rules | None = None, cards: bool = False) -> Path:
    """Print and write the report of whatever a run folder holds; return the page's path.

    Args:
        folder: What ``saywhy run``, ``audit``, ``attribute``, ``calibrate`` or ``study`` wrote, or the decision log of
            ``serve``.
        png: As in ``write_report``.
        rules: As in ``write_report``.
        cards: As in ``write_report``.

    Raises:
        SaywhyError: If the folder is no run, is damaged, or holds nothing to report; or if ``png`` or ``rules`` are
            given and have no effect on what it holds.
    """
    from saywhy.report.agreement import has_scores
    from saywhy.report.attribution import show_attribution, write_attribution
    from saywhy.report.calibration import is_calibration
    from saywhy.report.calibration_page import show_calibration, write_calibration
    from saywhy.report.monitoring_page import is_decision_log, watch_log
    from saywhy.report.study import is_study, show_study_report, write_study_report
    from saywhy.report.study.cards import write_study_cards

    folder = Path(folder)
    if is_decision_log(folder):
        _refuse_idle(folder, "decisions", png=png, rules=rules)
        return watch_log(folder)[0]
    if is_study(folder):  # its frozen.json stands for rules
        _refuse_idle(folder, "a study, whose frozen.json says what is confirmatory and what may be lost", rules=rules)
        summary = show_study_report(folder)
        if cards:
            write_study_cards(summary)
        return write_study_report(folder, png=png, summary=summary)
    if is_calibration(folder):
        _refuse_idle(folder, "a calibration", png=png, rules=rules)
        show_calibration(folder)
        return write_calibration(folder)
    if has_scores(folder):
        _refuse_idle(folder, "attributions", png=png, rules=rules)
        show_attribution(folder)
        return write_attribution(folder)
    show_report(folder, rules)
    return write_report(folder, png=png, rules=rules, cards=cards)


def _refuse_idle(folder: Path, content: str, *, png: bool = False, rules: Rules | None = None) -> None:
    """Refuse options that have no effect on a report of this kind.

    Args:
        folder: The run folder.
        content: What it holds, as the message names it.
        png: Whether ``--png`` was given.
        rules: What ``--confirmatory``, ``--accuracy-loss`` and ``--agreement-loss`` gave; None if none was given.

    Raises:
        SaywhyError: If one was given.
    """
    options = ["--png"] * png + ["--confirmatory, --accuracy-loss and --agreement-loss"] * (rules is not None)
    if options:
        raise SaywhyError(f"{folder} holds {content}: {' and '.join(options)} have no effect there, leave them out")


def write_report(folder: Path | str, *, png: bool = False, rules: Rules | None = None, cards: bool = False) -> Path:
    """Write ``report.md``, ``report.html`` and the tables (``table.csv``, ``confidence.csv``, ...) into a run folder.

    Args:
        folder: The run folder.
        png: Also write the pictures as PNG files, for slides and papers.
        rules: Which comparisons are confirmatory, and how much may be lost; the usual ones if None.
        cards: Also write the model card of each adapter that the run trained, over what stands there.

    Returns:
        The path of ``report.html``.

    Raises:
        SaywhyError: If the folder is no run.
    """
    from saywhy.report.card import write_cards
    from saywhy.report.html import run_report_page
    from saywhy.report.load import load_run
    from saywhy.report.picture_files import write_png
    from saywhy.report.plots import figures
    from saywhy.report.summary import DEFAULT_RULES, summarise
    from saywhy.report.tables import confidence_csv, contrasts_csv, robustness_csv, run_report_markdown, table_csv

    folder = Path(folder)
    summary = summarise(load_run(folder), rules=rules or DEFAULT_RULES)
    pictures = figures(summary)
    _write(folder / "report.md", run_report_markdown(summary))
    _write_table(folder / "table.csv", table_csv(summary) if summary.cells else None)
    _write_table(folder / "contrasts.csv", contrasts_csv(summary) if summary.contrasts else None)
    _write_table(folder / "robustness.csv", robustness_csv(summary) if summary.moves else None)
    _write_table(folder / "confidence.csv", confidence_csv(summary) if summary.confidence else None)
    write_png(summary, folder, png=png)
    if cards:
        write_cards(summary)
    _write(folder / "report.html", run_report_page(summary, pictures))
    return folder / "report.html"


def write_comparison(first_folder: Path | str, second_folder: Path | str) -> Path:
    """Write ``compare.md`` into the second folder: two runs cell by cell on the texts they share.

    Args:
        first_folder: The first run.
        second_folder: The second run; differences are second minus first.

    Raises:
        SaywhyError: If a folder is no run, or the runs are of different tasks.
    """
    from saywhy.report.compare import compare_runs, comparison_markdown, comparison_sheets
    from saywhy.report.load import load_run

    first, second = (load_run(folder) for folder in (first_folder, second_folder))
    path = Path(second_folder) / "compare.md"
    sheets = comparison_sheets(first, second, compare_runs(first, second))
    _write(path, comparison_markdown(first, second, sheets))
    return path


def show_report(folder: Path | str, rules: Rules | None = None) -> None:
    """Print the report of a run folder in the terminal."""
    from saywhy.report.load import load_run
    from saywhy.report.summary import DEFAULT_RULES, summarise
    from saywhy.report.terminal import show_run_summary

    show_run_summary(summarise(load_run(folder), rules=rules or DEFAULT_RULES))


def show_comparison(first_folder: Path | str, second_folder: Path | str) -> None:
    """Print the comparison of two run folders in the terminal."""
    from saywhy.progress import PlainConsole
    from saywhy.report.compare import compare_runs, comparison_sheets
    from saywhy.report.load import load_run
    from saywhy.report.terminal import show_sheets

    first, second = (load_run(folder) for folder in (first_folder, second_folder))
    show_sheets(comparison_sheets(first, second, compare_runs(first, second)), PlainConsole())


def _write_table(path: Path, text: str | None) -> None:
    """Write a table; where there is none, delete the file of an earlier report."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        _write(path, text)
