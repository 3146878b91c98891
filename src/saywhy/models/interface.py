"""What the protocol asks of a model: a few questions about chats, answered in batches.

``LocalModel`` answers them with transformers, ``VllmModel`` most of them with vLLM, ``ApiModel`` some of them through a
server, ``ScriptedModel`` by a rule: the audit cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from saywhy.protocol.prompts import Message

if TYPE_CHECKING:
    from saywhy.protocol.templates import Template

Tick = Callable[[int], None]
"""Called with the number of chats that were just finished."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A chat, the beginning of the assistant's turn, and the ways in which it may go on.

    Attributes:
        messages: The chat; the last turn is the user's.
        options: Continuations, each scored as a whole.
        prefix: Beginning of the assistant's turn, one blank before the option; empty: the option begins the turn.
        ends: Whether the end of the turn behind the option counts.
    """

    messages: list[Message]
    options: tuple[str, ...]
    prefix: str = ""
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited copy: the whole text, and where (character offset) the inserted word ends."""

    text: str
    until: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A chat whose next assistant turn copies ``text``, and edited copies that depart from it."""

    messages: list[Message]
    text: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Departure:
    """How an edited copy leaves the copy, in log-probabilities (nats).

    Attributes:
        begins: Of the first token in which the edit differs, given the copy so far.
        stays: Of the copy's own token there.
        inserted: Of all tokens from there to the end of the inserted word.
    """

    begins: float
    stays: float
    inserted: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A chat whose assistant's turn has come to ``before``; ``barred`` words may not come next."""

    messages: list[Message]
    before: str
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn instead of taken greedily.

    Attributes:
        temperature: What the logits are divided by, above 0.
        seeds: One a chat: of the same chat and seed the reply is the same, whatever is drawn beside it.
    """

    temperature: float
    seeds: tuple[int, ...]


class Reply(str):
    """A generated reply: halves of characters (surrogates), which no file takes, are replaced by `?`.

    Attributes:
        cut: Whether it was cut off for want of room, before the model ended it.
    """

    cut: bool

    def __new__(cls, text: str, cut: bool = False) -> Reply:
        """Return ``text`` as a reply."""
        reply = super().__new__(cls, text.encode("utf-8", "replace").decode("utf-8"))
        reply.cut = cut
        return reply


@dataclass(frozen=True, slots=True)
class Guide:
    """A chat, and what its next assistant turn may be.

    Attributes:
        messages: The chat; the last turn is the user's.
        templates: The replies; a gap is filled with one word of letters.
        is_allowed: Whether a filled template may be the reply.
    """

    messages: list[Message]
    templates: tuple[Template, ...]
    is_allowed: Callable[[str], bool]


Question = Literal["choose", "weigh", "infill", "generate", "guide", "losses", "gradients"]
"""What may be asked of a model: a method of ``Model``, or gradients (``attribution.gradients``)."""
QUESTIONS: frozenset[Question] = frozenset(get_args(Question))
"""All questions, which a model on this machine answers."""
VLLM_ANSWERS: frozenset[Question] = QUESTIONS - {"guide", "gradients"}
"""Those that vLLM is asked: it has no gradients, and to guide a reply takes the probability of every token there is."""
API_ANSWERS: frozenset[Question] = frozenset(("choose", "generate"))
"""Those that a model behind an API can be asked: labels, and text."""


class Model(Protocol):
    """A chat model that can be asked for log-probabilities and for text.

    Attributes:
        name: The value of ``model=``.
        answers: Which questions it answers; the others are refused by who would ask them.
    """

    name: str
    answers: frozenset[Question]

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why each chat, with ``room`` more tokens, cannot be put to the model; None if it can."""

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Expect calls of one text each, whose chats begin as ``chats`` do; changes no answer beyond rounding.

        Args:
            chats: What is asked of two texts, opened for the answer; with ``of_text`` of the one that comes next.
            of_text: Whether the beginning is that of one text, which the next one replaces.
        """

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option) in nats for each option of each choice."""

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Return what ``choose`` returns and how likely each edit of each copy is to begin, and to go on, at once."""

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Return the ``count`` words (folded) that the model would likeliest write next, for each gap."""

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the greedy reply to each chat, at most ``max_new_tokens`` tokens long; with ``sampling`` a drawn one.

        ``copied`` may tell the text that each reply is expected to copy, more or less; it changes no reply.
        """

    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> list[str]:
        """Return the greedy reply to each chat among those that its guide allows; empty if it allows none."""

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Return the mean loss (nats a token) of the assistant's turns of each chat, the end of each turn included.

        None for a chat that cannot be put into ids, or by a model that has no loss.
        """
