"""A study on disk whose truth is planted (planted_study)."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planted_study import BARS, PLANTS, TASKS, TRAINED, UNSEEN, Plant
from saywhy import words
from saywhy.records import STYLES, CounterfactualGrid, Decision, Example, Record, Row, SetAside, Table
from saywhy.report.study.page import study_page
from saywhy.report.study.parts import last_parts, parts_of
from saywhy.report.study.summary import StudySummary

_WORDS = {
    "films": "the plot of this quiet film about two sailors felt warm slow bold and rather long",
    "trains": "our morning train from the coast to town stood still near a bridge for some time",
    "meals": "they served soup with fresh bread under old trees while rain fell on cold plates",
}


def texts_of(task: str, n: int) -> list[Example]:
    """Return ``n`` different texts of 5 to 13 words."""
    stock, luck = _WORDS[task].split(), random.Random(task)
    found: dict[str, Example] = {}
    while len(found) < n:
        text = " ".join(luck.sample(stock, luck.randint(5, 13))).capitalize() + "."
        context = {"station": "Harbour"} if task == "trains" else {}
        ident = hashlib.sha256(text.encode()).hexdigest()[:16]
        found[ident] = Example(ident, text, context, luck.choice(TASKS[task]))
    return list(found.values())


@dataclass(frozen=True)
class _Text:
    """A text as one model sees it."""

    example: Example
    keys: tuple[str, ...]
    decisive: frozenset[str]
    label: str
    other: str
    margin: float

    def row(self, arm: str, seed: int, task: str, style: str, setting: str, readout: str) -> dict[str, object]:
        return {
            "id": self.example.id, "task": task, "arm": arm, "seed": seed, "style": style, "setting": setting,
            "readout": readout, "operator": "redact", "gold": self.example.label, "prediction": self.label,
            "raw_prediction": self.label, "margin": self.margin,
            "named": self.other if style == "counterfactual" else None,
        }  # fmt: skip


def _seen(task: str, plant: Plant, seed: int, example: Example) -> _Text:
    """Decide what moves the model: the same words in every arm, more of them in a brittle one."""
    keys = tuple(word.key for word in words.candidates(example.text))
    luck = random.Random(f"{seed} {example.id}")
    chance, order = luck.random(), luck.sample(keys, len(keys))
    decisive = frozenset(order[: plant.deciding]) if chance < plant.able else frozenset()
    wrong = [label for label in TASKS[task] if label != example.label]
    # Right or wrong by one number a text and seed: arms of one accuracy agree fully, two seeds only now and then.
    right = luck.random() < plant.accuracy
    label = str(example.label) if right else wrong[0]
    other = next(one for one in TASKS[task] if one != label)
    return _Text(example, keys, decisive, label, other, 0.3 + 2.5 * chance)


def _table(seen: _Text) -> Table:
    labels = tuple(seen.other if key in seen.decisive else seen.label for key in seen.keys)
    drops = tuple(seen.margin + 0.4 if key in seen.decisive else 0.05 for key in seen.keys)
    return Table(seen.example.id, "redact", seen.label, seen.margin, seen.keys, labels, drops)


def _grid(seen: _Text) -> CounterfactualGrid:
    edits = [(key, word) for key in seen.keys for word in ("brilliant", "dreadful")]
    labels = tuple(seen.other if key in seen.decisive else seen.label for key, _ in edits)
    drops = tuple(seen.margin + 0.4 if key in seen.decisive else 0.05 for key, _ in edits)
    return CounterfactualGrid(
        seen.example.id, seen.other, tuple(k for k, _ in edits), tuple(w for _, w in edits), labels, drops
    )


REASONS = ("empty reply", "the text was changed elsewhere: 3 words", "named no such word")


def _row(seen: _Text, plant: Plant, arm: str, seed: int, task: str, style: str, setting: str, readout: str) -> Row:
    luck = random.Random(f"{arm} {seed} {seen.example.id} {style} {setting} {readout}")
    skill = plant.free if setting == "free" else plant.skill.get((task, style), 0.0)
    valid = readout == "constrained" or luck.random() < plant.valid
    lucky = seen.decisive and luck.random() < skill
    word = sorted(seen.decisive)[0] if lucky else luck.choice(seen.keys)
    hit = valid and word in seen.decisive
    stand_in = "dreadful" if style == "counterfactual" else words.REDACTED_MARK
    edited = words.take_out(seen.example.text, {word}, stand_in)
    return Row.from_dict(
        {
            **seen.row(arm, seed, task, style, setting, readout),
            "reply": (edited if valid else "I would rather not say.") if readout == "generated" else None,
            "words": (word,) if valid else (),
            "inserted": ("dreadful",) if valid and style == "counterfactual" else (),
            "edited": edited if valid else None,
            "reason": None if valid else luck.choice(REASONS),
            "recheck": (seen.other if hit else seen.label) if valid else None,
            "drop": (seen.margin + 0.4 if hit else 0.05) if valid else None,
            "hit": hit,
            "floor": len(seen.decisive) / len(seen.keys),
            "ceiling": bool(seen.decisive),
        }
    )


def _lines(path: Path, records: Iterable[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in records), encoding="utf-8")


def _json(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")


DECIDED = 600
"""Texts of a split on which decisions are made."""

CELLS = (("one-word", "constrained"), ("one-word", "generated"), ("free", "generated"))


def _measure(folder: Path, task: str, arm: str, seed: int, n: int) -> None:
    """Write what one arm said and decided on one task."""
    plant, place = PLANTS[arm], folder / "tasks" / task / f"seed-{seed}" / arm
    examples = texts_of(task, DECIDED)
    seen = [_seen(task, plant, seed, example) for example in examples]
    rows = [
        _row(one, plant, arm, seed, task, style, setting, readout)
        for setting, readout in CELLS
        for style in STYLES
        for one in seen[:n]
    ]
    _lines(place / "rows.jsonl", rows)
    _lines(place / "tables.jsonl", [_table(one) for one in seen[:n]])
    _lines(place / "grids.jsonl", [_grid(one) for one in seen[:n]])
    decisions = [
        Decision(one.example.id, task, arm, seed, one.example.label, one.label, one.label, one.margin) for one in seen
    ]
    _lines(place / "decisions.jsonl", decisions)


def _model(folder: Path, arm: str, seed: int) -> None:
    plant, luck = PLANTS[arm], random.Random(f"{arm} {seed} kept")
    instructions = [hashlib.sha256(f"replay {at}".encode()).hexdigest()[:16] for at in range(24)]
    asked = [hashlib.sha256(f"plain {at}".encode()).hexdigest()[:16] for at in range(12)]
    plain = [luck.random() < plant.plain for _ in asked]
    losses = [plant.loss + 0.02 * at + 0.01 * luck.random() for at in range(len(instructions))]
    _json(
        folder / "models" / f"seed-{seed}" / arm / "retention.json",
        {
            "replay": {"n": len(losses), "ids": instructions, "losses": losses},
            "plain": {
                "n": len(asked), "asked": asked, "plain": plain,
                "reasons": [None if fine else "one word" for fine in plain],
            },
        },
    )  # fmt: skip


def arm_facts(name: str) -> dict[str, object]:
    """Return what ``study.json`` says of an arm."""
    sort, styles, tasks = name.split(".")
    kind, _, variant = sort.partition("-")
    return {
        "kind": kind,
        "variant": variant,
        "styles": list(STYLES) if styles == "all" else styles.split("+"),
        "tasks": list(TRAINED) if tasks == "all" else tasks.split("+"),
        "with": dict(PLANTS[name].settings),
    }


def _plan(seeds: tuple[int, ...]) -> dict[str, object]:
    block = {
        "name": "main", "arms": ["base", "adapted", "faithful", "random"], "train_styles": [list(STYLES)],
        "train_tasks": "each", "test_tasks": "own", "seeds": list(seeds), "settings": ["one-word", "free"],
        "readouts": ["constrained", "generated"], "with": {},
    }  # fmt: skip
    part = {
        "block": "main", "arm": "faithful", "against": "random", "styles": list(STYLES), "setting": "one-word",
        "readout": "constrained", "direction": "higher",
    }  # fmt: skip
    return {
        "name": "planted", "about": "A study whose truth is known.", "model": "toy", "data": "nowhere",
        "tasks": list(TRAINED), "unseen": list(UNSEEN), "seeds": list(seeds), "blocks": [block],
        "confirmatory": [part], "bars": BARS, "with": {"rows": 60, "train_rows": 160, "operators": ["redact"]},
    }  # fmt: skip


def frozen() -> dict[str, object]:
    """Return the content of ``frozen.json``."""
    cells = [
        {
            "task": task, "arm": f"faithful.all.{task}", "against": f"random.all.{task}", "style": style,
            "setting": "one-word", "readout": "constrained", "operator": "redact", "direction": "higher",
        }
        for task in TRAINED
        for style in STYLES
    ]  # fmt: skip
    rest = {
        "cells": cells,
        "exclusions": {"most_words": None, "set_aside": "texts that do not fit the context; the same in every arm"},
        "tests": {
            "difference": "paired difference of mean excess, sign flips over texts", "correction": "Holm",
            "alpha": 0.05, "accuracy_loss": 0.02, "agreement_loss": 0.02,
        },
    }  # fmt: skip
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {"hash": hashlib.sha256(text.encode()).hexdigest(), **rest}


def write_study(folder: Path, n: int = 60, seeds: tuple[int, ...] = (0, 1), arms: Iterable[str] = PLANTS) -> Path:
    """Write the planted study; ``arms`` are those that were measured so far."""
    names = [name for name in PLANTS if "." in name]
    _json(
        folder / "study.json",
        {
            "schema": 1, "plan": _plan(seeds), "arms": {name: arm_facts(name) for name in names},
            "model": {"name": "toy", "fingerprint": "0" * 16, "note": "a rule, no network", "dtype": "float32"},
            "versions": {"python": "3.11", "numpy": "2"}, "git": "abc1234",
            "prompts": {"attribution, one-word": "Which word decided?"}, "data": {"films": {"rows": "f" * 16}},
            "seconds": {f"train {name} seed 0": 120.5 for name in names} | {"predict films": 30.0},
        },
    )  # fmt: skip
    _json(folder / "frozen.json", frozen())
    for task, labels in TASKS.items():
        place = folder / "tasks" / task
        measured = [arm for arm in arms if task in (PLANTS[arm].tasks or ())]
        for arm in measured:
            for seed in PLANTS[arm].seeds or seeds:
                _measure(folder, task, arm, seed, n)
        _lines(place / "texts.jsonl", texts_of(task, n))
        _lines(place / "set_aside.jsonl", [SetAside("x", task, "fewer than two words")])
        _json(
            place / "run.json",
            {
                "schema": 1, "config": {"operators": ["redact"], "rows": n}, "arms": measured,
                "task": {"name": task, "labels": {label: label for label in labels}, "noun": "text"},
            },
        )  # fmt: skip
    for arm in arms:
        for seed in PLANTS[arm].seeds or seeds:
            _model(folder, arm, seed)
    return folder


def bare_page(summary: StudySummary) -> str:
    """Return the page without its pictures, which take the most time."""
    return study_page(summary, parts_of(summary), last_parts(summary), [])
