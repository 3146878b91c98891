"""A folder in an object store and its copies: what one machine makes the others get, and nothing is lost."""

import pytest

from saywhy.folders.object_store import ObjectFolder
from saywhy.records import SaywhyError


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    return f"file://{tmp_path}/bucket/study" if request.param == "file" else f"memory://{tmp_path.name}/study"


@pytest.fixture
def leader(url, tmp_path):
    return ObjectFolder(url, tmp_path / "leader")


@pytest.fixture
def worker(url, tmp_path):
    return ObjectFolder(url, tmp_path / "worker")


def write(folder, **texts):
    for name, text in texts.items():
        path = folder.path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def content(folder):
    return {
        path.relative_to(folder.path).as_posix(): path.read_text("utf-8")
        for path in folder.path.rglob("*")
        if path.is_file()
    }


def test_what_one_machine_makes_changes_and_removes_the_others_get(leader, worker):
    write(leader, study="plan", tasks__rows="1", tasks__parts__chunk="2")
    leader.publish()
    worker.fetch()
    assert content(worker) == content(leader)
    write(worker, models__adapter="weights")
    worker.publish()
    (leader.path / "tasks/parts/chunk").unlink()
    write(leader, tasks__rows="1 2")
    leader.publish()
    for folder in (leader, worker):
        folder.fetch()
        assert content(folder) == {"study": "plan", "tasks/rows": "1 2", "models/adapter": "weights"}
    assert not (worker.path / "tasks/parts").exists(), "a folder of chunks says that something was begun"


def test_what_is_not_published_yet_stays_as_it_is(leader, worker):
    write(leader, rows="1", chunk="2")
    leader.publish()
    write(leader, rows="1 2", new="3")
    (leader.path / "chunk").unlink()
    leader.fetch()
    assert content(leader) == {"rows": "1 2", "new": "3"}
    leader.publish()
    worker.fetch()
    assert content(worker) == content(leader)


def test_locks_half_written_files_and_checkpoints_stay_here(leader, worker):
    write(leader, rows="1", **{".lock": "", ".rows.0123456789abcdef.part": "half", "m__checkpoints__1": "c"})
    leader.publish()
    worker.fetch()
    assert content(worker) == {"rows": "1"}


def test_a_file_that_was_changed_in_two_places_is_refused(leader, worker):
    write(leader, rows="1")
    leader.publish()
    worker.fetch()
    write(worker, rows="1 2")
    worker.publish()
    write(leader, rows="1 3")
    with pytest.raises(SaywhyError, match=r"was gone on with elsewhere, and .*rows was changed here, too: remove"):
        leader.fetch()
    assert content(leader) == {"rows": "1 3"}


def test_a_copy_that_was_removed_is_fetched_again_and_empties_no_store(url, leader, tmp_path):
    write(leader, rows="1")
    leader.publish()
    (leader.path / "rows").unlink()
    leader.path.rmdir()
    again = ObjectFolder(url, leader.path)
    again.publish()
    again.fetch()
    assert content(again) == {"rows": "1"}


@pytest.mark.parametrize("written", range(4))
def test_a_machine_that_ends_while_it_copies_loses_nothing_and_damages_nothing(
    url, leader, tmp_path, monkeypatch, written
):
    write(leader, **{"a": "1", "b": "1", "checksums.json": "of 1 and 1"})
    leader.publish()
    write(leader, **{"a": "2", "b": "2", "c": "2", "checksums.json": "of 2, 2 and 2"})
    copies, pipe = iter(range(written)), leader._files.pipe_file

    def ending(*parts):
        if next(copies, None) is None:
            raise PermissionError("AccessDenied")
        pipe(*parts)

    monkeypatch.setattr(leader._files, "pipe_file", ending)
    with pytest.raises(SaywhyError, match=r"cannot be read or written \(AccessDenied\): what was computed is in "):
        leader.publish()
    monkeypatch.undo()
    elsewhere = ObjectFolder(url, tmp_path / "elsewhere")
    elsewhere.fetch()
    assert "checksums.json" not in content(elsewhere), "they would be of other files"
    again = ObjectFolder(url, leader.path)
    again.fetch()
    again.publish()
    elsewhere.fetch()
    assert content(again) == content(elsewhere) == content(leader)
    assert content(again)["checksums.json"] == "of 2, 2 and 2"


def test_a_file_is_taken_once(leader, worker):
    write(leader, token="here")
    leader.publish()
    assert worker.take("token")
    assert not worker.take("token")


@pytest.mark.parametrize(
    ("address", "problem"),
    [("nowhere://bucket/study", "Protocol not known: nowhere"), ("dropbox://bucket/study", "dropbox")],
)
def test_a_store_that_nothing_here_reads_is_one_line(tmp_path, address, problem):
    with pytest.raises(SaywhyError, match=rf"^{address}.*{problem}") as refusal:
        ObjectFolder(address, tmp_path / "copy")
    assert "\n" not in str(refusal.value)
