"""The monitoring page of a decision log, and the same in a terminal (``report.monitoring``)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from saywhy.folders.decision_log import ReadLog, part_of_log, read_decision_log
from saywhy.folders.store import write_text
from saywhy.progress import PlainConsole
from saywhy.records import SaywhyError
from saywhy.report.format import (
    Sheet,
    SheetCell,
    change_cell,
    counted,
    estimate_cell,
    number,
    p_value_cell,
    sheet_of,
)
from saywhy.report.html import jinja_environment
from saywhy.report.monitoring import (
    AlarmRule,
    AlarmState,
    MonitoredModel,
    MonitoredPeriod,
    alarm_states,
    compared_shares,
    monitored_models,
)
from saywhy.report.plots import svg
from saywhy.report.terminal import show_sheets

HOLDS_NOTE = (
    "Holds: share of the reasons that were rechecked and hold, with its 95 % interval (Wilson). Abstained: share of "
    "the decisions without a reason that could be rechecked. Seconds: median. Days are those of UTC."
)
COMPARED_NOTE = (
    "Other texts in each period, so unpaired: difference of shares with Newcombe's interval, p of Fisher's exact test, "
    "in brackets after Holm over the rows."
)
HOLDS_CAPTION = "Share of the rechecked reasons that hold, with 95 % intervals."


def is_decision_log(path: Path) -> bool:
    """Whether a path is a file, or a file's older parts are left of it: a run is a folder."""
    return not path.is_dir() and (path.is_file() or part_of_log(path, 1).is_file())


def watch_log(
    path: Path, page: Path | None = None, *, days: int = 1, rules: Sequence[AlarmRule] = ()
) -> tuple[Path, list[AlarmState]]:
    """Print and write the monitoring page of a decision log.

    Args:
        path: The log.
        page: Where the page goes; None: beside the log, as LOG.html.
        days: Days of a period.
        rules: When it is cause for alarm.

    Returns:
        The page, and what each rule says.

    Raises:
        SaywhyError: If there is no decision in it, or the page would take the place of the log or of a folder.
    """
    log = read_decision_log(path)
    page = page or path.with_name(f"{path.name}.html")
    if page.is_dir():
        raise SaywhyError(f"out={page} is a folder: give a file")
    if page.resolve() in {part_of_log(path, at).resolve() for at in range(log.files + 1)}:
        raise SaywhyError(f"out={page} is the log itself: give another file")
    models = monitored_models(log, days)
    states = alarm_states(models, rules)
    console = PlainConsole()
    console.print(Text(log_facts(path, log)))
    for model in models:
        show_sheets(monitoring_sheets(model), console)
        console.print(Text(_change_line(model)))
    write_text(page, monitoring_page(path, log, models, states))
    return page, states


def log_facts(path: Path, log: ReadLog) -> str:
    """Return what was read, as a sentence."""
    damaged = f"; {counted(log.damaged, 'damaged line')} left out" if log.damaged else ""
    return f"{path.name}: {counted(len(log.decisions), 'decision')} in {counted(log.files, 'file')}{damaged}"


def monitoring_sheets(model: MonitoredModel) -> list[Sheet]:
    """Return the tables of one model: by period, by period and label, the last period against the one before."""
    header = ("period", "decisions", "holds", "abstained", "confidence", "seconds", "answers")
    rows = [_period_row(period) for period in model.periods]
    by_label: list[list[SheetCell | str]] = [
        [period.name, label, str(count), *_shares(period.of_label(label))]
        for period in model.periods
        for label, count in sorted(period.labels.items())
    ]
    sheets = [
        sheet_of(model.name, header, rows, HOLDS_NOTE, texts=1),
        sheet_of(f"{model.name}: by answer", ("period", "answer", "decisions", "holds", "abstained"), by_label),
    ]
    if model.before:
        title = f"{model.name}: {model.last.name} against {model.before.name}"
        compared: list[list[SheetCell | str]] = [
            [
                share.name,
                estimate_cell(share.last),
                estimate_cell(share.before),
                change_cell(share.difference),
                p_value_cell(share.difference, share.p_holm),
            ]
            for share in compared_shares(model)
        ]
        sheets.append(
            sheet_of(title, ("share", "last", "before", "difference", "p (Holm)"), compared, COMPARED_NOTE, texts=1)
        )
    return sheets


def _period_row(period: MonitoredPeriod) -> list[SheetCell | str]:
    sure = [decision.confidence for decision in period.decisions if decision.confidence is not None]
    n = len(period.decisions)
    answers = ", ".join(f"{label} {100 * count / n:.0f} %" for label, count in sorted(period.labels.items()))
    return [
        period.name,
        str(n),
        *_shares(period),
        number(statistics.fmean(sure) if sure else None),
        number(statistics.median(decision.seconds for decision in period.decisions)),
        answers,
    ]


def _shares(period: MonitoredPeriod) -> list[SheetCell | str]:
    return [estimate_cell(period.holds), estimate_cell(period.abstained)]


def _change_line(model: MonitoredModel) -> str:
    """Return what is to be said of the last period in a sentence or two."""
    unfinished = "" if model.last.is_over else " The last period is not over: what it shows may still change."
    if model.before is None:
        return f"One period: there is none before to compare it with.{unfinished}"
    line = (
        f"Drift of the answers, {model.last.name} against {model.before.name}: {number(model.drift)} (total variation)."
    )
    changed = f" Changed between them: {', '.join(model.changed)}." if model.changed else ""
    return f"{line}{changed}{unfinished}"


def monitoring_page(path: Path, log: ReadLog, models: Sequence[MonitoredModel], states: Sequence[AlarmState]) -> str:
    """Return the page; the pictures are put in as SVG, everything else is escaped."""
    from markupsafe import Markup

    return (
        jinja_environment()
        .get_template("monitoring.html.j2")
        .render(
            log=path.name,
            facts=log_facts(path, log),
            states=[(str(state), state.fires) for state in states],
            models=[
                (model.name, Markup(svg(f"holds-{at}", partial(_draw_holds, model))),
                 monitoring_sheets(model), _change_line(model))
                for at, model in enumerate(models)
            ],
            caption=HOLDS_CAPTION,
        )
    )  # fmt: skip


def _draw_holds(model: MonitoredModel) -> Any:
    """Draw how often reasons held, period by period."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 2.4), layout="constrained")
    axes = figure.subplots()
    places, values = list[float](), list[float]()
    for at, period in enumerate(model.periods):
        share = period.holds
        if share.value is not None and share.low is not None and share.high is not None:
            axes.plot([at, at], [share.low, share.high], color="#0072b2", linewidth=1.2)
            places.append(at)
            values.append(share.value)
    axes.plot(places, values, "o-", color="#0072b2", markersize=4)
    step = max(1, len(model.periods) // 8)
    ticks = range(0, len(model.periods), step)
    axes.set_xticks(list(ticks), [model.periods[at].name.partition(" ")[0] for at in ticks])
    axes.set_xlim(-0.5, len(model.periods) - 0.5)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("holds")
    axes.grid(axis="y")
    return figure
