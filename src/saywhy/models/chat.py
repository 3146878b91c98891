"""Chats to token ids, by the tokenizer's own chat template and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from saywhy.models import template
from saywhy.models.kept import kept
from saywhy.models.reading import read_tokenizer
from saywhy.models.spec import ModelSpec
from saywhy.models.template import ChatTemplate
from saywhy.models.tree import TokenIds
from saywhy.protocol.prompts import Message
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Offsets = list[tuple[int, int]]


class Turn(NamedTuple):
    """The last turn of a chat, as ids.

    Attributes:
        ids: Of the whole chat, up to the first token of the turn's end.
        start: Where the turn begins.
        spans: (start, end) character offsets within the turn, one a token from ``start`` on.
    """

    ids: TokenIds
    start: int
    spans: Offsets


class Chat:
    """A tokenizer with a chat template, checked once.

    Attributes:
        tokenizer: The tokenizer.
        template: The chat template, told the day and to write no thoughts.
        lead: Blanks between an opened chat and the assistant's first word; mostly none.
        end_of_turn: What is written behind an assistant's turn, as ids; its first token ends the turn.
        control_tokens: The tokenizer's special tokens and what the template writes around turns, which are read as
            such in any text: no text may hold one.
        fingerprint: A hash of what the template writes.

    Raises:
        SaywhyError: If there is no chat template, it does not write an assistant's turn verbatim, nothing ends one, or
            the tokenizer gives no offsets.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        if not tokenizer.is_fast:
            raise SaywhyError(f"model '{name}': its tokenizer does not say which signs a token is of: use a fast one")
        self.tokenizer = tokenizer
        self._template = ChatTemplate(tokenizer, name)
        self.template = self._template.source
        self.lead, self.fingerprint = self._template.lead, self._template.fingerprint
        # A special token need not have a name such as eos_token: the other marks of a template have none.
        special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
        special = {token for token in {*special, *tokenizer.all_special_tokens} if token.strip()}
        self.control_tokens = tuple(sorted(special | self._template.marks))
        self._ending = _ending(self._template.tail, special) or cast(str, tokenizer.eos_token or "")
        if not self._ending:
            raise SaywhyError(f"model '{name}': neither its chat template nor its tokenizer ends a turn")
        # Behind a word: some tokenizers write a blank before what stands alone.
        word, [ended] = self.continuations("word", [self._ending])
        self.end_of_turn: TokenIds = ended[len(word) :]

    def open(self, messages: Sequence[Message]) -> str:
        """Render ``messages`` up to the beginning of the assistant's next turn.

        Raises:
            SaywhyError: If the template does not take these turns.
        """
        return self._template.open(messages)

    def begin(self, messages: Sequence[Message], beginning: str) -> str:
        """Render ``messages`` and the beginning of the assistant's next turn; what it begins with may be nothing."""
        return self.open(messages) + (self.lead + beginning if beginning else "")

    def refusal(self, messages: Sequence[Message]) -> str | None:
        """Return why a chat cannot be rendered as it is, None if it can."""
        if any(token in turn["content"] for turn in messages for token in self.control_tokens):
            return "holds a control token of the model"
        return self._template.refusal(messages)

    def ids(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of rendered texts; no special tokens are added."""
        if not texts:
            return []  # which some tokenizers do not take
        return [tuple(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def ids_and_offsets(self, texts: Sequence[str]) -> list[tuple[TokenIds, Offsets]]:
        """Return ids and (start, end) character offsets of rendered texts."""
        encoded = self.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        return [
            (tuple(ids), [(int(start), int(end)) for start, end in offsets])
            for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]

    def continuations(self, rendered: str, tails: Sequence[str]) -> tuple[TokenIds, list[TokenIds]]:
        """Return the ids of ``rendered`` and of ``rendered`` + each of ``tails``.

        Raises:
            SaywhyError: If the tokenizer merges characters across the seam.
        """
        head, *whole = self.ids([rendered, *(rendered + tail for tail in tails)])
        for ids, tail in zip(whole, tails, strict=True):
            if ids[: len(head)] != head or len(ids) == len(head):
                raise SaywhyError(
                    f"the tokenizer merges across the seam before {tail[:20]!r}: change the lead-in, or the model"
                )
        return head, whole

    def turn(self, messages: Sequence[Message], subject: str) -> Turn:
        """Return the ids of a chat and where its last turn, the assistant's, begins.

        Args:
            messages: The chat.
            subject: What the message of a problem begins with, such as ``row 7``.

        Raises:
            SaywhyError: If the ids before the turn are no prefix of the whole, if the turn is empty, or if it holds
                the end of a turn.
        """
        before, content = self.open(messages[:-1]), messages[-1]["content"]
        begun = len(before) + len(self.lead)
        written = content.strip() if self._template.trims else content
        ids, offsets = self.ids_and_offsets([before + self.lead + written + self._ending])[0]
        head = self.ids([before])[0]
        if ids[: len(head)] != head:
            raise SaywhyError(f"{subject}: the prompt's ids are no prefix: the tokenizer merges across the seam")
        end = ids.index(self.end_of_turn[0], len(head)) if self.end_of_turn[0] in ids[len(head) :] else -1
        if end >= 0 and offsets[end][0] < begun + len(content.strip()):
            raise SaywhyError(f"{subject}: the completion contains the chat template's end of turn")
        if end <= len(head):
            raise SaywhyError(f"{subject}: the completion is empty or its end of turn is not supervised")
        spans = [(max(0, start - begun), max(0, stop - begun)) for start, stop in offsets[len(head) : end + 1]]
        return Turn(ids[: end + 1], len(head), spans)

    @functools.cached_property
    def letter_tokens(self) -> dict[int, str]:
        """The tokens that are letters and nothing else, but for one blank before them, with their text."""
        special = {token for token, added in self.tokenizer.added_tokens_decoder.items() if added.special}
        tokens = [token for token in range(len(self.tokenizer)) if token not in special]
        pieces = zip(tokens, self.pieces(tokens), strict=True)
        return {token: piece for token, piece in pieces if piece.removeprefix(" ").isalpha()}

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Return the text of each token behind a letter: some tokenizers swallow the blank that a text begins with."""
        anchor = self.ids(["a"])[0]
        sequences = [list(anchor), *([*anchor, token] for token in tokens)]
        if fast := getattr(self.tokenizer, "backend_tokenizer", None):  # a fifth of the time of batch_decode
            [start, *decoded] = fast.decode_batch(sequences, skip_special_tokens=False)
        else:
            [start, *decoded] = self.tokenizer.batch_decode(sequences, clean_up_tokenization_spaces=False)
        return [text[len(start) :] for text in decoded]

    def reply(self, ids: Sequence[int]) -> str:
        """Return the text of generated ids."""
        # No blank is cleaned up: a copy of "it is n't ." has those of the text.
        decoded = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return cast(str, decoded).strip()


def template_fingerprint(spec: ModelSpec) -> str:
    """Return a hash of what the chat template of a model writes around texts.

    Raises:
        SaywhyError: If there is no tokenizer, or its template cannot be used.
    """

    def fingerprint() -> str:
        return Chat(read_tokenizer(spec), spec.name).fingerprint

    folders = [Path(folder) for folder in spec.tokenizer_folders]
    if not all(folder.is_dir() for folder in folders):
        return fingerprint()  # on the hub: which of its versions is at hand, only transformers knows
    files = [file for folder in folders for pattern in _TEMPLATE_SOURCES for file in folder.glob(pattern)]
    code = [Path(__file__), Path(template.__file__)]  # what is written around texts may change with these
    return kept("template", [*sorted(files), *code], version("transformers"), fingerprint)


_TEMPLATE_SOURCES = ("*.json", "*.jinja", "*.model", "*.txt", "*.gguf", "additional_chat_templates/*")
"""Where a tokenizer and its templates are read from."""


def _ending(tail: str, special: Collection[str]) -> str:
    """Return what ends a turn of what a template writes behind it: from the first special token on, where it has any.

    Blanks before it are no part of a turn, and blanks alone end none.
    """
    begins = min((tail.index(token) for token in special if token in tail), default=0)
    return tail[begins:] if tail.strip() else ""
