"""A released run: its records without words of the texts, its manifest without paths."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.attribution.scores import WordScores
from saywhy.bank.leaks import EXAMPLES_SUBFOLDER
from saywhy.bank.mask import BankKey, Mask, MaskedLine, short_reason
from saywhy.bank.paths import portable
from saywhy.checks import Judged
from saywhy.folders.checksums import CHECKSUMS_FILE, refuse_damage, seal
from saywhy.folders.run import START_FILES
from saywhy.folders.store import GZIP_SUFFIX, existing_file, read_lines, read_object, write_json, write_lines
from saywhy.models.shipped import ADAPTER_MANIFEST, read_shipped
from saywhy.progress import say
from saywhy.records import (
    CounterfactualGrid,
    Decision,
    Example,
    Prediction,
    Record,
    Row,
    SaywhyError,
    SetAside,
    Table,
)
from saywhy.report.arm_records import CHECK_RECORDS, USUAL_CHECK_RECORD, records_of
from saywhy.report.load import HELDOUT_LOSS, LOSS_FILES, losses_of, target_count_files
from saywhy.stats.sentences import SampledReply, SentenceScores
from saywhy.tasks.parts import OwnPrompt
from saywhy.training.lessons import Target
from saywhy.words import candidates_rule

BANK_VERSION = 1
"""Version of the form of a bank; ``bank`` in its ``run.json`` and ``study.json``."""

ARM_FILES: Mapping[str, type[Record]] = {
    "rows": Row,
    "tables": Table,
    "grids": CounterfactualGrid,
    "decisions": Decision,
    "samples": SampledReply,
    "sentences": SentenceScores,
    **{stem: Judged for [stem] in START_FILES.values()},
}
"""The files of records in an arm's folder, by name."""


def release_run(folder: Path, out: Path, key: BankKey) -> list[str]:
    """Release a run; return the texts behind it."""
    refuse_damage(folder / "run.json")
    manifest = read_object(folder / "run.json")
    pinned_lists = _pinned_lists(folder)
    pinned = frozenset(word for words in pinned_lists.values() for word in words)
    hashes: dict[str, str | None] = manifest.get("data") or {}
    data = {name: key.hashed(name, plain)[:16] if plain else None for name, plain in hashes.items()}
    write_json(
        out / "run.json",
        {**portable(manifest), **({"data": data} if data else {}), "bank": BANK_VERSION, "pinned": pinned_lists},
    )
    examples = {example.id: example for example in records_of(folder / "texts.jsonl", Example)}
    rule = candidates_rule(manifest)
    masks = {example.id: Mask.of(example.text, pinned, key, rule) for example in examples.values()}
    if examples:
        write_lines(
            out / f"texts.jsonl{GZIP_SUFFIX}",
            (_masked_example(example, masks[example.id]) for example in examples.values()),
        )
    set_aside = records_of(folder / "set_aside.jsonl", SetAside)
    if existing_file(folder / "set_aside.jsonl"):
        lines = (
            {**record.to_dict(), **short_reason(record.to_dict()), "id": key.id(record.id)} for record in set_aside
        )
        write_lines(out / f"set_aside.jsonl{GZIP_SUFFIX}", lines)
    texts = [text for example in examples.values() for text in (example.text, *example.context.values())]
    task = manifest.get("task") or {}
    for seed_folder in sorted(folder.glob("seed-*/")):
        practised: dict[str, str] = {}
        for arm_folder in sorted(seed_folder.glob("*/")):
            _release_arm(arm_folder, out / seed_folder.name / arm_folder.name, masks, key)
            practised |= training_texts(arm_folder / "training.jsonl", [task])
        texts += practised.values()
        training_masks = {name: Mask.of(text, pinned, key, rule) for name, text in practised.items()}
        _release_targets(seed_folder, out / seed_folder.name, training_masks | masks, key)
    _release_scores(folder / "attribution", out / "attribution", masks)
    copy_examples(folder, out)
    seal(out)
    return texts


