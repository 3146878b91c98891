"""Summary -> ``report.md``, ``table.csv`` and the other tables of a run: the text of each."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence

from saywhy.printable import in_one_line, printable
from saywhy.report.abstention import confidence_sheet
from saywhy.report.answers import answers_sheets, answers_warning
from saywhy.report.arms import same_instrument
from saywhy.report.checked import robustness_sheets
from saywhy.report.confidence import CellConfidence
from saywhy.report.contrasts import Contrast
from saywhy.report.format import Sheet, interval_columns
from saywhy.report.headline import headline
from saywhy.report.load import LoadedRun
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.mentioned import mention_columns, sentence_sheets
from saywhy.report.moves import VerdictMove
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
from saywhy.report.summary import Cell, Summary
from saywhy.stats import MOST_PLANNED_TEXTS, Difference, Interval

CELL_ESTIMATES = (
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
    "effect_share",
    "effect_share_start",
    "drop",
)
"""The estimates of a cell: each has the columns NAME, NAME_low, NAME_high, NAME_n."""


def run_report_markdown(summary: Summary) -> str:
    """Return the report as Markdown."""
    task = summary.run.task.get("name", "run")
    parts = [f"# saywhy: {escaped_markdown(str(task))}", escaped_markdown(headline(summary))]
    parts += [f"**{escaped_markdown(warning)}**" for warning in [answers_warning(summary)] if warning]
    legend = "\n\n".join(
        f"_{escaped_markdown(text)}_" for text in (results_legend(summary), shipped_fooled_metrics().footnote()) if text
    )
    sections: list[tuple[str, Sequence[Sheet | None]]] = [
        ("Results", result_sheets(summary)),
        ("Explanations in sentences", [*sentence_sheets(summary), *sentence_metric_sheets(summary.run)]),
        ("Against the other arms", contrast_sheets(summary)),
        ("How far the verdict moves", robustness_sheets(summary)),
        ("Generated and constrained", [readout_sheet(summary)]),
        ("Confidence and abstention", [confidence_sheet(summary)]),
        ("What failed", [reason_sheet(summary)]),
        ("Retention", [retention_sheet(summary), *answers_sheets(summary)]),
        ("Robustness: results", result_sheets(summary, primary=False)),
        ("Robustness: against the other arms", contrast_sheets(summary, primary=False)),
        ("Set aside", [set_aside_sheet(summary)]),
        ("Training targets", [run_targets_sheet(summary)]),
        ("How it was made", run_provenance_sheets(summary)),
    ]
    for title, sheets in sections:
        shown = [sheet for sheet in sheets if sheet is not None]
        if shown:
            parts += [f"## {title}"] + [legend] * (title == "Results")
        for sheet in shown:
            parts += [f"### {escaped_markdown(sheet.title)}"] * (sheet.title != title) + [markdown_table(sheet)]
            parts += [f"_{escaped_markdown(sheet.note)}_"] * bool(sheet.note)
    return "\n\n".join(parts) + "\n"


def markdown_table(sheet: Sheet) -> str:
    """Return a sheet as a Markdown table."""
    rule = [":--" if at < sheet.texts else "--:" for at in range(len(sheet.header))]
    lines = [
        [escaped_markdown(name) for name in sheet.header],
        rule,
        *([escaped_markdown(str(cell)) for cell in row] for row in sheet.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Emphasis, code, cells, strokes, formulas; what makes a link or an image of brackets, or defines one; addresses that
# pages make links of; entities; and what makes a heading, a list or a rule where it stands first.
_MARKUP = re.compile(r"[\\`*_|~$<>]|\](?=[(\[:])|://|\bwww\.|&(?=#?\w+;)|\A[#+=-](?=[-#+=\s]|\Z)|\A\d+[.)](?=\s|\Z)")
_ENTITY_OF_SIGN = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escaped_markdown(text: str) -> str:
    r"""Return text for a Markdown cell or paragraph: no line breaks, no markup.

    >>> print(escaped_markdown("![x](http://a.b) *0.2* [-0.1, +0.3]"))
    ![x\](http:\//a.b) \*0.2\* [-0.1, +0.3]
    """
    flat = " ".join(printable(text).split())
    return _MARKUP.sub(lambda match: _escaped_sign(match.group()), flat)


def _escaped_sign(sign: str) -> str:
    if sign in _ENTITY_OF_SIGN:
        return _ENTITY_OF_SIGN[sign]
    # Of several signs the last one makes the markup, but for the colon of an address.
    return ":\\//" if sign == "://" else f"{sign[:-1]}\\{sign[-1]}"


def code_span(text: str) -> str:
    """Return text as code within a line; what would end the code, or the cell it stands in, is escaped instead."""
    return escaped_markdown(text) if set(text) & set("`|") else f"`{in_one_line(text)}`"


def fenced_block(text: str, language: str) -> str:
    """Return lines as a block of code that nothing in them ends."""
    fence = max(["```", *(f"{run}`" for run in re.findall("`{3,}", text))], key=len)
    return f"{fence}{language}\n{printable(text)}{fence}"


def csv_text(rows: list[dict[str, object]]) -> str:
    """Return rows as CSV, an empty field where there is no number or no such column; empty if there are no rows."""
    buffer = io.StringIO()
    if rows:
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


_FORMULA = re.compile(r"\t|\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")  # also in full width


def _csv_cell(value: object) -> object:
    """Return a value for a cell; text that a spreadsheet would compute is quoted, numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values_by_seed_text(values: Mapping[int, float]) -> str:
    """Return the value of each seed as ``0=0.125;1=0.25``."""
    return ";".join(f"{seed}={values[seed]:.6g}" for seed in sorted(values))


def table_csv(summary: Summary) -> str:
    """Return every column of every cell, one row a cell; those on sentences only for a run that has any."""
    return csv_text([cell_row(summary, cell) | mention_columns(summary, cell.key) for cell in summary.cells])


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
        "fooled": shipped_fooled_metrics().csv_field(cell.key.setting),
        "rows": cell.rows,
        "seeds": cell.seeds,
    }
    for name in CELL_ESTIMATES:
        row |= interval_columns(name, getattr(cell, name))
        if name.startswith(("score", "effect_share")):
            row[f"{name}_doubt"] = getattr(cell, name).doubt
    row["excess_seed_min"] = min(cell.excess_seeds.values())
    row["excess_seed_max"] = max(cell.excess_seeds.values())
    row["excess_seeds"] = _values_by_seed_text(cell.excess_seeds)
    return row


