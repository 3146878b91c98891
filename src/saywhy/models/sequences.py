"""Questions as token sequences: what a choice or an edited copy adds to its chat, as ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from saywhy.models.chat import Chat
from saywhy.models.interface import Choice, Copy
from saywhy.models.tree import TokenIds
from saywhy.printable import in_one_line
from saywhy.records import SaywhyError


class ScoredSequence(NamedTuple):
    """A sequence whose tokens from ``start`` on are to be scored."""

    ids: TokenIds
    start: int


class EditedCopy(NamedTuple):
    """A copy that is left for an edit.

    Attributes:
        fork: The position of the first token in which the two differ.
        tail: The edit's tokens from there to the end of the inserted word.
    """

    fork: int
    tail: TokenIds


def option_sequences(chat: Chat, choice: Choice) -> list[ScoredSequence]:
    """Return the chat with each option behind it, and the turn's end where it counts; the option is scored."""
    rendered = chat.begin(choice.messages, choice.prefix)
    blank = " " if choice.prefix else chat.lead
    head, whole = chat.continuations(rendered, [blank + option for option in choice.options])
    end = chat.end_of_turn[:1] if choice.ends else ()
    return [ScoredSequence(ids + end, len(head)) for ids in whole]


def edited_copies(chat: Chat, copy: Copy) -> tuple[TokenIds, list[EditedCopy]]:
    """Return the ids of the chat with the unedited copy behind it, and where each edit leaves it.

    Raises:
        SaywhyError: If the tokenizer does not tell an edit from the text.
    """
    rendered = chat.open(copy.messages) + chat.lead
    texts = [rendered + copy.text + "\n", *(rendered + edit.text + "\n" for edit in copy.edits)]
    (stay, _), *edited = chat.ids_and_offsets(texts)
    departures = []
    for edit, (ids, offsets) in zip(copy.edits, edited, strict=True):
        fork = next((i for i, (a, b) in enumerate(zip(stay, ids, strict=False)) if a != b), None)
        if fork is None:
            raise SaywhyError(
                f"the model's tokenizer reads {in_one_line(edit.text, 80)!r} and the text it is an edit of alike: use "
                "a model whose tokenizer keeps every sign"
            )
        until = len(rendered) + edit.until
        last = max(fork, *(i for i, (start, _) in enumerate(offsets) if start < until))
        departures.append(EditedCopy(fork, ids[fork : last + 1]))
    return stay, departures


def departure_sequences(stay: TokenIds, departures: Sequence[EditedCopy]) -> list[ScoredSequence]:
    """Return two sequences an edit: the copy's token where the edit departs, the edit to its word's end."""
    pairs = []
    for fork, tail in departures:
        pairs += [ScoredSequence(stay[: fork + 1], fork), ScoredSequence(stay[:fork] + tail, fork)]
    return pairs
