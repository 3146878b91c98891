"""A damaged file of a run or bank is named in one line, or made no difference; deleted, it is made anew as it was."""

import json
import shutil
from pathlib import Path

import pytest

from problems import fails
from saywhy.bank.release import release_bank
from saywhy.folders.checksums import CHECKSUMS_FILE, manifest_copy, read_checksums, refuse_damage
from saywhy.folders.run import RunFolder
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import read_lines, write_bytes, write_json, write_lines
from saywhy.models.weights import CHECKPOINTS
from saywhy.report import write_report
from saywhy.report.load import load_run
from written_runs import write_run

RUN = ["rows=4", "adapt_rows=4", "train_rows=4", "decide_rows=6", "calibration_rows=8", "chunk=2", "pinned_words=2",
       "arms=adapted,faithful", "styles=attribution,counterfactual", "readouts=constrained"]  # fmt: skip
REMADE_BY_NOTHING = ("training.jsonl", "README.md", "tokenizer", "chat_template", "losses.json")
"""Names of files that no later step reads, or that others than saywhy write."""


def zeroed(content):
    return bytes(len(content))


def flipped(content):
    at = content.index(b"0") if b"0" in content else len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def without_a_line(content):
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:-1])


DAMAGES = {
    "zeroed": zeroed,
    "halved": lambda content: content[: len(content) // 2],
    "a flipped byte": flipped,
    "a dropped line": without_a_line,
    "doubled": lambda content: content + content,
    "an object": lambda _: b"{}",
    "a list": lambda _: b"[]",
    "no number": lambda content: content.replace(b"0.", b"NaN, 0.", 1),
    "nested": lambda _: b"[" * 100_000,
    "deleted": None,
}


@pytest.fixture(scope="module")
def command(tiny_folder):
    return ["run", f"model={tiny_folder}", *RUN]


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    """A run of two trained arms, from the command line."""
    from saywhy.runs.run import Run
    from saywhy.settings import parse

    return write_report(Run(parse(command[1:]), tmp_path_factory.mktemp("finished") / "run").run()).parent


def data_files(folder):
    """Return the files of data of a run, in a stable order; its pages are drawn anew by every report."""
    pages = (".csv", ".html", ".md", ".svg", ".png")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in pages and not path.name.startswith(REMADE_BY_NOTHING)
    )


def damage(path, how):
    """Damage a file; return whether that changed it."""
    before = path.read_bytes()
    if DAMAGES[how] is None:
        path.unlink()
        return True
    path.write_bytes(DAMAGES[how](before))
    return path.read_bytes() != before


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def check_report(call, folder, path, how):
    """Damage a file of a finished folder: its report refuses it in a line that names it, or has the same numbers."""
    before, whole = tables(folder), path.read_bytes()
    if damage(path, how):
        answer = call("report", folder)
        assert answer.code in (0, 2), (path, how)
        if answer.code == 2:
            assert path.name in answer.problem or how == "deleted", (path, how, answer.problem)
        else:
            assert tables(folder) == before, (path, how)
    write_bytes(path, whole)


KINDS = ("run.json", "rows.jsonl", "tables.jsonl", "constants.json", "decisions.jsonl", CHECKSUMS_FILE)


@pytest.mark.parametrize("how", ["zeroed", "a dropped line", "a flipped byte"])
def test_a_report_of_a_damaged_run_is_refused_or_the_same(call, finished, tmp_path, monkeypatch, how):
    monkeypatch.setattr("saywhy.report.plots.figures", lambda summary: [])
    folder = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("adapter"))
    write_report(folder)
    for name in KINDS:
        check_report(call, folder, next(path for path in data_files(folder) if path.name == name), how)


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_every_report_of_a_damaged_run_or_bank_is_refused_or_the_same(call, finished, tmp_path, monkeypatch, how):
    monkeypatch.setattr("saywhy.report.plots.figures", lambda summary: [])
    run = shutil.copytree(finished, tmp_path / "run")
    for folder in (run, release_bank(run, tmp_path / "bank")):
        write_report(folder)
        for path in data_files(folder):
            check_report(call, folder, path, how)


