"""Texts with their words shaded, in the terminal and as a page; how far methods agree (``report.agreement``)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhy.attribution.scores import WordScores
from saywhy.folders.store import write_text
from saywhy.progress import PlainConsole
from saywhy.report.agreement import Attributions, agreement_csv, agreement_sheet, gap_sheet, load_scores
from saywhy.report.format import counted
from saywhy.report.html import jinja_environment
from saywhy.report.load import NO_TEXTS
from saywhy.report.terminal import show_sheets
from saywhy.words import occurrences

SHADE_LEVELS = 4
"""Depths of a shade; a word with less than an eighth of the text's largest score has none."""
TEXTS_ON_PAGE, TEXTS_IN_TERMINAL = 20, 3
"""How many texts are drawn: a random sample, never picked."""

SHADES_FOR = ("#e3eff7", "#b9d8ea", "#86bcdb", "#4f9fcb")
SHADES_AGAINST = ("#fbe9dd", "#f5c8a9", "#eda573", "#e07f3e")
"""Shades of blue and orange, light to deep: black stays readable on each, and grey print keeps their order."""

SHADING_LEGEND = (
    "Blue: the word speaks for the answer. Orange with a dashed line below: against it. The deeper, the larger the "
    "score beside the largest of the text. At the right: the word with the highest score, and that score."
)

SCORE_MEANINGS = {
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
class ShadedText:
    """One text as one method shades it.

    Attributes:
        method: The attribution method.
        shades: The text in pieces.
        best: The word with the highest score and that score, or that all scores are equal.
    """

    method: str
    shades: tuple[Shade, ...]
    best: str


def shaded_pieces(text: str, scores: WordScores) -> tuple[Shade, ...]:
    """Return ``text`` in pieces, every occurrence of a scored word with its level.

    >>> [(s.text, s.level) for s in shaded_pieces("so good, so so!", WordScores(("so", "good"), (-1.0, 4.0), "m"))]
    [('so', -1), (' ', 0), ('good', 4), (', ', 0), ('so', -1), (' ', 0), ('so', -1), ('!', 0)]
    """
    by_word = dict(zip(scores.words, scores.scores, strict=True))
    largest = max(map(abs, scores.scores), default=0.0)
    pieces, end = [], 0
    for word in (word for word in occurrences(text) if word.key in by_word):
        score = by_word[word.key]
        share = abs(score) / largest if largest else 0.0
        level = min(SHADE_LEVELS, math.floor(share * SHADE_LEVELS + 0.5))
        between = Shade(text[end : word.core_start])
        pieces += [between, Shade(word.core, level if score > 0 else -level, score)]
        end = word.core_end
    return tuple(piece for piece in (*pieces, Shade(text[end:])) if piece.text)


def shaded_by_methods(attributions: Attributions, text_id: str) -> list[ShadedText]:
    """Return a text as every method shades it, with the best word where there is one."""
    shaded = []
    for method, by_text in attributions.scores.items():
        scores = by_text[text_id]
        best = f"{scores.best()} {max(scores.scores):+.2f}" if len(set(scores.scores)) > 1 else "all equal"
        shaded.append(ShadedText(method, shaded_pieces(attributions.texts[text_id].text, scores), best))
    return shaded


def sampled_text_ids(attributions: Attributions, how_many: int) -> list[str]:
    """Return the ids of a random sample of texts, always the same; none of a bank, which has no texts."""
    ids = [] if attributions.manifest.get("bank") else sorted(attributions.texts)
    return random.Random(0).sample(ids, min(how_many, len(ids)))


def shading_legend(attributions: Attributions) -> str:
    """Return how shaded texts are read, or why there are none."""
    return f"{NO_TEXTS[:1].upper()}{NO_TEXTS[1:]}." if attributions.manifest.get("bank") else SHADING_LEGEND


def attribution_facts(attributions: Attributions) -> str:
    """Return in one line what was scored."""
    config = attributions.manifest.get("config", {})
    model = attributions.manifest.get("model", {}).get("name") or config.get("model", "")
    aside = f", {attributions.aside} set aside" if attributions.aside else ""
    task = attributions.manifest.get("task", {}).get("name", "")
    return f"{counted(len(attributions.texts), 'text')} of {task}{aside}, model {model}"


def terminal_shading(pieces: tuple[Shade, ...]) -> Text:
    """Return a shaded text for the terminal; nothing in it is read as markup."""
    line = Text()
    for piece in pieces:
        colour = (SHADES_FOR if piece.level > 0 else SHADES_AGAINST)[abs(piece.level) - 1] if piece.level else None
        style = f"black on {colour}" if colour else ""
        line.append(piece.text, f"{style} underline" if piece.level < 0 else style)
    return line


def show_attribution(folder: Path, console: Console | None = None) -> None:
    """Print the agreement between methods and some shaded texts."""
    attributions, console = load_scores(folder), console or PlainConsole()
    console.print(Text(attribution_facts(attributions)))
    show_sheets([sheet for sheet in (agreement_sheet(attributions), gap_sheet(attributions)) if sheet], console)
    for text_id in sampled_text_ids(attributions, TEXTS_IN_TERMINAL):
        prediction = attributions.predictions[text_id]
        console.print(Text(f"\n{prediction.label}  (log-odds {prediction.margin:+.2f})", "bold"))
        lines = Table.grid(padding=(0, 2, 0, 0))
        for shaded in shaded_by_methods(attributions, text_id):
            lines.add_row(
                Text(shaded.method, "dim"), terminal_shading(shaded.shades), Text(shaded.best, "dim", no_wrap=True)
            )
        console.print(lines)
    if attributions.manifest.get("bank"):
        console.print(Text(f"\n{shading_legend(attributions)}", "dim"))
        return
    console.print(Text("\nblue: for the answer; orange, underlined: against it; last: the best word", "dim"))


def write_attribution(folder: Path) -> Path:
    """Write ``attribution.html`` and, of several methods, ``agreement.csv`` into a run folder; return the page."""
    attributions = load_scores(folder)
    if len(attributions.scores) > 1:
        write_text(folder / "agreement.csv", agreement_csv(attributions))
    write_text(folder / "attribution.html", attribution_page(attributions))
    return folder / "attribution.html"


def attribution_page(attributions: Attributions) -> str:
    """Return the page: everything from data is escaped, nothing is fetched, no script."""
    ids = sampled_text_ids(attributions, TEXTS_ON_PAGE)
    return (
        jinja_environment()
        .get_template("attribution.html.j2")
        .render(
            task=attributions.manifest.get("task", {}).get("name", ""),
            facts=attribution_facts(attributions),
            git=attributions.manifest.get("git"),
            sheets=[sheet for sheet in (agreement_sheet(attributions), gap_sheet(attributions)) if sheet],
            methods=[(name, SCORE_MEANINGS.get(name.partition("-")[0], "")) for name in attributions.scores],
            config=attributions.manifest.get("config", {}),
            legend=shading_legend(attributions),
            colours=[("f", depth + 1, SHADES_FOR[depth]) for depth in range(SHADE_LEVELS)]
            + [("a", depth + 1, SHADES_AGAINST[depth]) for depth in range(SHADE_LEVELS)],
            cards=[
                (
                    attributions.texts[text_id],
                    attributions.predictions[text_id],
                    shaded_by_methods(attributions, text_id),
                )
                for text_id in ids
            ],
            total=len(attributions.texts),
        )
    )
