"""What the benchmarks share, and that each of them explains itself."""

import argparse
import importlib
import sys
import time

import pytest

from benchmarks import plain, script
from benchmarks.common import Done, Lap, Ledger, Outcome, alternate, fastest, grid, write_section
from benchmarks.growth import straight_line
from benchmarks.served import compared
from saywhy.records import SaywhyError
from saywhy.report.load import load_run

NAMES = (
    "table",
    "generation",
    "training",
    "objectives",
    "growth",
    "run_stages",
    "precision",
    "replies",
    "serving",
    "ray_study",
)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "kept.json", {"texts": 4})


def side(log, name, units=1, stop_at=None):
    def run(number):
        log.append((name, number))
        if number == stop_at:
            raise KeyboardInterrupt
        return Done(number, units)

    return run


def test_sides_alternate_and_answers_are_checked(ledger):
    log = []
    outcome = alternate(
        {"ours": side(log, "ours"), "plain": side(log, "plain")},
        2,
        ledger,
        "table",
        lambda number, answers: {"apart": float(answers["ours"] - answers["plain"] + number)},
    )
    assert log == [("ours", 0), ("plain", 0), ("ours", 1), ("plain", 1)]
    assert outcome.checks == [{"apart": 0.0}, {"apart": 1.0}]
    assert outcome.worst("apart") == 1.0


def test_a_run_is_like_itself(audit):
    run = load_run(audit)
    lines = {what: count for what, count, _ in compared(run, run)}
    assert lines.pop("log-odds, mean difference (nats)") == lines.pop("log-odds, largest difference (nats)") == "0.000"
    assert all("100.0%" in count for count in lines.values())


def test_ratio_is_the_median_of_the_rounds_by_unit():
    ours = [Lap(1.0, 10, 100, 1), Lap(1.0, 10, 100, 1), Lap(10.0, 10, 100, 1)]
    theirs = [Lap(2.0, 10, 200, 1), Lap(6.0, 20, 200, 1), Lap(20.0, 10, 200, 1)]
    outcome = Outcome({"ours": ours, "theirs": theirs}, [])
    assert outcome.ratio("theirs", "ours") == pytest.approx(2.0)  # of 2, 3 and 2
    assert outcome.seconds("ours") == 1.0
    assert outcome.total("theirs") == Lap(28.0, 40, 600, 3)


def test_the_ratio_of_processor_seconds_is_by_unit_too():
    laps = {"ours": [Lap(9.0, 10, 100, 1, processor=2.0)], "theirs": [Lap(1.0, 20, 200, 1, processor=12.0)]}
    assert Outcome(laps, []).processor_ratio("theirs", "ours") == pytest.approx(3.0)


def test_tokens_are_counted_by_side(ledger):
    counted = [0, 0]

    def run(_):
        counted[0] += 7
        counted[1] += 2
        return Done(None, 1)

    outcome = alternate(
        {"here": run, "elsewhere": lambda _: Done(None, 1, tokens=99)}, 1, ledger, "x", None, lambda: tuple(counted)
    )
    assert (outcome.total("here").tokens, outcome.total("here").heads) == (7, 2)
    assert outcome.total("elsewhere").tokens == 99


def test_an_interrupted_benchmark_goes_on_behind_its_finished_rounds(tmp_path):
    log = []
    path, settings = tmp_path / "kept.json", {"texts": 4}
    with pytest.raises(KeyboardInterrupt):
        alternate({"a": side(log, "a", stop_at=1)}, 3, Ledger(path, settings), "x")
    again = Ledger(path, settings)
    assert again.finished == 1
    outcome = alternate({"a": side(log, "a")}, 3, again, "x")
    assert [number for _, number in log] == [0, 1, 1, 2]
    assert len(outcome.laps["a"]) == 3


def test_rounds_of_other_settings_are_dropped(tmp_path):
    path = tmp_path / "kept.json"
    alternate({"a": side([], "a")}, 2, Ledger(path, {"texts": 4}), "x")
    assert Ledger(path, {"texts": 4}).finished == 2
    assert Ledger(path, {"texts": 5}).finished == 0
    assert Ledger(path, {"texts": 4}, restart=True).finished == 0


