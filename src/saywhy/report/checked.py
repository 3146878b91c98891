"""The tables of the robustness checks: the section *How far the verdict moves* of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from saywhy import stats
from saywhy.checks import ALL_CHECKS, CHECKS, Probe, check_of
from saywhy.report.arms import marked_arm
from saywhy.report.biases import bank_note, bias_sheet, score_sheet
from saywhy.report.format import NO_NUMBER, SAME_INSTRUMENT, Sheet, SheetCell, estimate_cell, joined, number, sheet_of
from saywhy.report.headline import headline_arm
from saywhy.report.load import NO_TEXTS
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.moves import VerdictMove, noise_floors, unanimous_share
from saywhy.report.summary import Summary
from saywhy.stats import Interval
from saywhy.words import occurrences

VARIATION_NAMES = {"labels-reversed": "labels reversed", "noise": "noise floor"}
"""Variations that the table calls by another name."""

PROBE_NAMES = {"rewrite": "rewrite, keep the meaning", "wrong-target": "counterfactual to the same answer"}
"""What ``Probe.request`` stands for."""


def robustness_sheets(summary: Summary) -> list[Sheet]:
    """Return every table of the section that has something to show."""
    builders = (moves_sheet, rivals_sheet, noise_sheet, probe_sheet, k_curve_sheet, free_sheet, bias_sheet, score_sheet)
    return [sheet for builder in builders if (sheet := builder(summary)) is not None]


def moves_sheet(summary: Summary) -> Sheet | None:
    """Return the headline's excess and effect share under every variation, one line a style and variation."""
    arm = headline_arm(summary)
    moves = [move for move in summary.moves if move.key.arm == arm]
    if not moves:
        return None
    header = ("style", "variation", "n", "excess", "effect share", "difference", "agree", "same answer")
    rows: list[list[SheetCell | str]] = [
        [
            move.key.style,
            variation_name(move),
            str(move.n),
            *map(estimate_cell, (move.excess, move.effect_share)),
            *map(_estimate_or_dash, (move.difference, move.agree, move.same_answers)),
        ]
        for move in moves
    ]
    key = moves[0].key
    return sheet_of(f"{arm}: {key.setting}, {key.readout} readout", header, rows, _moves_note(summary, moves))


def variation_name(move: VerdictMove) -> str:
    """Return what a variation is called in tables: with a † where training and grading instrument are the same."""
    return _plain_name(move.variation) + f" {SAME_INSTRUMENT}" * move.instrument


def _plain_name(variation: str) -> str:
    return VARIATION_NAMES.get(variation, variation)


def _estimate_or_dash(interval: Interval | None) -> SheetCell:
    return SheetCell(NO_NUMBER) if interval is None else estimate_cell(interval)


def _moves_note(summary: Summary, moves: Sequence[VerdictMove]) -> str:
    ranges = []
    for style in dict.fromkeys(move.key.style for move in moves):
        style_moves = [move for move in moves if move.key.style == style]
        values = [move.excess.value for move in style_moves if move.excess.value is not None]
        above = sum((move.excess.low or 0.0) > 0 for move in style_moves)
        ranges.append(
            f"{style} {number(min(values))} to {number(max(values))}, above 0 in {above} of {len(style_moves)} lines"
        )
    note = (
        f"Excess: {'; '.join(ranges)}. Main: the headline. The same words everywhere (but for the placebo-corrected "
        "readout and for unseen wordings, which name their own); under another question, label order or label words "
        "all is judged by predictions made and calibrated under it. Effect share: "
        "by the variation's own predictions. Difference: to the main excess, same texts. "
        "Agree: explanations with the main verdict. Same answer: before any edit."
    )
    answered = [f"{move.answered} ({_plain_name(move.variation)})" for move in moves if move.answered]
    if answered:
        note += (
            " Counterfactuals left out, since the label that they name is the answer before any edit: "
            f"{joined(answered)}."
        )
    keys = dict.fromkeys(move.key for move in moves)
    agreed = {key.style: share for key in keys if (share := unanimous_share(summary.run, key)) is not None}
    if agreed:
        shares = joined([f"{estimate_cell(share)} ({style})" for style, share in agreed.items()])
        note += f" All operators give the same verdict on so many of the explanations: {shares}."
    return note + _missing_checks(summary)


