"""Summary -> the tables of a report, one ``Sheet`` each; what renders them does no arithmetic."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from saywhy.records import READOUTS
from saywhy.report.arms import marked_arm
from saywhy.report.cells import CellKey, several_words_legend
from saywhy.report.contrasts import Contrast
from saywhy.report.format import (
    NO_NUMBER,
    Sheet,
    SheetCell,
    counted,
    estimate_cell,
    number,
    p_value,
    p_value_cell,
    sheet_of,
    texts_needed_cell,
    values_by_seed_cell,
)
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.retention import Retention
from saywhy.report.shares import (
    SHARE_COLUMNS,
    SHARE_DIFFERENCE_LEGEND,
    SHARE_FIELDS,
    SHARE_LEGEND,
    share_cells,
    share_difference_cells,
)
from saywhy.report.summary import Cell, Summary
from saywhy.stats import FEW_CHANGED_TEXTS

RESULTS_LEGEND = (
    "Hit: the answer changes when the explanation is carried out; an invalid reply is a miss. Floor: hits of "
    "a random word. Ceiling: texts in which any word hits. Excess: hit minus floor. Score: excess as a share "
    "of what the best word could do. Can flip: on texts that can flip in this arm and in the start arm. "
    f"Start-graded: the named words' excess in the frozen start arm. {SHARE_LEGEND} "
    "Drop: fall of the log-odds, in nats. In brackets: 95 % intervals over texts. n counts texts x seeds."
)


def results_legend(summary: Summary) -> str:
    """Return what the columns of the results are."""
    return RESULTS_LEGEND + several_words_legend(cell.key for cell in summary.cells)


def block_title(key: CellKey) -> str:
    """Return the name of a table's block, e.g. ``one-word, constrained readout, operator redact``."""
    return f"{key.setting}, {key.readout} readout, operator {key.operator}"


def is_primary_cell(summary: Summary, key: CellKey) -> bool:
    """Whether a cell belongs to the results (first operator, no placebo); the others are robustness checks."""
    return key.operator == summary.cells[0].key.operator and key.readout != "placebo"


def result_sheets(summary: Summary, *, primary: bool = True) -> list[Sheet]:
    """Return one table for each setting x readout of the first operator, or (not ``primary``) the others."""
    sheets = []
    shown = [cell for cell in summary.cells if is_primary_cell(summary, cell.key) == primary]
    for _, block in groupby(shown, key=lambda cell: cell.key.block):
        cells = list(block)
        generated = cells[0].key.readout == "generated"
        hit, drop, excess = (name + shipped_fooled_metrics().sign(name) for name in ("hit", "drop", "excess"))
        header = ["style", "arm", "n", *(["valid"] if generated else []), hit, "floor", "ceiling", excess]
        header += ["score", *(["score if valid"] if generated else []), "score, can flip", "start-graded"]
        header += [*SHARE_COLUMNS, drop, "excess by seed"]
        rows = [_main_result_row(summary, cell, generated=generated) for cell in cells]
        sheets.append(sheet_of(block_title(cells[0].key), header, rows))
    return sheets


def _main_result_row(summary: Summary, cell: Cell, *, generated: bool) -> list[SheetCell | str]:
    validity = [estimate_cell(cell.validity)] if generated else []
    score_valid = [estimate_cell(cell.score_valid)] if generated else []
    return [
        cell.key.style,
        marked_arm(summary.run, cell.key.arm, cell.key.operator),
        str(cell.rows),
        *validity,
        estimate_cell(cell.hit),
        SheetCell(number(cell.floor.value)),
        SheetCell(number(cell.ceiling.value)),
        estimate_cell(cell.excess),
        estimate_cell(cell.score),
        *score_valid,
        estimate_cell(cell.score_flippable),
        estimate_cell(cell.start_graded),
        *share_cells(cell),
        SheetCell(number(cell.drop.value), "", cell.drop.reason or ""),
        values_by_seed_cell(cell.excess_seeds),
    ]


def contrast_sheets(summary: Summary, *, primary: bool = True) -> list[Sheet]:
    """Return the comparisons of faithful arms with the others, one table for each block."""
    shown = [contrast for contrast in summary.contrasts if is_primary_cell(summary, contrast.key) == primary]
    header = ("style", "arm", "against", "difference", "by seed", "p (Holm)", "result", *SHARE_COLUMNS)
    sheets: list[Sheet] = []
    for _, block in groupby(shown, key=lambda contrast: contrast.key.block):
        contrasts = list(block)
        rows = [_contrast_row(summary, contrast) for contrast in contrasts]
        note = "" if sheets else _contrast_note(summary)
        raw = "McNemar" + shipped_fooled_metrics().sign("hit")
        titles = (*header, raw, "d_z", "for 80 %", "score, both can flip")
        sheets.append(sheet_of(block_title(contrasts[0].key), titles, rows, note, texts=3))
    return sheets


