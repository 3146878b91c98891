"""The robustness checks through the real study, its files and its report."""

import dataclasses
import json
import re

import pytest

from moods import FULL, Wordy, honest_to_the_pinned, study_of
from saywhy import checks
from saywhy.folders.store import write_lines
from saywhy.models.scripted import honest, name_everything, parrot
from saywhy.records import SaywhyError
from saywhy.report import write_report
from saywhy.report.checked import bias_sheet, free_sheet, moves_sheet, probe_sheet, rivals_sheet, robustness_sheets
from saywhy.report.load import load_run
from saywhy.report.moves import UNVARIED, noise_floors
from saywhy.report.summary import summarise
from saywhy.robustness import rejudge, sets
from written_runs import write_run


def test_an_audit_with_every_check_has_one_page_without_holes(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest, *FULL, "robustness=all")
    summary = summarise(load_run(run))
    expected = [UNVARIED, "operator delete", "operator infill", "placebo-corrected", "paraphrase-1", "paraphrase-2",
                "labels-reversed", "verbaliser", "unseen-wording-1", "unseen-wording-2", "noise"]  # fmt: skip
    assert [move.variation for move in summary.moves if move.key.style == "attribution"] == expected
    for move in summary.moves:
        if move.variation not in (UNVARIED, "placebo-corrected"):
            assert (move.agree.value, move.difference.value) == (1.0, pytest.approx(0.0)), move.variation
    titles = [found.title for found in robustness_sheets(summary)]
    assert len(titles) == 7  # all but the other arms, of which there are none
    for found in robustness_sheets(summary):
        assert found.rows
        assert all(len(row) == len(found.header) for row in found.rows)
    page = write_report(run).read_text("utf-8")
    assert 'id="moves"' in page
    assert 'id="figure-words"' in page
    for name in ("report.html", "report.md", "robustness.csv"):
        assert not re.search(r"\bnan\b|\binf\b|None", (run / name).read_text("utf-8"))
    assert "Not computed" not in (run / "report.md").read_text("utf-8")


def test_checks_may_be_added_to_a_finished_run_and_are_not_computed_twice(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest, "chunk=5")
    before = (run / "seed-0/audited/rows.jsonl").read_bytes()
    assert moves_sheet(summarise(load_run(run))) is None
    study_of(tmp_path, monkeypatch, honest, "chunk=5", "robustness=noise,paraphrases")
    made = run / "seed-0/audited/robustness"
    assert {file.stem for file in made.glob("*.jsonl")} == {"noise", "paraphrase-1", "paraphrase-2"}
    assert (run / "seed-0/audited/rows.jsonl").read_bytes() == before
    stamps = {file: file.stat().st_mtime_ns for file in made.iterdir()}
    study_of(tmp_path, monkeypatch, honest, "chunk=5", "robustness=noise,paraphrases")
    assert {file: file.stat().st_mtime_ns for file in made.iterdir()} == stamps
    assert json.loads((run / "run.json").read_text())["config"]["robustness"] == ["noise", "paraphrases"]
    assert "labels-reversed" in moves_sheet_note(run)


def moves_sheet_note(run):
    found = moves_sheet(summarise(load_run(run)))
    return found.note if found else ""


def test_other_sentences_in_the_same_folder_are_refused(tmp_path, monkeypatch):
    study_of(tmp_path, monkeypatch, honest, "robustness=paraphrases")
    told = json.loads((tmp_path / "toys.yaml").read_text())
    told["paraphrases"][0]["question"] = "Another one, negative or positive?"
    (tmp_path / "toys.yaml").write_text(json.dumps(told))
    with pytest.raises(SaywhyError, match="paraphrase-1 with other sentences"):
        study_of(tmp_path, monkeypatch, honest, "robustness=paraphrases")