def _missing_checks(summary: Summary) -> str:
    """Say which checks were not computed."""
    run = summary.run
    computed = {check_of(name) for name in run.checked}
    missing = [name for name in CHECKS if name not in computed]
    if not missing:
        return ""
    requested = set(run.manifest.get("config", {}).get("robustness") or ())
    reason = (
        "this run or its task does not allow them, or was there before them"
        if ALL_CHECKS in requested
        else f"robustness={ALL_CHECKS} computes them"
    )
    return f" Not computed: {joined(missing)} ({reason})."


def rivals_sheet(summary: Summary) -> Sheet | None:
    """Return the difference of mean excess of the headline's arm to the other arms, under every variation."""
    moves = [move for move in summary.moves if move.key.arm == headline_arm(summary) and move.over_rivals]
    if not moves:
        return None
    rivals = list(dict.fromkeys(rival for move in moves for rival in move.over_rivals))
    rows: list[list[SheetCell | str]] = [
        [move.key.style, variation_name(move), *(_estimate_or_dash(move.over_rivals.get(rival)) for rival in rivals)]
        for move in moves
    ]
    note = "Paired difference of mean excess on the same texts, each arm judged under the same variation."
    return sheet_of(f"{headline_arm(summary)} over the other arms", ("style", "variation", *rivals), rows, note)


def noise_sheet(summary: Summary) -> Sheet | None:
    """Return the noise floor: what changes when everything is classified once more in other batches."""
    rows = [
        [arm, str(texts), str(answer_flips), _small_number(change), _small_number(drop), str(verdict_flips)]
        for arm, (texts, answer_flips, change, drop, verdict_flips) in noise_floors(summary.run).items()
    ]
    note = "The unchanged and the edited texts classified once more, among other texts. Changes are in nats (log-odds)."
    header = ("arm", "n", "answers flipped", "largest change", "largest change of a drop", "verdicts flipped")
    return sheet_of("Noise floor", header, rows, note, texts=1) if rows else None


def _small_number(value: float) -> str:
    return f"{value:.1g}" if 0 < value < 0.1 else number(value)


def probe_sheet(summary: Summary) -> Sheet | None:
    """Return how often requests that should not move the answer move it, beside one that should."""
    run, rows = summary.run, list[list[SheetCell | str]]()
    for arm in run.arms:
        for request, name in PROBE_NAMES.items():
            probes = [probe for probe in run.probes if (probe.arm, probe.request) == (arm, request)]
            if probes:
                outcomes = [(probe.id, probe.reason is None, probe.moved, probe.drop) for probe in probes]
                rows.append([arm, name, *_outcome_cells(outcomes), _words_kept(summary, probes)])
        row_outcomes = [
            (row.id, row.valid, row.recheck not in (None, row.prediction), row.drop)
            for row in run.rows
            if (row.arm, row.style, row.setting, row.readout) == (arm, "counterfactual", "one-word", "generated")
        ]
        if row_outcomes and any(row[0] == arm for row in rows):
            rows.append([arm, "counterfactual to another answer", *_outcome_cells(row_outcomes), SheetCell(NO_NUMBER)])
    header = ("arm", "request", "n", "text given", "answer moved", "moved if given", "drop", "words kept")
    note = (
        "Generated. A rewrite that keeps the meaning, or an edit towards the answer that was given, should leave the "
        "answer where it is; replies that give no other text count as not moved. Whether the meaning is kept is not "
        "checked: words kept is the share of the text's words in its rewrite. Drop: fall of the log-odds, in nats."
    ) + bank_note(summary)
    return sheet_of("Requests that should not move the answer", header, rows, note) if rows else None


def _outcome_cells(outcomes: Sequence[tuple[str, bool, bool, float | None]]) -> list[SheetCell]:
    """Return the table cells of outcomes: (text id, valid, moved, drop) of each reply."""
    texts = len({text for text, *_ in outcomes})
    valid = [outcome for outcome in outcomes if outcome[1]]
    return [
        SheetCell(str(len(outcomes))),
        estimate_cell(stats.rate([outcome[1] for outcome in outcomes], texts)),
        estimate_cell(stats.rate([outcome[2] for outcome in outcomes], texts)),
        estimate_cell(stats.rate([outcome[2] for outcome in valid], len({outcome[0] for outcome in valid}))),
        estimate_cell(_mean_over_texts((text, drop) for text, _, _, drop in valid if drop is not None)),
    ]


