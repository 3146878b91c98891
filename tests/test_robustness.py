"""The robustness checks on models of known truth, through the real study, its files and its report."""

import json
import re

import pytest

import test_report
import tiny
from saywhy import checks, rejudge, shelf, study
from saywhy.audit import Plan, audit
from saywhy.config import parse
from saywhy.edits import Item
from saywhy.models.scripted import Scripted, everything, honest, keyword_rule, liar, parrot
from saywhy.predict import Classifier
from saywhy.records import Example, SaywhyError
from saywhy.rejudge import Case, curves, judged_by, rechecked, spares
from saywhy.report import write_report
from saywhy.report.checked import bias_sheet, free_sheet, moves_sheet, over_sheet, probe_sheet, robustness_sheets
from saywhy.report.load import load_run
from saywhy.report.moves import MAIN, noise
from saywhy.report.summary import summarise
from saywhy.store import write_lines
from saywhy.tasks import Task, catalog, load_task
from saywhy.variants import sentences, variants

TASK = Task(
    name="toys",
    question="Is this tweet negative or positive?",
    lead_in="The tweet is",
    noun="tweet",
    labels={"bad": "negative", "good": "positive"},
    paraphrases=[
        {"question": "Does the author sound negative or positive?", "lead_in": "The author sounds"},
        {"question": "Is its mood negative or positive?", "lead_in": "Its mood is"},
    ],
    verbaliser={"bad": "poor", "good": "fine"},
)
CUES = {"bad": {"awful": 2.0, "sad": 2.0}, "good": {"great": 2.0, "love": 2.0}}
RULE = keyword_rule(TASK, CUES, default="bad")
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}
TEXTS = (
    "what a great sunny day here",
    "it was great just great again",
    "we love this day and the sea",
    "an awful cold flight to them",
    "nothing to see here for us",
    "the food at noon was great",
)


class Wordy(Scripted):
    """Decides by the text only under the main question; under any other one everything is bad."""

    def _choose(self, choice):
        if choice.prefix and not choice.messages[0]["content"].startswith(TASK.question):
            return (1.0, 0.0)
        return super()._choose(choice)


class Ranked(Scripted):
    """Scores every word by its place in the explainer's order."""

    def _choose(self, choice):
        if choice.prefix:
            return super()._choose(choice)
        order = self._asked(choice.messages).ranked()
        return tuple(-float(order.index(option.casefold())) for option in choice.options)


def cases_of(explain, texts=TEXTS, rule=RULE, kind=Scripted, settings=("one-word",)):
    """Audit the texts with a toy; return its classifier, and what the checks start from."""
    toy = Classifier(kind("toy", TASK, rule, explain, PINNED), TASK, {"bad": 0.0, "good": 0.0})
    examples = [Example(f"t{n}", text) for n, text in enumerate(texts)]
    plan = Plan("toy", PINNED, ("attribution", "redaction", "counterfactual"), settings, ("generated", "constrained"))
    found = audit(toy, examples, plan)
    predictions = toy.predict_examples(examples)
    cases = [
        Case(Item(one, before), tuple(row for row in found.rows if row.id == one.id), table)
        for one, before, table in zip(examples, predictions, found.tables, strict=True)
    ]
    return toy, cases


def other(toy, name):
    return Classifier(toy.model, variants(TASK, ["all"])[name], toy.constants)


@pytest.mark.parametrize("name", ["paraphrase-1", "paraphrase-2", "labels-reversed", "verbaliser"])
@pytest.mark.parametrize("explain", [honest, liar])
def test_a_rule_that_reads_the_text_only_gets_the_same_verdicts_however_it_is_asked(name, explain):
    toy, cases = cases_of(explain)
    again = judged_by(other(toy, name), cases, name, "redact", PINNED)
    rows = [row for one in cases for row in one.rows]
    assert len(again) == len(rows) == len(TEXTS) * 3 * 2
    for line, row in zip(again, rows, strict=True):
        assert (line.prediction, line.recheck, line.hit, line.ceiling) == (
            row.prediction,
            row.recheck,
            row.hit,
            row.ceiling,
        )
        assert line.floor == pytest.approx(row.floor)
        assert line.drop == (None if row.drop is None else pytest.approx(row.drop))


