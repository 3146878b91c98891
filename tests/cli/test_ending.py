"""However a command is ended: by a signal, by who reads its answers, by a full disk behind its messages."""

import os
import signal
import subprocess
import sys
import time

import pytest

from saywhy.cli.ending import Stopped, call_to_clear_end
from written_runs import write_run

LAST_LINE = "saywhy: stopped; what was computed is kept, the same command goes on from there\n"


def saywhy(*words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen([sys.executable, "-m", "saywhy", *map(str, words)], env=environment, **options)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_in_one_line_and_its_exit_code(capsys, number, code):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stop:
        call_to_clear_end(lambda: signal.raise_signal(number), resumable=True)
    assert stop.value.code == code
    assert capsys.readouterr().err == LAST_LINE
    assert signal.getsignal(number) == before


def test_a_signal_that_a_library_made_an_error_of_still_ends_the_command(capsys):
    def imported_as_the_signal_comes():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise ImportError("initialization failed") from None  # what pybind11's modules raise, without a cause

    with pytest.raises(SystemExit) as stop:
        call_to_clear_end(imported_as_the_signal_comes, resumable=True)
    assert stop.value.code == 143
    assert capsys.readouterr().err == LAST_LINE


def test_a_command_that_keeps_nothing_does_not_say_that_it_goes_on(capsys):
    with pytest.raises(SystemExit):
        call_to_clear_end(lambda: signal.raise_signal(signal.SIGTERM), resumable=False)
    assert capsys.readouterr().err == "saywhy: stopped\n"


def test_an_error_of_the_program_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        call_to_clear_end(lambda: 1 / 0, resumable=False)


def test_no_library_takes_a_signal_for_an_error():
    assert not issubclass(Stopped, Exception | KeyboardInterrupt)


def test_a_run_that_is_ended_says_so(tiny_folder, tmp_path):
    out = tmp_path / "run"
    words = [
        "audit",
        f"model={tiny_folder}",
        "rows=40",
        "decide_rows=40",
        "calibration_rows=8",
        "chunk=1",
        f"out={out}",
    ]
    process = saywhy(*words, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("seed-0/audited/.rows-parts/*.json")) and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    errors = process.communicate()[1]
    assert process.returncode == 143, errors
    assert errors.endswith(LAST_LINE)
    assert "Traceback" not in errors
    assert not list(out.rglob("*.part"))
    assert not (out / ".lock").exists()


def test_a_reader_that_has_read_enough_ends_nothing(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base", "faithful"), n=4, seeds=(0,))
    process = saywhy("report", folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait() == 0, errors
    assert "Broken" not in errors
    assert (folder / "report.html").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_messages_that_cannot_be_written_change_no_exit_code(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,))
    with open("/dev/full", "w") as full:  # noqa: PTH123
        assert saywhy("report", folder, stderr=full, stdout=subprocess.DEVNULL).wait() == 0
        assert saywhy("report", tmp_path, stderr=full).wait() == 2
    assert (folder / "report.html").is_file()
