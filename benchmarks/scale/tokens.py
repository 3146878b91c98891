"""How many tokens a text costs in each kind of work, counted on texts with a real tokenizer and the real engine.

What the engine computes depends on prompts, tokenizer and texts, but hardly on weights, so a model of a few thousand
random weights counts it in seconds. Only generated replies depend on them: here they are valid ones, of one word
(free: of two), as a trained arm gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks.common import progress
from benchmarks.work import Counter
from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.edits import every_edit, items_of
from saywhy.measure.predict import Classifier
from saywhy.measure.retention import measure_retention
from saywhy.models.interface import Choice, Reply, Sampling, Tick
from saywhy.models.local import LocalModel
from saywhy.models.scripted import ExplanationRequest, ScriptedModel, keyword_rule
from saywhy.models.sequences import ScoredSequence
from saywhy.models.spec import resolve_model
from saywhy.models.weights import load_base
from saywhy.protocol.prompts import Message
from saywhy.records import STYLES
from saywhy.runs.forecast import rows_like_practice
from saywhy.study.expand import plan_units, task_settings
from saywhy.study.plan import StudyPlan
from saywhy.study.requests import audit_requests
from saywhy.study.steps import request_name, steps_of_units, work_of_steps
from saywhy.tasks.corpus import Corpus, assemble_corpus, corpus_associations, pinned_of_corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.training.lessons import Lesson
from saywhy.training.targets import lessons_of

TINY = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What a text costs.

    Attributes:
        tree: Tokens that the engine computes, what prompts share once.
        plain: Tokens of the same prompts, each by itself and without padding.
        prompts: How many prompts these are.
        heads: Places with logits.
        replies: Tokens of generated replies, of ``tree``: on a card, memory and not the GEMM rate bounds these.
    """

    tree: float
    plain: float
    prompts: float
    heads: float
    replies: float


TokenCounts = dict[str, TokenCount]
"""What a text costs, by the name of its rate (``StepWork.rate`` joined by blanks)."""


def typical(request: ExplanationRequest) -> str:
    """Explain with one word, or freely with two."""
    return request.say(request.ranked()[: 1 if request.setting == "one-word" else 2])


class CountedModel(LocalModel):
    """A local model that counts prompts by themselves, and replies by a script.

    Attributes:
        plain: Tokens of all prompts so far, each by itself.
        prompts: How many these are.
        replied: Tokens of all replies so far.
        script: Who replies.
    """

    script: ScriptedModel

    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__("counted", model, tokenizer)
        self.plain = self.prompts = self.replied = 0

    def score(self, groups: Sequence[Sequence[ScoredSequence]], tick: Tick | None = None) -> list[list[list[float]]]:
        """Count the prompts, the ways in which one goes on together, and score them."""
        for group in groups:
            lengths = {sequence.ids[: sequence.start]: len(sequence.ids) - 1 for sequence in group}
            self.plain += sum(lengths.values())
            self.prompts += len(lengths)
        return super().score(groups, tick)

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the script's replies, computed as the prompts and replies of a tree."""
        replies = self.script.generate(chats, max_new_tokens, sampling=sampling)
        self.replied += sum(len(self.chat.tokenizer(str(reply)).input_ids) + 1 for reply in replies)
        self.choose([Choice(chat, (reply,), ends=True) for chat, reply in zip(chats, replies, strict=True) if reply])
        return replies


def count_tokens(plan: StudyPlan, model: str, data: str, texts: int) -> dict[str, Any]:
    """Count what a text costs in each kind of work of a plan.

    Args:
        plan: The study.
        model: Whose tokenizer and template; its weights are not used.
        data: Folder of the tasks' texts; ``pocket``: the built-in ones, for the tasks that have them.
        texts: How many of each task are counted.

    Returns:
        ``counts`` by name of rate (and of ``edits``, the part of an audit that no style changes), and ``words``:
        distinct words a text by task.
    """
    source, tokenizer = load_base(resolve_model(model))
    tiny = AutoModelForCausalLM.from_config(
        type(source.config).from_dict({**source.config.to_dict(), **TINY, "num_key_value_heads": 4, "head_dim": 16})
    )
    del source
    counted = CountedModel(tiny, tokenizer)
    plan = plan.with_data(data)
    counts: TokenCounts = {}
    words: dict[str, float] = {}
    with Counter(tiny.get_input_embeddings().weight.shape[0]) as counter:
        for task in plan.all_tasks:
            progress(f"counting {task}")
            config = task_settings(plan, task)
            corpus = assemble_corpus(config.model_copy(update={"rows": texts, "train_rows": texts}))
            counts |= _task_counts(plan, config, corpus, counted, counter)
            words[task] = sum(len(set(example.text.split())) for example in corpus.audited) / len(corpus.audited)
        instructions = None if data == "pocket" else data
        keep = _counted(
            counted,
            counter,
            plan.instruction_rows,
            lambda: measure_retention(lambda: counted, instructions, "test", plan.instruction_rows),
        )
        counts["keep"] = keep
    return {"counts": {name: asdict(count) for name, count in counts.items()}, "words": words}