def test_a_model_that_hangs_on_the_wording_of_the_question_loses_its_verdicts():
    toy, cases = cases_of(honest, kind=Wordy)
    again = judged_by(other(toy, "paraphrase-1"), cases, "paraphrase-1", "redact", PINNED)
    rows = [row for one in cases for row in one.rows]
    assert any(row.hit for row in rows if not row.named)
    assert not any(line.hit for line in again if line.style != "counterfactual")
    assert {line.prediction for line in again} == {"bad"}
    assert all(line.floor == 0 for line in again if line.style != "counterfactual")


def test_what_is_rechecked_in_other_batches_is_the_same():
    toy, cases = cases_of(honest)
    for line, row in zip(rechecked(toy, cases), [row for one in cases for row in one.rows], strict=True):
        assert (line.prediction, line.margin, line.recheck, line.drop, line.hit) == (
            row.prediction,
            row.margin,
            row.recheck,
            row.drop,
            row.hit,
        )


def test_a_real_model_has_a_noise_floor_of_rounding(tiny_model):
    examples = tiny.examples()
    toy = Classifier(tiny_model, tiny.TASK, dict.fromkeys(tiny.TASK.labels, 0.0))
    found = audit(toy, examples, Plan("m", tiny.PINNED, ("attribution",), ("one-word",), ("constrained",)))
    cases = [Case(Item(one, before), (row,), table) for one, before, row, table in
             zip(examples, toy.predict_examples(examples), found.rows, found.tables, strict=True)]  # fmt: skip
    for line, row in zip(rechecked(toy, cases), found.rows, strict=True):
        assert (line.prediction, line.hit) == (row.prediction, row.hit)
        assert line.margin == pytest.approx(row.margin, abs=1e-4)


def test_the_curve_of_a_rule_of_two_words_rises_at_two():
    toy, cases = cases_of(honest, ["we love this great day at sea", "the love of great films is old"], kind=Ranked)
    for found in curves(toy, cases, "redact", 0, {"love": 7}):
        assert found.sizes == (1, 2, 3, 5)
        assert found.named == found.best == (False, True, True, True)
        assert found.random[0] == 0
        assert 0 <= found.random[1] < 1
        assert found.counts[found.words.index("love")] == 7


def test_a_word_that_a_hit_does_not_need_is_spare():
    def with_company(asked):
        return asked.say(asked.ranked()[:2] if asked.setting == "free" else asked.ranked()[:1])

    toy, cases = cases_of(with_company, ["the food at noon was great", "we love this great day"], settings=("free",))
    found = {(one.id, one.style): one for one in spares(toy, cases, "redact")}
    alone, pair = found["t0", "attribution"], found["t1", "redaction"]
    assert dict(zip(alone.words, alone.spare, strict=True)) == {"great": False, alone.words[1]: True}
    assert sorted(pair.words) == ["great", "love"]
    assert not any(pair.spare)


def study_of(tmp_path, monkeypatch, explain, *settings, kind=Scripted, rewrite=str, folder="run"):
    """Run ``saywhy audit`` on a toy; return the run folder."""
    monkeypatch.setattr(shelf, "load", lambda *_: kind("toy", TASK, RULE, explain, PINNED, rewrite))
    if not (tmp_path / "model").exists():
        tiny.save(tmp_path / "model")
        for split, count in (("train", 90), ("test", 24)):
            write_lines(
                tmp_path / f"{split}.jsonl",
                (
                    {"text": f"{TEXTS[n % len(TEXTS)]} {n}", "label": "good" if RULE(TEXTS[n % 6])["good"] else "bad"}
                    for n in range(count)
                ),
            )
        (tmp_path / "toys.yaml").write_text(json.dumps(TASK.model_dump(mode="json", exclude={"hub"})))
    config = parse([f"model={tmp_path / 'model'}", f"task={tmp_path / 'toys.yaml'}", f"data={tmp_path}", *settings])
    return study.Study(config, tmp_path / folder, arms=(study.AUDITED,)).run()


FULL = ("settings=one-word,free", "readouts=generated,constrained,placebo", "operators=redact,delete,infill", "chunk=5")


