"""A run that is killed in the middle of every stage gives the rows of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kills
import tiny

SETTINGS = [
    "rows=8",
    "adapt_rows=8",
    "train_rows=8",
    "decide_rows=24",
    "calibration_rows=12",
    "chunk=2",
    "batch=1",
    "pinned_words=2",
    "arms=base,adapted,faithful",
    "readouts=generated,constrained",
]

STAGES = (
    "seed-0/base/.rows-parts/00001.json",
    "seed-0/base/.decisions-parts/00000.json",
    "seed-0/adapted/adapter/checkpoints/checkpoint-*/trainer_state.json",
    "seed-0/adapted/.rows-parts/00001.json",
    "seed-0/.targets-parts/00001.json",
    "seed-0/faithful/adapter/checkpoints/checkpoint-*/trainer_state.json",
    "seed-0/faithful/.rows-parts/00001.json",
)


def start(model: Path, out: Path, *program: str) -> subprocess.Popen:
    command = [sys.executable, *(program or ("-m", "saywhy")), "run", f"model={model}", f"out={out}", *SETTINGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def said(out: Path) -> list[tuple]:
    """Everything that must not depend on a kill: texts, words, labels, verdicts, losses' rows."""
    found = []
    for file in sorted(out.glob("seed-0/*/rows.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            found.append(tuple(str(row[k]) for k in ("arm", "id", "style", "readout", "prediction", "reply", "words",
                                                     "edited", "recheck", "hit", "ceiling")))  # fmt: skip
    for file in sorted(out.glob("seed-0/*/decisions.jsonl")):
        found += [
            (row["arm"], row["id"], row["label"]) for row in map(json.loads, file.read_text("utf-8").splitlines())
        ]
    return found


@pytest.mark.slow
def test_a_run_killed_in_every_stage_gives_the_same_rows(tmp_path):
    model = tiny.save(tmp_path / "model")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    process = start(model, straight)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    for sign in STAGES:
        process = start(model, killed, kills.__file__, str(killed / sign), "0")
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, (sign, errors)
    process = start(model, killed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert said(killed) == said(straight)
    assert len(said(straight)) == 3 * (8 * 3 * 2 + 24)


@pytest.mark.slow
def test_a_finished_run_is_not_computed_again(tmp_path):
    model, out = tiny.save(tmp_path / "model"), tmp_path / "run"
    assert start(model, out).wait() == 0
    before = {file: file.stat().st_mtime_ns for file in out.glob("seed-0/**/*.jsonl")}
    assert start(model, out).wait() == 0
    assert {file: file.stat().st_mtime_ns for file in out.glob("seed-0/**/*.jsonl")} == before