def test_a_killed_check_goes_on_at_the_next_chunk(tmp_path, monkeypatch):
    straight = study_of(tmp_path, monkeypatch, honest, "chunk=5", "robustness=k-curve,noise", folder="straight")

    run = study_of(tmp_path, monkeypatch, honest, "chunk=5", folder="killed")
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    real = sets.curves
    monkeypatch.setattr(sets, "curves", fail)
    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path, monkeypatch, honest, "chunk=5", "robustness=k-curve,noise", folder="killed")
    assert len(list((run / "seed-0/audited/robustness/.k-curve-parts").iterdir())) == 2
    study_of(tmp_path, monkeypatch, honest, "chunk=5", "robustness=k-curve,noise", folder="killed")
    assert len(calls) == 3 + 3
    for name in ("k-curve", "noise"):
        file = f"seed-0/audited/robustness/{name}.jsonl"
        assert (run / file).read_bytes() == (straight / file).read_bytes()


def test_the_model_that_hangs_on_the_question_disagrees_in_the_report(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest, "robustness=paraphrases,noise", kind=Wordy)
    found = {(move.key.style, move.variation): move for move in summarise(load_run(run)).moves}
    assert found["attribution", "paraphrase-1"].agree.value < 0.6
    assert found["attribution", "paraphrase-1"].same_answers.value < 0.6
    assert found["attribution", "paraphrase-1"].excess.value == 0
    assert found["attribution", "noise"].agree.value == 1
    assert {arm: told[1:] for arm, told in noise_floors(load_run(run)).items()} == {"audited": (0, 0.0, 0.0, 0)}


def test_a_model_that_knows_one_wording_only_is_found_out_in_the_report(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest_to_the_pinned, "robustness=unseen-wording", "chunk=5")
    moves = {(move.key.style, move.variation): move for move in summarise(load_run(run)).moves}
    assert {variation for _, variation in moves} == {UNVARIED, "unseen-wording-1", "unseen-wording-2"}
    for (style, variation), move in moves.items():
        if variation != UNVARIED:
            assert move.excess.value < 0 < moves[style, UNVARIED].excess.value
            assert move.difference.high < 0
            assert move.same_answers is None  # the label was not asked for again
    write_report(run)
    assert "unseen-wording-2" in (run / "report.md").read_text("utf-8")
    asked = json.loads((run / "run.json").read_text())["checks"]
    assert len(asked) == 6
    assert all(name.startswith("unseen-wording-") for name in asked)


def test_unseen_wordings_are_left_out_of_all_where_nothing_is_to_be_compared(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest, "robustness=all", "readouts=generated", "chunk=5")
    assert not (run / "seed-0/audited/robustness/unseen-wording.jsonl").exists()
    assert not [name for name in json.loads((run / "run.json").read_text())["checks"] if name.startswith("unseen")]
    assert "Not computed: unseen-wording (this run" in moves_sheet_note(run)


def test_killed_unseen_wordings_go_on_at_the_next_chunk(tmp_path, monkeypatch):
    settings = ("chunk=5", "robustness=unseen-wording")
    straight = study_of(tmp_path, monkeypatch, honest, "chunk=7", "robustness=unseen-wording", folder="straight")
    real, calls = rejudge.asked_anew, []

    def fail(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(rejudge, "asked_anew", fail)
    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path, monkeypatch, honest, *settings, folder="killed")
    run = study_of(tmp_path, monkeypatch, honest, *settings, folder="killed")
    assert len(calls) == 3 + 3
    file = "seed-0/audited/robustness/unseen-wording.jsonl"
    assert (run / file).read_bytes() == (straight / file).read_bytes()