def test_an_audit_with_every_check_has_one_page_without_holes(tmp_path, monkeypatch):
    run = study_of(tmp_path, monkeypatch, honest, *FULL, "robustness=all")
    summary = summarise(load_run(run))
    expected = [MAIN, "operator delete", "operator infill", "placebo-corrected", "paraphrase-1", "paraphrase-2",
                "labels-reversed", "verbaliser", "noise"]  # fmt: skip
    assert [move.variation for move in summary.moves if move.key.style == "attribution"] == expected
    for move in summary.moves:
        if move.variation not in (MAIN, "placebo-corrected"):
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

    real = rejudge.curves
    monkeypatch.setattr(rejudge, "curves", fail)
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
    assert found["attribution", "paraphrase-1"].answers.value < 0.6
    assert found["attribution", "paraphrase-1"].excess.value == 0
    assert found["attribution", "noise"].agree.value == 1
    assert {arm: told[1:] for arm, told in noise(load_run(run)).items()} == {"audited": (0, 0.0, 0.0, 0)}


def test_arms_are_compared_under_every_variation_and_the_training_operator_is_marked(tmp_path):
    folder = test_report.write_run(tmp_path, arms=("base", "adapted", "faithful", "random"))
    every = load_run(folder).rows
    for place in folder.glob("seed-*/*"):
        rows = [row for row in every if place == folder / f"seed-{row.seed}" / row.arm]
        fields = checks.Judged.__dataclass_fields__
        lines = [
            {**{k: v for k, v in row.to_dict().items() if k in fields}, "variation": "paraphrase-1"} for row in rows
        ]
        write_lines(place / "robustness" / "paraphrase-1.jsonl", lines)
    summary = summarise(load_run(folder))
    found = over_sheet(summary)
    assert found.header == ("style", "variation", "base", "adapted", "random")
    by_name = {}
    for row in found.rows:
        assert row[1].main.endswith(" †")
        by_name.setdefault(row[0].main, []).append(row[2:])
    # Judged by the same verdicts, the arms differ by the same.
    assert all(main == again for main, _, again in by_name.values())
    assert {row[1].main for row in found.rows} == {"main †", "placebo-corrected †", "paraphrase-1 †"}
    contrast = next(one for one in summary.contrasts if (one.other, one.key.readout) == ("base", "constrained"))
    move = next(one for one in summary.moves if one.key == contrast.key and one.variation == "paraphrase-1")
    assert move.over["base"] == contrast.difference
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
    run = study_of(tmp_path, monkeypatch, everything, "settings=free", "readouts=generated", "robustness=all")
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
    assert not any("Here is" in str(one.edited) for one in probes)


@pytest.mark.parametrize("name", catalog())
def test_variants_that_ship(name, snapshot):
    task = load_task(name)
    made = variants(task, ["all"])
    assert list(made) == ["paraphrase-1", "paraphrase-2", "paraphrase-3", "labels-reversed", "verbaliser"]
    assert sentences(made) == snapshot
    for kind, one in made.items():
        words = one.labels.values() if kind == "verbaliser" else task.labels.values()
        assert all(one.question.count(word) == 1 for word in words)
        assert list(one.labels) == list(task.labels)
        assert one.question != task.question
    assert len({one.question for one in made.values()}) == 5


def test_what_a_task_lacks_is_said_and_all_goes_without_it():
    bare = TASK.model_copy(update={"paraphrases": (), "verbaliser": {}, "question": "What is the mood?"})
    assert variants(bare, ["all"]) == {}
    for name in checks.ASKED_OTHERWISE:
        with pytest.raises(SaywhyError, match=f"robustness={name}: task 'toys'"):
            variants(bare, [name])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("robustness=paraphrase", "did you mean 'paraphrases'"),
        ("robustness=noise,magic", "no check 'magic'"),
        ("robustness=minimality", "add free to settings"),
    ],
)
def test_a_bad_name_is_one_line(words, told):
    with pytest.raises(SaywhyError, match=re.escape(told)) as caught:
        parse([words])
    assert "\n" not in str(caught.value)


def test_none_is_no_check():
    assert parse(["robustness=none"]).robustness == parse([]).robustness == ()
