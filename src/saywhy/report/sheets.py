"""Summary -> the tables of a report, one ``Sheet`` each; who renders them does no arithmetic."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from saywhy.report.arms import marked
from saywhy.report.cells import Key
from saywhy.report.contrasts import Contrast
from saywhy.report.format import (
    NOTHING,
    Sheet,
    Shown,
    by_seed,
    counted,
    estimate,
    needed_of,
    number,
    p_of,
    p_value,
    sheet,
)
from saywhy.report.marks import shipped
from saywhy.report.retention import Retention
from saywhy.report.summary import Cell, Summary
from saywhy.stats import FEW

LEGEND = (
    "Hit: the answer changes when the explanation is carried out; an invalid reply is a miss. Floor: hits of "
    "a random word. Ceiling: texts in which any word hits. Excess: hit minus floor. Score: excess as a share "
    "of what the best word could do. Can flip: on texts that can flip in this arm and in the start arm. "
    "Start-graded: the named words' excess in the frozen start arm. Drop: fall of the log-odds, in nats. In "
    "brackets: 95 % intervals over texts. n counts texts x seeds."
)


def block_title(key: Key) -> str:
    """Return the name of a table's block, e.g. ``one-word, constrained readout, operator redact``."""
    return f"{key.setting}, {key.readout} readout, operator {key.operator}"


def is_primary(summary: Summary, key: Key) -> bool:
    """Whether a cell belongs in front: the first operator, and no placebo; the others are robustness."""
    return key.operator == summary.cells[0].key.operator and key.readout != "placebo"


def main_sheets(summary: Summary, *, primary: bool = True) -> list[Sheet]:
    """Return one table for each setting x readout of the first operator, or (not ``primary``) the others."""
    made = []
    shown = [cell for cell in summary.cells if is_primary(summary, cell.key) == primary]
    for _, block in groupby(shown, key=lambda cell: cell.key.block):
        cells = list(block)
        generated = cells[0].key.readout == "generated"
        hit, drop, excess = (name + shipped().sign(name) for name in ("hit", "drop", "excess"))
        header = ["style", "arm", "n", *(["valid"] if generated else []), hit, "floor", "ceiling", excess]
        header += ["score", *(["score if valid"] if generated else []), "score, can flip", "start-graded"]
        header += [drop, "excess by seed"]
        rows = [_main_row(summary, cell, generated=generated) for cell in cells]
        made.append(sheet(block_title(cells[0].key), header, rows))
    return made


def _main_row(summary: Summary, cell: Cell, *, generated: bool) -> list[Shown | str]:
    valid = [estimate(cell.validity)] if generated else []
    skill = [estimate(cell.score_valid)] if generated else []
    return [
        cell.key.style,
        marked(summary.run, cell.key.arm, cell.key.operator),
        str(cell.rows),
        *valid,
        estimate(cell.hit),
        Shown(number(cell.floor.value)),
        Shown(number(cell.ceiling.value)),
        estimate(cell.excess),
        estimate(cell.score),
        *skill,
        estimate(cell.score_flippable),
        estimate(cell.start_graded),
        Shown(number(cell.drop.value), "", cell.drop.reason or ""),
        by_seed(cell.excess_seeds),
    ]


def contrast_sheets(summary: Summary, *, primary: bool = True) -> list[Sheet]:
    """Return the comparisons of faithful arms with the others, one table for each block."""
    shown = [contrast for contrast in summary.contrasts if is_primary(summary, contrast.key) == primary]
    header = ("style", "arm", "against", "difference", "by seed", "p (Holm)", "result")
    made: list[Sheet] = []
    for _, block in groupby(shown, key=lambda contrast: contrast.key.block):
        contrasts = list(block)
        rows = [_contrast_row(summary, contrast) for contrast in contrasts]
        note = "" if made else _contrast_note(summary)
        raw = "McNemar" + shipped().sign("hit")
        titles = (*header, raw, "d_z", "for 80 %", "score, both can flip")
        made.append(sheet(block_title(contrasts[0].key), titles, rows, note, texts=3))
    return made


