"""Summary -> ``report.md``, ``table.csv``, ``contrasts.csv``: the text of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from saywhy.report.arms import same_instrument
from saywhy.report.checked import robustness_sheets
from saywhy.report.contrasts import Contrast
from saywhy.report.format import Sheet
from saywhy.report.headline import headline
from saywhy.report.load import Run
from saywhy.report.marks import shipped
from saywhy.report.moves import Move
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
from saywhy.report.summary import Cell, Summary
from saywhy.stats import MOST, Interval

ESTIMATES = (
    "validity",
    "hit",
    "hit_valid",
    "floor",
    "ceiling",
    "excess",
    "score",
    "score_valid",
    "score_flippable",
    "start_graded",
    "drop",
)
"""The estimates of a cell: each has the columns NAME, NAME_low, NAME_high, NAME_n."""


def markdown(summary: Summary) -> str:
    """Return the report as Markdown."""
    task = summary.run.task.get("name", "run")
    parts = [f"# saywhy: {md(str(task))}", md(headline(summary))]
    legend = "\n\n".join(f"_{md(text)}_" for text in (LEGEND, shipped().footnote()) if text)
    sections: list[tuple[str, Sequence[Sheet | None]]] = [
        ("Results", main_sheets(summary)),
        ("Against the other arms", contrast_sheets(summary)),
        ("How far the verdict moves", robustness_sheets(summary)),
        ("Generated and constrained", [readout_sheet(summary)]),
        ("What failed", [reason_sheet(summary)]),
        ("Retention", [retention_sheet(summary)]),
        ("Robustness: results", main_sheets(summary, primary=False)),
        ("Robustness: against the other arms", contrast_sheets(summary, primary=False)),
        ("Set aside", [set_aside_sheet(summary)]),
        ("Training targets", [targets_sheet(summary)]),
        ("How it was made", made_sheets(summary)),
    ]
    for title, sheets in sections:
        shown = [found for found in sheets if found is not None]
        if shown:
            parts += [f"## {title}"] + [legend] * (title == "Results")
        for found in shown:
            parts += [f"### {md(found.title)}"] * (found.title != title) + [markdown_table(found)]
            parts += [f"_{md(found.note)}_"] * bool(found.note)
    return "\n\n".join(parts) + "\n"


def markdown_table(found: Sheet) -> str:
    """Return a sheet as a Markdown table."""
    rule = [":--" if at < found.texts else "--:" for at in range(len(found.header))]
    lines = [[md(name) for name in found.header], rule, *([md(str(c)) for c in row] for row in found.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def md(text: str) -> str:
    """Return text for a Markdown cell: no line breaks, no markup."""
    flat = " ".join(text.split())
    for sign in "\\`*_|<>":
        flat = flat.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return flat


def columns(name: str, found: Interval) -> dict[str, float | int | None]:
    """Return an estimate as the columns NAME, NAME_low, NAME_high, NAME_n."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_n": found.n}


def csv_text(rows: list[dict[str, object]]) -> str:
    """Return rows as CSV: an empty field where there is no number."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()


def _seeds(values: Mapping[int, float]) -> str:
    """Return the value of each seed as ``0=0.125;1=0.25``."""
    return ";".join(f"{seed}={values[seed]:.6g}" for seed in sorted(values))


def table_csv(summary: Summary) -> str:
    """Return every column of every cell, one row a cell."""
    return csv_text([cell_row(summary, cell) for cell in summary.cells])


def cell_row(summary: Summary, cell: Cell) -> dict[str, object]:
    """Return every column of a cell."""
    row: dict[str, object] = {
        "task": summary.run.task.get("name"),
        "arm": cell.key.arm,
        "style": cell.key.style,
        "setting": cell.key.setting,
        "readout": cell.key.readout,
        "operator": cell.key.operator,
        "training_operator": int(cell.instrument),
        "fooled": shipped().told(),
        "rows": cell.rows,
        "seeds": cell.seeds,
    }
    for name in ESTIMATES:
        row |= columns(name, getattr(cell, name))
        if name.startswith("score"):
            row[f"{name}_doubt"] = getattr(cell, name).doubt
    row["excess_seed_min"] = min(cell.excess_seeds.values())
    row["excess_seed_max"] = max(cell.excess_seeds.values())
    row["excess_seeds"] = _seeds(cell.excess_seeds)
    return row


def contrasts_csv(summary: Summary) -> str:
    """Return every contrast, one row each; only a header's worth of nothing if there are none."""
    return csv_text([contrast_row(summary.run, contrast) for contrast in summary.contrasts])


def contrast_row(run: Run, contrast: Contrast) -> dict[str, object]:
    """Return every column of a contrast."""
    key, (mine, theirs) = contrast.key, contrast.flippable
    return {
        "arm": key.arm,
        "other": contrast.other,
        "style": key.style,
        "setting": key.setting,
        "readout": key.readout,
        "operator": key.operator,
        "training_operator": int(same_instrument(run, key.arm, key.operator)),
        **columns("difference", contrast.difference),
        "p": contrast.difference.p,
        "p_holm": contrast.p_holm,
        "result": contrast.verdict,
        **columns("flippable", mine),
        **columns("flippable_other", theirs),
        "flippable_doubt": mine.doubt or theirs.doubt,
        "difference_seeds": _seeds(contrast.difference.seeds),
        "mcnemar_p": None if contrast.raw is None else contrast.raw.p,
        "mcnemar_won": None if contrast.raw is None else contrast.raw.won,
        "mcnemar_lost": None if contrast.raw is None else contrast.raw.lost,
        "d_z": contrast.difference.effect,
        "texts_for_80": f">{MOST}" if contrast.needed.too_many else contrast.needed.texts,
    }


def robustness_csv(summary: Summary) -> str:
    """Return the headline's cells under every variation, one row each, all arms."""
    return csv_text([_move_row(move) for move in summary.moves])


def _move_row(move: Move) -> dict[str, object]:
    empty = Interval(None, None, None, 0)
    return {
        "arm": move.key.arm,
        "style": move.key.style,
        "setting": move.key.setting,
        "readout": move.key.readout,
        "operator": move.key.operator,
        "variation": move.variation,
        "training_operator": int(move.instrument),
        "fooled": shipped().told(),
        "rows": move.n,
        **columns("hit", move.hit),
        **columns("excess", move.excess),
        **columns("difference", move.difference or empty),
        **columns("verdicts_agree", move.agree or empty),
        **columns("same_answer", move.answers or empty),
    }
