"""Models of known truth: a rule that decides, and an explainer that is honest about it or is not.

They go through the same audit as a language model, so they say what each number must be (docs/definitions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from saywhy.models.interface import QUESTIONS, Choice, Copy, Departure, Gap, Guide, Question, Reply, Sampling, Tick
from saywhy.protocol import prompts, styles
from saywhy.protocol.prompts import Message
from saywhy.protocol.requests import RequestReader
from saywhy.records import STYLES, Explanation, Setting, StyleName
from saywhy.tasks.task import Task
from saywhy.words import (
    REDACTED_MARK,
    candidates,
    fold,
    match_case,
    occurrences,
    replace_words,
    take_out,
)

DecisionRule = Callable[[str], Mapping[str, float]]
"""A text to the log-odds (nats, unnormalised) of each label."""

ScriptedExplainer = Callable[["ExplanationRequest"], str]
"""A request to a reply."""


class ExplanationRequest:
    """A request for an explanation, as an explainer sees it.

    Attributes:
        style: What is asked for.
        setting: one-word or free.
        text: The explained text.
        named: The label that a counterfactual is to bring about.
        rule: How the model decides.
        inserts: The words that it may insert, by label.
        wording: The wording in which it is asked (``protocol.wordings``).
        seed: Of a sampled reply; None: the reply is the greedy one.
    """

    def __init__(
        self,
        style: StyleName,
        setting: Setting,
        text: str,
        named: str | None,
        rule: DecisionRule,
        inserts: Mapping[str, Sequence[str]],
        wording: str,
        seed: int | None = None,
    ) -> None:
        self.style, self.setting, self.text, self.named = style, setting, text, named
        self.rule, self.inserts, self.wording, self.seed = rule, inserts, wording, seed

    def label(self, text: str) -> str:
        """Return the rule's label for ``text``."""
        scores = self.rule(text)
        return max(scores, key=lambda label: scores[label])

    def ranked(self) -> list[str]:
        """Return the words of the text, the one that decides most first."""
        before = self.rule(self.text)
        label = self.label(self.text)

        def drop(key: str) -> float:
            after = self.rule(take_out(self.text, {key}))
            return _rule_margin(before, label) - _rule_margin(after, label)

        return sorted((word.key for word in candidates(self.text)), key=lambda key: -drop(key))

    def say(self, keys: Sequence[str]) -> str:
        """Return a reply that names, takes out or replaces ``keys``."""
        cores = {word.key: word.core for word in candidates(self.text)}
        if self.style in ("attribution", "keywords"):
            return ", ".join(cores[key] for key in keys)
        if self.style == "reasons":
            return "It is because of " + " and ".join(f'"{cores[key]}"' for key in keys) + "."
        if self.style == "steps":
            return "\n".join(f'{at}. There is "{cores[key]}".' for at, key in enumerate(keys, start=1))
        if self.style == "redaction":
            return take_out(self.text, keys)
        first, *alternatives = self.inserts[str(self.named)]
        return replace_words(
            self.text, {key: alternatives[0] if key == first and alternatives else first for key in keys}
        )

    def swap(self, *, faithful: bool) -> str:
        """Return the first one-word counterfactual that does, or does not, bring the named label about."""
        edits = [
            replace_words(self.text, {word.key: match_case(new, word.core)})
            for word in candidates(self.text)
            for new in self.inserts[str(self.named)]
            if new != word.key
        ]
        return next((text for text in edits if (self.label(text) == self.named) == faithful), edits[0])


def honest(request: ExplanationRequest) -> str:
    """Name what the rule uses."""
    if request.style == "counterfactual":
        return request.swap(faithful=True)
    return request.say(request.ranked()[:1])


def liar(request: ExplanationRequest) -> str:
    """Name what the rule uses least."""
    if request.style == "counterfactual":
        return request.swap(faithful=False)
    return request.say(request.ranked()[-1:])


def parrot(request: ExplanationRequest) -> str:
    """Name the first word, always."""
    return request.say([candidates(request.text)[0].key])


def name_everything(request: ExplanationRequest) -> str:
    """Name or take out all words, whatever is allowed."""
    return request.say([word.key for word in candidates(request.text)])


def keyword_rule(task: Task, cues: Mapping[str, Mapping[str, float]], default: str) -> DecisionRule:
    """Return a rule that adds up the weights of the cue words of each label; ``default`` wins when none is there."""

    def rule(text: str) -> Mapping[str, float]:
        keys = {word.key for word in occurrences(text)}
        base = {label: (0.5 if label == default else 0.0) for label in task.labels}
        return {
            label: base[label] + sum(weight for key, weight in cues.get(label, {}).items() if key in keys)
            for label in base
        }

    return rule


def brittle_rule(rule: DecisionRule, falls_to: str) -> DecisionRule:
    """Return ``rule``, but any ``[REDACTED]`` in the text makes the answer ``falls_to``."""

    def shaken(text: str) -> Mapping[str, float]:
        scores = dict(rule(text))
        if REDACTED_MARK in text:
            scores[falls_to] = max(scores.values()) + 1.0
        return scores

    return shaken


