"""What the robustness checks found, as tables: *How far the verdict moves*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from saywhy import stats
from saywhy.checks import ALL, CHECKS, Probe, check_of
from saywhy.report.arms import marked
from saywhy.report.biases import bias, correlations, document_counts
from saywhy.report.format import NOTHING, SAME, Sheet, Shown, estimate, joined, number, sheet
from saywhy.report.headline import lead
from saywhy.report.load import NO_TEXTS
from saywhy.report.marks import shipped
from saywhy.report.moves import Move, noise, unanimous
from saywhy.report.summary import Summary
from saywhy.stats import Interval
from saywhy.words import candidates

NAMED = {"labels-reversed": "labels reversed", "noise": "noise floor"}
"""Variations that the table calls by another name."""

REQUESTS = {"rewrite": "rewrite, keep the meaning", "wrong-target": "counterfactual to the same answer"}
"""What ``Probe.request`` stands for."""


def robustness_sheets(summary: Summary) -> list[Sheet]:
    """Return every table of the section that has something to show."""
    made = (moves_sheet, over_sheet, noise_sheet, probe_sheet, curve_sheet, free_sheet, bias_sheet, score_sheet)
    return [found for one in made if (found := one(summary)) is not None]


def moves_sheet(summary: Summary) -> Sheet | None:
    """Return the headline's excess under every variation, one line a style and variation."""
    arm = lead(summary)
    mine = [move for move in summary.moves if move.key.arm == arm]
    if not mine:
        return None
    header = ("style", "variation", "n", "excess", "difference", "agree", "same answer")
    rows: list[list[Shown | str]] = [
        [
            move.key.style,
            name_of(move),
            str(move.n),
            estimate(move.excess),
            _or_nothing(move.difference),
            _or_nothing(move.agree),
            _or_nothing(move.answers),
        ]
        for move in mine
    ]
    key = mine[0].key
    return sheet(f"{arm}: {key.setting}, {key.readout} readout", header, rows, _moves_note(summary, mine))


def name_of(move: Move) -> str:
    """Return what a variation is called in tables: with a † where training and grading instrument are the same."""
    return NAMED.get(move.variation, move.variation) + f" {SAME}" * move.instrument


def _or_nothing(found: Interval | None) -> Shown:
    return Shown(NOTHING) if found is None else estimate(found)


def _moves_note(summary: Summary, mine: Sequence[Move]) -> str:
    said = []
    for style in dict.fromkeys(move.key.style for move in mine):
        lines = [move for move in mine if move.key.style == style]
        values = [move.excess.value for move in lines if move.excess.value is not None]
        above = sum((move.excess.low or 0.0) > 0 for move in lines)
        said.append(f"{style} {number(min(values))} to {number(max(values))}, above 0 in {above} of {len(lines)} lines")
    note = (
        f"Excess: {'; '.join(said)}. Main: the headline. The same words everywhere (but for the placebo-corrected "
        "readout, which names its own); under another question, label order or label words everything is judged by "
        "predictions that were made and calibrated under it. Difference: to the main excess, same texts. Agree: "
        "explanations with the main verdict. Same answer: before any edit."
    )
    keys = dict.fromkeys(move.key for move in mine)
    agreed = {key.style: found for key in keys if (found := unanimous(summary.run, key)) is not None}
    if agreed:
        shares = joined([f"{estimate(found)} ({style})" for style, found in agreed.items()])
        note += f" All operators give the same verdict on so many of the explanations: {shares}."
    return note + _missing(summary)


def _missing(summary: Summary) -> str:
    """Say which checks were not computed."""
    run = summary.run
    found = {check_of(name) for name in run.checked}
    missing = [name for name in CHECKS if name not in found]
    if not missing:
        return ""
    asked = set(run.manifest.get("config", {}).get("robustness") or ())
    why = "this run or its task does not allow them" if ALL in asked else f"robustness={ALL} computes them"
    return f" Not computed: {joined(missing)} ({why})."


def over_sheet(summary: Summary) -> Sheet | None:
    """Return what the leading arm is above the others by, under every variation."""
    mine = [move for move in summary.moves if move.key.arm == lead(summary) and move.over]
    if not mine:
        return None
    others = list(dict.fromkeys(other for move in mine for other in move.over))
    rows: list[list[Shown | str]] = [
        [
            move.key.style,
            name_of(move),
            *(_or_nothing(move.over.get(other)) for other in others),
        ]
        for move in mine
    ]
    note = "Paired difference of mean excess on the same texts, each arm judged under the same variation."
    return sheet(f"{lead(summary)} over the other arms", ("style", "variation", *others), rows, note)


