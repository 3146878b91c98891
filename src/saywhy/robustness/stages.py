"""How far the verdicts of an audited arm move under what should not matter (docs/definitions.md, *Robustness*).

Every check reuses what the audit found, its words or its verdicts, and computes the rest again; two generate. Each is a
stage of its own in the run folder: it can be killed, resumed, and added to a finished run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.config import Config
from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_records
from saywhy.measure.calibration import ensure_constants
from saywhy.measure.predict import Classifier
from saywhy.progress import progress
from saywhy.protocol import prompts
from saywhy.records import CounterfactualGrid, Example, Operator, Record, Row, SaywhyError, Table
from saywhy.robustness import probes, rejudge, sets
from saywhy.robustness.audited import AuditedText, audited_texts
from saywhy.robustness.variants import variant_sentences, variants
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import candidates


class Checks:
    """The checks of one audited arm.

    Attributes:
        arm: Name of the arm.
        seed: Seed of the run.
        config: The settings.
        corpus: The texts.
        pinned: The counterfactual's words, by named label.
        classifier: Loads the arm; called only if something has to be computed.
        folder: The run folder, in which the arm is audited.
    """

    def __init__(
        self,
        arm: str,
        seed: int,
        config: Config,
        corpus: Corpus,
        pinned: Pinned,
        classifier: Callable[[], Classifier],
        folder: RunFolder,
    ) -> None:
        self.arm, self.seed, self.config, self.corpus, self.pinned = arm, seed, config, corpus, pinned
        self.classifier, self.folder = classifier, folder
        self.where = f"seed-{seed}/{arm}"
        self.operator: Operator = config.operators[0]

    def run(self) -> None:
        """Run every check that the settings name and the folder does not hold."""
        variations = variants(self.corpus.task, self.config.robustness)
        self._note(variations)
        for name, task in variations.items():
            if not self._done(name):
                self._constants(name, task)
            self._stage(name, partial(self.variant, name=name, task=task))
        checks: dict[str, Callable[[Sequence[AuditedText]], Sequence[Record]]] = {
            "unseen-wording": self.asked_anew,
            "noise": self.noise,
            "k-curve": self.curves,
            "minimality": self.spares,
            "rewrite": self.rewrites,
            "wrong-target": self.wrong_targets,
        }
        for name, compute in checks.items():
            if self.config.has_check(name):
                self._stage(name, compute)

    def _note(self, variations: dict[str, Task]) -> None:
        """Keep in ``run.json`` what the checks ask; other sentences than before would be another check."""
        asked = variant_sentences(variations)
        before = self.folder.manifest.get("variants", {})
        for name, now in asked.items():
            if before.get(name, now) != now:
                raise SaywhyError(
                    f"{self.folder.path} holds {name} with other sentences ({before[name]['question']!r}): "
                    "choose another folder with out=FOLDER, or restore the task's YAML"
                )
        robustness = [*self.folder.manifest["config"].get("robustness", []), *self.config.robustness]
        self.folder.note(
            config={"robustness": list(dict.fromkeys(robustness))},
            variants=asked,
            checks={
                name: text
                for check, sentences in prompts.check_prompt_sentences(self.config.plan).items()
                if self.config.has_check(check)
                for name, text in sentences.items()
            },
        )

    def _stage(self, name: str, compute: Callable[[Sequence[AuditedText]], Sequence[Record]]) -> None:
        if self._done(name):
            return
        where, examples = f"{self.where}/robustness", self.corpus.audited

        def check(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            texts = [self.texts[example.id] for example in part if example.id in self.texts]
            records = compute(texts)
            bar.tick(len(texts))
            return {name: [record.to_dict() for record in records]}

        with (
            self.folder.timed(f"{name} {self.arm}"),
            progress(f"{name} {self.arm}, seed {self.seed}", len(examples), shared=True) as bar,
        ):
            self.folder.stage_over(where, (name,), examples, self.config.chunk, check, bar.skip)

    def _done(self, name: str) -> bool:
        return self.folder.done(f"{self.where}/robustness", (name,))

    @cached_property
    def texts(self) -> dict[str, AuditedText]:
        """What the audit of this arm says, by text."""
        folder = self.folder.path / self.where
        rows = read_records(folder / "rows.jsonl", Row)
        tables = read_records(folder / "tables.jsonl", Table)
        grids = read_records(folder / "grids.jsonl", CounterfactualGrid)
        return audited_texts(self.corpus.audited, rows, tables, grids, self.operator)

    @cached_property
    def counts(self) -> Counter[str]:
        """In how many texts of the lexicon each word stands."""
        return Counter(word.key for text in self.corpus.lexicon for word in candidates(text.text))

    def variant(self, texts: Sequence[AuditedText], name: str, task: Task) -> list[Judged]:
        """Judge the one-word explanations by the predictions of the task asked another way."""
        classifier = Classifier(self.classifier().model, task, self._constants(name, task))
        return rejudge.judged_by(classifier, texts, name, self.operator, self.pinned)

    def _constants(self, name: str, task: Task) -> dict[str, float]:
        """Return the calibration constants of the task asked another way."""
        path, texts = f"{self.where}/robustness/{name}-constants.json", self.corpus.calibration
        stage = f"calibrate {self.arm} on {name}"
        return ensure_constants(self.folder, path, task, texts, lambda: self.classifier().model, self.config, stage)

    def asked_anew(self, texts: Sequence[AuditedText]) -> list[Judged]:
        """Ask for the explanations again, in wordings that are never practised."""
        return rejudge.asked_anew(self.classifier(), texts, self.operator, self.pinned)

    def noise(self, texts: Sequence[AuditedText]) -> list[Judged]:
        """Recheck the unchanged and the edited texts in batches of another composition."""
        return rejudge.rechecked(self.classifier(), texts)

    def curves(self, texts: Sequence[AuditedText]) -> list[Curve]:
        """Take out 1, 2, 3, 5 words: the ones with the highest scores, random ones, the greedy best."""
        return sets.curves(self.classifier(), texts, self.operator, self.seed, self.counts)

    def spares(self, texts: Sequence[AuditedText]) -> list[Spare]:
        """Put each word of a free explanation that hits back, and see whether the rest still hits."""
        return sets.spares(self.classifier(), texts, self.operator)

    def rewrites(self, texts: Sequence[AuditedText]) -> list[Probe]:
        """Ask for other words of the same meaning."""
        return probes.rewrites(self.classifier(), texts)

    def wrong_targets(self, texts: Sequence[AuditedText]) -> list[Probe]:
        """Ask for a counterfactual towards the answer that was given."""
        return probes.wrong_targets(self.classifier(), texts)


def refuse_checks(config: Config, task: Task) -> None:
    """Say before anything is computed which checks the task cannot have.

    Raises:
        SaywhyError: If a check is named for which the task lacks something.
    """
    variants(task, config.robustness)
