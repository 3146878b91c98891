"""One-word explanations as choices: a word that is named, a copy that is left for an edit."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.models.interface import Choice, Copy, Edit, Model
from saywhy.protocol.prompts import Message
from saywhy.words import candidates, match_case, replace_words, take_out


def word_choice(chat: list[Message], cores: Sequence[str], *, goes_on: bool = False) -> Choice:
    """Return the choice of one word of ``cores`` as the whole reply to ``chat``, or as the first line of it."""
    return Choice(chat, tuple(f"{core}\n" if goes_on else core for core in cores), ends=not goes_on)


def word_edits(text: str, moves: Sequence[tuple[str, str]]) -> tuple[Edit, ...]:
    """Return the edited copies of ``text``, one a (word, what is put in its place; empty: it is redacted)."""
    words = {word.key: word for word in candidates(text)}
    edits = []
    for key, new in moves:
        word = words[key]
        edited = replace_words(text, {key: match_case(new, word.core)}) if new else take_out(text, {key})
        # Only the mark's beginning is compared: the rest of it follows by itself.
        edits.append(Edit(edited, word.core_start + (len(new) or 1)))
    return tuple(edits)


def likeliest_word(words: Sequence[str], scores: Sequence[float]) -> str:
    """Return the word of the highest score; the first of equals."""
    return words[max(range(len(words)), key=scores.__getitem__)]


def likeliest_insertions(
    model: Model,
    chats: Sequence[list[Message]],
    texts: Sequence[str],
    keys: Sequence[str],
    words: Sequence[Sequence[str]],
) -> list[str]:
    """Return which of ``words`` each model's copy, which has named the word of ``keys``, would put in its place."""
    copies = []
    for chat, text, key, inserted in zip(chats, texts, keys, words, strict=True):
        line = next(word.core for word in candidates(text) if word.key == key) + "\n"
        edits = word_edits(text, [(key, new) for new in inserted])
        shifted = tuple(Edit(line + edit.text, len(line) + edit.until) for edit in edits)
        copies.append(Copy(chat, line + text, shifted))
    departures = model.weigh((), copies)[1]
    return [
        likeliest_word(inserted, [departure.inserted for departure in of_text])
        for of_text, inserted in zip(departures, words, strict=True)
    ]
