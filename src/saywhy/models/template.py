"""A model's chat template as saywhy renders it: without thoughts, on a fixed day, with its rules on roles met."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from jinja2 import TemplateError, TemplateSyntaxError

from saywhy.progress import say
from saywhy.protocol.prompts import Message
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_DATE = datetime.datetime(2024, 7, 26)
"""The day on which templates that write one are rendered: the one that Llama 3's write where they are told none."""
_DIRECTIVES = ("-d", "-m", "-H", "-I", *"aAbBcdDeFHIjmMpSTuwxXyYZ")
_DATES = "".join(f" | replace('%{code}', '{TEMPLATE_DATE.strftime(f'%{code}')}')" for code in _DIRECTIVES)
_FIXED = (
    "{% set enable_thinking = false %}{% set thinking = false %}"
    f"{{% set date_string = '{TEMPLATE_DATE.strftime('%d %b %Y')}' %}}"
    f"{{% macro strftime_now(format) %}}{{{{ format{_DATES} }}}}{{% endmacro %}}{{{{ '' }}}}"
)
"""Stands before every template, in its own language: no thoughts where it has a switch for them, and the day."""
THOUGHT_BEGINS, THOUGHT_ENDS = "<think>", "</think>"

_ANSWER: Message = {"role": "assistant", "content": "The word is it."}
_PROBE: list[Message] = [{"role": "user", "content": "Which word?"}]
_THOUGHT = re.compile(f"{THOUGHT_BEGINS}.*?{THOUGHT_ENDS}\\s*", re.DOTALL)
_MARK = re.compile(r"<{1,2}[^<>\s]+>{1,2}|\[/?[A-Z][A-Z_]*\]")
_RENDER_ERRORS = (TemplateError, TypeError, ValueError, LookupError)
"""What the code of a template raises, of itself or by ``raise_exception``."""


