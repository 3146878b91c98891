"""The report as one self-contained page: no scripts, nothing fetched, everything from data escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saywhy.report.checked import robustness_sheets
from saywhy.report.examples import sample, with_texts
from saywhy.report.headline import headline
from saywhy.report.marks import shipped
from saywhy.report.sheets import (
    LEGEND,
    contrast_sheets,
    made_sheets,
    main_sheets,
    readout_sheet,
    reason_sheet,
    retention_sheet,
    set_aside_sheet,
    targets_sheet,
)
from saywhy.report.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from saywhy.report.plots import Picture


def environment(*, escaped: bool = True) -> Environment:
    """Return where pages are made: everything is escaped (not so in Markdown), a missing value is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("saywhy.report"),
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def page(summary: Summary, pictures: Sequence[Picture], seed: int = 0) -> str:
    """Return ``report.html``; the pictures are put in as they were drawn, everything else is escaped."""
    from markupsafe import Markup

    told = with_texts(summary.run)
    readouts, samples = sample(told, seed) if told else ((), [])
    manifest = summary.run.manifest
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            task=summary.run.task,
            model=manifest.get("model", {}),
            git=manifest.get("git"),
            folder=summary.run.folder.resolve().name,
            seeds=summary.run.seeds,
            arms=summary.run.arms,
            headline=headline(summary),
            legend=LEGEND,
            footnote=shipped().footnote(),
            main=main_sheets(summary),
            contrasts=contrast_sheets(summary),
            checked=robustness_sheets(summary),
            more=main_sheets(summary, primary=False),
            more_contrasts=contrast_sheets(summary, primary=False),
            pictures=[(p.name, p.title, p.caption, Markup(p.svg)) for p in pictures if p.primary],
            more_pictures=[(p.name, p.title, p.caption, Markup(p.svg)) for p in pictures if not p.primary],
            readout=readout_sheet(summary),
            reasons=reason_sheet(summary),
            retention=retention_sheet(summary),
            aside=set_aside_sheet(summary),
            targets=targets_sheet(summary),
            made=made_sheets(summary),
            readouts=readouts,
            samples=samples,
            bank=summary.run.bank,
        )
    )