def test_a_fact_is_found_out_once(tmp_path):
    path = tmp_path / "kept.json"
    assert Ledger(path, {}).once("batch", lambda: 16) == 16
    assert Ledger(path, {}).once("batch", lambda: pytest.fail("asked again")) == 16


def test_a_closed_ledger_leaves_nothing(ledger):
    alternate({"a": side([], "a")}, 1, ledger, "x")
    ledger.close()
    assert not ledger.path.exists()


def test_the_fastest_comes_first():
    assert fastest((0.03, 0.0), time.sleep, "sleeping") == [0.0, 0.03]


def test_a_section_is_rewritten_and_the_others_stay(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n\n<!-- a: begin -->\nold\n<!-- a: end -->\n\nby hand\n", "utf-8")
    write_section(path, "a", "new\n")
    write_section(path, "b", "more")
    text = path.read_text("utf-8")
    assert "old" not in text
    assert text.index("new") < text.index("by hand") < text.index("more")
    assert text.count("<!-- a: begin -->") == 1


def test_every_benchmark_has_a_section_in_the_results():
    text = script.RESULTS.read_text("utf-8")
    assert all(f"<!-- {name}: begin -->" in text and f"<!-- {name}: end -->" in text for name in NAMES)


def test_a_grid_is_a_markdown_table():
    assert grid(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_built_in_texts_stand_in_and_it_is_said(tmp_path, capsys):
    drawn = script.texts("snli", 5, tmp_path)
    assert (drawn.source, len(drawn.examples)) == ("built-in", 5)
    assert "built-in texts stand in" in capsys.readouterr().err


def test_all_rounds_together_have_each_text_once(tmp_path):
    drawn = script.texts("ag_news", 7, tmp_path)
    blocks = [drawn.block(number, 3) for number in range(3)]
    assert sorted(one.id for block in blocks for one in block) == sorted(one.id for one in drawn.examples)


def test_plain_batches_hold_like_lengths_within_the_budget():
    lengths = [3, 9, 4, 8, 2]
    made = plain.batched(lengths, 18)
    assert sorted(i for batch in made for i in batch) == list(range(5))
    assert all(max(lengths[i] for i in batch) * len(batch) <= 18 for batch in made)
    assert made[0] == [1, 3]


def test_a_straight_line_misses_nothing():
    slope, start, miss = straight_line([1, 2, 4], [3.0, 5.0, 9.0])
    assert (slope, start, miss) == pytest.approx((2.0, 1.0, 0.0), abs=1e-9)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "x: stopped; finished rounds are kept, the same command goes on"),
        (SaywhyError("no model"), 2, "x: no model"),
    ],
)
def test_what_stops_a_benchmark_is_one_line(error, code, line, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as stopped:
        script.run("x", main)
    assert stopped.value.code == code
    assert capsys.readouterr().err == f"{line}\n"


def test_the_command_hides_where_things_are(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/there/benchmarks/table.py", "--data", "/home/me/data", "--texts", "4"])
    assert script.command() == "python -m benchmarks.table --data data --texts 4"


def test_a_quick_run_leaves_the_results_alone(tmp_path, monkeypatch, ledger):
    monkeypatch.setattr(script, "STATE", tmp_path / "state")
    results = tmp_path / "RESULTS.md"
    script.finish("x", argparse.Namespace(quick=True, results=results), "body", ledger)
    assert not results.exists()
    assert "body" in (tmp_path / "state" / "quick.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("growth", ["--sizes", "a"], "argument --sizes: 'a' is not a whole number of 1 or more"),
        ("training", ["--rounds", "0"], "argument --rounds: '0' is not a whole number of 1 or more"),
        ("generation", ["--decode-texts", "-1"], "argument --decode-texts: '-1' is not a whole number of 1 or more"),
    ],
)
def test_what_is_no_number_of_anything_is_one_line(name, words, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"{name}.py: error: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches(name, monkeypatch, capsys):
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Examples:" in told
    assert "--quick" in told
    assert f"python -m benchmarks.{name}" in told
