"""One run: arms of one model on one task, made, audited and kept, in an order that can stop anywhere.

Each step asks the run folder what is there. A killed run repeats at most one chunk, and gives the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from saywhy import lessons, targets
from saywhy.audit import Plan, decide, decision, usable
from saywhy.audit import audit as audit_texts
from saywhy.config import Config, resolved
from saywhy.corpus import Corpus, assemble, associate, pin, refuse_empty
from saywhy.edits import Item, Pinned
from saywhy.lexicon import Associations
from saywhy.manifest import facts
from saywhy.models.spec import CONSTANTS_FILE
from saywhy.predict import Classifier, calibrate
from saywhy.progress import progress, say
from saywhy.records import STYLES, Example, Row, SaywhyError, SetAside
from saywhy.robustness import Checks, refuse
from saywhy.shelf import Shelf
from saywhy.store import RunFolder, read_json, read_lines, write_json, write_lines
from saywhy.targets import Picks

AUDIT_FILES = ("rows", "tables", "grids")
AUDITED = "audited"
"""Name of the only arm of ``saywhy audit``."""


class Study:
    """A run in the making.

    Attributes:
        config: The settings.
        folder: Where everything goes.
        shelf: Its models.
        spec: The model as downloaded.
    """

    def __init__(
        self, config: Config, out: Path, *, arms: Sequence[str] | None = None, shelf: Shelf | None = None
    ) -> None:
        self.config = config
        self.arms = tuple(arms or config.arms)
        self.shelf = shelf or Shelf(config)
        self.spec = self.shelf.spec
        self.corpus: Corpus = assemble(config)
        self._refuse_unlabelled()
        refuse(config, self.corpus.task)
        self.folder = RunFolder(out, resolved(config), facts(config, self.spec, self.corpus, self.arms))
        self._screen()

    def run(self) -> Path:
        """Make and audit every arm, for every seed; return the run folder."""
        self.write_texts()
        for seed in self.config.seeds:
            for arm in self.arms:
                if arm in ("base", AUDITED) and seed != self.config.seeds[0]:
                    continue  # nothing in it depends on the seed
                self.make(arm, seed)
                self.audit(arm, seed)
                self.check(arm, seed)
        return self.folder.path

    def make(self, arm: str, seed: int) -> Path | None:
        """Train ``arm`` if it is not there; return its adapter's folder, None for the model as downloaded."""
        if arm in ("base", AUDITED):
            return None
        adapter = self.folder.path / f"seed-{seed}" / arm / "adapter"
        if (adapter / CONSTANTS_FILE).is_file():
            return adapter
        start = None if arm == "adapted" else self.make("adapted", seed)
        rows = self.adapt_rows(seed) if arm == "adapted" else self.arm_rows(arm, seed)
        write_lines(adapter.parent / "training.jsonl", rows)
        with self.folder.timed(f"train {arm}"), progress(f"train {arm}, seed {seed}", 1, "steps") as bar:
            self.shelf.train(rows, start, adapter, seed, bar.of)
        return adapter

    def audit(self, arm: str, seed: int) -> None:
        """Audit ``arm`` and measure its decisions, chunk by chunk."""
        where = f"seed-{seed}/{arm}"
        examples = self.corpus.audited
        size = self.config.chunk
        plan = self.plan(arm, seed)

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = examples[number * size : (number + 1) * size]
            found = audit_texts(self.classifier(arm, seed), part, plan, bar.tick)
            return {
                "rows": [one.to_dict() for one in found.rows],
                "tables": [one.to_dict() for one in found.tables],
                "grids": [one.to_dict() for one in found.grids],
            }

        if not self.folder.done(where, AUDIT_FILES):
            with self.folder.timed(f"audit {arm}"), progress(f"audit {arm}, seed {seed}", len(examples)) as bar:
                self.folder.stage(where, AUDIT_FILES, -(-len(examples) // size), chunk)
        self._decide(arm, seed, where)

    def check(self, arm: str, seed: int) -> None:
        """Run the robustness checks of an audited arm."""
        if self.config.robustness:
            load_arm = partial(self.classifier, arm, seed)
            Checks(arm, seed, self.config, self.corpus, self.pinned, load_arm, self.folder).run()

    def _decide(self, arm: str, seed: int, where: str) -> None:
        size, decided = 10 * self.config.chunk, self.corpus.decided
        # What was predicted to be explained is not predicted again.
        rows = (Row.from_dict(line) for line in read_lines(self.folder.path / where / "rows.jsonl"))
        known = {row.id: decision(row) for row in rows}

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = decided[number * size : (number + 1) * size]
            new = [one for one in part if one.id not in known]
            found = dict(known) | {one.id: one for one in decide(self.classifier(arm, seed), new, arm, seed, bar.tick)}
            bar.tick(len(part) - len(new))
            return {"decisions": [found[one.id].to_dict() for one in part]}

        if not self.folder.done(where, ("decisions",)):
            with self.folder.timed(f"decide {arm}"), progress(f"decide {arm}, seed {seed}", len(decided)) as bar:
                self.folder.stage(where, ("decisions",), -(-len(decided) // size), chunk)

    def classifier(self, arm: str, seed: int) -> Classifier:
        """Return ``arm`` as a calibrated classifier; its constants are measured once and kept."""
        adapter = self.make(arm, seed)
        model, task = self.shelf.model(adapter), self.corpus.task

        def constants() -> dict[str, float]:
            if not adapter and (travelled := self.spec.travelled(task.name)):
                return travelled.constants
            with (
                self.folder.timed(f"calibrate {arm}"),
                progress(f"calibrate {arm}", len(self.corpus.calibration)) as bar,
            ):
                return calibrate(model, task, self.corpus.calibration, bar.tick)

        kept = self.folder.json(f"seed-{seed}/{arm}/constants.json", constants)
        if adapter:
            self._ship(adapter, kept)
        return Classifier(model, task, kept)

    def arm_rows(self, arm: str, seed: int) -> list[dict[str, Any]]:
        """Return the training rows of an arm: the same texts for all, other words."""
        return self.lesson(arm, seed, self.config, *self.practised(seed))

    def lesson(
        self, kind: str, seed: int, config: Config, items: Sequence[Item], faithful: Sequence[Picks]
    ) -> list[dict[str, Any]]:
        """Return what an arm of ``kind`` learns from ``items`` with the settings of ``config``."""
        picks = self.picks(kind, seed, items, faithful)
        rows = lessons.of_arm(config, self.corpus.task, items, faithful, picks)
        if config.format_share:
            texts = len({row["id"] for row in rows})
            rows += lessons.rehearsal(self.adapt_rows(seed), config.train_styles, texts, config.format_share, seed)
        return rows

    def picks(self, kind: str, seed: int, items: Sequence[Item], faithful: Sequence[Picks]) -> Sequence[Picks]:
        """Return the words that an arm of ``kind`` explains ``items`` with."""
        if kind == "random":
            return targets.at_random(items, self.pinned, seed + 1)
        if kind == "lexical":
            return targets.lexical(items, self.associations, self.pinned, seed)
        if kind == "transplant":
            words = self.donated([item.example for item in items])
            same = sum(one["attribution"].words == (word,) for one, word in zip(faithful, words, strict=True))
            self.folder.note(donor={"model": self.config.donor or self.config.model, f"same word, seed {seed}": same})
            say(f"the donor names the same word in {same} of {len(items)} texts{lessons.doubt(same, len(items))}")
            return targets.named(items, words, self.pinned, seed)
        return faithful

    def practised(self, seed: int) -> tuple[list[Item], list[Picks]]:
        """Return the arms' texts with adapted's predictions and its pseudo-faithful explanations, made once."""
        return self.explained("adapted", seed, self.corpus.arms, f"seed-{seed}", "targets")

    def explained(
        self, arm: str, seed: int, examples: Sequence[Example], where: str, name: str
    ) -> tuple[list[Item], list[Picks]]:
        """Return texts with the predictions of ``arm`` and its pseudo-faithful explanations, made once.

        Args:
            arm: Who predicts and explains.
            seed: Its seed.
            examples: The texts.
            where: Folder of the stage, below the run folder.
            name: Stem of its files.
        """
        size = self.config.chunk

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = examples[number * size : (number + 1) * size]
            found = lessons.pseudo_faithful(self.classifier(arm, seed), part, self.pinned, self.config.infill_words)
            bar.tick(len(part))
            return {name: [lessons.to_line(*one) for one in zip(*found, strict=True)]}

        if not self.folder.done(where, (name,)):
            with self.folder.timed("targets"), progress(f"targets, seed {seed}", len(examples)) as bar:
                self.folder.stage(where, (name,), -(-len(examples) // size), chunk)
        by_id = {one.id: one for one in examples}
        lines = read_lines(self.folder.path / where / f"{name}.jsonl")
        found = [lessons.from_line(line, by_id) for line in lines]
        rates = {style: sum(bool(one[style].hit) for _, one in found) / len(found) for style in STYLES}
        write_json(self.folder.path / where / f"{name}.json", {"n": len(found), "hits": rates})
        return [item for item, _ in found], [picks for _, picks in found]

    def donated(self, examples: Sequence[Example]) -> list[str]:
        """Return the words that the donor (the model as downloaded unless another is set) would name, computed once."""
        where, size = f"seed-{self.config.seeds[0]}", self.config.chunk
        pool = self.corpus.arms

        def donor() -> Classifier:
            if self.config.donor is None:
                return self.classifier("base", self.config.seeds[0])
            model, task = self.shelf.model(self.config.donor), self.corpus.task
            kept = self.folder.json(
                f"{where}/donor-constants.json", lambda: calibrate(model, task, self.corpus.calibration)
            )
            return Classifier(model, task, kept)

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = pool[number * size : (number + 1) * size]
            words = lessons.top_words(donor(), part)
            bar.tick(len(part))
            return {"donor": [{"id": one.id, "word": word} for one, word in zip(part, words, strict=True)]}

        if not self.folder.done(where, ("donor",)):
            with self.folder.timed("donor"), progress("donor's words", len(pool)) as bar:
                self.folder.stage(where, ("donor",), -(-len(pool) // size), chunk)
        words = {line["id"]: line["word"] for line in read_lines(self.folder.path / where / "donor.jsonl")}
        return [words[one.id] for one in examples]

    def adapt_rows(self, seed: int) -> list[dict[str, Any]]:
        """Return the training rows of ``adapted``."""
        classifier, examples = self.classifier("base", self.config.seeds[0]), self.corpus.adapt
        items = [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]
        return lessons.of_adapted(self.config, self.corpus.task, items, self.pinned, seed)

    def _ship(self, adapter: Path, constants: Mapping[str, float]) -> None:
        """Write what travels with the adapter: constants and pinned words, by task."""
        path = adapter / CONSTANTS_FILE
        told = read_json(path)
        task = self.corpus.task.name
        mine = {
            "constants": dict(constants),
            "pinned": {label: list(words) for label, words in self.pinned.items()},
        }
        if told.get("tasks", {}).get(task) != mine:
            told.setdefault("tasks", {})[task] = mine
            write_json(path, told)

    def plan(self, arm: str, seed: int) -> Plan:
        """Return what the audit of an arm asks for."""
        config = self.config
        return Plan(arm, self.pinned, config.styles, config.settings, config.readouts, config.operators, seed)

    def _refuse_unlabelled(self) -> None:
        """Say before anything is computed that gold labels are missing."""
        unlabelled = sum(one.label is None for one in self.corpus.adapt)
        if unlabelled and self.config.adapt_labels == "gold" and set(self.arms) - {"base", AUDITED}:
            raise SaywhyError(f"{unlabelled} training rows have no label: run with adapt_labels=formats")

    def _screen(self) -> None:
        """Set aside the texts that cannot be put to the model; the same in every arm, for all share a tokenizer."""

        def objections() -> list[dict[str, Any]]:
            model, task = self.shelf.model(None), self.corpus.task
            plain = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
            texts = {one.id: one for pool in self.corpus.pools().values() for one in pool}
            return [one.to_dict() for one in usable(plain, list(texts.values()))[1]]

        aside = [SetAside.from_dict(one) for one in self.folder.json("screened.json", objections)]
        self.corpus = self.corpus.without(aside)
        self.folder.note(counts={name: len(pool) for name, pool in self.corpus.pools().items()})
        refuse_empty(self.corpus, self.config)

    def write_texts(self) -> None:
        """Write the explained texts and those set aside, once."""
        for name, records in (("texts", self.corpus.audited), ("set_aside", self.corpus.set_aside)):
            path = self.folder.path / f"{name}.jsonl"
            if not path.is_file():
                write_lines(path, (one.to_dict() for one in records))

    @cached_property
    def associations(self) -> Associations:
        """Words' associations with labels: gold ones, else those that the model as downloaded predicts."""
        labels: list[str | None] = [one.label for one in self.corpus.lexicon]
        if any(label is None for label in labels):
            path = f"seed-{self.config.seeds[0]}/lexicon-labels.json"
            labels = self.folder.json(path, self._predicted_labels)
        return associate(self.corpus, labels)

    def _predicted_labels(self) -> list[str | None]:
        """Return the model's own labels for as many lexicon texts as there are calibration texts."""
        classifier = self.classifier(self.arms[0] if self.arms[0] == AUDITED else "base", self.config.seeds[0])
        some = self.corpus.lexicon[: 2 * len(self.corpus.calibration)]
        found: list[str | None] = [one.label for one in classifier.predict_examples(some)]
        return found + [None] * (len(self.corpus.lexicon) - len(some))

    @cached_property
    def pinned(self) -> Pinned:
        """The counterfactual's candidate words: those that travel with an audited adapter, else the corpus's."""
        if travelled := self.spec.travelled(self.corpus.task.name):
            return travelled.pinned
        return pin(self.corpus, self.associations, self.config.pinned_words)
