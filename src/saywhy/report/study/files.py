"""A study's numbers as files: ``cells.csv``, ``confirmatory.csv``, ``retention.csv`` and ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.report.plots import Picture
from saywhy.report.study.answer import answer
from saywhy.report.study.examples import samples
from saywhy.report.study.gains import Gain
from saywhy.report.study.gate import instructed
from saywhy.report.study.made import commands, plan_yaml
from saywhy.report.study.parts import Part
from saywhy.report.study.sheets import result
from saywhy.report.study.summary import StudySummary, missing
from saywhy.report.tables import cell_row, columns, contrast_row, csv_text, markdown_table, md
from saywhy.stats import Difference, Interval

NOBODY = Interval(None, None, None, 0)


def cells_csv(summary: StudySummary) -> str:
    """Return every cell of every task, one row each, with its control, the drift and the gate beside it."""
    gains = {(g.task, g.key): g for g in summary.gains if g.axis != "other arm"}
    rows = []
    for task, found in summary.tasks.items():
        for cell in found.cells:
            arm, gain = summary.study.arm(cell.key.arm), gains.get((task, cell.key))
            drift = summary.drifts.get((task, cell.key))
            kept = summary.gate(arm.name, task)
            row = cell_row(found, cell) | {"task": task}
            row |= {"kind": arm.kind, "variant": arm.variant, "practised_styles": "+".join(arm.styles)}
            row |= {"practised_tasks": "+".join(arm.tasks), **_gain(summary, gain)}
            row |= columns("floor_drift", drift.floor if drift else NOBODY)
            row |= columns("ceiling_drift", drift.ceiling if drift else NOBODY)
            row |= {"gate": kept.gate.state if kept and kept.gate else None}
            rows.append(row | {"reasons": ";".join(f"{why}={count}" for why, count in sorted(cell.reasons.items()))})
    return csv_text(rows)


def _gain(summary: StudySummary, gain: Gain | None) -> dict[str, object]:
    empty = Difference(None, None, None, 0)
    contrast = gain.contrast if gain else None
    return {
        "control": contrast.other if contrast else None,
        **columns("difference", contrast.difference if contrast else empty),
        "p": contrast.difference.p if contrast else None,
        "p_holm": contrast.p_holm if contrast else None,
        "axis": gain.axis if gain else None,
        "confirmatory": int(gain.frozen is not None) if gain else None,
        "result": result(summary, gain) if gain else None,
    }


def confirmatory_csv(summary: StudySummary) -> str:
    """Return the frozen cells in their order, one row each; those that were not measured are empty."""
    done = {gain.frozen: gain for gain in summary.confirmatory}
    rows: list[dict[str, object]] = []
    for cell in summary.frozen:
        gain = done.get(cell)
        place: dict[str, object] = {"task": cell.task, "direction": cell.direction}
        if gain is not None:
            run = summary.study.runs[cell.task]
            rows.append(place | contrast_row(run, gain.contrast) | {"result": result(summary, gain)})
        else:
            named = {"arm": cell.key.arm, "other": cell.against, "style": cell.key.style, "setting": cell.key.setting}
            named |= {"readout": cell.key.readout, "operator": cell.key.operator, "result": "not measured"}
            rows.append(place | named)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text([{name: row.get(name) for name in names} for row in rows])


def retention_csv(summary: StudySummary) -> str:
    """Return what every arm kept on every task, one row each; instruction data stands in each row of its arm."""
    told = {one.arm.name: one for one in instructed(summary.study, summary.seed)}
    rows: list[dict[str, object]] = []
    for one in summary.kept:
        kept, beside = one.kept, told.get(one.arm.name)
        row: dict[str, object] = {"task": one.task, "arm": one.arm.name}
        row |= columns("accuracy", kept.accuracy) | columns("accuracy_raw", kept.accuracy_raw)
        row |= columns("accuracy_change", kept.accuracy_change or NOBODY) | {"accuracy_kept": kept.accuracy_kept}
        row |= columns("agreement", kept.agreement) | columns("two_seeds_agree", one.yardstick or NOBODY)
        row |= {"agreement_kept": kept.agreement_kept, "gate": one.gate.state if one.gate else None}
        row |= {"gate_reasons": "; ".join(one.gate.reasons) if one.gate else None}
        for name in ("floor", "ceiling", "margin"):
            row |= columns(f"{name}_drift", kept.drift.get(name, NOBODY))
        row |= columns("loss", beside.loss if beside else NOBODY)
        row |= columns("loss_change", (beside.change if beside else None) or NOBODY)
        row |= columns("plain", beside.plain if beside else NOBODY)
        rows.append(row | {"accuracy_by_class": _by_class(one.classes)})
    return csv_text(rows)


def _by_class(classes: Mapping[str, Interval]) -> str:
    return ";".join(f"{label}={found.value:.6g}" for label, found in classes.items() if found.value is not None)


def markdown(summary: StudySummary, parts: Sequence[Part], drawn: Sequence[Picture] = ()) -> str:
    """Return the report as Markdown, with the pictures of ``pictures/`` that were drawn."""
    titles = {picture.name: picture.title for picture in drawn}
    study = summary.study
    told = [f"# saywhy study: {md(study.name)}", md(str(study.plan.get("about") or ""))]
    told += [f"{at}. {md(sentence)}" for at, sentence in enumerate(answer(summary), start=1)]
    lacking = missing(summary)
    told += ["## What is missing", *(f"- {md(line)}" for line in lacking)] if lacking else []
    for part in parts:
        told += [f"## {md(part.title)}", *(md(word) for word in part.words)]
        told += [f"![{md(titles[name])}](pictures/{name}.svg)" for name in part.pictures if name in titles]
        for found in part.sheets:
            told += [f"### {md(found.title)}"] * (found.title != part.title) + [markdown_table(found)]
            told += [f"_{md(found.note)}_"] * bool(found.note)
    told += ["## Examples", "Twenty texts, and what was said about them: `report.html`."] if samples(summary)[1] else []
    told += ["## The plan", *(f"`{command}`" for command in commands(study)), f"```yaml\n{plan_yaml(study)}```"]
    return "\n\n".join(line for line in told if line) + "\n"