class ChatTemplate:
    """A tokenizer's chat template, tried once.

    Attributes:
        source: The template, told the day and to write no thoughts.
        lead: What it writes between an opened chat and the assistant's words: blanks (Llama 2), mostly nothing.
        tail: What it writes behind the assistant's words; may be nothing.
        trims: Whether it takes blanks off both ends of the assistant's words.
        marks: What it writes around turns, such as ``<|im_start|>`` or ``[INST]``.

    Raises:
        SaywhyError: If there is none, or it does not write an assistant's turn verbatim.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        if not tokenizer.chat_template:
            raise SaywhyError(f"model '{name}' has no chat template: use an instruction-tuned model")
        self._tokenizer, self._name = tokenizer, name
        self.source = _FIXED + self._own_source()
        self._system: Literal["free", "demanded", "folded"] = "free"
        self._folding_said = False
        self._no_thought = ""
        self._meet_rules()
        self.lead, self.tail = self._around_answer()
        padded = f"  {_ANSWER['content']}  "
        self.trims = padded not in self._rendered([*_PROBE, {**_ANSWER, "content": padded}])
        self.marks = self._marks()

    def open(self, messages: Sequence[Message]) -> str:
        """Render ``messages`` up to the beginning of the assistant's next turn; a thought is ended before it begins.

        Raises:
            SaywhyError: If the template does not take these turns.
        """
        return self._rendered(messages, opened=True) + self._no_thought

    def refusal(self, messages: Sequence[Message]) -> str | None:
        """Return why the template does not take a chat, None if it does."""
        try:
            self._rendered(messages)
        except SaywhyError:
            return "refused by the model's chat template"
        return None

    @property
    def fingerprint(self) -> str:
        """A hash of what the template makes of a few turns: it changes with whatever a model reads around a text."""
        chat = [*_PROBE, _ANSWER, *_PROBE]
        rendered = "\0".join([self.open(_PROBE), self.open(chat), self._rendered(chat), self.lead])
        return f"sha256:{hashlib.sha256(rendered.encode()).hexdigest()[:16]}"

    def _marks(self) -> frozenset[str]:
        marks = set(_MARK.findall(self.open([*_PROBE, _ANSWER, *_PROBE]) + self._rendered([*_PROBE, _ANSWER])))
        if self._system == "free":
            marks.update(_MARK.findall(self._rendered([{"role": "system", "content": "Brief."}, *_PROBE])))
        return frozenset(marks | ({THOUGHT_BEGINS, THOUGHT_ENDS} if self._thinks else set()))

    def _own_source(self) -> str:
        """Return the tokenizer's template for chats without tools."""
        try:
            return self._tokenizer.get_chat_template()
        except ValueError as error:  # several templates, and none of them for plain chats
            raise SaywhyError(f"model '{self._name}' has no default chat template: use another model") from error

    def _rendered(self, messages: Sequence[Message], *, opened: bool = False) -> str:
        turns = self._allowed(messages)
        try:
            rendered = self._tokenizer.apply_chat_template(
                turns, chat_template=self.source, tokenize=False, add_generation_prompt=opened
            )
        except TemplateSyntaxError as error:
            raise SaywhyError(f"model '{self._name}': its chat template is no template: {error.message}") from error
        except _RENDER_ERRORS as error:
            raise SaywhyError(
                f"model '{self._name}': its chat template does not take these turns "
                f"({', '.join(turn['role'] for turn in turns)}): {' '.join(str(error).split())[:200]}"
            ) from error
        return cast(str, rendered)

    def _allowed(self, messages: Sequence[Message]) -> list[Message]:
        """Return the turns as the template's rule on system turns has them."""
        turns = list(messages)
        begins = bool(turns) and turns[0]["role"] == "system"
        if self._system == "demanded" and not begins:
            return [{"role": "system", "content": ""}, *turns]
        if self._system == "folded" and begins:
            first, *others = turns[1:] or [{"role": "user", "content": ""}]
            if first["role"] == "user":
                self._say_folded()
                content = f"{turns[0]['content']}\n\n{first['content']}".strip()
                return [{**first, "content": content}, *others]
        return turns

    def _say_folded(self) -> None:
        if not self._folding_said:
            say(f"model '{self._name}': its chat template takes no system turns: they go before the user's words")
            self._folding_said = True

    def _meet_rules(self) -> None:
        """Find out what the template asks of system turns, and how a thought is ended before it begins."""
        try:
            opened = self._rendered(_PROBE, opened=True)
        except SaywhyError as error:
            self._system = "demanded"
            try:
                opened = self._rendered(_PROBE, opened=True)
            except SaywhyError:
                raise error from None
        begun = opened.rpartition(_PROBE[0]["content"])[2]
        self._thinks = THOUGHT_ENDS in self.source or THOUGHT_BEGINS in begun
        if self._thinks and THOUGHT_ENDS not in begun:
            self._no_thought = f"\n{THOUGHT_ENDS}\n\n"
            if THOUGHT_BEGINS not in begun:
                self._no_thought = THOUGHT_BEGINS + "\n" + self._no_thought
        if self._system == "free":
            self._system = "free" if self._takes_system() else "folded"

    def _takes_system(self) -> bool:
        system = "Be brief, please."
        try:
            return system in self._rendered([{"role": "system", "content": system}, *_PROBE])
        except SaywhyError:
            return False

    def _around_answer(self) -> tuple[str, str]:
        """Return what stands before and behind the assistant's words, where the chat is opened and ended."""
        opened, closed = self.open(_PROBE), self._rendered([*_PROBE, _ANSWER])
        before, answer, tail = closed.rpartition(_ANSWER["content"])
        opened, before = (_THOUGHT.sub("", rendered) for rendered in (opened, before))
        if not answer or not before.startswith(opened) or before[len(opened) :].strip():
            raise SaywhyError(
                f"model '{self._name}': its chat template does not write the assistant's turn as it is given"
            )
        return before[len(opened) :], tail
