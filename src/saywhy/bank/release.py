"""A released bank: a run or a study without anyone's text, from which every table can be rebuilt (``docs/rows.md``).

Ids, labels, verdicts and scores stay. Words become indices into their text's distinct words, edited texts and replies
become hashes. Adapters and training rows stay at home.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from saywhy.bank.leaks import BUILT_IN, leaks
from saywhy.folders.store import PACKED, existing, placed, read_lines, read_object, write_json, write_lines
from saywhy.models.spec import CONSTANTS_FILE, weights_fingerprint
from saywhy.progress import say
from saywhy.records import Decision, Example, Grid, Prediction, Record, Row, SaywhyError, SetAside, Table, WordScores
from saywhy.report.load import KINDS_OF_CHECKS, VERDICTS, records_of, target_counts
from saywhy.training.targets import Pick
from saywhy.words import candidates

BANK = 1
"""Version of the form of a bank; ``bank`` in its ``run.json`` and ``study.json``."""

UNKNOWN = "#?"
"""Stands for a word of a text that is not at hand."""

ARM_FILES: Mapping[str, type[Record]] = {"rows": Row, "tables": Table, "grids": Grid, "decisions": Decision}
"""What an arm's folder holds, by name."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Mask:
    """What stands for the words of one text, and for what was made of it.

    Attributes:
        text: The text; None if it is not at hand.
        places: Index of each distinct word, as ``#3``.
        pinned: The words that counterfactuals may insert: corpus words, which stay.
    """

    text: str | None
    places: Mapping[str, str]
    pinned: frozenset[str]

    @classmethod
    def of(cls, text: str | None, pinned: frozenset[str]) -> Mask:
        """Return the mask of ``text``."""
        keys = [word.key for word in candidates(text)] if text is not None else []
        return cls(text, {key: f"#{at}" for at, key in enumerate(keys)}, pinned)

    def word(self, key: str) -> str:
        """Return the index of a word of the text, the hash of any other."""
        return UNKNOWN if self.text is None else self.places.get(key) or self.hashed(key)

    def hashed(self, said: str) -> str:
        """Return ``sha256:`` and 16 hex digits of the text and ``said``.

        The text is hashed too: a short reply could be guessed otherwise. Who has the texts can check it.
        """
        both = "\0".join((self.text or "", said))
        return f"sha256:{hashlib.sha256(both.encode()).hexdigest()[:16]}"

    def line(self, line: Mapping[str, Any]) -> Line:
        """Return a record without words of the text; numbers, labels and names stay."""
        masked = dict(line)
        for key in ("words", "causes"):
            if key in line:
                masked[key] = [self.word(word) for word in line[key]]
        if "inserted" in line:
            masked["inserted"] = [word if word in self.pinned else self.word(word) for word in line["inserted"]]
        for key in ("reply", "edited"):
            if line.get(key) is not None:
                masked[key] = self.hashed(line[key])
        return masked | _plain(line)


def _plain(line: Mapping[str, Any]) -> Line:
    """Return the reason of a line without its detail, which may quote a reply."""
    return {"reason": line["reason"].split(": ")[0]} if line.get("reason") else {}


def release(folder: Path, out: Path) -> Path:
    """Write the bank of a run or a study; the same folder gives the same bytes.

    Args:
        folder: A run folder or a study folder.
        out: Where the bank goes: nothing, an empty folder, or a bank, which is replaced.

    Returns:
        ``out``.

    Raises:
        SaywhyError: If ``folder`` is neither, ``out`` holds something else, or a sequence of words of a text would be
            in the bank: nothing is written then.
    """
    kinds: dict[str, Callable[[Path, Path], list[str]]] = {"study.json": _study, "run.json": _run}
    make = next((make for name, make in kinds.items() if (folder / name).is_file()), None)
    if make is None:
        raise SaywhyError(f"{folder} is no run and no study: it has no run.json or study.json")
    if is_bank(folder):
        raise SaywhyError(f"{folder} is a bank already: give the run or study folder that it was made from")
    if (folder / "plants").is_dir():
        raise SaywhyError(f"{folder} is a calibration on built-in texts: nobody's text is in it, share it as it is")
    out = out.resolve()  # so that '.' has a name, also when its folder was replaced
    with placed(out, "bank", is_bank) as part:
        texts = make(folder, part)
        if told := leaks(part, texts):
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            raise SaywhyError(f"words of a text would be in the bank, nothing was released: {told[0]!r}{more}")
    return out


