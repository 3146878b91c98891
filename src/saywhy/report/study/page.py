"""The report of a study as one self-contained page: no scripts, nothing fetched, everything from data escaped."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.report.html import jinja_environment
from saywhy.report.plots import Picture
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.examples import study_samples
from saywhy.report.study.made import computing_hours, plan_yaml, repeat_commands
from saywhy.report.study.parts import ReportPart
from saywhy.report.study.summary import StudySummary, missing_from_study


def study_page(
    summary: StudySummary, parts: Sequence[ReportPart], last: Sequence[ReportPart], pictures: Sequence[Picture]
) -> str:
    """Return ``report.html``; the pictures are put in as SVG, everything else is escaped."""
    from markupsafe import Markup

    study = summary.study
    samples = study_samples(summary)
    return (
        jinja_environment()
        .get_template("study.html.j2")
        .render(
            name=study.name,
            about=str(study.plan.get("about") or ""),
            sentences=answer_sentences(summary),
            missing=missing_from_study(summary),
            model=study.manifest.get("model", {}),
            git=study.manifest.get("git"),
            tasks=list(study.runs),
            seeds=sorted({seed for run in study.runs.values() for seed in run.seeds}),
            hours=computing_hours(study),
            parts=parts,
            last=last,
            pictures={picture.name: (picture.title, picture.caption, Markup(picture.svg)) for picture in pictures},
            readouts=samples.readouts,
            samples=samples.cards,
            samples_setting=samples.setting,
            borrowed=study.bank,
            commands=repeat_commands(study),
            plan=plan_yaml(study),
        )
    )