def _masked_example(example: Example, mask: Mask) -> MaskedLine:
    """Return the record of a text without its words: its id, its label, and the number of candidates."""
    masked = {**mask.line(example.to_dict()), "text": "", "context": {}}
    return {**masked, "words": len(mask.indices)}


def _pinned_lists(folder: Path) -> dict[str, list[str]]:
    """Return the words that counterfactuals may insert, by named label, from the grids and the adapters."""
    pinned: dict[str, dict[str, None]] = {}
    for path in sorted(folder.glob(f"seed-*/*/adapter/{ADAPTER_MANIFEST}")):
        for constants in read_shipped(path.parent).get("tasks", {}).values():
            for label, words in constants.get("pinned", {}).items():
                pinned.setdefault(label, {}).update(dict.fromkeys(words))
    for path in sorted(folder.glob("seed-*/*/grids.jsonl")):
        for grid in records_of(path, CounterfactualGrid):
            pinned.setdefault(grid.named, {}).update(dict.fromkeys(grid.inserted))
    return {label: sorted(words) for label, words in sorted(pinned.items())}


def _release_arm(arm_folder: Path, out: Path, masks: Mapping[str, Mask], key: BankKey) -> None:
    """Release the records, robustness checks and calibration constants of one arm."""
    for path in arm_files(arm_folder):
        where = out / path.relative_to(arm_folder)
        if path.suffix == ".jsonl":
            kind = ARM_FILES.get(path.stem) or CHECK_RECORDS.get(path.stem, USUAL_CHECK_RECORD)
            write_lines(where.with_name(where.name + GZIP_SUFFIX), _masked_lines(path, kind, masks, key))
        elif path not in target_count_files(arm_folder):
            write_json(where, read_object(path))
    release_losses(arm_folder, out)


def release_losses(arm_folder: Path, out: Path) -> None:
    """Release how the loss of an arm's practice went: the steps and losses, no more."""
    losses = losses_of(arm_folder / "adapter")
    for path in loss_files(arm_folder):
        key = LOSS_FILES[path.name]
        entries = [{"step": loss.step, key: loss.loss} for loss in losses if loss.heldout == (key == HELDOUT_LOSS)]
        write_json(out / path.relative_to(arm_folder), entries)


def loss_files(arm_folder: Path) -> list[Path]:
    """Return the files on an arm's losses that there are, in a run or in a bank."""
    return [path for name in LOSS_FILES if (path := arm_folder / "adapter" / name).is_file()]


def arm_files(arm_folder: Path) -> list[Path]:
    """Return the files of an arm, in a run or in a bank, that are part of a bank; the order is always the same."""
    records = [existing_file(arm_folder / f"{name}.jsonl") for name in ARM_FILES]
    checks = arm_folder / "robustness"
    return [
        *(path for path in records if path),
        *sorted(path for ending in ("", GZIP_SUFFIX) for path in checks.glob(f"*.jsonl{ending}")),
        *sorted(path for folder in (arm_folder, checks) for path in folder.glob("*constants.json")),
        *target_count_files(arm_folder),
    ]


def _masked_lines(path: Path, kind: type[Record], masks: Mapping[str, Mask], key: BankKey) -> Iterator[MaskedLine]:
    for record in records_of(path, kind):
        line = record.to_dict()
        if kind is not Decision and line["id"] not in masks:
            raise SaywhyError(f"{path}: {_missing_text(line['id'])}")
        yield {**line, "id": key.id(line["id"])} if kind is Decision else masks[line["id"]].line(line)