def _contrast_row(summary: Summary, contrast: Contrast) -> list[SheetCell | str]:
    score, rival_score = contrast.flippable
    effect = SheetCell(
        number(contrast.difference.effect),
        "",
        "" if contrast.difference.effect is not None else contrast.needed.reason or "",
    )
    return [
        contrast.key.style,
        marked_arm(summary.run, contrast.key.arm, contrast.key.operator),
        marked_arm(summary.run, contrast.rival, contrast.key.operator),
        estimate_cell(contrast.difference),
        values_by_seed_cell(contrast.difference.seeds),
        p_value_cell(contrast.difference, contrast.p_holm),
        contrast.verdict,
        *share_difference_cells(contrast.effect_share, contrast.effect_share_start),
        SheetCell(NO_NUMBER)
        if contrast.raw is None
        else SheetCell(p_value(contrast.raw.p), f"({contrast.raw.won} : {contrast.raw.lost})"),
        effect,
        texts_needed_cell(contrast.needed),
        SheetCell(f"{number(score.value)} : {number(rival_score.value)}", f"({score.n})", score.reason or ""),
    ]


def _contrast_note(summary: Summary) -> str:
    """Say what the columns of the contrasts are, and what was corrected for."""
    tested = counted(summary.tested, "confirmatory comparison")
    return (
        "Difference: of mean excess, on the same texts, seeds averaged within a text. p: sign flips over texts; in "
        f"brackets corrected (Holm) for the {tested} ({summary.rules.family.name}); no brackets: exploratory. "
        "Uncorrected: shown only without correction. Unclear: neither gain nor loss is shown. "
        f"{SHARE_DIFFERENCE_LEGEND} McNemar: exact test of "
        "the raw hits (texts that only the one arm hits : only the other). d_z: difference by the standard deviation "
        "of the texts' differences. For 80 %: texts that a next study needs to find a difference as large as this one "
        "in four of five cases (p < 0.05, uncorrected). Last column: scores on texts that can flip in both arms "
        "(how many)."
    )


def readout_sheet(summary: Summary) -> Sheet | None:
    """Return the readouts side by side (one-word, first operator); the guided one only if the run has it."""
    cells = {cell.key: cell for cell in summary.cells if cell.key.setting == "one-word"}
    if not cells:
        return None
    operator, rows = next(iter(cells)).operator, list[list[SheetCell | str]]()
    pairs = dict.fromkeys((key.style, key.arm) for key in cells if key.operator == operator)
    has_guided = any(key.readout == "guided" for key in cells)
    for style, arm in pairs:
        by_readout = {
            key.readout: cell
            for key, cell in cells.items()
            if (key.style, key.arm, key.operator) == (style, arm, operator)
        }
        generated, guided, constrained, placebo = map(by_readout.get, READOUTS)
        shown: list[tuple[Cell | None, tuple[str, ...]]] = [
            (generated, ("validity", "excess", "score_valid", *SHARE_FIELDS))
        ]
        shown += [(guided, ("excess", "score", *SHARE_FIELDS))] * has_guided
        shown += [(constrained, ("excess", "score", *SHARE_FIELDS)), (placebo, ("excess",))]
        measured = [_measured_cell(cell, name) for cell, names in shown for name in names]
        rows.append([style, marked_arm(summary.run, arm, operator), *measured])
    header = ["style", "arm", "valid", "excess, generated", "score if valid"]
    header += [f"{name}, generated" for name in SHARE_COLUMNS]
    for readout in ("guided", "constrained") if has_guided else ("constrained",):
        header += [f"{name}, {readout}" for name in ("excess", "score", *SHARE_COLUMNS)]
    header.append("excess, placebo-corrected")
    note = "Generated: what users see. Constrained: skill without format. Placebo: minus a request for any word."
    if has_guided:
        note += " Guided: the generated reply, held to be valid."
    return sheet_of(f"one-word, operator {operator}", header, rows, note)


def _measured_cell(cell: Cell | None, name: str) -> SheetCell:
    return SheetCell(NO_NUMBER, "", "not measured") if cell is None else estimate_cell(getattr(cell, name))


def reason_sheet(summary: Summary) -> Sheet | None:
    """Return how often each reason made a generated reply invalid, as a share of all replies."""
    operator = next((cell.key.operator for cell in summary.cells), None)
    cells = [cell for cell in summary.cells if cell.key.readout == "generated" and cell.key.operator == operator]
    total: Counter[str] = sum((Counter(cell.reasons) for cell in cells), Counter())
    if not total:
        return None
    reasons, arms = sorted(total, key=lambda reason: (-total[reason], reason)), summary.run.arms
    rows = [
        [cell.key.style, cell.key.setting, cell.key.arm, str(cell.rows), number(cell.validity.value)]
        + [number(cell.reasons[reason] / cell.rows) if reason in cell.reasons else "" for reason in reasons]
        for cell in sorted(cells, key=lambda cell: (cell.key.order(arms)[3], cell.key.order(arms)))
    ]
    note = "Shares of all replies. A blank means that it never happened."
    return sheet_of("Generated replies", ("style", "setting", "arm", "n", "valid", *reasons), rows, note, texts=3)


