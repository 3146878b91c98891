"""Every valid one-word reply to a text, written as it would be copied: what guided decoding stays within.

>>> [template.filled() for template in reply_templates("redaction", "Great, great day")]
['[REDACTED], [REDACTED] day', 'Great, great [REDACTED]']
>>> [template.filled("bad") for template in reply_templates("counterfactual", "Great, great day")]
['bad, bad day', 'Great, great bad']
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from saywhy.protocol.styles import read_reply
from saywhy.records import ReplyPlan, StyleName
from saywhy.words import Word, candidates, occurrences, take_out


@dataclass(frozen=True, slots=True)
class Template:
    """A reply, or one with gaps that all take the same word.

    Attributes:
        pieces: The text between the gaps; a single piece is a reply without a gap.
        replaced: What the text has in the first gap; empty without a gap.
    """

    pieces: tuple[str, ...]
    replaced: str = ""

    @property
    def has_gap(self) -> bool:
        """Whether a word is to be filled in."""
        return len(self.pieces) > 1

    def filled(self, word: str = "") -> str:
        """Return the reply with ``word`` in its gaps."""
        return word.join(self.pieces)


def reply_templates(
    style: StyleName, text: str, label_words: Collection[str] = (), plan: ReplyPlan = "direct"
) -> list[Template]:
    """Return a template for each candidate of ``text`` of which ``styles.read_reply`` reads a reply as meant.

    Args:
        style: The style that is asked for.
        text: The explained text.
        label_words: Words that a counterfactual may not insert.
        plan: named-first: a reply that edits begins with a line that names the word.
    """
    words = candidates(text)
    # A word that no text has: longer than all of this one, and of one letter.
    stranger = "q" * (max((len(word.core) for word in words), default=0) + 1)
    templates = []
    for word in words:
        template = _template(style, text, word)
        if plan == "named-first" and style != "attribution":
            first, *others = template.pieces
            template = replace(template, pieces=(f"{word.core}\n{first}", *others))
        explanation = read_reply(style, "one-word", text, template.filled(stranger), label_words, plan)
        if explanation.valid and explanation.words == (word.key,):
            templates.append(template)
    return templates


def _template(style: StyleName, text: str, word: Word) -> Template:
    if style == "attribution":
        return Template((word.core,))
    if style == "redaction":
        return Template((take_out(text, {word.key}),))
    pieces, end = [], 0
    for occurrence in occurrences(text):
        if occurrence.key == word.key:
            pieces.append(text[end : occurrence.core_start])
            end = occurrence.core_end
    return Template((*pieces, text[end:]), word.core)