def contrasts_csv(summary: Summary) -> str:
    """Return every contrast, one row each; empty, without a header, if there are none."""
    return csv_text([contrast_row(summary.run, contrast) for contrast in summary.contrasts])


def contrast_row(run: LoadedRun, contrast: Contrast) -> dict[str, object]:
    """Return every column of a contrast."""
    key, (score, rival_score) = contrast.key, contrast.flippable
    return {
        "arm": key.arm,
        "other": contrast.rival,
        "style": key.style,
        "setting": key.setting,
        "readout": key.readout,
        "operator": key.operator,
        "training_operator": int(same_instrument(run, key.arm, key.operator)),
        **interval_columns("difference", contrast.difference),
        "p": contrast.difference.p,
        "p_holm": contrast.p_holm,
        "result": contrast.verdict,
        **interval_columns("flippable", score),
        **interval_columns("flippable_other", rival_score),
        "flippable_doubt": score.doubt or rival_score.doubt,
        "difference_seeds": _values_by_seed_text(contrast.difference.seeds),
        "mcnemar_p": None if contrast.raw is None else contrast.raw.p,
        "mcnemar_won": None if contrast.raw is None else contrast.raw.won,
        "mcnemar_lost": None if contrast.raw is None else contrast.raw.lost,
        "d_z": contrast.difference.effect,
        **effect_columns(contrast),
        "texts_for_80": f">{MOST_PLANNED_TEXTS}" if contrast.needed.too_many else contrast.needed.texts,
    }


def effect_columns(contrast: Contrast | None) -> dict[str, object]:
    """Return the columns of a contrast on effects; empty ones for None."""
    empty, columns = Difference(None, None, None, 0), dict[str, object]()
    for name in ("effect_gain", "effect_share", "effect_share_start"):
        difference: Difference = getattr(contrast, name) if contrast else empty
        columns |= {**interval_columns(f"{name}_difference", difference), f"{name}_p": difference.p}
    doubts = [contrast.effect_share.doubt, contrast.effect_share_start.doubt] if contrast else []
    doubt = next((doubt for doubt in doubts if doubt), None)
    return columns | {
        "effect_share_difference_doubt": doubt,
        "drift": int(contrast.is_drift) if contrast else None,
    }


def robustness_csv(summary: Summary) -> str:
    """Return the headline's cells of all arms under every variation, one row each."""
    return csv_text([_robustness_row(move) for move in summary.moves])


def _robustness_row(move: VerdictMove) -> dict[str, object]:
    empty = Interval(None, None, None, 0)
    return {
        "arm": move.key.arm,
        "style": move.key.style,
        "setting": move.key.setting,
        "readout": move.key.readout,
        "operator": move.key.operator,
        "variation": move.variation,
        "training_operator": int(move.instrument),
        "fooled": shipped_fooled_metrics().csv_field(),
        "rows": move.n,
        **interval_columns("hit", move.hit),
        **interval_columns("excess", move.excess),
        **interval_columns("effect_share", move.effect_share),
        **interval_columns("difference", move.difference or empty),
        **interval_columns("verdicts_agree", move.agree or empty),
        **interval_columns("same_answer", move.same_answers or empty),
        "answered": move.answered,
    }


def confidence_csv(summary: Summary) -> str:
    """Return how good the confidence of each arm and style is, one row each."""
    return csv_text([_confidence_csv_row(cell) for cell in summary.confidence])


def _confidence_csv_row(cell: CellConfidence) -> dict[str, object]:
    empty, quality = Interval(None, None, None, 0), cell.quality
    return {
        **dataclasses.asdict(cell.key),
        "rows": cell.rows,
        **interval_columns("holds", cell.held),
        **interval_columns("auroc", quality.auroc if quality else empty),
        "ece": quality.calibration_error if quality else None,
        "brier": quality.brier if quality else None,
        **interval_columns("aurc", quality.areas.area if quality else empty),
        **interval_columns("excess_aurc", quality.areas.excess if quality else empty),
        "aurc_oracle": quality.areas.oracle if quality else None,
        "aurc_any": quality.areas.random if quality else None,
        "holds_at_half": quality.held_at_half if quality else None,
        "coverage": quality.coverage if quality else None,
        "guaranteed_coverage": quality.guaranteed if quality else None,
        "problem": cell.problem,
    }
