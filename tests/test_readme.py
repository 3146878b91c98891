"""The README's Python, replayed on a tiny model; its commands exist."""

import re
import sys
from pathlib import Path

import pytest

import tiny

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_ten_lines_of_python(tmp_path, monkeypatch, capsys):
    [block] = re.findall(r"```python\n(.*?)```", README, re.S)
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


def test_every_command_and_setting_in_the_readme_exists():
    from typer.main import get_command

    from saywhy.cli.app import app
    from saywhy.config import Config

    verbs = set(get_command(app).commands)
    lines = re.findall(r"(?:^|`)saywhy (\w+)((?: \S+=\S+)*)", README, re.M)
    assert len(lines) > 8
    for verb, pairs in lines:
        assert verb in verbs, verb
        for pair in pairs.split():
            key = pair.strip("`.,").split("=")[0]
            assert key in {*Config.model_fields, "out"}, pair


def test_the_yaml_is_a_task(tmp_path):
    from saywhy.tasks.task import load_task

    [block] = re.findall(r"```yaml\n(.*?)```", README, re.S)
    path = tmp_path / "reviews.yaml"
    path.write_text(block, "utf-8")
    task = load_task(str(path))
    assert task.labels == {"pos": "satisfied", "neg": "annoyed"}
    assert sys.version_info >= (3, 11)