def noise_sheet(summary: Summary) -> Sheet | None:
    """Return what another batch changes."""
    rows = [
        [arm, str(texts), str(flips), _tiny(change), _tiny(drop), str(turned)]
        for arm, (texts, flips, change, drop, turned) in noise(summary.run).items()
    ]
    note = "The unchanged and the edited texts classified once more, among other texts. Changes are in nats (log-odds)."
    header = ("arm", "n", "answers flipped", "largest change", "largest change of a drop", "verdicts flipped")
    return sheet("Noise floor", header, rows, note, texts=1) if rows else None


def _tiny(value: float) -> str:
    return f"{value:.1g}" if 0 < value < 0.1 else number(value)


def probe_sheet(summary: Summary) -> Sheet | None:
    """Return how often a request that should not move the answer moves it, beside one that should."""
    run, rows = summary.run, list[list[Shown | str]]()
    for arm in run.arms:
        for request, name in REQUESTS.items():
            mine = [one for one in run.probes if (one.arm, one.request) == (arm, request)]
            if mine:
                told = [(p.id, p.reason is None, p.moved, p.drop) for p in mine]
                rows.append([arm, name, *_moved(told), _kept(summary, mine)])
        asked = [
            (r.id, r.valid, r.recheck not in (None, r.prediction), r.drop)
            for r in run.rows
            if (r.arm, r.style, r.setting, r.readout) == (arm, "counterfactual", "one-word", "generated")
        ]
        if asked and any(row[0] == arm for row in rows):
            rows.append([arm, "counterfactual to another answer", *_moved(asked), Shown(NOTHING)])
    header = ("arm", "request", "n", "text given", "answer moved", "moved if given", "drop", "words kept")
    note = (
        "Generated. A rewrite that keeps the meaning, or an edit towards the answer that was given, should leave the "
        "answer where it is; replies that give no other text count as not moved. Whether the meaning is kept is not "
        "checked: words kept is the share of the text's words in its rewrite. Drop: fall of the log-odds, in nats."
    ) + _untold(summary)
    return sheet("Requests that should not move the answer", header, rows, note) if rows else None


def _moved(found: Sequence[tuple[str, bool, bool, float | None]]) -> list[Shown]:
    """Return the cells of (text, valid, moved, drop) rows."""
    texts = len({text for text, *_ in found})
    valid = [one for one in found if one[1]]
    return [
        Shown(str(len(found))),
        estimate(stats.rate([one[1] for one in found], texts)),
        estimate(stats.rate([one[2] for one in found], texts)),
        estimate(stats.rate([one[2] for one in valid], len({one[0] for one in valid}))),
        estimate(stats.mean_interval([one[3] for one in valid if one[3] is not None])),
    ]


def _kept(summary: Summary, probes: Sequence[Probe]) -> Shown:
    """Return the mean share of a text's words that its new text still has."""
    if summary.run.bank:
        return Shown(NOTHING, "", NO_TEXTS)
    shares = []
    for one in probes:
        if one.edited is not None and one.id in summary.run.texts:
            words = set(summary.run.words[one.id])
            shares.append((one.id, len(words & {word.key for word in candidates(one.edited)}) / len(words)))
    return estimate(_mean(shares))


def curve_sheet(summary: Summary) -> Sheet | None:
    """Return the hits of 1, 2, 3, 5 words: by the readout's scores, at random, and the best."""
    run, rows = summary.run, list[list[Shown | str]]()
    for arm in run.arms:
        mine = [one for one in run.curves if one.arm == arm]
        for at, size in enumerate(mine[0].sizes if mine else ()):
            texts = len({one.id for one in mine})
            above = _mean((one.id, one.named[at] - one.random[at]) for one in mine)
            best = _mean((one.id, one.best[at] - one.random[at]) for one in mine)
            rows.append(
                [
                    marked(run, arm, mine[0].operator),
                    str(size),
                    str(len(mine)),
                    number(_mean((one.id, one.random[at]) for one in mine).value),
                    estimate(stats.rate([one.named[at] for one in mine], texts)),
                    estimate(stats.rate([one.best[at] for one in mine], texts)),
                    estimate(above),
                    estimate(best),
                ]
            )
    named = "named" + (shipped().sign("hit") if rows else "")
    header = ("arm", "words", "n", "random", named, "best (greedy)", "excess", "excess of the best")
    note = (
        "Hits when so many words are taken out together. Named: those with the highest constrained attribution scores. "
        "Excess: named minus random. Texts of fewer words lose all of them."
    )
    return sheet("Several words", header, rows, note) if rows else None


