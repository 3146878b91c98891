"""The texts of a run: disjoint pools of the training split, the audited rows, words' associations."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saywhy.config import Config
from saywhy.progress import say
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.tasks import lexicon
from saywhy.tasks.data import LoadedSplit, key_of_text, load_examples, nested_sample
from saywhy.tasks.decontamination import without_near_duplicates
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task, load_task
from saywhy.words import candidates

_POOL_TENTHS = {"calibration": range(2), "adapt": range(2, 5), "arms": range(5, 10)}
"""Tenths of the training split. A text's pool depends on its id alone, so pools are disjoint at every size."""


POOL_PURPOSES = {
    "calibration": "to measure the calibration constants on",
    "adapt": "for `adapted` to learn from",
    "arms": "to build explanations of",
}
"""Pools of the training split that a run may need, and for what."""
POOL_NAMES = ("calibration", "adapt", "arms", "audited", "decided", "lexicon", "heldout")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The texts of a run.

    Attributes:
        task: The task.
        calibration: Texts for the calibration constants (their labels are not used).
        adapt: Texts on which ``adapted`` learns.
        arms: Texts on which the arms are trained.
        audited: Texts that are explained.
        decided: Texts on which accuracy and agreement are measured.
        lexicon: Training texts from which associations are counted.
        set_aside: Texts that cannot be used, with the reason.
        heldout: Training texts on which the loss of the arms is measured as they practise.
    """

    task: Task
    calibration: tuple[Example, ...]
    adapt: tuple[Example, ...]
    arms: tuple[Example, ...]
    audited: tuple[Example, ...]
    decided: tuple[Example, ...]
    lexicon: tuple[Example, ...]
    set_aside: tuple[SetAside, ...]
    heldout: tuple[Example, ...] = ()

    def pools(self) -> dict[str, tuple[Example, ...]]:
        """Return all lists of texts by name; that of held-out texts only where there are some."""
        return {name: getattr(self, name) for name in POOL_NAMES if name != "heldout" or self.heldout}

    def fingerprint(self) -> str:
        """Return a hash of every text and label that is used: a run goes on only on the same ones."""
        ids_and_labels = [[(example.id, example.label) for example in pool] for pool in self.pools().values()]
        return hashlib.sha256(json.dumps(ids_and_labels).encode()).hexdigest()[:16]

    def without(self, set_aside: Sequence[SetAside]) -> Corpus:
        """Return the corpus without the texts of ``set_aside``; those that were to be audited are kept as set aside."""
        removed_ids = {record.id for record in set_aside}
        kept: dict[str, Any] = {
            name: tuple(example for example in pool if example.id not in removed_ids)
            for name, pool in self.pools().items()
        }
        audited_ids = {example.id for example in self.audited}
        audited_aside = tuple(record for record in set_aside if record.id in audited_ids)
        return dataclasses.replace(self, **kept, set_aside=(*self.set_aside, *audited_aside))


def refuse_empty(corpus: Corpus, config: Config, *pools: str) -> None:
    """Refuse a corpus without a text to explain, or without one in one of the ``pools`` that are needed.

    Raises:
        SaywhyError: If there is no text.
    """
    where = data_argument(config) or "the hub"
    if not corpus.audited:
        reasons = Counter(record.reason for record in corpus.set_aside)
        counted_reasons = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common()) or "there is none"
        raise SaywhyError(f"no text of {where} can be used: {counted_reasons}")
    for pool in pools:
        if not corpus.pools()[pool]:
            raise SaywhyError(
                f"no training text of {where} is left {POOL_PURPOSES[pool]}: give more rows in the train split"
            )


def lacking_texts(corpus: Corpus, config: Config) -> str | None:
    """Return which texts to practise on or to hold out there are too few of, where their number was chosen."""
    where = data_argument(config) or "the hub"
    if len(corpus.heldout) < config.heldout_rows:
        return f"heldout_rows={config.heldout_rows}: {where} has {len(corpus.heldout)} texts to hold out: give fewer"
    chosen = config.train_rows if "train_rows" in config.model_fields_set else None
    if chosen is not None and len(corpus.arms) < chosen:
        return (
            f"train_rows={chosen}: {where} leaves {len(corpus.arms)} training texts for the arms: give at most that "
            "(train_rows=none of a run: all of them)"
        )
    return None


def refuse_fewer(corpus: Corpus, config: Config) -> None:
    """Refuse more training texts than there are, where the number was chosen.

    Raises:
        SaywhyError: With how many there are.
    """
    if problem := lacking_texts(corpus, config):
        raise SaywhyError(problem)


def data_argument(config: Config) -> str | None:
    """Return what ``data.load_examples`` calls the data of ``config``."""
    return None if config.data in (None, "hub") else config.data


def task_of(config: Config) -> Task:
    """Return the task of a run, asked as its settings say."""
    return load_task(config.task).replied_by(config.plan, config.steps_order)


def assemble_corpus(config: Config) -> Corpus:
    """Load and sample everything that ``config`` asks for."""
    task = task_of(config)
    loaded = load_examples(task, config.split, data_argument(config), config)
    usable, set_aside = _without_long_texts(loaded, task, config.most_words)
    loaded_training = load_examples(task, "train", data_argument(config), config)
    _say_unlabelled(task, config.split, loaded)
    _say_unlabelled(task, "train", loaded_training)
    training = _without_long_texts(loaded_training, task, config.most_words)[0]
    audited = nested_sample(usable, config.rows, config.data_seed)
    decided = nested_sample(loaded.examples, config.decide_rows, config.data_seed)
    if config.decontaminate:
        before, training = len(training), without_near_duplicates(training, (*audited, *decided), config.decontaminate)
        say(f"{before - len(training)} of {before} training texts of {task.name} are nearly texts tested on: left out")
    chosen = {key_of_text(example) for example in (*audited, *decided)}
    training = tuple(example for example in training if key_of_text(example) not in chosen)
    pools = {name: _pool_of_tenths(training, tenths) for name, tenths in _POOL_TENTHS.items()}

    def draw(name: str, count: int | None) -> tuple[Example, ...]:
        return tuple(nested_sample(pools[name], count, config.data_seed))

    if config.adapt_labels == "gold":
        pools["adapt"] = _labelled(pools["adapt"])
    practised = nested_sample(pools["arms"], None, config.data_seed)
    heldout, practised = practised[: config.heldout_rows], practised[config.heldout_rows :]

    return Corpus(
        task=task,
        calibration=draw("calibration", config.calibration_rows),
        adapt=draw("adapt", config.adapt_rows),
        arms=tuple(practised[: config.train_rows]),
        audited=tuple(audited),
        decided=tuple(decided),
        lexicon=tuple(nested_sample(_labelled(training), config.lexicon_rows, config.data_seed)),
        set_aside=set_aside,
        heldout=tuple(heldout),
    )


def _labelled(examples: Sequence[Example]) -> list[Example]:
    """Return the examples that have a gold label, where at least half have one; else all."""
    labelled = [example for example in examples if example.label is not None]
    return labelled if 2 * len(labelled) >= len(examples) else list(examples)


def _say_unlabelled(task: Task, split: str, loaded: LoadedSplit) -> None:
    """Print how many texts have no label, where others have one."""
    if 0 < loaded.unlabelled < len(loaded.examples):
        say(f"{loaded.unlabelled} of {len(loaded.examples)} {split} texts of {task.name} have no label (-1 or empty)")


def _without_long_texts(
    loaded: LoadedSplit, task: Task, most_words: int | None
) -> tuple[tuple[Example, ...], tuple[SetAside, ...]]:
    """Set the texts of more than ``most_words`` distinct words aside."""
    if most_words is None:
        return loaded.examples, loaded.set_aside
    long_texts = [example for example in loaded.examples if len(candidates(example.text)) > most_words]
    long_ids = {example.id for example in long_texts}
    long_aside = tuple(SetAside(example.id, task.name, f"more than {most_words} words") for example in long_texts)
    return tuple(example for example in loaded.examples if example.id not in long_ids), (*loaded.set_aside, *long_aside)


def _pool_of_tenths(examples: Sequence[Example], tenths: range) -> list[Example]:
    return [example for example in examples if hashlib.sha256(example.id.encode()).digest()[0] * 10 // 256 in tenths]


def corpus_associations(corpus: Corpus, labels: Sequence[str | None]) -> lexicon.Associations:
    """Return the associations of words with ``labels`` (one a text of ``corpus.lexicon``; None: left out)."""
    pairs = [(example.text, label) for example, label in zip(corpus.lexicon, labels, strict=True) if label is not None]
    return lexicon.word_associations([text for text, _ in pairs], [label for _, label in pairs])


def pinned_of_corpus(corpus: Corpus, associations: lexicon.Associations, size: int) -> Pinned:
    """Return the counterfactual's candidate words, one list a label.

    Raises:
        SaywhyError: If the corpus is too small to give every label two words.
    """
    texts = [example.text for example in corpus.lexicon]
    lists = lexicon.pinned_words_of_labels(associations, texts, tuple(corpus.task.labels.values()), size)
    lacking = sorted(label for label in corpus.task.labels if len(lists.get(label, ())) < 2)
    if lacking:
        raise SaywhyError(
            f"too few training texts ({len(texts)}) to find counterfactual words for {', '.join(lacking)}: "
            f"each label needs two words that stand in {lexicon.LEAST_COUNT} texts; give more rows in the train split"
        )
    return lists
