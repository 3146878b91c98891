"""Run folders written with records, without a model: what the tests of the reports share."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

from saywhy import words
from saywhy.folders.run import TEXT_ORDER
from saywhy.folders.store import read_lines, write_json, write_lines
from saywhy.records import STYLES, CounterfactualGrid, Decision, Example, Record, Row, SetAside, Table

HOSTILE = "<script>alert(1)</script> I love this & that <b>great</b> day"
ARMS = ("base", "adapted", "faithful", "random", "lexical")
SKILL = {"base": 0.2, "adapted": 0.1, "faithful": 0.95, "random": 0.1, "lexical": 0.9}


def lines(path: Path, records: Iterable[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in records), encoding="utf-8")


def explained(example: Example, arm: str, seed: int, style: str, readout: str, luck: random.Random) -> Row:
    """One row of a model whose word is decisive as often as its arm is skilled."""
    keys = [word.key for word in words.candidates(example.text)]
    can = int(example.id[1:]) % 3 != 0
    valid = readout != "generated" or luck.random() < (0.3 if arm == "base" else 0.9)
    hit = valid and can and luck.random() < SKILL.get(arm, 0.5)
    reason = None if valid else luck.choice(["empty reply", "text unchanged", "refusal: I <b>cannot</b>"])
    word = keys[0] if hit else luck.choice(keys[1:])
    fields = {
        "id": example.id,
        "task": "tweets",
        "arm": arm,
        "seed": seed,
        "style": style,
        "setting": "one-word",
        "readout": readout,
        "operator": "redact",
        "gold": example.label,
        "prediction": "good",
        "raw_prediction": "good",
        "margin": 1.0,
        "named": "bad" if style == "counterfactual" else None,
        "reply": "<img src=x onerror=alert(2)>" if readout == "generated" else None,
        "words": (word,) if valid else (),
        "inserted": ("awful",) if valid and style == "counterfactual" else (),
        "edited": words.take_out(example.text, {word}, "awful" if style == "counterfactual" else words.REDACTED_MARK)
        if valid
        else None,
        "reason": reason,
        "recheck": ("bad" if hit else "good") if valid else None,
        "drop": (1.0 if hit else 0.1) if valid else None,
        "hit": hit,
        "floor": 1 / len(keys) if can else 0.0,
        "ceiling": can,
    }
    return Row.from_dict(fields)


def write_run(
    folder: Path,
    arms: tuple[str, ...] = ARMS,
    n: int = 24,
    seeds: tuple[int, ...] = (0, 1),
    task: str = "tweets",
) -> Path:
    """Write a small run whose texts include a hostile one; ``base`` has the first seed only."""
    texts = [Example(f"t{i}", f"great film number {i} &amp; more", {}, "good") for i in range(n)]
    texts[1] = Example("t1", HOSTILE, {"premise": "<i>so</i>"}, "bad")
    for seed in seeds:
        for arm in arms:
            if arm == "base" and seed != seeds[0]:
                continue
            luck, place = random.Random(f"{seed} {arm}"), folder / f"seed-{seed}" / arm
            rows = [
                explained(example, arm, seed, style, readout, luck)
                for style in STYLES
                for readout in ("generated", "constrained", "placebo")
                for example in texts
            ]
            lines(place / "rows.jsonl", rows)
            lines(place / "tables.jsonl", [table_of(example) for example in texts])
            lines(place / "grids.jsonl", [grid_of(example) for example in texts])
            lines(
                place / "decisions.jsonl",
                [Decision(e.id, "tweets", arm, seed, e.label, "good", "good", 1.0) for e in texts],
            )
    lines(folder / "texts.jsonl", texts)
    lines(
        folder / "set_aside.jsonl",
        [SetAside("x", "tweets", "too long: 900"), SetAside("y", "tweets", "too long: 7")],
    )
    manifest = {
        "schema": 1,
        "config": {"operators": ["redact"], "evil": "<script>"},
        "task": {"name": task, "labels": {"good": "good", "bad": "bad"}, "noun": "tweet"},
        "model": {"name": "some/model", "note": "Q4_1 quantisation, dequantised to float32"},
        "versions": {"numpy": "2"},
        "git": None,
        "prompts": {"attribution, one-word": "Which word?"},
        "seconds": {"predict": 1.5},
        "arms": list(arms),
        "counts": {"texts": n},
    }
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def table_of(example: Example) -> Table:
    keys = tuple(word.key for word in words.candidates(example.text))
    can = int(example.id[1:]) % 3 != 0
    labels = ("bad" if can else "good", *("good" for _ in keys[1:]))
    drops = (1.0 if can else 0.1, *(0.1 for _ in keys[1:]))
    return Table(example.id, "redact", "good", 1.0, keys, labels, drops)


def grid_of(example: Example) -> CounterfactualGrid:
    """Return the same table for two inserted words, as a folder from before effects were kept has it."""
    table = table_of(example)
    both = [(at, word) for at in range(len(table.words)) for word in ("awful", "sad")]
    return CounterfactualGrid(
        example.id,
        "bad",
        tuple(table.words[at] for at, _ in both),
        tuple(word for _, word in both),
        tuple(table.labels[at] for at, _ in both),
        tuple(table.drops[at] for at, _ in both),
    )


def write_known(folder, n=60, arms=("base", "faithful"), knows=("faithful",)):
    """Write a run whose rows know log-probabilities: those of ``knows`` tell what holds, those of others nothing."""
    write_run(folder, arms=arms, n=n, seeds=(0,))
    for arm in arms:
        place, luck = folder / "seed-0" / arm / "rows.jsonl", random.Random(arm)
        rows = list(read_lines(place))
        for row in rows:
            sure = row["hit"] if arm in knows else luck.random() < 0.5
            row["log_probability"] = None if row["reason"] else (-0.5 if sure else -2.5) - luck.random()
        write_lines(place, rows)
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    write_json(folder / "run.json", manifest | {"text_order": TEXT_ORDER})
    return folder
