"""Chats to token ids, by the tokenizer's own chat template and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from jinja2 import TemplateError

from saywhy.models.tree import TokenIds
from saywhy.printable import in_one_line
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
        end_of_turn: What the template writes behind an assistant's turn, as ids; its first token ends the turn.
        control_tokens: The tokenizer's special tokens, which it reads as such in any text: no text may hold one.

    Raises:
        SaywhyError: If there is no chat template, or it does not write an assistant's turn verbatim.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        if not tokenizer.chat_template:
            raise SaywhyError(f"model '{name}' has no chat template: use an instruction-tuned model")
        self.tokenizer = tokenizer
        # A special token need not have a name such as eos_token: the other marks of a template have none.
        special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
        self.control_tokens = tuple(
            sorted(token for token in {*special, *tokenizer.all_special_tokens} if token.strip())
        )
        probe: list[Message] = [{"role": "user", "content": "Which word?"}]
        opened = self.open(probe)
        closed = self.close([*probe, {"role": "assistant", "content": "The word is it."}])
        if not closed.startswith(opened + "The word is it."):
            raise SaywhyError(f"model '{name}': its chat template does not write the assistant's turn as it is given")
        tail = closed[len(opened + "The word is it.") :]
        self.end_of_turn: TokenIds = self.ids([tail])[0] if tail else ()
        if not self.end_of_turn and tokenizer.eos_token_id is not None:
            self.end_of_turn = (cast(int, tokenizer.eos_token_id),)
        if not self.end_of_turn:
            raise SaywhyError(f"model '{name}': neither its chat template nor its tokenizer ends a turn")

    def open(self, messages: Sequence[Message]) -> str:
        """Render ``messages`` up to the beginning of the assistant's next turn."""
        return self._rendered(messages, add_generation_prompt=True)

    def close(self, messages: Sequence[Message]) -> str:
        """Render finished ``messages``."""
        return self._rendered(messages, add_generation_prompt=False)

    def _rendered(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """Render ``messages``.

        Raises:
            SaywhyError: If the chat template refuses them, or is broken.
        """
        try:
            return cast(
                str,
                self.tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
                ),
            )
        except (TemplateError, TypeError, KeyError) as error:  # a template may call anything on what it is given
            roles = ", ".join(message["role"] for message in messages)
            raise SaywhyError(
                f"the model's chat template does not take a chat of {roles} ({in_one_line(error, 160)}): leave such "
                "chats out, or mend the template"
            ) from error

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
        before = self.open(messages[:-1])
        ids, offsets = self.ids_and_offsets([self.close(messages)])[0]
        head = self.ids([before])[0]
        if ids[: len(head)] != head:
            raise SaywhyError(f"{subject}: the prompt's ids are no prefix: the tokenizer merges across the seam")
        end = ids.index(self.end_of_turn[0], len(head)) if self.end_of_turn[0] in ids[len(head) :] else -1
        if end >= 0 and offsets[end][0] < len(before) + len(messages[-1]["content"].strip()):
            raise SaywhyError(f"{subject}: the completion contains the chat template's end of turn")
        if end <= len(head):
            raise SaywhyError(f"{subject}: the completion is empty or its end of turn is not supervised")
        spans = [(start - len(before), stop - len(before)) for start, stop in offsets[len(head) : end + 1]]
        return Turn(ids[: end + 1], len(head), spans)

    @functools.cached_property
    def letter_tokens(self) -> dict[int, str]:
        """The tokens that are letters and nothing else, but for one blank before them, with their text."""
        anchor = self.ids(["a"])[0]
        special = {token for token, added in self.tokenizer.added_tokens_decoder.items() if added.special}
        tokens = [token for token in range(len(self.tokenizer)) if token not in special]
        # Behind a letter: some tokenizers swallow the blank at the beginning of what they decode.
        [start, *decoded] = self.tokenizer.batch_decode(
            [list(anchor), *([*anchor, token] for token in tokens)], clean_up_tokenization_spaces=False
        )
        pieces = {token: text[len(start) :] for token, text in zip(tokens, decoded, strict=True)}
        return {token: piece for token, piece in pieces.items() if piece.removeprefix(" ").isalpha()}

    def reply(self, ids: Sequence[int]) -> str:
        """Return the text of generated ids."""
        return cast(str, self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
