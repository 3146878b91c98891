"""The report as one self-contained page: no scripts, nothing fetched, everything from data escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saywhy.report.abstention import confidence_sheet
from saywhy.report.answers import answers_sheets, answers_warning
from saywhy.report.checked import robustness_sheets
from saywhy.report.examples import example_cards, examples_run, shown_setting
from saywhy.report.format import report_command
from saywhy.report.headline import headline
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.mentioned import sentence_sheets
from saywhy.report.sentence_metrics import sentence_metric_sheets
from saywhy.report.sheets import (
    contrast_sheets,
    readout_sheet,
    reason_sheet,
    result_sheets,
    results_legend,
    retention_sheet,
    run_provenance_sheets,
    run_targets_sheet,
    set_aside_sheet,
)
from saywhy.report.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment
    from markupsafe import Markup

    from saywhy.report.plots import Picture


def jinja_environment(*, escaped: bool = True) -> Environment:
    """Return the Jinja environment of the templates; a missing value is an error.

    Args:
        escaped: Whether values are escaped: for HTML, not for Markdown.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("saywhy.report"),
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def run_report_page(summary: Summary, pictures: Sequence[Picture], seed: int = 0) -> str:
    """Return the text of ``report.html``; the SVG of the pictures is inserted unescaped, everything else is escaped."""
    run_with_texts = examples_run(summary.run)
    readouts, samples = example_cards(run_with_texts, seed) if run_with_texts else ((), [])
    return (
        jinja_environment()
        .get_template("report.html.j2")
        .render(
            task=summary.run.task,
            model=summary.run.manifest.get("model", {}),
            git=summary.run.manifest.get("git"),
            folder=summary.run.folder.resolve().name,
            seeds=summary.run.seeds,
            arms=summary.run.arms,
            command=report_command(summary.run.folder, published=summary.run.bank),
            headline=headline(summary),
            warning=answers_warning(summary),
            legend=results_legend(summary),
            footnote=shipped_fooled_metrics().footnote(),
            main=result_sheets(summary),
            sentences=[*sentence_sheets(summary), *sentence_metric_sheets(summary.run, seed)],
            contrasts=contrast_sheets(summary),
            moves=robustness_sheets(summary),
            more=result_sheets(summary, primary=False),
            more_contrasts=contrast_sheets(summary, primary=False),
            pictures=_shown_pictures(pictures, primary=True),
            more_pictures=_shown_pictures(pictures, primary=False),
            readout=readout_sheet(summary),
            confidence=confidence_sheet(summary),
            reasons=reason_sheet(summary),
            retention=retention_sheet(summary),
            answers=answers_sheets(summary),
            aside=set_aside_sheet(summary),
            targets=run_targets_sheet(summary),
            provenance=run_provenance_sheets(summary),
            readouts=readouts,
            samples=samples,
            samples_setting=shown_setting(run_with_texts or summary.run),
            bank=summary.run.bank,
        )
    )


def _shown_pictures(pictures: Sequence[Picture], *, primary: bool) -> list[tuple[str, str, str, Markup]]:
    """Return name, title, caption and unescaped SVG of the primary pictures, or of the others."""
    from markupsafe import Markup

    return [
        (picture.name, picture.title, picture.caption, Markup(picture.svg))
        for picture in pictures
        if picture.primary == primary
    ]
