"""Chats to token ids, by the tokenizer's own chat template and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from saywhy.models.tree import Ids
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

    ids: Ids
    start: int
    spans: Offsets


class Chat:
    """A tokenizer with a chat template, checked once.

    Attributes:
        tokenizer: The tokenizer.
        ender: What the template writes behind an assistant's turn, as ids; its first token ends the turn.
        control: What the tokenizer reads as one token of its own, whoever writes it: no text may hold it.

    Raises:
        SaywhyError: If there is no chat template, or it does not write an assistant's turn verbatim.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        if not tokenizer.chat_template:
            raise SaywhyError(f"model '{name}' has no chat template: use an instruction-tuned model")
        self.tokenizer = tokenizer
        # A special token need not have a name such as eos_token: a template's other marks have none.
        special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
        self.control = tuple(sorted(token for token in {*special, *tokenizer.all_special_tokens} if token.strip()))
        probe: list[Message] = [{"role": "user", "content": "Which word?"}]
        opened = self.open(probe)
        closed = self.close([*probe, {"role": "assistant", "content": "The word is it."}])
        if not closed.startswith(opened + "The word is it."):
            raise SaywhyError(f"model '{name}': its chat template does not write the assistant's turn as it is given")
        tail = closed[len(opened + "The word is it.") :]
        self.ender: Ids = self.ids([tail])[0] if tail else ()
        if not self.ender and tokenizer.eos_token_id is not None:
            self.ender = (cast(int, tokenizer.eos_token_id),)
        if not self.ender:
            raise SaywhyError(f"model '{name}': neither its chat template nor its tokenizer ends a turn")

    def open(self, messages: Sequence[Message]) -> str:
        """Render ``messages`` up to where the assistant begins to speak."""
        return cast(
            str,
            self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True),
        )

    def close(self, messages: Sequence[Message]) -> str:
        """Render finished ``messages``."""
        return cast(str, self.tokenizer.apply_chat_template(list(messages), tokenize=False))

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of rendered texts; no special tokens are added."""
        if not texts:
            return []  # which some tokenizers do not take
        return [tuple(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def ids_and_offsets(self, texts: Sequence[str]) -> list[tuple[Ids, Offsets]]:
        """Return ids and (start, end) character offsets of rendered texts."""
        both = self.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        return [
            (tuple(ids), [(int(a), int(b)) for a, b in offsets])
            for ids, offsets in zip(both["input_ids"], both["offset_mapping"], strict=True)
        ]

    def continuations(self, rendered: str, tails: Sequence[str]) -> tuple[Ids, list[Ids]]:
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

    def turn(self, messages: Sequence[Message], what: str) -> Turn:
        """Return the ids of a chat and where its last turn, the assistant's, begins.

        Args:
            messages: The chat.
            what: What a problem is to be told of, such as ``row 7``.

        Raises:
            SaywhyError: If the ids before the turn are no prefix of the whole, if the turn is empty, or if it says what
                ends a turn.
        """
        before = self.open(messages[:-1])
        ids, offsets = self.ids_and_offsets([self.close(messages)])[0]
        head = self.ids([before])[0]
        if ids[: len(head)] != head:
            raise SaywhyError(f"{what}: the prompt's ids are no prefix: the tokenizer merges across the seam")
        end = ids.index(self.ender[0], len(head)) if self.ender[0] in ids[len(head) :] else -1
        if end >= 0 and offsets[end][0] < len(before) + len(messages[-1]["content"].strip()):
            raise SaywhyError(f"{what}: the completion contains the chat template's end of turn")
        if end <= len(head):
            raise SaywhyError(f"{what}: the completion is empty or its end of turn is not supervised")
        spans = [(start - len(before), stop - len(before)) for start, stop in offsets[len(head) : end + 1]]
        return Turn(ids[: end + 1], len(head), spans)

    def reply(self, ids: Sequence[int]) -> str:
        """Return the text of generated ids."""
        return cast(str, self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