def _contrast_row(summary: Summary, c: Contrast) -> list[Shown | str]:
    mine, theirs = c.flippable
    effect = Shown(number(c.difference.effect), "", "" if c.difference.effect is not None else c.needed.reason or "")
    return [
        c.key.style,
        marked(summary.run, c.key.arm, c.key.operator),
        marked(summary.run, c.other, c.key.operator),
        estimate(c.difference),
        by_seed(c.difference.seeds),
        p_of(c.difference, c.p_holm),
        c.verdict,
        Shown(NOTHING) if c.raw is None else Shown(p_value(c.raw.p), f"({c.raw.won} : {c.raw.lost})"),
        effect,
        needed_of(c.needed),
        Shown(f"{number(mine.value)} : {number(theirs.value)}", f"({mine.n})", mine.reason or ""),
    ]


def _contrast_note(summary: Summary) -> str:
    """Say what the columns of the contrasts are, and what was corrected for."""
    tested = counted(summary.tested, "confirmatory comparison")
    return (
        "Difference: of mean excess, on the same texts, seeds averaged within a text. p: sign flips over texts; in "
        f"brackets corrected (Holm) for the {tested} ({summary.rules.family.name}); no brackets: exploratory. "
        "Uncorrected: shown only without correction. Unclear: neither gain nor loss is shown. McNemar: exact test of "
        "the raw hits (texts that only the one arm hits : only the other). d_z: difference by the standard deviation "
        "of the texts' differences. For 80 %: texts that a next study needs to find a difference as large as this one "
        "in four of five cases (p < 0.05, uncorrected). Last column: scores on texts that can flip in both arms "
        "(how many)."
    )


def readout_sheet(summary: Summary) -> Sheet | None:
    """Return what users see beside what the model would pick among all valid explanations (one-word)."""
    cells = {cell.key: cell for cell in summary.cells if cell.key.setting == "one-word"}
    if not cells:
        return None
    operator, rows = next(iter(cells)).operator, list[list[Shown | str]]()
    pairs = dict.fromkeys((key.style, key.arm) for key in cells if key.operator == operator)
    for style, arm in pairs:
        found = {k.readout: c for k, c in cells.items() if (k.style, k.arm, k.operator) == (style, arm, operator)}
        asked, skill, placebo = (found.get(name) for name in ("generated", "constrained", "placebo"))
        rows.append(
            [
                style,
                marked(summary.run, arm, operator),
                _of(asked, "validity"),
                _of(asked, "excess"),
                _of(asked, "score_valid"),
                _of(skill, "excess"),
                _of(skill, "score"),
                _of(placebo, "excess"),
            ]
        )
    header = ("style", "arm", "valid", "excess, generated", "score if valid", "excess, constrained")
    note = "Generated: what users see. Constrained: skill without format. Placebo: minus a request for any word."
    titles = (*header, "score, constrained", "excess, placebo-corrected")
    return sheet(f"one-word, operator {operator}", titles, rows, note)


def _of(cell: Cell | None, name: str) -> Shown:
    return Shown(NOTHING, "", "not measured") if cell is None else estimate(getattr(cell, name))


def reason_sheet(summary: Summary) -> Sheet | None:
    """Return how often each reason made a generated reply invalid, as a share of all replies."""
    operator = next((cell.key.operator for cell in summary.cells), None)
    cells = [c for c in summary.cells if c.key.readout == "generated" and c.key.operator == operator]
    total: Counter[str] = sum((Counter(cell.reasons) for cell in cells), Counter())
    if not total:
        return None
    reasons = [reason for reason, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))]
    rows = [
        [c.key.style, c.key.setting, c.key.arm, str(c.rows), number(c.validity.value)]
        + [number(c.reasons[r] / c.rows) if r in c.reasons else "" for r in reasons]
        for c in sorted(cells, key=lambda c: (c.key.order(summary.run.arms)[3], c.key.order(summary.run.arms)))
    ]
    note = "Shares of all replies. A blank means that it never happened."
    return sheet("Generated replies", ("style", "setting", "arm", "n", "valid", *reasons), rows, note, texts=3)