ONCE_USED = ("predictions.jsonl", "constants.json", "screened.json", "targets.json", "targets.jsonl", "training.jsonl")
"""Files that only a training, or an arm that is audited, asks for: where that is finished nobody does."""


def check_remade(call, command, finished, folder, path, how):
    """Damage a file of a run and run it again: refused by its name or not; once deleted, all is as it was."""
    if not damage(path, how):
        return
    answer = call(*command, f"out={folder}")
    if answer.code:
        assert answer.code == 2
        assert str(path.relative_to(folder)).split("/")[-1] in answer.problem, (how, answer.problem)
        path.unlink(missing_ok=True)
        answer = call(*command, f"out={folder}")
        assert answer.code == 0, (path, how, answer.err)
    assert tables(folder) == tables(finished)
    # A flipped byte may hit what may change: where the base lies, whose weights have a hash.
    unknown = ("adapter_config.json",) if how == "a flipped byte" else ()
    for file in data_files(finished):
        if file.name in ("run.json", CHECKSUMS_FILE, manifest_copy(file).name, ".run.json.copy", *unknown):
            continue
        remade = folder / file.relative_to(finished)
        if remade == path and not path.exists() and file.name in ONCE_USED:
            continue
        assert remade.read_bytes() == file.read_bytes(), (path, how, file)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("run.json", "halved"),
        ("seed-0/faithful/tables.jsonl", "zeroed"),
        ("seed-0/adapted/adapter/adapter_config.json", "deleted"),
        ("seed-0/faithful/adapter/adapter_model.safetensors", "a flipped byte"),
        ("seed-0/faithful/adapter/saywhy.json", "a flipped byte"),
    ],
)
def test_a_damaged_file_is_deleted_and_made_anew(call, command, finished, tmp_path, name, how):
    folder = shutil.copytree(finished, tmp_path / "run")
    if "adapter/" in name:  # weights are read by an audit
        (folder / name).parents[1].joinpath("rows.jsonl").unlink()
    check_remade(call, command, finished, folder, folder / name, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_every_damaged_file_is_deleted_and_made_anew(call, command, finished, tmp_path, monkeypatch, how):
    monkeypatch.setattr("saywhy.report.plots.figures", lambda summary: [])
    for number, file in enumerate(data_files(finished)):
        folder = shutil.copytree(finished, tmp_path / str(number))
        check_remade(call, command, finished, folder, folder / file.relative_to(finished), how)
        shutil.rmtree(folder)


def test_a_damaged_chunk_is_one_line_and_deleted_it_is_made_anew(tmp_path):
    run = RunFolder(tmp_path / "run", {}, {})

    def stage(fail=False):
        def compute(part):
            if fail and 1 in part:
                raise KeyboardInterrupt
            return {"rows": [{"n": n} for n in part]}

        run.stage_over("", ("rows",), range(2), 1, compute)

    with pytest.raises(KeyboardInterrupt):
        stage(fail=True)
    chunk = tmp_path / "run" / ".rows-parts" / "00000.json"
    whole = chunk.read_bytes()
    for content in (b"{}", b"", b"[]", whole[: len(whole) // 2], whole.replace(b"0", b"7", 1)):
        chunk.write_bytes(content)
        assert f"{chunk} is damaged" in fails(stage)
    chunk.unlink()
    stage()
    assert read_lines(tmp_path / "run" / "rows.jsonl") == [{"n": 0}, {"n": 1}]


def test_what_killed_processes_left_is_cleared(tmp_path):
    (tmp_path / "run" / ".rows-parts-merged").mkdir(parents=True)
    write_bytes(tmp_path / "run" / ".rows-parts-merged" / "00000.json", b"{}")
    SharedFolder(tmp_path / "run", "run.json")
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".rows")]


def small_run(folder):
    """Write every kind of file of a run folder; return all but what is there to restore others."""
    run = RunFolder(folder, {}, {})
    if not run.made("constants.json"):
        run.json_over("constants.json", range(2), 1, list, lambda parts: parts)
    run.json("screened.json", lambda: [])
    if not run.done("", ("rows", "tables")):
        run.stage_over("", ("rows", "tables"), range(2), 1, lambda part: {"rows": [{"n": 1}], "tables": []})
    run.note(counts={"texts": 2})
    sums = {name: entry.split()[-1] for name, entry in read_checksums(folder).items()}
    return sums, {path.name: path.read_bytes() for path in folder.iterdir() if path.name != CHECKSUMS_FILE}


@pytest.mark.parametrize("moment", range(1, 23))
def test_a_kill_between_any_two_files_is_made_good(tmp_path, monkeypatch, moment):
    straight, moves = small_run(tmp_path / "straight"), []

    def kill(move):
        def killed(path, to):
            moves.append(path)
            if len(moves) == moment:
                raise KeyboardInterrupt
            return move(path, to)

        return killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill(Path.replace))
        patch.setattr(Path, "rename", kill(Path.rename))
        with pytest.raises(KeyboardInterrupt):
            small_run(tmp_path / "killed")
    refuse_damage(tmp_path / "killed" / "run.json")  # by which a report begins
    assert small_run(tmp_path / "killed") == straight


