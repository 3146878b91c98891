"""The README's Python, replayed on a tiny model; the commands of all pages, read as they are printed."""

import importlib
import io
import re
import shlex
import sys
from itertools import takewhile
from pathlib import Path
from typing import get_args

import pytest

import tiny
from saywhy.cli.app import app
from saywhy.holding import CheckStatus
from saywhy.records import SaywhyError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_ten_lines_of_python(tmp_path, monkeypatch, capsys):
    _, block = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in block.splitlines() if line and not line.startswith(("from", "import"))]) <= 10
    monkeypatch.chdir(tmp_path)
    small = "rows=4, adapt_rows=4, train_rows=4, decide_rows=8, calibration_rows=8, chunk=4"
    block = block.replace('"smollm2-135m"', repr(str(tiny.save(tmp_path / "model"))))
    block = re.sub(r"rows=60, train_rows=72", small, block)
    assert small in block
    exec(compile(block, "README.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[+-]\d\.\d\d above a random word", told[-2])
    assert (tmp_path / told[-1]).read_text("utf-8").startswith("<!DOCTYPE html>")


def test_the_lines_that_explain_a_decision(tmp_path, monkeypatch, capsys):
    block, _ = re.findall(r"```python\n(.*?)```", README, re.S)
    [task] = re.findall(r"```yaml\n(.*?)```", README, re.S)
    (tmp_path / "reviews.yaml").write_text(task, "utf-8")
    words = {"pos": ("superb", "lovely", "clean"), "neg": ("awful", "dirty", "loud")}
    rows = [f"the {word} room number {n},{label}" for n in range(30) for label in words for word in words[label]]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,verdict", *rows]), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    block = block.replace('"runs/mine/adapter"', repr(str(tiny.save(tmp_path / "model"))))
    exec(compile(block, "README.md", "exec"), {})
    label, status = capsys.readouterr().out.split()[:2]
    assert label in words
    assert status in get_args(CheckStatus)


TAKING_WORDS = ("explain", "study", "report", "compare", "confidence", "release", "join", "watch")
"""Verbs that do nothing by themselves."""


def commands_in(text):
    """Return the commands that a page shows, in blocks and within sentences, without what it leaves open (``...``)."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    blocks = [block for language, block in fenced if language in ("", "bash", "sh")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.S))
    shown = [re.search(r"(?:^|-m |/)saywhy ([a-z-].*)", " ".join(line.split())) for line in lines]
    commands = [shlex.split(command[1], comments=True) for command in shown if command]
    return [[word for word in takewhile(lambda word: word not in "<>|", words) if word != "..."] for words in commands]


def shown_commands():
    """Yield every example of README, docs and ``--help``, with where it stands."""
    pages = {path.name: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
    pages |= {f"{verb.callback.__name__} --help": verb.callback.__doc__ for verb in app.registered_commands}
    pages["--help"] = app.info.help
    for name, text in pages.items():
        for words in commands_in(text):
            if len(words) > 1 or words[0] not in TAKING_WORDS:  # else it only names the verb
                yield pytest.param(words, id=f"{name}: {' '.join(words)}")


@pytest.fixture
def parsed_only(monkeypatch, tmp_path):
    """Let every verb stop where its work would begin: all words were understood."""
    reached = []

    def stop(name):
        def work(*given, **named):
            reached.append((name, given))
            raise SaywhyError("understood")

        return work

    places = (
        "runs.run.Run",
        "cli.dry_run.plan_run",
        "cli.explain.resolve_model",
        "cli.attribute.attribute_texts",
        "ruler.run.calibrate_ruler",
        "study.command.ObjectFolder",
        "study.command.StudyRunner",
        "cli.export.write_targets",
        "cli.export.train_adapter",
        "report.show_any_report",
        "report.show_comparison",
        "cli.confidence.write_confidence",
        "bank.release.release_bank",
        "study.join.join_banks",
        "serve.server.run_service",
        "report.monitoring_page.watch_log",
    )
    monkeypatch.setattr("saywhy.study.command.refuse_without_ray", lambda: None)
    modules = [importlib.import_module(f"saywhy.{place.rpartition('.')[0]}") for place in places]
    for place, module in zip(places, modules, strict=True):
        monkeypatch.setattr(module, place.rpartition(".")[2], stop(place))
    [task] = re.findall(r"```yaml\n(.*?)```", README, re.S)
    (tmp_path / "reviews.yaml").write_text(task, "utf-8")
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("a text of its own\n"))
    return reached


@pytest.mark.parametrize("words", shown_commands())
def test_every_example_is_understood_as_it_is_printed(words, call, parsed_only):
    said = call(*words)
    if said.code == 0:  # lists, and help
        assert said.out or said.err
    else:
        assert said.problem == "understood"
        assert len(parsed_only) == 1


def test_there_are_many_examples():
    verbs = {param.values[0][0] for param in shown_commands()}
    assert {verb.callback.__name__.replace("_", "-") for verb in app.registered_commands} - {"models", "tasks"} <= verbs


def test_the_yaml_is_a_task(tmp_path):
    from saywhy.tasks.task import load_task

    [block] = re.findall(r"```yaml\n(.*?)```", README, re.S)
    path = tmp_path / "reviews.yaml"
    path.write_text(block, "utf-8")
    task = load_task(str(path))
    assert task.labels == {"pos": "satisfied", "neg": "annoyed"}
    assert sys.version_info >= (3, 11)