def is_bank(folder: Path) -> bool:
    """Whether a folder holds a released bank, of a run or of a study."""
    files = (folder / name for name in ("run.json", "study.json"))
    return any(file.is_file() and read_object(file).get("bank") for file in files)


def _study(folder: Path, out: Path) -> list[str]:
    """Release a study: its plan, the runs of its tasks, and what its models retained; return all texts behind it."""
    adapters = {
        f"{one.parent.name}, {one.parent.parent.name.replace('-', ' ')}": weights_fingerprint(one)
        for one in (found.parent for found in sorted(folder.glob(f"models/seed-*/*/adapter/{CONSTANTS_FILE}")))
    }
    told = portable(read_object(folder / "study.json"))
    write_json(out / "study.json", {"bank": BANK, **told, "adapters": adapters})
    if (folder / "frozen.json").is_file():
        shutil.copyfile(folder / "frozen.json", out / "frozen.json")  # its hash is over what it says
    texts: list[str] = []
    for task in sorted(folder.glob("tasks/*/run.json")):
        texts += _run(task.parent, out / "tasks" / task.parent.name)
    for place in sorted(folder.glob("models/seed-*/*/")):
        texts += _trained(place / "training.jsonl").values()
        if (place / "retention.json").is_file():
            write_json(out / place.relative_to(folder) / "retention.json", read_object(place / "retention.json"))
    _examples(folder, out)
    return texts


def _run(folder: Path, out: Path) -> list[str]:
    """Release a run; return the texts behind it."""
    manifest = read_object(folder / "run.json")
    lists = _pinned(folder)
    pinned = frozenset(word for words in lists.values() for word in words)
    write_json(out / "run.json", {**portable(manifest), "bank": BANK, "pinned": lists})
    known = {one.id: one for one in records_of(folder / "texts.jsonl", Example)}
    masks = {one.id: Mask.of(one.text, pinned) for one in known.values()}
    if known:
        write_lines(out / f"texts.jsonl{PACKED}", (_text(one, masks[one.id]) for one in known.values()))
    aside = records_of(folder / "set_aside.jsonl", SetAside)
    if existing(folder / "set_aside.jsonl"):
        write_lines(out / f"set_aside.jsonl{PACKED}", ({**one.to_dict(), **_plain(one.to_dict())} for one in aside))
    texts = [text for one in known.values() for text in (one.text, *one.context.values())]
    noun = str((manifest.get("task") or {}).get("noun", ""))
    for seed in sorted(folder.glob("seed-*/")):
        practised: dict[str, str] = {}
        for place in sorted(seed.glob("*/")):
            _arm(place, out / seed.name / place.name, masks)
            practised |= _trained(place / "training.jsonl", noun)
        texts += practised.values()
        _targets(seed, out / seed.name, {name: Mask.of(text, pinned) for name, text in practised.items()} | masks)
    _scores(folder / "attribution", out / "attribution", masks)
    _examples(folder, out)
    return texts


def _text(one: Example, mask: Mask) -> Line:
    """Return what is left of a text: its id, its label, and how many distinct words it has."""
    masked = {**mask.line(one.to_dict()), "text": "", "context": {}}
    return {**masked, "words": len(mask.places)}


