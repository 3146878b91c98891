"""Texts with their words shaded, in the terminal and as a page; how far methods agree (``report.agreement``)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhy.folders.store import write
from saywhy.records import WordScores
from saywhy.report.agreement import Attributed, agreement_csv, agreement_sheet, gap_sheet, load_scores
from saywhy.report.format import counted
from saywhy.report.html import environment
from saywhy.report.load import NO_TEXTS
from saywhy.report.terminal import show_sheets
from saywhy.words import occurrences

LEVELS = 4
"""Depths of a shade; a word of less than an eighth of the text's largest score has none."""
ON_PAGE, IN_TERMINAL = 20, 3
"""Texts that are drawn: a random sample, never picked."""

FOR = ("#e3eff7", "#b9d8ea", "#86bcdb", "#4f9fcb")
AGAINST = ("#fbe9dd", "#f5c8a9", "#eda573", "#e07f3e")
"""Shades of blue and orange, light to deep: black stays readable on each, and grey print keeps their order."""

LEGEND = (
    "Blue: the word speaks for the answer. Orange with a dashed line below: against it. The deeper, the larger the "
    "score beside the largest of the text. At the right: the word with the highest score, and that score."
)

EXPLAINED = {
    "occlusion": "fall of the answer's log-odds (nats) when the word is taken out",
    "gradient_x_input": "slope of the log-odds in the word's embeddings, times these (nats, to first order)",
    "integrated_gradients": "share of the change of the log-odds (nats) from the same prompt with a blank's embedding "
    "at every token of the text",
    "kernel_shap": "Shapley value of the word (nats), estimated from masked texts",
    "lime": "weight of the word in a ridge regression on masked texts (nats)",
    "lexical": "how strongly the corpus associates the word with the answer (z-score), whatever the model does",
    "random": "a random number",
}
"""What a score of each method is."""


@dataclass(frozen=True, slots=True)
class Shade:
    """A piece of a text: between words (level 0, no score), or a word.

    Attributes:
        text: The piece.
        level: -4 (most against the answer) to 4 (most for it).
        score: Of the word; None between words.
    """

    text: str
    level: int = 0
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """One text as one method shades it."""

    method: str
    shades: tuple[Shade, ...]
    best: str


def shades(text: str, scores: WordScores) -> tuple[Shade, ...]:
    """Return ``text`` in pieces, every occurrence of a word with its level.

    >>> [(s.text, s.level) for s in shades("so good, so so!", WordScores(("so", "good"), (-1.0, 4.0), "m"))]
    [('so', -1), (' ', 0), ('good', 4), (', ', 0), ('so', -1), (' ', 0), ('so', -1), ('!', 0)]
    """
    by_word = dict(zip(scores.words, scores.scores, strict=True))
    most = max(map(abs, scores.scores), default=0.0)
    found, at = [], 0
    for word in occurrences(text):
        score = by_word[word.key]
        share = abs(score) / most if most else 0.0
        level = min(LEVELS, math.floor(share * LEVELS + 0.5))
        between = Shade(text[at : word.core_start])
        found += [between, Shade(word.core, level if score > 0 else -level, score)]
        at = word.core_end
    return tuple(piece for piece in (*found, Shade(text[at:])) if piece.text)


def drawn(found: Attributed, text: str) -> list[Drawn]:
    """Return a text as every method shades it, with the best word where there is one."""
    pictures = []
    for method, by_id in found.scores.items():
        mine = by_id[text]
        best = f"{mine.best()} {max(mine.scores):+.2f}" if len(set(mine.scores)) > 1 else "all equal"
        pictures.append(Drawn(method, shades(found.texts[text].text, mine), best))
    return pictures


def sampled(found: Attributed, how_many: int) -> list[str]:
    """Return the ids of a random sample of texts, always the same; none of a bank, which has no texts."""
    ids = [] if found.manifest.get("bank") else sorted(found.texts)
    return random.Random(0).sample(ids, min(how_many, len(ids)))


def legend(found: Attributed) -> str:
    """Return how shaded texts are read, or why there are none."""
    return f"{NO_TEXTS[:1].upper()}{NO_TEXTS[1:]}." if found.manifest.get("bank") else LEGEND


def facts(found: Attributed) -> str:
    """Return in one line what was scored."""
    config = found.manifest.get("config", {})
    model = found.manifest.get("model", {}).get("name") or config.get("model", "")
    aside = f", {found.aside} set aside" if found.aside else ""
    task = found.manifest.get("task", {}).get("name", "")
    return f"{counted(len(found.texts), 'text')} of {task}{aside}, model {model}"


def written(shown: tuple[Shade, ...]) -> Text:
    """Return a shaded text for the terminal; nothing in it is read as markup."""
    line = Text()
    for piece in shown:
        colour = (FOR if piece.level > 0 else AGAINST)[abs(piece.level) - 1] if piece.level else None
        style = f"black on {colour}" if colour else ""
        line.append(piece.text, f"{style} underline" if piece.level < 0 else style)
    return line


def show_attribution(folder: Path, console: Console | None = None) -> None:
    """Print the agreement between methods and some shaded texts."""
    found, console = load_scores(folder), console or Console()
    console.print(Text(facts(found)))
    show_sheets([one for one in (agreement_sheet(found), gap_sheet(found)) if one], console)
    for text in sampled(found, IN_TERMINAL):
        prediction = found.predictions[text]
        console.print(Text(f"\n{prediction.label}  (log-odds {prediction.margin:+.2f})", "bold"))
        lines = Table.grid(padding=(0, 2, 0, 0))
        for one in drawn(found, text):
            lines.add_row(Text(one.method, "dim"), written(one.shades), Text(one.best, "dim", no_wrap=True))
        console.print(lines)
    if found.manifest.get("bank"):
        console.print(Text(f"\n{legend(found)}", "dim"))
        return
    console.print(Text("\nblue: for the answer; orange, underlined: against it; last: the best word", "dim"))


def write_attribution(folder: Path) -> Path:
    """Write ``attribution.html`` and, of several methods, ``agreement.csv`` into a run folder; return the page."""
    found = load_scores(folder)
    if len(found.scores) > 1:
        write(folder / "agreement.csv", agreement_csv(found))
    write(folder / "attribution.html", page(found))
    return folder / "attribution.html"


def page(found: Attributed) -> str:
    """Return the page: everything from data is escaped, nothing is fetched, no script."""
    ids = sampled(found, ON_PAGE)
    return (
        environment()
        .get_template("attribution.html.j2")
        .render(
            task=found.manifest.get("task", {}).get("name", ""),
            facts=facts(found),
            git=found.manifest.get("git"),
            sheets=[one for one in (agreement_sheet(found), gap_sheet(found)) if one],
            methods=[(name, EXPLAINED.get(name.partition("-")[0], "")) for name in found.scores],
            config=found.manifest.get("config", {}),
            legend=legend(found),
            colours=[("f", at + 1, FOR[at]) for at in range(LEVELS)]
            + [("a", at + 1, AGAINST[at]) for at in range(LEVELS)],
            cards=[(found.texts[one], found.predictions[one], drawn(found, one)) for one in ids],
            total=len(found.texts),
        )
    )