def _words_kept(summary: Summary, probes: Sequence[Probe]) -> SheetCell:
    """Return the mean share of a text's words that its new text still has."""
    if summary.run.bank:
        return SheetCell(NO_NUMBER, "", NO_TEXTS)
    shares = []
    for probe in probes:
        if probe.edited is not None and probe.id in summary.run.texts:
            words = set(summary.run.words[probe.id])
            shares.append((probe.id, len(words & {word.key for word in occurrences(probe.edited)}) / len(words)))
    return estimate_cell(_mean_over_texts(shares))


def k_curve_sheet(summary: Summary) -> Sheet | None:
    """Return the hits of 1, 2, 3, 5 words: by the readout's scores, at random, and the best."""
    run, rows = summary.run, list[list[SheetCell | str]]()
    for arm in run.arms:
        curves = [curve for curve in run.curves if curve.arm == arm]
        for at, size in enumerate(curves[0].sizes if curves else ()):
            texts = len({curve.id for curve in curves})
            excess = _mean_over_texts((curve.id, curve.named[at] - curve.random[at]) for curve in curves)
            best_excess = _mean_over_texts((curve.id, curve.best[at] - curve.random[at]) for curve in curves)
            rows.append(
                [
                    marked_arm(run, arm, curves[0].operator),
                    str(size),
                    str(len(curves)),
                    number(_mean_over_texts((curve.id, curve.random[at]) for curve in curves).value),
                    estimate_cell(stats.rate([curve.named[at] for curve in curves], texts)),
                    estimate_cell(stats.rate([curve.best[at] for curve in curves], texts)),
                    estimate_cell(excess),
                    estimate_cell(best_excess),
                ]
            )
    named = "named" + (shipped_fooled_metrics().sign("hit") if rows else "")
    header = ("arm", "words", "n", "random", named, "best (greedy)", "excess", "excess of the best")
    note = (
        "Hits when so many words are taken out together. Named: those with the highest constrained attribution scores. "
        "Excess: named minus random. Texts of fewer words lose all of them."
    )
    return sheet_of("Several words", header, rows, note) if rows else None


def free_sheet(summary: Summary) -> Sheet | None:
    """Return how many words free explanations take out, and how many of these could be left in."""
    run, rows = summary.run, list[list[SheetCell | str]]()
    for cell in summary.cells:
        key = cell.key
        if key.setting != "free" or key.operator != summary.cells[0].key.operator:
            continue
        cell_rows = [row for row in run.rows if (row.arm, row.style, row.setting, row.operator)
                == (key.arm, key.style, "free", key.operator)]  # fmt: skip
        sizes = [(row.id, len(row.words)) for row in cell_rows if row.valid]
        count, texts = Counter(min(size, 5) for _, size in sizes), len({row.id for row in cell_rows})
        spares = [spare for spare in run.spares if (spare.arm, spare.style, spare.operator)
                  == (key.arm, key.style, key.operator)]  # fmt: skip
        rows.append(
            [
                key.style,
                marked_arm(run, key.arm, key.operator),
                str(len(cell_rows)),
                estimate_cell(stats.rate([row.reason == "over budget" for row in cell_rows], texts)),
                estimate_cell(_mean_over_texts((text, float(size)) for text, size in sizes)),
                ", ".join(number(count[size] / len(sizes)) for size in range(1, 6)) if sizes else SheetCell(NO_NUMBER),
                SheetCell(str(len(spares)) if spares else NO_NUMBER),
                estimate_cell(_mean_over_texts((spare.id, sum(spare.spare) / len(spare.spare)) for spare in spares)),
                estimate_cell(
                    stats.rate([not any(spare.spare) for spare in spares], len({spare.id for spare in spares}))
                ),
            ]
        )
    header = ("style", "arm", "n", "over budget", "words taken", "1, 2, 3, 4, 5+ words", "hits looked at")
    note = (
        "Free setting. Words taken: of valid replies. Spare: share of the words of a hit (at most 5 words, not "
        "counterfactual) that can each be put back while the rest still hits. Minimal: hits without a spare word."
    )
    return sheet_of("Free explanations", (*header, "spare words", "minimal"), rows, note) if rows else None


def _mean_over_texts(values: Iterable[tuple[str, float]]) -> Interval:
    """Return the mean over texts, the seeds of a text averaged first."""
    by_text: dict[str, list[float]] = {}
    for text, value in values:
        by_text.setdefault(text, []).append(value)
    return stats.mean_interval(sum(seed_values) / len(seed_values) for _, seed_values in sorted(by_text.items()))
