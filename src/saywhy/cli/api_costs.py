"""``--dry`` of a model behind an API: how much would be asked of it, counted without asking it anything.

A script answers in its place, so that the same code asks what the run would ask. Tokens are guessed from signs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from saywhy.attribution import METHODS, MethodOptions
from saywhy.cli.attribute import MethodPass
from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.calibration import no_calibration
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.measure.sentence_audit import measure_audited
from saywhy.models.interface import Choice, Reply, Sampling, Tick
from saywhy.models.scripted import ExplanationRequest, ScriptedModel, keyword_rule
from saywhy.progress import say
from saywhy.protocol.prompts import Message
from saywhy.records import Example
from saywhy.robustness.audited import audited_texts
from saywhy.runs.forecast import checks_cost
from saywhy.tasks.corpus import Corpus, corpus_associations, pinned_of_corpus
from saywhy.tasks.data import nested_sample
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import candidates, free_word_budget

SIGNS_A_TOKEN = 4.0
"""About how many signs a token has; in scripts other than the Latin one it is fewer."""
TOKENS_AROUND_TURN = 5
"""About how many tokens a chat template writes around a turn."""
COUNTED_TEXTS = 50
"""Texts whose requests are counted; the others cost as much on average."""


@dataclass(frozen=True, slots=True)
class ApiCost:
    """What is asked of a server.

    Attributes:
        requests: How many requests.
        prompt_tokens: About how many tokens they have.
        reply_tokens: About how many tokens the replies have.
    """

    requests: float = 0
    prompt_tokens: float = 0
    reply_tokens: float = 0

    def __add__(self, other: ApiCost) -> ApiCost:
        return ApiCost(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.reply_tokens + other.reply_tokens,
        )

    def times(self, factor: float) -> ApiCost:
        """Return what so many times as much costs."""
        return ApiCost(self.requests * factor, self.prompt_tokens * factor, self.reply_tokens * factor)


class CountingModel(ScriptedModel):
    """A script that counts what it is asked, and answers as wordily as the protocol allows.

    Attributes:
        cost: What it was asked so far.
    """

    def __init__(self, task: Task, pinned: Pinned) -> None:
        rule = keyword_rule(task, {}, next(iter(task.labels)))
        super().__init__("counting", task, rule, _wordy, pinned)
        self.cost = ApiCost()

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Count a request a choice; the lead-in is read, or written where a grammar asks for it."""
        for choice in choices:
            self._count(choice.messages, choice.prefix + choice.options[0])
        return super().choose(choices, tick)

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Count a request a chat."""
        replies = super().generate(chats, max_new_tokens, tick, copied=copied, sampling=sampling)
        for chat, reply in zip(chats, replies, strict=True):
            self._count(chat, reply)
        return replies

    def _count(self, messages: Sequence[Message], reply: str) -> None:
        signs = sum(len(turn["content"]) for turn in messages)
        prompt_tokens = signs / SIGNS_A_TOKEN + TOKENS_AROUND_TURN * (len(messages) + 1)
        self.cost += ApiCost(1, prompt_tokens, len(reply) / SIGNS_A_TOKEN + 1)

    def cost_of(self, ask: Callable[[], object]) -> ApiCost:
        """Return what ``ask`` asks."""
        before = self.cost.times(-1)
        ask()
        return self.cost + before


def _wordy(request: ExplanationRequest) -> str:
    """Name the first word, and as many more as a free explanation may name."""
    words = [word.key for word in candidates(request.text)]
    return request.say(words[: free_word_budget(request.text) if request.setting == "free" else 1])


class ApiForecast:
    """What a run of a model behind an API would ask, counted on some of its texts.

    Attributes:
        config: The settings.
        corpus: The texts.
        model: What is asked in place of the model.
    """

    def __init__(self, config: Config, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        labels = [example.label for example in corpus.lexicon]
        self._labelled = all(label is not None for label in labels)
        self._associations = corpus_associations(corpus, labels) if self._labelled else {}
        # Without labels the words are chosen by what the model answers; here any words do.
        unknown = {label: tuple(f"word{n}" for n in range(config.pinned_words)) for label in corpus.task.labels}
        pinned = pinned_of_corpus(corpus, self._associations, config.pinned_words) if self._labelled else unknown
        self._pinned: Pinned = pinned
        self.model = CountingModel(corpus.task, pinned)
        self._classifier = Classifier(self.model, corpus.task, no_calibration(corpus.task))
        self._texts = nested_sample(corpus.audited, COUNTED_TEXTS, config.data_seed)
        self._share = len(corpus.audited) / len(self._texts)

    def audit(self) -> dict[str, ApiCost]:
        """Return what each stage of an audit costs."""
        config = self.config
        plan = audit.audit_plan_of(config, "dry", self._pinned)
        before = self.model.cost.times(-1)
        result = audit.audit(self._classifier, self._texts, plan)
        measure_audited(self._classifier, self._texts, plan, result)
        audited = (self.model.cost + before).times(self._share)
        explained = {example.id for example in self.corpus.audited}
        costs = {
            "audit": audited,
            "decide": self._labelling([text for text in self.corpus.decided if text.id not in explained]),
            **self._calibration(),
        }
        if config.robustness:
            records = (result.rows, result.tables, result.grids)
            texts = list(audited_texts(self._texts, *records, config.operators[0]).values())
            per_label = self._labelling(self.corpus.calibration[:1])
            checks = checks_cost(
                self._classifier,
                texts,
                config,
                self.corpus,
                self._pinned,
                per_label.requests,
                lambda ask: self.model.cost_of(ask).requests,
            )
            costs |= {f"robustness={check}": per_label.times(requests) for check, requests in checks.items()}
        return costs

    def attribution(self, method_passes: Sequence[MethodPass]) -> dict[str, ApiCost]:
        """Return what each method of an attribution costs."""
        items = items_of(self._classifier, self._texts)
        costs = {"predict": self._labelling(self.corpus.audited), **self._calibration()}
        for method_pass in method_passes:
            options = MethodOptions(
                method_pass.operator, self.config.steps, self.config.samples, self.config.seeds[0], self._associations
            )
            method = METHODS[method_pass.method]
            counted = self.model.cost_of(lambda: method(self._classifier, items, options))  # noqa: B023
            costs[method_pass.name] = counted.times(self._share)
        return costs

    def _calibration(self) -> dict[str, ApiCost]:
        calibrated = self._labelling(self.corpus.calibration) if self.config.calibration else ApiCost()
        if self._labelled:
            return {"calibrate": calibrated}
        labelled = self.corpus.lexicon[: 2 * len(self.corpus.calibration)]
        return {"calibrate": calibrated, "label the texts whose words are counted": self._labelling(labelled)}

    def _labelling(self, texts: Sequence[Example]) -> ApiCost:
        """Return what the labels of texts cost."""
        return self.model.cost_of(lambda: self._classifier.predict_examples(texts))


def say_api_costs(costs: Mapping[str, ApiCost]) -> None:
    """Print what each stage costs, and all of them."""
    for stage, cost in costs.items():
        say(f"about {_cost_in_words(cost)}: {stage}")
    total = sum(costs.values(), ApiCost())
    say(f"about {_cost_in_words(total)} in all, less what the cache has; nothing was sent")


def _cost_in_words(cost: ApiCost) -> str:
    tokens = f"{cost.prompt_tokens:,.0f} prompt and {cost.reply_tokens:,.0f} reply tokens"
    return f"{cost.requests:,.0f} requests, {tokens}"
