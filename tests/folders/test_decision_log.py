"""The decision log: whole lines, small files, nobody else's eyes, and what is damaged is counted."""

import json
import os
import resource
import subprocess
import sys

import pytest

from saywhy.folders.decision_log import LoggedDecision, opened_log, read_decision_log
from saywhy.records import SaywhyError


def logged(at=0, **changes):
    """Return a line of the log."""
    fields = {
        "time": f"2026-03-01T10:00:{at % 60:02}.000+00:00",
        "task": "toys",
        "model": "trained",
        "label": "good",
        "probability": 0.9,
        "margin": 2.0,
        "status": "holds",
        "effort": "repair",
        "style": "attribution",
        "rechecks": at,
        "seconds": 0.5,
    }
    return LoggedDecision(**{**fields, **changes})


def filled(path, count=5, most_bytes=10**6, older=3):
    log = opened_log(path, most_bytes, older)
    for at in range(count):
        log.write(logged(at))
    log.close()
    return path


def test_what_was_written_is_read_in_its_order(tmp_path):
    log = read_decision_log(filled(tmp_path / "log"))
    assert [decision.rechecks for decision in log.decisions] == [0, 1, 2, 3, 4]
    assert (log.damaged, log.files) == (0, 1)


def test_only_the_owner_may_read_it(tmp_path):
    path = tmp_path / "log"
    path.touch(0o644)
    filled(path, 30, most_bytes=1000)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_files_beyond_a_number_that_was_lowered_go_and_those_of_others_stay(tmp_path):
    filled(tmp_path / "log", 40, most_bytes=1000, older=5)
    (tmp_path / "log.20260301").write_text("of a tool that rotates logs")
    filled(tmp_path / "log", 3, most_bytes=1000, older=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.20260301"]


def test_files_stay_small_and_the_oldest_go(tmp_path):
    filled(tmp_path / "log", 40, most_bytes=1000, older=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    numbers = [decision.rechecks for decision in read_decision_log(tmp_path / "log").decisions]
    assert numbers == list(range(numbers[0], 40))  # the last ones, none missing between


def test_more_than_nine_files_are_read_in_their_order(tmp_path):
    filled(tmp_path / "log", 60, most_bytes=600, older=40)
    assert [decision.rechecks for decision in read_decision_log(tmp_path / "log").decisions] == list(range(60))


def test_a_killed_service_loses_a_line_at_most(tmp_path):
    code = (
        "import sys, os; sys.path.insert(0, 'tests'); sys.path.insert(0, 'tests/folders')\n"
        "from test_decision_log import logged, opened_log; from pathlib import Path\n"
        f"log = opened_log(Path({str(tmp_path / 'log')!r}), 10**6, 1)\n"
        "for at in range(7): log.write(logged(at))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(read_decision_log(tmp_path / "log").decisions) == 7


def test_half_a_line_spoils_no_other(tmp_path):
    path = filled(tmp_path / "log", 2)
    with path.open("ab") as stream:
        stream.write(b'{"time": "2026-03-01T10')
    filled(path, 2)
    log = read_decision_log(path)
    assert [decision.rechecks for decision in log.decisions] == [0, 1, 0, 1]
    assert log.damaged == 1


def test_what_did_not_fit_on_the_disk_spoils_no_other(tmp_path):
    log = opened_log(tmp_path / "log", 10**6, 1)
    log.write(logged(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "log").stat().st_size + 40, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            log.write(logged(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write(logged(2))
    log.close()
    read = read_decision_log(tmp_path / "log")
    assert ([decision.rechecks for decision in read.decisions], read.damaged) == ([0, 2], 0)


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"\xff\xfe", b"null", b'"text"', b"[" * 5000, b'{"time": 3}'],
)
def test_damaged_lines_are_counted(line, tmp_path):
    path = filled(tmp_path / "log", 2)
    with path.open("ab") as stream:
        stream.write(line + b"\n\n")
    log = read_decision_log(path)
    assert (len(log.decisions), log.damaged) == (2, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "yesterday"},
        {"status": "good"},
        {"probability": float("nan")},
        {"label": 3},
        {"schema": 99},
        {"time": "0001-01-01T00:00:00+23:00"},
        {"time": "0001-01-01T00:00:00+00:00"},
        {"time": "9999-12-31T00:00:00+00:00"},
        {"label": "half a character \ud800"},
    ],
)
def test_values_that_cannot_be_are_damage(changes, tmp_path):
    path = filled(tmp_path / "log", 1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(logged(**changes).to_dict()) + "\n")
    assert read_decision_log(path).damaged == 1


def test_one_service_writes_a_log(tmp_path):
    log = opened_log(tmp_path / "log", 100, 1)
    with pytest.raises(SaywhyError, match="is being written by another service"):
        opened_log(tmp_path / "log", 100, 1)
    log.close()
    opened_log(tmp_path / "log", 100, 1).close()


def test_links_and_what_is_no_file_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("link", "it is a link"), ("", "Is a directory"), ("pipe", "is no file")):
        with pytest.raises(SaywhyError, match=why):
            opened_log(tmp_path / name, 100, 1)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_log_is_said(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "rows").write_text('{"a": 1}\n{"b": 2}\n', "utf-8")
    for name, what in (("none", "is no file"), ("empty", "it is empty"), ("rows", "its lines are no decisions")):
        with pytest.raises(SaywhyError, match=what):
            read_decision_log(tmp_path / name)


def test_a_log_that_was_removed_or_moved_is_begun_anew(tmp_path):
    path = tmp_path / "log"
    log = opened_log(path, 10**6, 1)
    for at, change in enumerate((lambda: None, path.unlink, lambda: path.rename(tmp_path / "moved"))):
        change()
        log.write(logged(at))
    log.close()
    assert [decision.rechecks for decision in read_decision_log(path).decisions] == [2]
    assert [decision.rechecks for decision in read_decision_log(tmp_path / "moved").decisions] == [1]