def retention_sheet(summary: Summary) -> Sheet | None:
    """Return what each arm kept of the classifier."""
    if all(max(retention.accuracy.n, retention.agreement.n) == 0 for retention in summary.retention):
        return None  # no gold label, and no arm to compare with
    header = ("arm", "n", "accuracy", "accuracy, raw", "change", "agreement", "kept")
    note = "On the texts of the split that were classified for this (n; all of them unless decide_rows says less)."
    if len(summary.retention) > 1:
        note += (
            f" Change, agreement and drift are against {summary.start}; drift is that of the leave-one-word-out tables."
        )
    if summary.yardstick is not None:
        note += f" Two seeds of {summary.start} agree on {estimate_cell(summary.yardstick)}."
    if any(retention.accuracy_kept or retention.agreement_kept for retention in summary.retention):
        note += _kept_note(summary)
    drifts = ("drift of floor", "drift of ceiling", "drift of margin")
    rows = [_retention_row(retention) for retention in summary.retention]
    return sheet_of("Retention", (*header, *drifts), rows, note, texts=1)


def _kept_note(summary: Summary) -> str:
    """Say by which bounds accuracy and agreement count as kept."""
    rules = summary.rules
    yardstick = f"what two seeds of {summary.start} agree on" + (
        " (not told by one seed)" if not summary.yardstick else ""
    )
    return (
        " Kept (non-inferiority), accuracy / agreement: yes if the interval's lower bound is less than "
        f"{rules.accuracy_loss:g} below the accuracy of {summary.start} / less than {rules.agreement_loss:g} below "
        f"{yardstick}; no if the upper bound is more than that below; else unclear. Where fewer than "
        f"{FEW_CHANGED_TEXTS} texts changed, the lower bound is that of their number (Wilson), since resampling cannot "
        "tell what it never saw."
    )


def _retention_row(retention: Retention) -> list[SheetCell | str]:
    change = SheetCell(NO_NUMBER) if retention.accuracy_change is None else estimate_cell(retention.accuracy_change)
    drifts = [
        estimate_cell(retention.drift[name]) if name in retention.drift else SheetCell(NO_NUMBER)
        for name in ("floor", "ceiling", "margin")
    ]
    texts = max(retention.accuracy.n, retention.agreement.n)
    answers = [answer or NO_NUMBER for answer in (retention.accuracy_kept, retention.agreement_kept)]
    answer_text = NO_NUMBER if answers == [NO_NUMBER, NO_NUMBER] else " / ".join(answers)
    estimates = [
        estimate_cell(retention.accuracy),
        estimate_cell(retention.accuracy_raw),
        change,
        estimate_cell(retention.agreement),
        SheetCell(answer_text),
    ]
    return [retention.arm, str(texts or NO_NUMBER), *estimates, *drifts]


def set_aside_sheet(summary: Summary) -> Sheet | None:
    """Return how many texts were set aside, and why."""
    total = Counter(item.reason.split(": ")[0] for item in summary.run.set_aside)
    rows = [[reason, str(n)] for reason, n in sorted(total.items(), key=lambda item: (-item[1], item[0]))]
    note = "The same in every arm, and in no n of explanations; those that are only long are still classified."
    return sheet_of("Set aside", ("reason", "texts"), rows, note, texts=1) if rows else None


def run_targets_sheet(summary: Summary) -> Sheet | None:
    """Return how often the training targets themselves hit."""
    rows = [[name, text] for name, text in dotted_pairs(summary.run.targets)]
    note = "Share of the training texts whose pseudo-faithful explanation changes the label."
    return sheet_of("Training targets", ("targets", "hit"), rows, note, texts=1) if rows else None


def run_provenance_sheets(summary: Summary) -> list[Sheet]:
    """Return how the run was made: configuration, task, model, versions, prompts and time."""
    manifest = summary.run.manifest
    sheets = []
    for title in ("config", "task", "model", "versions", "prompts", "seconds", "counts"):
        rows = [[name, text] for name, text in dotted_pairs(manifest.get(title, {}))]
        if rows:
            sheets.append(sheet_of(title, ("", ""), rows, texts=2))
    return sheets


def dotted_pairs(data: Any, name: str = "") -> list[tuple[str, str]]:
    """Return nested JSON as (dotted name, value) pairs."""
    if isinstance(data, dict):
        pairs = [dotted_pairs(value, f"{name}.{key}" if name else str(key)) for key, value in data.items()]
        return [pair for inner in pairs for pair in inner]
    if isinstance(data, list):
        return [(name, ", ".join(str(item) for item in data))]
    if isinstance(data, float):
        return [(name, f"{data:.4g}")]
    return [(name, NO_NUMBER if data is None else str(data))]