def test_arms_are_compared_under_every_variation_and_the_training_operator_is_marked(tmp_path):
    folder = write_run(tmp_path, arms=("base", "adapted", "faithful", "random"))
    every = load_run(folder).rows
    for place in folder.glob("seed-*/*"):
        rows = [row for row in every if place == folder / f"seed-{row.seed}" / row.arm]
        fields = checks.Judged.__dataclass_fields__
        lines = [
            {**{k: v for k, v in row.to_dict().items() if k in fields}, "variation": "paraphrase-1"} for row in rows
        ]
        write_lines(place / "robustness" / "paraphrase-1.jsonl", lines)
    summary = summarise(load_run(folder))
    found = rivals_sheet(summary)
    assert found.header == ("style", "variation", "base", "adapted", "random")
    by_name = {}
    for row in found.rows:
        assert row[1].main.endswith(" †")
        by_name.setdefault(row[0].main, []).append(row[2:])
    # Judged by the same verdicts, the arms differ by the same.
    assert all(main == again for main, _, again in by_name.values())
    assert {row[1].main for row in found.rows} == {"main †", "placebo-corrected †", "paraphrase-1 †"}
    contrast = next(one for one in summary.contrasts if (one.rival, one.key.readout) == ("base", "constrained"))
    move = next(one for one in summary.moves if one.key == contrast.key and one.variation == "paraphrase-1")
    assert move.over_rivals["base"] == contrast.difference
    write_report(folder)
    assert len((folder / "robustness.csv").read_text("utf-8").splitlines()) == 1 + 4 * 3 * 3


def test_the_parrot_shows_its_place(tmp_path, monkeypatch):
    sheets = {}
    for explain in (parrot, honest):
        run = study_of(tmp_path, monkeypatch, explain, "styles=attribution", folder=explain.__name__)
        [row] = bias_sheet(summarise(load_run(run))).rows
        sheets[explain] = [cell.main for cell in row]
    assert sheets[parrot][3] == "1.00, 0.00, 0.00"
    assert float(sheets[parrot][4]) < 0.1 < 0.3 < float(sheets[honest][4])


def test_whoever_takes_everything_is_over_budget(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, name_everything, "settings=free", "readouts=generated", "robustness=all")
    found = free_sheet(summarise(load_run(run)))
    at = found.header.index("over budget")
    assert {row[at].main for row in found.rows} == {"1.00"}
    write_report(run)
    assert "nan" not in (run / "report.md").read_text("utf-8")


def test_requests_that_should_not_move_the_answer(tmp_path, monkeypatch):
    def kept(text):
        return f"Here is the rewritten tweet: {text} indeed"

    def lost(text):
        return text.replace("great", "decent").replace("love", "like") + " indeed"

    moved, shares = {}, {}
    for rewrite in (kept, lost):
        run = study_of(
            tmp_path, monkeypatch, honest, "robustness=rewrite,wrong-target", rewrite=rewrite, folder=rewrite.__name__
        )
        probes = load_run(run).probes
        mine = [one for one in probes if one.request == "rewrite"]
        assert len(mine) == 24
        assert all(one.reason is None for one in mine)
        moved[rewrite] = [one.moved for one in mine]
        shares[rewrite] = float(probe_sheet(summarise(load_run(run))).rows[0][-1].main)
        # The honest one makes the edit that keeps the answer, as it was asked to.
        wrong = [one for one in probes if one.request == "wrong-target"]
        assert len(wrong) == 24
        assert not any(one.moved for one in wrong)
    assert not any(moved[kept])
    assert shares[lost] < shares[kept] == 1.0
    assert sum(moved[lost]) == 16  # the four of six texts whose answer hangs on great or love


def test_the_same_replies_under_more_seeds_are_no_more_certain(tmp_path, monkeypatch):
    run = load_run(study_of(tmp_path, monkeypatch, honest, "robustness=rewrite", rewrite=lambda text: f"{text} indeed"))
    again = [dataclasses.replace(probe, seed=seed) for seed in (0, 1, 2) for probe in run.probes]
    drops = {}
    for name, probes in (("one seed", run.probes), ("three seeds", again)):
        (row,) = probe_sheet(summarise(dataclasses.replace(run, probes=probes))).rows
        drops[name] = row[-2]
    assert drops["one seed"].small, "an interval"
    assert drops["one seed"] == drops["three seeds"]


def test_of_a_finished_audit_no_rows_are_read_again(tmp_path, monkeypatch):
    folder = study_of(tmp_path, monkeypatch, honest)
    before = (folder / "seed-0" / "audited" / "decisions.jsonl").read_bytes()

    def read(path, kind):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("saywhy.runs.run.read_records", read)
    assert study_of(tmp_path, monkeypatch, honest) == folder
    assert (folder / "seed-0" / "audited" / "decisions.jsonl").read_bytes() == before
