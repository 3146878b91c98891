"""A folder from somebody else leads nobody out of it: links are refused, and writing follows none."""

import os
import re
import shutil

import pytest

from problems import fails
from saywhy.folders.chunks import read_chunk, write_chunk
from saywhy.folders.entries import is_plain_name
from saywhy.folders.lock import FolderLock
from saywhy.folders.store import replacing_folder, restore_replaced, write_bytes, write_text
from saywhy.records import SaywhyError
from written_runs import write_run

OWN = "my own words"


@pytest.fixture
def diary(tmp_path):
    """A file of the user's, at which links point."""
    path = tmp_path / "diary.txt"
    path.write_text(OWN, "utf-8")
    return path


@pytest.mark.parametrize("name", ["table.csv", ".table.csv.0.part"])
def test_writing_follows_no_link(tmp_path, diary, name):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(diary)
    write_text(folder / "table.csv", "numbers")
    assert diary.read_text("utf-8") == OWN
    assert (folder / "table.csv").read_text("utf-8") == "numbers"
    assert not (folder / "table.csv").is_symlink()


def test_the_names_of_what_is_being_written_cannot_be_foreseen(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(
        "saywhy.folders.store.os.fsync", lambda _: names.extend(path.name for path in tmp_path.iterdir())
    )
    for _ in range(2):
        write_bytes(tmp_path / "x", b"")
        (tmp_path / "x").unlink()
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"\.x\.[0-9a-f]{16}\.part", name) for name in names)


@pytest.mark.parametrize(
    "place", ["table.csv", ".table.csv.0.part", "report.html", "seed-0/base/rows.jsonl", "pictures", "run.json"]
)
@pytest.mark.parametrize("verb", ["report", "release", "compare"])
def test_a_folder_with_a_link_is_refused_in_one_line(call, tmp_path, diary, place, verb):
    folder = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,))
    (folder / place).unlink(missing_ok=True)
    (folder / place).symlink_to(tmp_path if place == "pictures" else diary)
    before = sorted(tmp_path.rglob("*"))
    answer = call(verb, folder, *{"report": [], "release": [tmp_path / "bank"], "compare": [folder]}[verb])
    assert answer.code == 2
    assert answer.problem.startswith(f"{folder / place} is a link: ")
    assert diary.read_text("utf-8") == OWN
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pipe_is_refused_before_it_is_waited_for(call, tmp_path):
    folder = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,))
    (folder / "seed-0/base/rows.jsonl").unlink()
    os.mkfifo(folder / "seed-0/base/rows.jsonl")
    assert "rows.jsonl is no plain file" in call("report", folder).problem


def test_a_folder_that_is_reached_through_a_link_is_read(call, tmp_path):
    folder = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,))
    (tmp_path / "latest").symlink_to(folder)
    assert call("report", tmp_path / "latest").code == 0
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_that_is_a_link_is_not_written_over(tmp_path, diary, link):
    (tmp_path / "run").mkdir()
    link(diary, tmp_path / "run" / ".lock")
    assert "link" in fails(FolderLock, tmp_path / "run")
    assert diary.read_text("utf-8") == OWN


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "../x", "a\\b", "x\0", "a\nb"])
def test_names_that_lead_elsewhere(name):
    assert not is_plain_name(name)


def test_what_a_killed_process_moved_aside_comes_back(tmp_path):
    """Killed between the two renames: the old folder lies beside its place, which is empty."""
    old = tmp_path / ".bank.old"
    old.mkdir()
    (old / "run.json").write_text("{}", "utf-8")
    restore_replaced(tmp_path / "bank")
    assert (tmp_path / "bank" / "run.json").is_file()
    shutil.move(tmp_path / "bank", old)
    with pytest.raises(KeyboardInterrupt):
        interrupted_replacement(tmp_path / "bank")
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]
    assert (tmp_path / "bank" / "run.json").is_file()


def interrupted_replacement(folder):
    with replacing_folder(folder, "bank", lambda old: (old / "run.json").is_file()) as part:
        part.mkdir()
        raise KeyboardInterrupt


def test_a_folder_of_a_longer_name_that_is_being_written_is_left_alone(tmp_path):
    with replacing_folder(tmp_path / "bank.v2", "bank", lambda old: False) as longer:
        longer.mkdir()
        with replacing_folder(tmp_path / "bank", "bank", lambda old: False) as part:
            part.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "bank.v2"]


@pytest.mark.parametrize("text", ["see # sha256 sums below", "a\n# sha256 0123", "# sha256 "])
def test_a_chunk_may_hold_the_sign_of_its_checksum(tmp_path, text):
    content = {"rows": [{"edited": text}], "last": text}
    write_chunk(tmp_path / "00000.json", content)
    assert read_chunk(tmp_path / "00000.json", ("rows",)) == content
    file = tmp_path / "00000.json"
    file.write_text(file.read_text("utf-8").replace("sha256 ", "sha256  ", 1), "utf-8")
    with pytest.raises(SaywhyError, match="is damaged"):
        read_chunk(file)
