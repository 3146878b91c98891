"""The run folder: what exists is never computed again, what is half there is."""

import gzip

import pytest

from problems import fails
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_lines, write_json, write_lines
from saywhy.records import ROW_SCHEMA, SaywhyError


def test_a_stage_goes_on_at_the_next_chunk(tmp_path):
    run, asked = RunFolder(tmp_path / "run", {"rows": 4}, {}), []

    def chunk(number, fail_at=None):
        asked.append(number)
        if number == fail_at:
            raise RuntimeError("killed")
        return {"rows": [{"n": number}], "more": [{"m": number}, {"m": -number}]}

    with pytest.raises(RuntimeError):
        run.stage_over("a", ("rows", "more"), range(4), 1, lambda part: chunk(*part, fail_at=2))
    assert not run.done("a", ("rows", "more"))
    again = RunFolder(tmp_path / "run", {"rows": 4}, {})
    again.stage_over("a", ("rows", "more"), range(4), 1, lambda part: chunk(*part))
    again.stage_over("a", ("rows", "more"), range(4), 1, lambda part: chunk(*part))
    assert asked == [0, 1, 2, 2, 3]
    assert [row["n"] for row in read_lines(tmp_path / "run/a/rows.jsonl")] == [0, 1, 2, 3]
    assert len(read_lines(tmp_path / "run/a/more.jsonl")) == 8
    assert again.done("a", ("rows", "more"))


def test_a_file_of_chunks_goes_on_at_the_next_one_and_leaves_no_chunks(tmp_path):
    run, asked = RunFolder(tmp_path / "run", {}, {}), []

    def chunk(number, fail_at=None):
        asked.append(number)
        if number == fail_at:
            raise RuntimeError("killed")
        return number / 3

    with pytest.raises(RuntimeError):
        run.json_over("a/total.json", range(3), 1, lambda part: chunk(*part, fail_at=1), sum)
    (tmp_path / "run/a/.total-parts/00000.json").write_text("0.5")  # what is there is taken as it is
    for _ in range(2):
        assert run.json_over("a/total.json", range(3), 1, lambda part: chunk(*part), sum) == 0.5 + 1 / 3 + 2 / 3
    assert asked == [0, 1, 1, 2]
    assert not list((tmp_path / "run/a").glob(".*"))


def test_what_all_processes_make_is_not_begun_within_a_chunk_of_one(tmp_path):
    run = RunFolder(tmp_path / "run", {}, {})

    def total():
        return run.json_over("total.json", range(2), 1, lambda part: float(*part), sum)

    def chunk(part):
        return {"rows": [{"n": total()}]}

    with pytest.raises(RuntimeError, match="within a chunk"):
        run.stage_over("", ("rows",), range(2), 1, chunk)
    total()
    run.stage_over("", ("rows",), range(2), 1, chunk)
    assert [row["n"] for row in read_lines(tmp_path / "run/rows.jsonl")] == [1.0, 1.0]


def test_other_settings_prompts_or_weights_are_refused_with_the_difference(tmp_path):
    facts = {"prompts": {"a": "Why?"}, "model": {"fingerprint": "x"}, "task": {"name": "t"}}
    RunFolder(tmp_path / "run", {"rows": 4}, facts)
    RunFolder(tmp_path / "run", {"rows": 4}, facts)
    for config, other, told in [
        ({"rows": 5}, facts, "rows: 4 -> 5"),
        ({"rows": 4}, {**facts, "prompts": {"a": "How?"}}, "Why.*How"),
        ({"rows": 4}, {**facts, "model": {"fingerprint": "y"}}, "fingerprint"),
        ({"rows": 4}, {**facts, "model": {"fingerprint": "x", "adapter": "z"}}, "adapter"),
        ({"rows": 4}, {**facts, "data": {"rows": "changed"}}, "data|rows: None -> 'changed'"),
    ]:
        with pytest.raises(SaywhyError, match=told):
            RunFolder(tmp_path / "run", config, other)


def test_a_run_with_other_candidates_is_refused_and_stays_as_it_is(tmp_path):
    RunFolder(tmp_path / "run", {"rows": 4}, {})  # of a version that did not note the rule
    before = (tmp_path / "run/run.json").read_bytes()
    told = (
        "run was begun with candidates of rule 1, this saywhy goes on by rule 2 .*'saywhy report' reads it.*out=FOLDER"
    )
    with pytest.raises(SaywhyError, match=told):
        RunFolder(tmp_path / "run", {"rows": 4}, {"candidates_rule": 2})
    assert (tmp_path / "run/run.json").read_bytes() == before
    RunFolder(tmp_path / "new", {"rows": 4}, {"candidates_rule": 2})
    RunFolder(tmp_path / "new", {"rows": 4}, {"candidates_rule": 2})


def test_a_damaged_manifest_and_another_schema_are_said(tmp_path):
    RunFolder(tmp_path / "run", {}, {})
    (tmp_path / "run/run.json").write_text('{"schema": ')
    with pytest.raises(SaywhyError, match="damaged"):
        RunFolder(tmp_path / "run", {}, {})
    (tmp_path / "run" / CHECKSUMS_FILE).unlink()
    write_json(tmp_path / "run/run.json", {"schema": ROW_SCHEMA + 1, "config": {}})
    with pytest.raises(SaywhyError, match="schema"):
        RunFolder(tmp_path / "run", {}, {})


def test_seconds_add_up_over_sittings(tmp_path):
    RunFolder(tmp_path / "run", {}, {}).spent("audit", 1.25)
    run = RunFolder(tmp_path / "run", {}, {})
    run.spent("audit", 2.0)
    assert run.manifest["seconds"]["audit"] == pytest.approx(3.25, abs=0.1)


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 2**25))
    assert "expands to more than" in fails(read_lines, tmp_path / "rows.jsonl")
    write_lines(path, [{"text": "a" * 2**20}])  # small, and honest
    assert len(read_lines(path)) == 1
