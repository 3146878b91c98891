"""Who works in a folder, and how the processes of a launch wait for each other; no model is needed."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from launched import ended, launch
from saywhy.folders import lock
from saywhy.folders.lock import LOCK_FILE, FolderLock, exclusive_lock
from saywhy.folders.run import RunFolder
from saywhy.records import SaywhyError

HOLD = """
import sys
from pathlib import Path
from saywhy.folders.lock import FolderLock
held = FolderLock(Path(sys.argv[1]))
print("in", flush=True)
sys.stdin.read()
"""

SHARE = """
import json, os, sys, time
from pathlib import Path
from saywhy.processes import process_rank
from saywhy.folders.run import RunFolder

folder = RunFolder(Path(sys.argv[1]), {"rows": 7}, {})
mine = []

def chunk(part):
    [number] = part
    if number == int(sys.argv[2]):
        raise KeyboardInterrupt
    mine.append(number)
    told = folder.json("told.json", lambda: {"by": "whoever needs it first"})
    time.sleep(0.05 * process_rank())
    return {"rows": [{"n": number, "of": told["by"]}], "more": []}

with folder.timed("count"):
    folder.stage_over("a", ("rows", "more"), range(7), 1, chunk)
told = folder.json("later.json", lambda: {"by": process_rank()})
folder.note(counts={"by": process_rank()})
parts = []
total = folder.json_over("a/total.json", range(5), 1, lambda part: parts.append(part[0]) or part[0] / 3, sum)
print(json.dumps({"mine": mine, "later": told["by"], "parts": parts, "total": total}))
"""


@pytest.fixture
def holder(tmp_path):
    """A process of another launch that sits in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "in\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_refused_with_who_is_there(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "LOCK_PATIENCE", 0.1)
    with pytest.raises(SaywhyError, match=rf"is in use by process {holder.pid} on .*out=FOLDER"):
        FolderLock(tmp_path / "run")
    with pytest.raises(SaywhyError, match=str(holder.pid)):
        RunFolder(tmp_path / "run", {}, {})
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_lock_of_a_dead_process_is_taken_over(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / "run" / LOCK_FILE).read_text())["pid"] == holder.pid
    RunFolder(tmp_path / "run", {}, {})


def test_the_lock_goes_with_its_process(holder, tmp_path):
    assert (tmp_path / "run" / LOCK_FILE).is_file()
    holder.stdin.close()
    assert holder.wait() == 0
    assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_one_process_may_open_its_folder_again(tmp_path):
    first, second = FolderLock(tmp_path / "run"), FolderLock(tmp_path / "." / "run")
    told = json.loads((tmp_path / "run" / LOCK_FILE).read_text())
    assert told["pid"] == os.getpid()
    del first
    assert (tmp_path / "run" / LOCK_FILE).is_file()
    del second
    assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_turns_are_taken_one_after_the_other(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from saywhy.folders.lock import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])): began = time.monotonic(); time.sleep(0.3); "
        "print(began, time.monotonic())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "x.lock")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    spans = sorted(tuple(map(float, process.communicate()[0].split())) for process in processes)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    with exclusive_lock(tmp_path / "x.lock") as alone:
        assert alone
    assert not list(tmp_path.iterdir())


def share(out: Path, count: int, fails_at: int = -1) -> list[subprocess.Popen]:
    return launch(count, "-c", SHARE, str(out), str(fails_at))


def finished(processes: list[subprocess.Popen]) -> list[dict]:
    done = ended(processes)
    assert [code for code, *_ in done] == [0] * len(processes), done
    return [json.loads(said) for _, said, _ in done]


def test_chunks_are_shared_and_merged_as_one_process_would(tmp_path):
    found = finished(share(tmp_path / "three", 3))
    assert [one["mine"] for one in found] == [[0, 3, 6], [1, 4], [2, 5]]
    assert {one["later"] for one in found} == {0}, "outside of chunks the first process makes it"
    assert [one["parts"] for one in found] == [[0, 3], [1, 4], [2]]
    assert {one["total"] for one in found} == {sum(number / 3 for number in range(5))}
    finished(share(tmp_path / "one", 1))
    for name in ("rows.jsonl", "more.jsonl", "total.json"):
        files = [tmp_path / out / "a" / name for out in ("one", "three")]
        assert files[0].read_bytes() == files[1].read_bytes()
    told = json.loads((tmp_path / "three" / "run.json").read_text())
    assert told["counts"] == {"by": 0}
    assert set(told["seconds"]) == {"count"}
    assert not list((tmp_path / "three").rglob("*-parts*"))


def test_what_is_there_is_not_computed_again_by_any_number_of_processes(tmp_path):
    finished(share(tmp_path / "run", 2))
    again = finished(share(tmp_path / "run", 3))
    assert [(one["mine"], one["parts"]) for one in again] == [([], []), ([], []), ([], [])]
    (tmp_path / "run" / "a" / "more.jsonl").unlink()
    assert [one["mine"] for one in finished(share(tmp_path / "run", 1))] == [[*range(7)]]


def test_a_manifest_that_another_process_is_writing_is_no_foreign_file(tmp_path):
    (tmp_path / ".run.json.0.part").write_text("{", "utf-8")
    assert RunFolder(tmp_path, {"rows": 7}, {}).manifest["config"] == {"rows": 7}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(SaywhyError, match="no run folder and not empty"):
        RunFolder(tmp_path / "other", {"rows": 7}, {})


def test_who_waits_for_a_dead_process_says_so_in_one_line(tmp_path):
    (code, _, waited), (died, _, _) = ended(share(tmp_path / "run", 2, fails_at=3))
    assert code
    assert died
    last = waited.strip().splitlines()[-1]
    assert "process 1 of 2 has ended before a/.rows-parts/00003.json was there" in last
    assert "run the same command again" in last
    assert [one["mine"] for one in finished(share(tmp_path / "run", 2))] == [[], [3, 5]]


def test_a_launch_is_refused_where_another_one_is(tmp_path):
    out = tmp_path / "run"
    go = tmp_path / "go"
    slow = SHARE.replace("time.sleep(0.05 * process_rank())", f"while not Path({str(go)!r}).exists(): time.sleep(0.05)")
    running = launch(2, "-c", slow, str(out), "-1")
    while not (out / "told.json").is_file():
        assert running[0].poll() is None
        time.sleep(0.02)
    [(code, _, said)] = ended(share(out, 1))
    go.touch()
    assert code
    assert f"is in use by process {running[0].pid} on" in said.strip().splitlines()[-1]
    assert [one["mine"] for one in finished(running)] == [[0, 2, 4, 6], [1, 3, 5]]