def free_sheet(summary: Summary) -> Sheet | None:
    """Return how much free explanations take out, and how much of it they need."""
    run, rows = summary.run, list[list[Shown | str]]()
    for cell in summary.cells:
        key = cell.key
        if key.setting != "free" or key.operator != summary.cells[0].key.operator:
            continue
        mine = [row for row in run.rows if (row.arm, row.style, row.setting, row.operator)
                == (key.arm, key.style, "free", key.operator)]  # fmt: skip
        sizes = [(row.id, len(row.words)) for row in mine if row.valid]
        count, texts = Counter(min(size, 5) for _, size in sizes), len({row.id for row in mine})
        spared = [one for one in run.spares if (one.arm, one.style, one.operator) == (key.arm, key.style, key.operator)]
        rows.append(
            [
                key.style,
                marked(run, key.arm, key.operator),
                str(len(mine)),
                estimate(stats.rate([row.reason == "over budget" for row in mine], texts)),
                estimate(_mean((text, float(size)) for text, size in sizes)),
                ", ".join(number(count[size] / len(sizes)) for size in range(1, 6)) if sizes else Shown(NOTHING),
                Shown(str(len(spared)) if spared else NOTHING),
                estimate(_mean((one.id, sum(one.spare) / len(one.spare)) for one in spared)),
                estimate(stats.rate([not any(one.spare) for one in spared], len({one.id for one in spared}))),
            ]
        )
    header = ("style", "arm", "n", "over budget", "words taken", "1, 2, 3, 4, 5+ words", "hits looked at")
    note = (
        "Free setting. Words taken: of valid replies. Spare: share of the words of a hit (at most 5 words, not "
        "counterfactual) that can each be put back while the rest still hits. Minimal: hits without a spare word."
    )
    return sheet("Free explanations", (*header, "spare words", "minimal"), rows, note) if rows else None


def bias_sheet(summary: Summary) -> Sheet | None:
    """Return where the constrained readout's words stand, and how long and frequent they are."""
    run, counts = summary.run, document_counts(summary.run)
    primary = summary.cells[0].key.operator if summary.cells else None
    rows: list[list[Shown | str]] = []
    for cell in summary.cells:
        if (cell.key.readout, cell.key.operator) != ("constrained", primary):
            continue
        mine = [r for r in run.rows if (r.arm, r.style, r.readout, r.operator)
                == (cell.key.arm, cell.key.style, "constrained", primary)]  # fmt: skip
        found = bias(run, mine, counts)
        if found is not None:
            parts = (
                Shown(", ".join(number(one) for one in some), f"({', '.join(number(one) for one in even)})")
                for some, even in [(found.thirds, found.expected)]
            )
            of = (found.position, found.length, found.frequency)
            rows.append([cell.key.style, cell.key.arm, str(found.n), *parts, *map(estimate, of)])
    header = ("style", "arm", "n", "first, middle, last third", "position", "length", "frequency")
    note = (
        "Constrained readout. Thirds of the text in which the named word stands; in brackets: random words. Position, "
        "length, frequency (texts of this run with the word): mean share of the text's words below the named one, "
        "ties halved; 0.50 for random words, 0 is the first, the shortest, the rarest word."
    ) + _untold(summary)
    return sheet("Position, length and frequency of the named word", header, rows, note) if rows else None


def score_sheet(summary: Summary) -> Sheet | None:
    """Return how the readout's scores go with position, length and frequency."""
    run, rows = summary.run, list[list[Shown | str]]()
    for arm in run.arms:
        mine = [one for one in run.curves if one.arm == arm]
        if mine:
            found = correlations(mine, bank=run.bank)
            rows.append([arm, str(len(mine)), *(estimate(found[name]) for name in ("position", "length", "frequency"))])
    note = (
        "Mean Spearman correlation within a text of a word's constrained attribution score with its place, its number "
        "of characters, and the number of training texts that hold it."
    ) + _untold(summary)
    header = ("arm", "n", "position", "length", "frequency")
    return sheet("What the scores go with", header, rows, note, texts=1) if rows else None


def _untold(summary: Summary) -> str:
    """Say why columns are missing from the report of a bank."""
    return f" What is not shown is not known: {NO_TEXTS}." if summary.run.bank else ""


def _mean(values: Iterable[tuple[str, float]]) -> Interval:
    """Return the mean over texts, the seeds of a text averaged first."""
    found: dict[str, list[float]] = {}
    for text, value in values:
        found.setdefault(text, []).append(value)
    return stats.mean_interval(sum(each) / len(each) for _, each in sorted(found.items()))