def _pinned(folder: Path) -> dict[str, list[str]]:
    """Return the words that counterfactuals may insert, by named label: what the grids try, what adapters carry."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted(folder.glob(f"seed-*/*/adapter/{CONSTANTS_FILE}")):
        for told in read_object(path).get("tasks", {}).values():
            for label, words in told.get("pinned", {}).items():
                found.setdefault(label, {}).update(dict.fromkeys(words))
    for path in sorted(folder.glob("seed-*/*/grids.jsonl")):
        for grid in records_of(path, Grid):
            found.setdefault(grid.named, {}).update(dict.fromkeys(grid.inserted))
    return {label: sorted(words) for label, words in sorted(found.items())}


def _arm(place: Path, out: Path, masks: Mapping[str, Mask]) -> None:
    """Release what was said and found by one arm."""
    files: list[tuple[Path, type[Record]]] = [(place / f"{name}.jsonl", kind) for name, kind in ARM_FILES.items()]
    checks = sorted((place / "robustness").glob("*.jsonl"))
    files += [(path, KINDS_OF_CHECKS.get(path.stem, VERDICTS)) for path in checks]
    for path, kind in files:
        if path.is_file():
            where = out / path.relative_to(place)
            write_lines(where.with_name(where.name + PACKED), _masked(path, kind, masks))
    for path in sorted(place.glob("**/*constants.json")):
        if "adapter" not in path.parts:
            write_json(out / path.relative_to(place), read_object(path))


def _masked(path: Path, kind: type[Record], masks: Mapping[str, Mask]) -> Iterator[Line]:
    for record in records_of(path, kind):
        line = record.to_dict()
        if kind is not Decision and line["id"] not in masks:
            raise SaywhyError(f"{path}: {_lost(line['id'])}")
        yield line if kind is Decision else masks[line["id"]].line(line)


def _trained(path: Path, noun: str = "") -> dict[str, str]:
    """Return the texts of training rows by id; without a ``noun``, everything behind the question."""
    found: dict[str, str] = {}
    for row in read_lines(path, "id", "prompt", "completion") if path.is_file() else ():
        asked, said = row["prompt"][0]["content"], row["completion"][0]["content"]
        if row.get("style") == "replay":
            found[f"{row['id']} {len(found)}"] = f"{asked}\n{said}"
        else:
            text = asked.partition(f"\n{noun.capitalize()}: ")[2] if noun else ""
            found[str(row["id"])] = text or asked.partition("\n")[2]
    return found


def _targets(seed: Path, out: Path, masks: Mapping[str, Mask]) -> None:
    """Release the pseudo-faithful words of the training texts, and how often they hit."""
    for path in target_counts(seed):
        write_json(out / path.relative_to(seed), read_object(path))
    if not (seed / "targets.jsonl").is_file():
        return
    pinned = next((mask.pinned for mask in masks.values()), frozenset[str]())
    lines = []
    for line in read_lines(seed / "targets.jsonl", "id", "prediction", "picks"):
        mask = masks.get(line["id"]) or Mask.of(None, pinned)
        picks = {style: mask.line(Pick.from_dict(pick).to_dict()) for style, pick in line["picks"].items()}
        told = Prediction.from_dict(line["prediction"]).to_dict()
        lines.append({"id": line["id"], "prediction": told, "picks": picks})
    write_lines(out / f"targets.jsonl{PACKED}", lines)


def _scores(place: Path, out: Path, masks: Mapping[str, Mask]) -> None:
    """Release word scores (``saywhy attribute``)."""
    for path in sorted(place.glob("*.jsonl")):
        kind: type[Record] = Prediction if path.stem == "predictions" else WordScores
        lines = [(line["id"], kind.from_dict(line).to_dict()) for line in read_lines(path, "id")]
        if lost := next((name for name, _ in lines if name not in masks), None):
            raise SaywhyError(f"{path}: {_lost(lost)}")
        write_lines(out / f"{path.name}{PACKED}", ({"id": name, **masks[name].line(line)} for name, line in lines))


def _lost(name: str) -> str:
    return f"text {name} is not in texts.jsonl; restore it or start the run anew"


def _examples(folder: Path, out: Path) -> None:
    """Copy the runs on built-in texts, from which a bank's page takes its examples; adapters stay at home.

    Raises:
        SaywhyError: If they are not on built-in texts.
    """
    place = folder / BUILT_IN
    if not place.is_dir():
        return
    runs = sorted(place.rglob("run.json"))
    foreign = [run for run in runs if (read_object(run).get("config") or {}).get("data") != "pocket"]
    if foreign or not runs:
        raise SaywhyError(
            f"{foreign[0] if foreign else place}: examples of a bank are runs with data=pocket; remove it"
        )
    shutil.copytree(place, out / BUILT_IN, ignore=shutil.ignore_patterns("adapter", ".*"))
    for run in runs:
        write_json(out / run.relative_to(folder), portable(read_object(run)))
    say(f"examples of built-in texts are copied as they are: {', '.join(_names(runs, place))}")


def _names(runs: Iterable[Path], place: Path) -> Sequence[str]:
    return [run.parent.relative_to(place.parent).as_posix() for run in runs]


def portable(value: Any) -> Any:
    """Return JSON in which absolute paths, which say whose machine it was, are cut to their last part."""
    if isinstance(value, dict):
        return {key: portable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [portable(inner) for inner in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if (kind(value).is_absolute() or value.startswith("~")) and kind(value).name:
                return kind(value).name
    return value
