"""A folder in an object store and its copies: what one machine makes the others get, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from saywhy.folders import object_store
from saywhy.folders.object_store import ObjectFolder
from saywhy.models import weights
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


@pytest.mark.parametrize("removed", [["rows"], ["rows", "checksums.json"]], ids=["a file", "nearly all"])
def test_a_copy_that_was_partly_removed_is_made_whole_again(url, leader, removed):
    write(leader, **{"rows": "1", "rest": "2", "checksums.json": '{"rows": "of 1", "rest": "of 2"}'})
    leader.publish()
    whole = content(leader)
    for name in removed:
        (leader.path / name).unlink()
    again = ObjectFolder(url, leader.path)
    again.publish()
    again.fetch()
    assert content(again) == whole


def test_what_the_study_removes_is_removed_although_it_was_killed_then(url, leader, worker):
    write(leader, **{"rows": "1", "rest": "2", "checksums.json": '{"rows": "of 1", "rest": "of 2"}'})
    leader.publish()
    write(leader, **{"checksums.json": '{"rest": "of 2"}'})
    (leader.path / "rows").unlink()
    ObjectFolder(url, leader.path).publish()
    worker.fetch()
    assert set(content(worker)) == {"rest", "checksums.json"}


def test_what_others_have_in_the_store_is_never_removed(url, leader, tmp_path):
    other = ObjectFolder(url, tmp_path / "other")
    for name, held in {"checkpoints/last.pt": b"theirs", ".lock": b""}.items():
        leader._files.pipe_file(f"{leader._root}/{name}", held)
    write(leader, rows="1")
    leader.publish()
    other.fetch()
    write(other, rows="1 2")
    other.publish()
    assert content(other) == {"rows": "1 2"}
    assert leader._files.cat_file(f"{leader._root}/checkpoints/last.pt") == b"theirs"


def test_two_leaders_do_not_write_over_each_other(leader, worker):
    write(leader, rows="1")
    leader.publish()
    worker.fetch()
    write(leader, rows="1 2")
    write(worker, rows="1 3")
    leader.publish()
    with pytest.raises(SaywhyError, match="was gone on with elsewhere"):
        worker.publish()
    leader.fetch()
    assert content(leader) == {"rows": "1 2"}
    assert content(worker) == {"rows": "1 3"}


def test_a_store_that_is_suddenly_empty_empties_no_copy(url, leader):
    write(leader, rows="1")
    leader.publish()
    leader._files.rm(leader._root, recursive=True)
    with pytest.raises(SaywhyError, match=r"is empty, and was not when .* was copied: is it reached as it was then\?"):
        leader.fetch()
    assert content(leader) == {"rows": "1"}


def test_a_store_of_something_else_is_refused_before_it_is_copied(leader, worker):
    worker.refuse_others("study.json")
    write(leader, letters="hello")
    leader.publish()
    with pytest.raises(SaywhyError, match=r"holds letters, and no study\.json: give the address of a study"):
        worker.refuse_others("study.json")
    assert content(worker) == {}


def test_a_name_that_leads_out_of_the_copy_is_passed_over(leader, worker, monkeypatch):
    write(leader, rows="1")
    leader.publish()
    listed = worker._files.ls

    def with_evil(path, detail):
        return [*listed(path, detail=detail), {"name": f"{worker._root}/../evil", "type": "file", "size": 1}]

    monkeypatch.setattr(worker._files, "ls", with_evil)
    worker.fetch()
    assert content(worker) == {"rows": "1"}


def test_many_threads_publish_while_files_come_and_go(url, leader, tmp_path):
    def work(number):
        for turn in range(8):
            write(leader, **{f"step{number}__parts__{turn}": "chunk"})
            leader.publish()
            (leader.path / f"step{number}/parts/{turn}").unlink()
            (leader.path / f"step{number}/parts").rmdir()
            write(leader, **{f"step{number}__rows": str(turn)})
            leader.fetch()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    leader.publish()
    elsewhere = ObjectFolder(url, tmp_path / "elsewhere")
    elsewhere.fetch()
    assert content(elsewhere) == content(leader) == {f"step{number}/rows": "7" for number in range(4)}


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


def test_weights_go_out_behind_what_else_a_model_needs_and_checksums_last(leader, monkeypatch):
    names, pipe = [], leader._files.pipe_file
    monkeypatch.setattr(leader._files, "pipe_file", lambda path, held: (names.append(path), pipe(path, held)))
    model = {f"models/adapter/{name}": "1" for name in ("adapter_model.safetensors", "config.json", "tokenizer.json")}
    write(leader, **model, **{"checksums.json": "of all", "study.json": "plan"})
    leader.publish()
    assert [name.rpartition("/")[2] for name in names[-2:]] == ["adapter_model.safetensors", "checksums.json"]


def test_what_stays_here_are_the_checkpoints_of_a_training():
    assert {weights.CHECKPOINTS} == object_store._STAYS_HERE


def test_a_file_is_taken_once(leader, worker):
    write(leader, token="here")
    leader.publish()
    assert worker.take("token")
    assert not worker.take("token")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("file:///", "names no folder of a store"),
        ("s3://", "names no folder of a store"),
        ("file://rel/study", "names no folder of a store"),
        ("nowhere://bucket/study", "Protocol not known: nowhere"),
        ("dropbox://bucket/study", "dropbox"),
    ],
)
def test_a_store_that_nothing_here_reads_is_one_line(tmp_path, address, problem):
    with pytest.raises(SaywhyError, match=rf"^{address}.*{problem}") as refusal:
        ObjectFolder(address, tmp_path / "copy")
    assert "\n" not in str(refusal.value)
