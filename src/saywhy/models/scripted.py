"""Models of known truth: a rule that decides, and an explainer that is honest about it or is not.

They go through the same audit as a language model, so they say what each number must be (docs/definitions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from saywhy.models.interface import Choice, Copy, Departure, Gap, Tick
from saywhy.protocol import prompts, styles
from saywhy.protocol.prompts import Message
from saywhy.records import SETTINGS, STYLES, Explanation, Setting, StyleName
from saywhy.tasks.task import Task
from saywhy.words import MARK, candidates, fold, match_case, occurrences, replace, take_out

Rule = Callable[[str], Mapping[str, float]]
"""A text to the log-odds (nats, unnormalised) of each label."""

Explainer = Callable[["Asked"], str]
"""A request to a reply."""


class Asked:
    """A request for an explanation, as an explainer sees it.

    Attributes:
        style: What is asked for.
        setting: one-word or free.
        text: The explained text.
        named: The label that a counterfactual is to bring about.
        rule: How the model decides.
        inserts: The words that it may insert, by label.
    """

    def __init__(
        self,
        style: StyleName,
        setting: Setting,
        text: str,
        named: str | None,
        rule: Rule,
        inserts: Mapping[str, Sequence[str]],
    ) -> None:
        self.style, self.setting, self.text, self.named = style, setting, text, named
        self.rule, self.inserts = rule, inserts

    def label(self, text: str) -> str:
        """Return the rule's label for ``text``."""
        scores = self.rule(text)
        return max(scores, key=lambda label: scores[label])

    def ranked(self) -> list[str]:
        """Return the words of the text, the one that decides most first."""
        before = self.rule(self.text)
        own = self.label(self.text)

        def fall(key: str) -> float:
            after = self.rule(take_out(self.text, {key}))
            return _margin(before, own) - _margin(after, own)

        return sorted((word.key for word in candidates(self.text)), key=lambda key: -fall(key))

    def say(self, keys: Sequence[str]) -> str:
        """Return a reply that names, takes out or replaces ``keys``."""
        if self.style == "attribution":
            cores = {word.key: word.core for word in candidates(self.text)}
            return ", ".join(cores[key] for key in keys)
        if self.style == "redaction":
            return take_out(self.text, keys)
        first, *others = self.inserts[str(self.named)]
        return replace(self.text, {key: others[0] if key == first and others else first for key in keys})

    def swap(self, *, faithful: bool) -> str:
        """Return the first one-word counterfactual that does, or does not, bring the named label about."""
        edits = [
            replace(self.text, {word.key: match_case(new, word.core)})
            for word in candidates(self.text)
            for new in self.inserts[str(self.named)]
            if new != word.key
        ]
        return next((text for text in edits if (self.label(text) == self.named) == faithful), edits[0])


def honest(asked: Asked) -> str:
    """Name what the rule uses."""
    if asked.style == "counterfactual":
        return asked.swap(faithful=True)
    return asked.say(asked.ranked()[:1])


def liar(asked: Asked) -> str:
    """Name what the rule uses least."""
    if asked.style == "counterfactual":
        return asked.swap(faithful=False)
    return asked.say(asked.ranked()[-1:])


def parrot(asked: Asked) -> str:
    """Name the first word, always."""
    return asked.say([occurrences(asked.text)[0].key])


def everything(asked: Asked) -> str:
    """Take out all words, whatever is allowed."""
    return asked.say([word.key for word in candidates(asked.text)])


def keyword_rule(task: Task, cues: Mapping[str, Mapping[str, float]], default: str) -> Rule:
    """Return a rule that adds up the weights of the cue words of each label; ``default`` wins when none is there."""

    def rule(text: str) -> Mapping[str, float]:
        keys = {word.key for word in occurrences(text)}
        base = {label: (0.5 if label == default else 0.0) for label in task.labels}
        return {label: base[label] + sum(w for k, w in cues.get(label, {}).items() if k in keys) for label in base}

    return rule


def brittle(rule: Rule, falls_to: str) -> Rule:
    """Return ``rule``, but any ``[REDACTED]`` in the text makes the answer ``falls_to``."""

    def shaken(text: str) -> Mapping[str, float]:
        scores = dict(rule(text))
        if MARK in text:
            scores[falls_to] = max(scores.values()) + 1.0
        return scores

    return shaken


class Scripted:
    """A model that decides by a rule and explains by a script; it answers as ``protocol.Model`` asks."""

    def __init__(
        self,
        name: str,
        task: Task,
        rule: Rule,
        explain: Explainer,
        inserts: Mapping[str, Sequence[str]],
        rewrite: Callable[[str], str] = str,
    ) -> None:
        self.name, self.task, self.rule, self.explain, self.inserts = name, task, rule, explain, inserts
        self.rewrite = rewrite

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Object to nothing."""
        return [None] * len(chats)

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return the rule's scores for label words, and 0 or -1 for a word that it would or would not name."""
        return [self._choose(choice) for choice in choices]

    def _choose(self, choice: Choice) -> tuple[float, ...]:
        if choice.prefix:
            scores = self.rule(prompts.explained_text(self.task, choice.messages))
            return tuple(float(scores[label]) for label in self.task.labels)  # whatever words stand for the labels
        if self._is_placebo(choice.messages):
            return (0.0,) * len(choice.options)
        named = self._reading(choice.messages).words
        return tuple(0.0 if fold(option) in named else -1.0 for option in choice.options)

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Choose by the rule, and prefer the edit that the script would make."""
        return self.choose(choices), [self._depart(copy) for copy in copies]

    def _depart(self, copy: Copy) -> tuple[Departure, ...]:
        if self._is_placebo(copy.messages):
            return (Departure(0.0, 0.0, 0.0),) * len(copy.edits)
        wanted = self._reading(copy.messages).edited
        return tuple(
            Departure(0.0, -1.0, 0.0) if edit.text == wanted else Departure(-1.0, 0.0, -1.0) for edit in copy.edits
        )

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Think of nothing."""
        return [()] * len(gaps)

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
    ) -> list[str]:
        """Return the script's replies; to an instruction that is no request of the protocol it has nothing to say."""
        return [self._reply(chat) if len(chat) > 2 else "" for chat in chats]

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Say that a rule has no loss."""
        return [None] * len(chats)

    def _reply(self, messages: list[Message]) -> str:
        if messages[-1] == prompts.rewrite(self.task):
            return self.rewrite(prompts.explained_text(self.task, messages))
        return self.explain(self._asked(messages))

    def _reading(self, messages: list[Message]) -> Explanation:
        """Return the explanation that the script would give, also where it breaks the one-word setting."""
        asked = self._asked(messages)
        read = styles.read(asked.style, "one-word", asked.text, self.explain(asked))
        return read if read.valid else Explanation(words=(occurrences(asked.text)[0].key,))

    def _is_placebo(self, messages: list[Message]) -> bool:
        """Whether any word will do: the script has no preference then."""
        return any(prompts.placebo(self.task, style) == messages[-1] for style in STYLES)

    def _asked(self, messages: list[Message]) -> Asked:
        text = prompts.explained_text(self.task, messages)
        for style in STYLES:
            for setting in SETTINGS:
                for named in self.task.labels if style == "counterfactual" else (None,):
                    if prompts.request(self.task, style, setting, named) == messages[-1]:
                        return Asked(style, setting, text, named, self.rule, self.inserts)
        raise ValueError(f"not a request of the protocol: {messages[-1]['content']!r}")


def _margin(scores: Mapping[str, float], label: str) -> float:
    return scores[label] - max(value for key, value in scores.items() if key != label)
