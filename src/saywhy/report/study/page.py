"""The report of a study as one self-contained page: no scripts, nothing fetched, everything from data escaped."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.report.html import environment
from saywhy.report.plots import Picture
from saywhy.report.study.answer import answer
from saywhy.report.study.examples import samples
from saywhy.report.study.made import commands, hours, plan_yaml
from saywhy.report.study.parts import Part
from saywhy.report.study.summary import StudySummary, missing


def page(summary: StudySummary, parts: Sequence[Part], last: Sequence[Part], drawn: Sequence[Picture]) -> str:
    """Return ``report.html``; the pictures are put in as they were drawn, everything else is escaped."""
    from markupsafe import Markup

    study = summary.study
    readouts, shown = samples(summary)
    return (
        environment()
        .get_template("study.html.j2")
        .render(
            name=study.name,
            about=str(study.plan.get("about") or ""),
            sentences=answer(summary),
            missing=missing(summary),
            model=study.manifest.get("model", {}),
            git=study.manifest.get("git"),
            tasks=list(study.runs),
            seeds=sorted({seed for run in study.runs.values() for seed in run.seeds}),
            hours=hours(study),
            parts=parts,
            last=last,
            pictures={one.name: (one.title, one.caption, Markup(one.svg)) for one in drawn},
            readouts=readouts,
            samples=shown,
            borrowed=study.examples is not None,
            commands=commands(study),
            plan=plan_yaml(study),
        )
    )
