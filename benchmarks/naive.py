"""An explainer's questions as plain transformers answer them, in padded batches: the other side of serving."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.plain import left_padded
from benchmarks.work import Bare
from saywhy.models.interface import Choice, Copy, Departure, Guide, Question, Tick
from saywhy.models.sequences import ScoredSequence, option_sequences
from saywhy.protocol.prompts import Message


class PlainModel:
    """The questions of an explainer, answered by transformers.

    Attributes:
        batch: Chats that are put to it at once, at most.
    """

    name = "plain"
    answers: frozenset[Question] = frozenset({"choose", "weigh", "guide"})

    def __init__(self, bare: Bare, batch: int = 1) -> None:
        self.bare = bare
        self.batch = batch

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Object to nothing."""
        return [None] * len(chats)

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Keep nothing."""

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option) of each choice."""
        scores: list[tuple[float, ...]] = []
        for first in range(0, len(choices), self.batch):
            options = [option_sequences(self.bare.chat, choice) for choice in choices[first : first + self.batch]]
            flat = iter(self._scores([option for of_choice in options for option in of_choice]))
            scores += [tuple(next(flat) for _ in of_choice) for of_choice in options]
        return scores

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Return what ``choose`` returns; copies are not asked for here."""
        assert not copies
        return self.choose(choices), []

    @torch.inference_mode()
    def _scores(self, options: Sequence[ScoredSequence]) -> list[float]:
        """Return the log-probabilities of options in one padded batch: passes that are the same are made once."""
        trunks = {trunk: row for row, trunk in enumerate(dict.fromkeys(option.ids[:-1] for option in options))}
        ids, seen = left_padded(list(trunks), self.bare)
        longest = max(len(option.ids) - option.start for option in options)
        positions = (seen.cumsum(-1) - 1).clamp(min=0)
        output = self.bare.model(
            input_ids=ids, attention_mask=seen, position_ids=positions, logits_to_keep=longest, use_cache=False
        )
        values = torch.log_softmax(output.logits.float(), -1)
        of_options = []
        for option in options:
            tail = option.ids[option.start :]
            row = values[trunks[option.ids[:-1]]]
            of_options.append(row[range(longest - len(tail), longest), list(tail)].sum())
        scores: list[float] = torch.stack(of_options).tolist()
        return scores

    @torch.inference_mode()
    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> list[str]:
        """Return the greedy reply to each chat among its words, by ``generate``."""
        batches = [guides[first : first + self.batch] for first in range(0, len(guides), self.batch)]
        return [reply for batch in batches for reply in self._guided(batch)]

    def _guided(self, guides: Sequence[Guide]) -> list[str]:
        chat, end = self.bare.chat, self.bare.chat.end_of_turn[0]
        prompts, replies = [], []
        for guide in guides:
            rendered, filled = chat.open(guide.messages), [template.filled() for template in guide.templates]
            prompt, *whole = chat.ids([rendered, *(rendered + chat.lead + text for text in filled)])
            prompts.append(prompt)
            replies.append({(*ids[len(prompt) :], end): text for ids, text in zip(whole, filled, strict=True)})
        ids, seen = left_padded(prompts, self.bare)
        longest = ids.shape[1]

        def allowed(row: int, so_far: torch.Tensor) -> list[int]:
            begun = tuple(so_far[longest:].tolist())
            following = [
                ids[len(begun)] for ids in replies[row] if ids[: len(begun)] == begun and len(ids) > len(begun)
            ]
            return following or [end]  # a row that is finished, beside others that are not

        out = self.bare.model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=seen,
            max_new_tokens=max(len(reply) for of_chat in replies for reply in of_chat),
            do_sample=False,
            eos_token_id=end,
            pad_token_id=end,
            prefix_allowed_tokens_fn=allowed,
        )
        rows = [tuple(row) for row in out[:, longest:].tolist()]
        return [of_chat[row[: row.index(end) + 1]] for row, of_chat in zip(rows, replies, strict=True)]