class ScriptedModel:
    """A model that decides by a rule and explains by a script; it has neither losses nor gradients."""

    answers: frozenset[Question] = QUESTIONS - {"losses", "gradients"}

    def __init__(
        self,
        name: str,
        task: Task,
        rule: DecisionRule,
        explain: ScriptedExplainer,
        inserts: Mapping[str, Sequence[str]],
        rewrite: Callable[[str], str] = str,
    ) -> None:
        self.name, self.task, self.rule, self.explain, self.inserts = name, task, rule, explain, inserts
        self.rewrite = rewrite
        self._reader = RequestReader(task)

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Object to nothing."""
        return [None] * len(chats)

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Do nothing: a rule has no beginning to compute."""

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return the rule's scores for label words, 0 or -1 for a word that it would or would not name; of a text 0."""
        return [self._choose(choice) for choice in choices]

    def _choose(self, choice: Choice) -> tuple[float, ...]:
        if prompts.asks_to_write(self.task, choice.messages):
            return (0.0,) * len(choice.options)  # a rule finds no text more fluent than another
        if prompts.asks_for_label(choice.messages):
            scores = self.rule(prompts.explained_text(self.task, choice.messages))
            return tuple(float(scores[label]) for label in self.task.labels)  # whatever words stand for the labels
        if self._is_placebo(choice.messages):
            return (0.0,) * len(choice.options)
        words = self._scripted_explanation(choice.messages).words
        return tuple(0.0 if fold(option.strip()) in words else -1.0 for option in choice.options)

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Choose by the rule, and prefer the edit that the script would make."""
        return self.choose(choices), [self._departures(copy) for copy in copies]

    def _departures(self, copy: Copy) -> tuple[Departure, ...]:
        if self._is_placebo(copy.messages):
            return (Departure(0.0, 0.0, 0.0),) * len(copy.edits)
        edited = self._behind_a_name(copy.messages, str(self._scripted_explanation(copy.messages).edited))
        return tuple(
            Departure(0.0, -1.0, 0.0) if edit.text == edited else Departure(-1.0, 0.0, -1.0) for edit in copy.edits
        )

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Return no words."""
        return [()] * len(gaps)

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the script's replies; to an instruction that is no request of the protocol the reply is empty."""
        seeds = sampling.seeds if sampling else [None] * len(chats)
        return [
            Reply(self._reply(chat, seed) if len(chat) > 2 or self._reader.read(chat) else "")
            for chat, seed in zip(chats, seeds, strict=True)
        ]

    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> list[str]:
        """Return the allowed reply that follows the script's longest; a gap takes a word that the script may insert."""
        return [self._guided_reply(guide) for guide in guides]

    def _guided_reply(self, guide: Guide) -> str:
        reply, named = self._reply(guide.messages), self._request(guide.messages).named
        filled = [
            template.filled(word)
            for template in guide.templates
            for word in (self.inserts[str(named)] if template.has_gap else ("",))
        ]
        allowed = [text for text in filled if guide.is_allowed(text)]
        return max(
            allowed,
            key=lambda text: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, reply, strict=False))),
            default="",
        )

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Say that a rule has no loss."""
        return [None] * len(chats)

    def _reply(self, messages: list[Message], seed: int | None = None) -> str:
        if messages[-1] == prompts.rewrite_turn(self.task):
            return self.rewrite(prompts.explained_text(self.task, messages))
        return self._behind_a_name(messages, self.explain(self._request(messages, seed)))

    def _behind_a_name(self, messages: list[Message], edited: str) -> str:
        """Return an edited text as the task's plan has it: behind the words that it edits, or as it is."""
        request = self._request(messages)
        if self.task.plan == "direct" or request.style == "attribution":
            return edited
        keys = self._scripted_explanation(messages).words
        cores = [word.core for word in candidates(request.text) if word.key in keys]
        return f"{', '.join(cores)}\n{edited}"

    def _scripted_explanation(self, messages: list[Message]) -> Explanation:
        """Return the explanation that the script would give, also where it breaks the one-word setting."""
        request = self._request(messages)
        explanation = styles.read_reply(request.style, "one-word", request.text, self.explain(request))
        return explanation if explanation.valid else Explanation(words=(candidates(request.text)[0].key,))

    def _is_placebo(self, messages: list[Message]) -> bool:
        """Whether any word will do: the script has no preference then."""
        return any(prompts.placebo_turn(self.task, style) == messages[-1] for style in STYLES)

    def _request(self, messages: list[Message], seed: int | None = None) -> ExplanationRequest:
        request = self._reader.read(messages)
        if request is None:
            raise ValueError(f"not a request of the protocol: {messages[-1]['content']!r}")
        text = prompts.explained_text(self.task, messages)
        style, setting, named, wording = request
        return ExplanationRequest(style, setting, text, named, self.rule, self.inserts, wording, seed)


def _rule_margin(scores: Mapping[str, float], label: str) -> float:
    return scores[label] - max(value for key, value in scores.items() if key != label)