def read_counts(kept: Mapping[str, Any]) -> TokenCounts:
    """Return the counts of a file that ``count_tokens`` filled."""
    return {name: TokenCount(**count) for name, count in kept["counts"].items()}


def _task_counts(plan: StudyPlan, config: Config, corpus: Corpus, model: CountedModel, counter: Counter) -> TokenCounts:
    """Return the counts of one task."""
    task, counts = corpus.task, TokenCounts()
    pinned = pinned_of_corpus(
        corpus, corpus_associations(corpus, [example.label for example in corpus.lexicon]), config.pinned_words
    )
    model.script = ScriptedModel("typical", task, keyword_rule(task, {}, next(iter(task.labels))), typical, pinned)
    classifier = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
    items_of(classifier, corpus.audited[:2])  # what all texts share is computed once a run
    for request in {request for (_, _, name), request in audit_requests(plan).items() if name == config.task}:
        asked = audit.AuditPlan("typical", pinned, request.styles, request.settings, request.readouts, config.operators)
        counts[f"audit {config.task} {request_name(request)}"] = _counted(
            model, counter, len(corpus.audited), partial(audit.audit, classifier, corpus.audited, asked)
        )
    items = items_of(classifier, corpus.audited)
    counts[f"edits {config.task}"] = _counted(
        model, counter, len(items), lambda: every_edit(classifier, items, config.operators, pinned)
    )
    decided = corpus.calibration[:64]
    counts[f"decide {config.task}"] = _counted(
        model, counter, len(decided), lambda: classifier.predict_examples(decided)
    )
    counts[f"targets {config.task}"] = _counted(
        model, counter, len(corpus.arms), lambda: lessons_of(classifier, corpus.arms, pinned, config)
    )
    for styles in _practised(plan, config.task):
        counts[f"train {config.task} {styles}"] = _practice(styles, classifier, config, corpus, pinned, counter)
    return counts


def _practised(plan: StudyPlan, task: str) -> list[str]:
    """Return the sets of styles that arms practise on a task, as rates name them."""
    work = work_of_steps(plan, steps_of_units(plan, plan_units(plan)))
    rates = {part.rate for parts in work.values() for part in parts}
    return sorted(rate[2] for rate in rates if rate[:2] == ("train", task))


def _practice(
    styles: str, classifier: Classifier, config: Config, corpus: Corpus, pinned: Pinned, counter: Counter
) -> TokenCount:
    """Return what a training pass over a text costs, in tokens of its rows as one tree."""
    practised = tuple(style for style in STYLES if style in styles.split("+"))
    settings = config.model_copy(update={"train_styles": practised})
    model = classifier.model
    assert isinstance(model, CountedModel)
    lessons = [Lesson(item, {}) for item in items_of(classifier, corpus.arms)]
    rows = rows_like_practice(settings, corpus.task, lessons, pinned)
    choices = [Choice(row["prompt"], (row["completion"][0]["content"],)) for row in rows]
    return _counted(model, counter, len(corpus.arms), lambda: model.choose(choices))


def _counted(model: CountedModel, counter: Counter, texts: int, compute: Callable[[], object]) -> TokenCount:
    """Return what ``compute`` costs a text."""

    def so_far() -> tuple[int, ...]:
        tree, heads = counter.so_far()
        return tree, model.plain, model.prompts, heads, model.replied

    before = so_far()
    compute()
    spent = [after - earlier for after, earlier in zip(so_far(), before, strict=True)]
    return TokenCount(*(round(count / max(1, texts), 1) for count in spent))