def retention_sheet(summary: Summary) -> Sheet | None:
    """Return what each arm kept of the classifier."""
    if not summary.retention:
        return None
    header = ("arm", "n", "accuracy", "accuracy, raw", "change", "agreement", "kept")
    note = "On the texts of the split that were classified for this (n; all of them unless decide_rows says less)."
    if len(summary.retention) > 1:
        note += (
            f" Change, agreement and drift are against {summary.start}; drift is that of the leave-one-word-out tables."
        )
    if summary.yardstick is not None:
        note += f" Two seeds of {summary.start} agree on {estimate(summary.yardstick)}."
    if any(kept.accuracy_kept or kept.agreement_kept for kept in summary.retention):
        note += _kept_note(summary)
    drifts = ("drift of floor", "drift of ceiling", "drift of margin")
    rows = [_kept(kept) for kept in summary.retention]
    return sheet("Retention", (*header, *drifts), rows, note, texts=1)


def _kept_note(summary: Summary) -> str:
    """Say by which bounds something was kept."""
    rules = summary.rules
    usual = f"what two seeds of {summary.start} agree on" + (" (not told by one seed)" if not summary.yardstick else "")
    return (
        " Kept (non-inferiority), accuracy / agreement: yes if the interval's lower bound is less than "
        f"{rules.accuracy_loss:g} below the accuracy of {summary.start} / less than {rules.agreement_loss:g} below "
        f"{usual}; no if the upper bound is more than that below; else unclear. Where fewer than {FEW} texts changed, "
        "the lower bound is that of their number (Wilson), since resampling cannot tell what it never saw."
    )


def _kept(kept: Retention) -> list[Shown | str]:
    change = Shown(NOTHING) if kept.accuracy_change is None else estimate(kept.accuracy_change)
    moved = [
        estimate(kept.drift[name]) if name in kept.drift else Shown(NOTHING) for name in ("floor", "ceiling", "margin")
    ]
    seen = max(kept.accuracy.n, kept.agreement.n)
    answers = [answer or NOTHING for answer in (kept.accuracy_kept, kept.agreement_kept)]
    both = NOTHING if answers == [NOTHING, NOTHING] else " / ".join(answers)
    first = [estimate(kept.accuracy), estimate(kept.accuracy_raw), change, estimate(kept.agreement), Shown(both)]
    return [kept.arm, str(seen or NOTHING), *first, *moved]


def set_aside_sheet(summary: Summary) -> Sheet | None:
    """Return how many texts were set aside, and why."""
    total = Counter(item.reason.split(": ")[0] for item in summary.run.set_aside)
    rows = [[reason, str(n)] for reason, n in sorted(total.items(), key=lambda item: (-item[1], item[0]))]
    note = "The same in every arm, and in no n of explanations; those that are only long are still classified."
    return sheet("Set aside", ("reason", "texts"), rows, note, texts=1) if rows else None


def targets_sheet(summary: Summary) -> Sheet | None:
    """Return how often the training targets themselves hit."""
    rows = [[name, text] for name, text in flat(summary.run.targets)]
    note = "Share of the training texts whose pseudo-faithful explanation changes the label."
    return sheet("Training targets", ("targets", "hit"), rows, note, texts=1) if rows else None


def made_sheets(summary: Summary) -> list[Sheet]:
    """Return how the run was made: configuration, task, model, versions, prompts and time."""
    manifest = summary.run.manifest
    made = []
    for title in ("config", "task", "model", "versions", "prompts", "seconds", "counts"):
        rows = [[name, text] for name, text in flat(manifest.get(title, {}))]
        if rows:
            made.append(sheet(title, ("", ""), rows, texts=2))
    return made


def flat(data: Any, name: str = "") -> list[tuple[str, str]]:
    """Return nested JSON as (dotted name, value) pairs."""
    if isinstance(data, dict):
        pairs = [flat(value, f"{name}.{key}" if name else str(key)) for key, value in data.items()]
        return [pair for inner in pairs for pair in inner]
    if isinstance(data, list):
        return [(name, ", ".join(str(item) for item in data))]
    if isinstance(data, float):
        return [(name, f"{data:.4g}")]
    return [(name, NOTHING if data is None else str(data))]