def training_texts(path: Path, tasks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the texts of training rows by id.

    Args:
        path: The rows.
        tasks: The tasks that they may be of, as ``run.json`` has them. Of a turn that is of none of their prompts (as
            in a version before) everything behind the question is taken.
    """
    texts: dict[str, str] = {}
    for row in read_lines(path, "id", "prompt", "completion") if path.is_file() else ():
        turn = next(turn["content"] for turn in row["prompt"] if turn["role"] == "user")
        if row.get("style") == "replay":
            texts[f"{row['id']} {len(texts)}"] = f"{turn}\n{row['completion'][0]['content']}"
        elif row["id"] not in texts:
            # The first row of a text holds it as it is; those of an anchor hold edited ones, under the same id.
            readings = filter(None, (_text_of_turn(task, turn) for task in tasks))
            texts[str(row["id"])] = next(readings, turn.partition("\n")[2] or turn)
    return texts


def _text_of_turn(task: Mapping[str, Any], turn: str) -> str | None:
    """Return the explained text of a user's turn that asks a task, by its own prompt or by the usual one."""
    if task.get("prompt"):
        text = OwnPrompt(**task["prompt"]).read(turn, task["text"], task.get("context", ()))
        if text is not None:
            return text
    before = f"\n{str(task.get('noun', '')).capitalize()}: "
    return str(turn.partition(before)[2]) or None


def _release_targets(seed_folder: Path, out: Path, masks: Mapping[str, Mask], key: BankKey) -> None:
    """Release the pseudo-faithful words of the training texts, and how often they hit."""
    for path in target_count_files(seed_folder):
        write_json(out / path.relative_to(seed_folder), read_object(path))
    if not (seed_folder / "targets.jsonl").is_file():
        return
    pinned = next((mask.pinned for mask in masks.values()), frozenset[str]())
    lines = []
    for line in read_lines(seed_folder / "targets.jsonl", "id", "prediction", "picks"):
        mask = masks.get(line["id"]) or Mask.of(None, pinned, key)
        picks = {style: mask.line(Target.from_dict(pick).to_dict()) for style, pick in line["picks"].items()}
        prediction = Prediction.from_dict(line["prediction"]).to_dict()
        lines.append({"id": key.id(line["id"]), "prediction": prediction, "picks": picks})
    write_lines(out / f"targets.jsonl{GZIP_SUFFIX}", lines)


def _release_scores(folder: Path, out: Path, masks: Mapping[str, Mask]) -> None:
    """Release word scores (``saywhy attribute``)."""
    for path in sorted(folder.glob("*.jsonl")):
        kind: type[Record] = Prediction if path.stem == "predictions" else WordScores
        lines = [(line["id"], kind.from_dict(line).to_dict()) for line in read_lines(path, "id")]
        if missing := next((name for name, _ in lines if name not in masks), None):
            raise SaywhyError(f"{path}: {_missing_text(missing)}")
        write_lines(out / f"{path.name}{GZIP_SUFFIX}", (masks[name].line({"id": name, **line}) for name, line in lines))


def _missing_text(name: str) -> str:
    return f"text {name} is not in texts.jsonl; restore it or start the run anew"


def copy_examples(folder: Path, out: Path) -> None:
    """Copy the runs on built-in texts, from which a bank's page takes its examples, without adapters.

    Raises:
        SaywhyError: If they are not on built-in texts.
    """
    examples_folder = folder / EXAMPLES_SUBFOLDER
    if not examples_folder.is_dir():
        return
    runs = sorted(examples_folder.rglob("run.json"))
    foreign = [run for run in runs if (read_object(run).get("config") or {}).get("data") != "pocket"]
    if foreign or not runs:
        raise SaywhyError(
            f"{foreign[0] if foreign else examples_folder}: examples of a bank are runs with data=pocket; remove it"
        )
    left_out = shutil.ignore_patterns("adapter", ".*", CHECKSUMS_FILE)
    shutil.copytree(examples_folder, out / EXAMPLES_SUBFOLDER, ignore=left_out)
    for run in runs:
        copied = out / run.relative_to(folder)
        write_json(copied, portable(read_object(run)))
        seal(copied.parent)
    say(f"examples of built-in texts are copied as they are: {', '.join(_run_names(runs, examples_folder))}")


def _run_names(runs: Iterable[Path], examples_folder: Path) -> Sequence[str]:
    return [run.parent.relative_to(examples_folder.parent).as_posix() for run in runs]
