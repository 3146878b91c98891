"""A small grammar of sentences: hand-written lines with choices, bound names and marked words.

A phrase file is cut into blocks by `## title`. In a block, `name = a | b` declares a name,
`one,two = a,b | c,d` declares names that are chosen together, and every other line is a tag, a blank and a
phrase. In a phrase

- `{a|b|}` is a free choice (they nest),
- `<name>` is a declared name, chosen once a row,
- `a(n)` becomes the right article,
- `*word*` is the word that decides the label, `~word~` one that speaks for another label.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TypeVar

Picked = TypeVar("Picked")

_CHOICE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"<(\w+)>")
_DECLARATION = re.compile(r"^(\w+(?:,\w+)*) = (.+)$")
_ARTICLE = re.compile(r"\b([Aa])\(n\)(?= [*~]*(\w+))")
_MARKED_WORD = re.compile(r"\*([^*\s]+)\*|~([^~\s]+)~")
_SOUNDS_CONSONANT = ("uni", "use", "one", "eu", "once")
_SOUNDS_VOWEL = ("hour", "honest", "heir", "11", "18", "8")


class Dice:
    """Random picks that are the same under every Python: only `Random.random` is drawn on."""

    def __init__(self, seed: str) -> None:
        """Seed with a text, such as `"snli/0"`."""
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random.random() < probability

    def pick(self, items: Sequence[Picked]) -> Picked:
        """Pick one of the items."""
        return items[int(self._random.random() * len(items))]

    def shuffled(self, items: Sequence[Picked]) -> list[Picked]:
        """Return the items in random order."""
        remaining = list(items)
        return [remaining.pop(int(self._random.random() * len(remaining))) for _ in items]


@dataclass(frozen=True)
class PhraseBlock:
    """One `## title` part of a phrase file."""

    title: str
    names: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    """Names that are chosen together, and the values they can take together."""
    phrases: dict[str, list[str]] = field(default_factory=dict)
    """Tag to its phrases, in file order."""

    def tagged(self, tag: str) -> list[str]:
        """Return the phrases of a tag, none if it does not occur."""
        return self.phrases.get(tag, [])


@dataclass(frozen=True)
class PhraseTemplate:
    """A phrase together with the names it may refer to."""

    phrase: str
    names: list[tuple[list[str], list[list[str]]]]


@dataclass(frozen=True)
class MarkedSentence:
    """A finished sentence and its marked words, in order and each once."""

    text: str
    causes: list[str]
    competing: list[str]


def load_phrases(file: str) -> list[PhraseBlock]:
    """Read a phrase file of this package."""
    blocks: list[PhraseBlock] = []
    for line in resources.files(__package__).joinpath(file).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            blocks.append(PhraseBlock(line[3:].strip()))
        elif line.strip() and not line.startswith("# "):
            declaration = _DECLARATION.match(line)
            if declaration:
                names = declaration[1].split(",")
                values = [value.strip().split(",") for value in declaration[2].split(" | ")]
                blocks[-1].names.append((names, values))
            else:
                tag, phrase = line.split(" ", 1)
                blocks[-1].phrases.setdefault(tag, []).append(phrase.strip())
    return blocks


def article(following: str) -> str:
    """Return the indefinite article for the word after it.

    >>> article("hour"), article("uniform"), article("apple"), article("unusual")
    ('an', 'a', 'an', 'an')
    """
    word = following.lower()
    if word.startswith(_SOUNDS_CONSONANT) and not word.startswith("unin"):
        return "a"
    return "an" if word.startswith(_SOUNDS_VOWEL) or word[0] in "aeiou" else "a"


def expand_template(template: PhraseTemplate, dice: Dice) -> str:
    """Choose every name and choice of a template; the marks stay in."""
    bound: dict[str, str] = {}
    for names, values in template.names:
        bound.update(zip(names, dice.pick(values), strict=True))
    text = template.phrase
    while "<" in text or "{" in text:
        before = text
        text = _NAME.sub(lambda match: bound[match[1]], text)
        text = _CHOICE.sub(lambda match: dice.pick(match[1].split("|")), text)
        if text == before:
            raise ValueError(f"phrase with an unmatched brace or bracket: {template.phrase!r}")
    text = re.sub(r" +", " ", text).strip()
    text = re.sub(r" ([,.!?])(?!\S*[()])", r"\1", text)
    return _ARTICLE.sub(lambda match: match[1] + article(match[2])[1:], text)


def capitalised(text: str) -> str:
    """Return the text with its first letter, marks aside, in upper case."""
    return re.sub(r"^([*~'\"]*)(\w)", lambda match: match[1] + match[2].upper(), text)


def strip_marks(text: str) -> MarkedSentence:
    """Take the marks out of a sentence."""
    causes: list[str] = []
    competing: list[str] = []
    for match in _MARKED_WORD.finditer(text):
        words, word = (causes, match[1]) if match[1] else (competing, match[2])
        if word.lower() not in (listed.lower() for listed in words):
            words.append(word)
    return MarkedSentence(_MARKED_WORD.sub(lambda match: match[1] or match[2], text), causes, competing)


def text_row(label: str, sentence: str) -> dict[str, Any]:
    """Turn a marked sentence into the row of a task without context."""
    marked = strip_marks(sentence)
    return {"text": marked.text, "label": label, "causes": marked.causes, "competing": marked.competing}


def draw_sentences(
    groups: Sequence[Sequence[PhraseTemplate]],
    count: int,
    dice: Dice,
    make: Callable[[str, Dice], str | None],
    seen: set[str],
) -> list[str]:
    """Draw `count` new sentences, taking the groups in turn so that none dominates.

    Args:
        groups: Templates by topic or frame; an exhausted group is passed over.
        count: Number of sentences.
        dice: The source of the picks.
        make: Finishes an expanded phrase, or returns None if it cannot be used.
        seen: The sentences drawn before, without case, punctuation, hash tags and `and`; new ones are added.

    Returns:
        Sentences, marks still in.

    Raises:
        ValueError: If the groups together do not hold `count` distinct sentences.
    """
    drawn: list[str] = []
    open_groups = dice.shuffled([group for group in groups if group])
    while len(drawn) < count:
        if not open_groups:
            raise ValueError(f"the grammar holds {len(drawn)} distinct sentences where {count} are asked for")
        exhausted: list[int] = []
        for index, group in enumerate(open_groups[: count - len(drawn)]):
            sentence = _draw_sentence(group, dice, make, seen)
            if sentence is None:
                exhausted.append(index)
            else:
                drawn.append(sentence)
        open_groups = [group for index, group in enumerate(open_groups) if index not in exhausted]
    return drawn


def _draw_sentence(
    group: Sequence[PhraseTemplate], dice: Dice, make: Callable[[str, Dice], str | None], seen: set[str]
) -> str | None:
    """Draw one sentence that is not in `seen`, or None after sixty tries."""
    for _ in range(60):
        plain = expand_template(dice.pick(group), dice)
        sentence = make(plain, dice)
        key = re.sub(r"(?:\W|\band\b)+", " ", plain.partition("#")[0]).strip().lower()
        if sentence is not None and key not in seen:
            seen.add(key)
            return sentence
    return None
