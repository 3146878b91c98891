"""``saywhy watch``: planted shares come out, periods are compared, and the alarm rings when it should."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from pages import holes
from saywhy.folders.decision_log import LoggedDecision, read_decision_log
from saywhy.report.monitoring import monitored_models


def log_of(path, *days):
    """Write a log of (day, label, status, count)."""
    with path.open("a", encoding="utf-8") as stream:
        for day, label, status, count in days:
            line = LoggedDecision(
                f"2026-03-{day:02}T12:00:00+00:00", "toys", "trained", label, 0.9, 2.0, status, "repair", "attribution",
                5, 0.25,
            )  # fmt: skip
            stream.write((json.dumps(line.to_dict()) + "\n") * count)
    return path


@pytest.fixture
def log(tmp_path):
    return log_of(
        tmp_path / "decisions.jsonl",
        (1, "good", "holds", 45), (1, "bad", "does_not_hold", 5), (1, "bad", "not_explainable", 10),
        (2, "good", "holds", 30), (2, "bad", "too_close", 20), (2, "bad", "invalid", 5),
    )  # fmt: skip


def test_planted_shares_come_out(log, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    said = call("watch", log)
    assert said.code == 0
    assert "115 decisions in 1 file" in said.out
    assert "0.90 [0.79, 0.96]" in said.out  # 45 of 50 (Wilson)
    assert "0.60 [0.46, 0.72]" in said.out  # 30 of 50
    assert "-0.30 [-0.45, -0.13]" in said.out  # Newcombe
    assert "<0.001 (0.003)" in said.out or "0.001 (0.00" in said.out
    assert "Drift of the answers, 2026-03-02 against 2026-03-01: 0.20" in said.out  # |45/60 - 30/55|
    page = (log.parent / "decisions.jsonl.html").read_text("utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert holes(page, "html") == []
    assert "-0.30" in page


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("holds<0.8", 1), ("holds<0.6", 0), ("holds<=0.6", 1), ("holds>0.5", 1), (" holds < .8 ", 1),
        ("abstained>0.05", 1), ("abstained>=0.5", 0), ("drift>0.2", 1), ("drift>0.3", 0),
    ],
)  # fmt: skip
def test_an_alarm_is_exit_code_1(rule, code, log, call):
    said = call("watch", log, "--fail-if", rule)
    assert said.code == code
    assert ("ALARM: " in said.err) == (code == 1)
    page = (log.parent / "decisions.jsonl.html").read_text("utf-8")
    assert ('class="alarm"' in page) == (code == 1)


def test_of_several_rules_one_is_enough(log, call):
    said = call("watch", log, "--fail-if", "holds<0.1", "--fail-if", "drift>0.1")
    assert said.code == 1
    assert "no alarm: holds<0.1: it is 0.600 on 2026-03-02 (toys, trained)" in said.err


@pytest.mark.parametrize(
    "rule",
    [
        "holds",
        "holds<",
        "hold<0.8",
        "holds<80",
        "holds<nan",
        "holds<-1",
        "holds==1",
        "holds<0.8;rm",
        "",
        "holds<0.8 or drift>1",
    ],
)
def test_what_is_no_rule_is_said(rule, log, call):
    said = call("watch", log, "--fail-if", rule)
    assert said.code == 2
    assert "is no rule: write holds, abstained or drift, then <, <=, > or >=, then a share such as 0.8" in said.problem


def test_one_period_has_none_to_be_compared_with(tmp_path, call):
    log = log_of(tmp_path / "log", (1, "good", "holds", 3))
    said = call("watch", log, "--fail-if", "drift>0")
    assert said.code == 0
    assert "One period" in said.out
    assert "drift>0: cannot be told of 2026-03-01" in said.err


def test_nothing_rechecked_is_no_number(tmp_path, call):
    log = log_of(tmp_path / "log", (1, "good", "invalid", 3), (2, "good", "not_explainable", 2))
    said = call("watch", log, "--fail-if", "holds<0.8")
    assert said.code == 0
    assert "holds<0.8: cannot be told" in said.err
    assert holes((tmp_path / "log.html").read_text("utf-8"), "html") == []


def test_days_are_put_together(log, call):
    said = call("watch", log, "days=7", f"out={log.parent / 'week.html'}")
    assert said.code == 0
    assert "2026-02-26 to 2026-03-04" in said.out
    assert "0.75" in said.out  # 75 of 100
    assert (log.parent / "week.html").is_file()


def test_models_and_tasks_are_not_mixed(log, call):
    lines = log.read_text("utf-8").replace('"trained"', '"base"').replace('"holds"', '"does_not_hold"')
    log.write_text(log.read_text("utf-8") + lines, "utf-8")
    said = call("watch", log, "--fail-if", "holds<0.5")
    assert said.code == 1
    assert "ALARM: holds<0.5: it is 0.000 on 2026-03-02 (toys, base)" in said.err
    assert "no alarm: holds<0.5: it is 0.600 on 2026-03-02 (toys, trained)" in said.err


def test_older_files_are_read_and_damage_is_said(log, call):
    log.replace(log.with_name("decisions.jsonl.1"))
    log.write_text("half a li", "utf-8")
    said = call("watch", log)
    assert said.code == 0
    assert "115 decisions in 2 files; 1 damaged line left out" in said.out


def test_report_writes_the_same_page(log, call):
    call("watch", log)
    page = log.with_name("decisions.jsonl.html")
    first = page.read_text("utf-8")
    page.unlink()
    assert call("report", log).code == 0
    assert page.read_text("utf-8") == first


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("days=0",), "days=0: give a whole number from 1 to 3650"),
        (("days=1.5",), "days=1.5: give a whole number from 1 to 3650"),
        (("weeks=1",), "'weeks=1': saywhy watch takes days=N and out=PAGE.html"),
        (("out=decisions.jsonl",), "out=decisions.jsonl is the log itself: give another file"),
        (("out=.",), "out=. is a folder: give a file"),
    ],
)
def test_what_cannot_be_watched_is_one_line(words, line, log, call, monkeypatch):
    monkeypatch.chdir(log.parent)
    before = log.read_bytes()
    said = call("watch", "decisions.jsonl", *words)
    assert said.code == 2
    assert said.problem == line
    assert log.read_bytes() == before


def test_a_log_that_is_none(tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("watch", ".").problem.startswith(". is no file")
    assert call("watch", tmp_path / "none").problem.startswith(f"{tmp_path / 'none'} is no file")
    assert call("watch", tmp_path).problem.startswith(f"{tmp_path} is no file")
    (tmp_path / "notes.txt").write_text("nothing\n", "utf-8")
    for verb in ("watch", "report"):
        said = call(verb, tmp_path / "notes.txt")
        assert (said.code, "its lines are no decisions" in said.problem) == (2, True)


def test_options_that_have_no_effect_on_a_log_are_refused(log, call):
    said = call("report", log, "--png")
    assert (said.code, "--png have no effect there" in said.problem) == (2, True)


@pytest.fixture
def noon(monkeypatch):
    """Let the log be read at noon of its second day."""

    class Noon(datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(2026, 3, 2, 12, tzinfo=zone)

    monkeypatch.setattr("saywhy.report.monitoring.datetime", Noon)


def test_a_last_period_that_is_not_over_says_so(log, call, noon, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    said = call("watch", log, "--fail-if", "holds<0.8", "--fail-if", "drift>0.9")
    assert said.code == 1
    assert "ALARM: holds<0.8: it is 0.600 on 2026-03-02 (not over) (toys, trained)" in said.err
    assert "The last period is not over: what it shows may still change." in said.out
    assert "2026-03-01 (not over)" not in said.out
    page = (log.parent / "decisions.jsonl.html").read_text("utf-8")
    assert "2026-03-02 (not over) against 2026-03-01" in page
    assert "what it shows may still change" in page


@pytest.mark.parametrize(("days", "end"), [(2, 4), (7, 5)])
def test_a_period_is_over_when_its_last_day_is(days, end, log, call, noon):
    assert "(not over)" in call("watch", log, f"days={days}").out
    decisions, ends = read_decision_log(log), datetime(2026, 3, end, tzinfo=UTC)
    at_its_end = [monitored_models(decisions, days, ends - ahead) for ahead in (timedelta(seconds=1), timedelta())]
    assert [models[0].last.is_over for models in at_its_end] == [False, True]


def test_days_that_are_over_say_nothing_of_that(log, call):
    said = call("watch", log, "--fail-if", "holds<0.8")
    assert "not over" not in said.out + said.err + (log.parent / "decisions.jsonl.html").read_text("utf-8")


def test_one_period_that_is_not_over_says_both(tmp_path, call, noon):
    said = call("watch", log_of(tmp_path / "log", (2, "good", "holds", 3)))
    assert "One period: there is none before to compare it with. The last period is not over" in " ".join(
        said.out.split()
    )


def test_what_a_log_holds_is_no_markup(tmp_path, call):
    log = log_of(tmp_path / "log", (1, "<b>x</b>\x1b[31m", "holds", 12), (2, "<b>x</b>\x1b[31m", "holds", 3))
    said = call("watch", log)
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "<b>x" not in (tmp_path / "log.html").read_text("utf-8")