def test_leftover_checkpoints_of_a_finished_training_are_cleared(call, command, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    left = folder / "seed-0" / "faithful" / "adapter" / CHECKPOINTS / "checkpoint-1"
    left.mkdir(parents=True)
    assert call(*command, f"out={folder}").code == 0
    assert not left.parent.exists()


OLDER = {
    "a row twice": ("rows.jsonl", lambda lines: [*lines, lines[0]]),
    "a row less": ("rows.jsonl", lambda lines: lines[1:]),
    "a table less": ("tables.jsonl", lambda lines: lines[:-1]),
    "no table": ("tables.jsonl", lambda lines: []),
    "a grid less": ("grids.jsonl", lambda lines: lines[1:]),
    "half a table": ("tables.jsonl", lambda lines: [{**lines[0], "drops": lines[0]["drops"][:1]}, *lines[1:]]),
    "a decision twice": ("decisions.jsonl", lambda lines: [*lines, lines[-1]]),
    "a word for a number": ("rows.jsonl", lambda lines: [{**lines[0], "floor": "low"}, *lines[1:]]),
    "a word for a verdict": ("rows.jsonl", lambda lines: [{**lines[0], "hit": "no"}, *lines[1:]]),
    "no number": ("rows.jsonl", lambda lines: [{**lines[0], "margin": float("nan")}, *lines[1:]]),
    "an operator that leads out": ("rows.jsonl", lambda lines: [{**lines[0], "operator": "../../x"}, *lines[1:]]),
}


@pytest.mark.parametrize("how", OLDER)
def test_older_folders_without_checksums_are_checked_by_their_shape(tmp_path, how):
    folder = write_run(tmp_path / "run", arms=("base", "faithful"), n=4, seeds=(0,))
    name, change = OLDER[how]
    path = folder / "seed-0" / "faithful" / name
    load_run(folder)
    write_lines(path, change(read_lines(path)))
    assert str(path) in fails(load_run, folder)


def test_a_manifest_and_its_copy_both_damaged_are_said(tmp_path):
    RunFolder(tmp_path / "run", {}, {})
    manifest = tmp_path / "run" / "run.json"
    manifest.unlink()
    manifest_copy(manifest).write_text("{}")
    assert "its copy .run.json.copy is damaged: begin anew with out=FOLDER" in fails(
        RunFolder, tmp_path / "run", {}, {}
    )


def test_a_hand_made_folder_of_before_is_read(tmp_path):
    """No checksums, no copy: what a version before wrote."""
    write_json(tmp_path / "run.json", {"schema": 1, "config": {}, "seconds": {}})
    assert json.loads((tmp_path / "run.json").read_text())["schema"] == 1
    RunFolder(tmp_path, {}, {})
