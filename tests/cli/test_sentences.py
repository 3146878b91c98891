"""Explanations in sentences through the command line: what is refused, what a run folder and its reports hold."""

import csv
import gzip
import json
import shutil

import pytest

from saywhy.protocol.wordings import REQUESTED_LENGTHS


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["styles=keywords"], "styles: keywords: they are asked for in sentences: give styles=keywords settings="),
        (["styles=attribution,steps"], "styles: steps: they are asked for in sentences"),
        (["styles=keywords", "settings=one-word,sentences"], "settings: sentences have styles and floors of their own"),
        (["settings=sentences", "styles=redaction,reasons"], "styles: redaction are no sentences: give styles=reasons"),
        (["settings=sentences", "styles=attribution"], "give styles=keywords,reasons,steps"),
        (["settings=sentences", "readouts=constrained,generated"], "readouts: sentences are generated only"),
        (["settings=sentences", "readouts=guided"], "readouts: sentences are generated only"),
        (["settings=sentences", "styles=reasons", "steps_order=before"], "steps_order: no steps are asked for"),
        (["steps_order=before"], "steps_order: no steps are asked for"),
        (["settings=sentences", "styles=reason"], "styles=reason"),
        (["insertion_lengths=true"], "insertion_lengths: no explanations in sentences are asked for"),
        (["mention_samples=4"], "mention_samples: no explanations in sentences are asked for: give settings=sentences"),
        (["settings=sentences", "mention_samples=0"], "mention_samples"),
        (["settings=sentences", "mention_samples=2000"], "mention_samples=2000: it takes a finite number, at most"),
        (["train_styles=reason"], "train_styles=reason: "),
        (["train_styles=reasons", "objective=table"], "train_styles: reasons: objective=table ranks one-word replies"),
        (["train_styles=steps,redaction", "objective=dpo"], "train_styles: steps: objective=dpo ranks one-word"),
        (["train_styles=keywords", "objective=grpo"], "train_styles: keywords: objective=grpo ranks one-word"),
    ],
)
@pytest.mark.parametrize("verb", ["audit", "run"])
def test_mixtures_are_refused_in_one_line(call, tmp_path, verb, words, problem):
    done = call(verb, f"out={tmp_path / 'run'}", *words)
    assert done.code == 2
    assert done.problem.startswith(problem) or problem in done.problem
    assert not (tmp_path / "run").exists()


def test_a_donor_has_no_words_for_sentences(call, tmp_path):
    done = call("run", f"out={tmp_path / 'run'}", "train_styles=reasons,attribution", "arms=faithful,transplant")
    assert done.code == 2
    assert done.problem.startswith("train_styles: reasons: a donor has one word a text")


SMALL_RUN = ["adapt_rows=2", "train_rows=6", "rows=2", "decide_rows=2", "calibration_rows=8", "lora_r=2", "chunk=4"]


def test_arms_practise_sentences_that_differ_in_their_words_alone(tiny_folder, call, tmp_path):
    out = tmp_path / "run"
    practice = ["train_styles=reasons,steps,attribution", "settings=sentences", "steps_order=before", "styles=steps"]
    arms = ["arms=faithful,random,lexical", "objective=table", "anchor=0.5", "heldout_rows=2", "format_share=0.3"]
    done = call("run", f"model={tiny_folder}", f"out={out}", *SMALL_RUN, *practice, *arms)
    assert done.code == 0, done.problem
    rows = {
        arm: {
            (row["id"], row["style"]): row
            for row in map(json.loads, (out / f"seed-0/{arm}/training.jsonl").read_text("utf-8").splitlines())
            if row["setting"] == "sentences"
        }
        for arm in ("faithful", "random", "lexical")
    }
    assert rows["faithful"]
    assert rows["faithful"].keys() == rows["random"].keys() == rows["lexical"].keys()
    frames = {arm: {place: without_words(row) for place, row in of_arm.items()} for arm, of_arm in rows.items()}
    assert frames["faithful"] == frames["random"] == frames["lexical"]
    assert rows["faithful"] != rows["random"]
    for (_, style), row in rows["faithful"].items():
        assert len(row["prompt"]) == (1 if style == "steps" else 3), "steps come before the answer"
        assert "candidates" not in row
    hits = json.loads((out / "seed-0/targets.json").read_text("utf-8"))["hits"]
    assert {"attribution", "reasons", "steps"} <= hits.keys()
    adapted = (out / "seed-0/adapted/training.jsonl").read_text("utf-8")
    assert "sentences" not in {json.loads(line)["setting"] for line in adapted.splitlines()}


def without_words(row):
    """Return a row's reply with the words taken out that it names, and how many they are."""
    reply = row["completion"][0]["content"]
    for start, stop in reversed(row["decision"]):
        reply = reply[:start] + reply[stop:]
    return reply, len(row["decision"])


def test_targets_are_written_in_sentences(tiny_folder, call, tmp_path):
    out, practice = tmp_path / "targets", ["train_styles=keywords,redaction", "wordings=pool"]
    assert (
        call("targets", f"model={tiny_folder}", f"out={out}", "train_rows=4", "calibration_rows=4", *practice).code == 0
    )
    rows = [json.loads(line) for line in (out / "targets.jsonl").read_text("utf-8").splitlines()]
    assert {row["style"] for row in rows} == {"keywords", "redaction"}
    assert all((row["setting"] == "sentences") == (row["style"] == "keywords") for row in rows)
    assert "keywords, sentences, 3" in json.loads((out / "run.json").read_text("utf-8"))["practised"]["requests"]


@pytest.fixture(scope="module")
def audited(tiny_folder, tmp_path_factory):
    """Return the folder of an audit in sentences, steps before the answer."""
    from saywhy.cli.app import main

    out = tmp_path_factory.mktemp("sentences") / "run"
    with pytest.MonkeyPatch.context() as patch:
        settings = ["settings=sentences", "steps_order=before", "rows=6", "decide_rows=6", "calibration_rows=8"]
        patch.setattr("sys.argv", ["saywhy", "audit", f"model={tiny_folder}", f"out={out}", *settings])
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return out


def test_an_audit_in_sentences_makes_rows_and_reports(audited):
    rows = [json.loads(line) for line in (audited / "seed-0/audited/rows.jsonl").read_text("utf-8").splitlines()]
    assert {(row["style"], row["setting"], row["readout"]) for row in rows} == {
        (style, "sentences", "generated") for style in ("keywords", "reasons", "steps")
    }
    prompts = json.loads((audited / "run.json").read_text("utf-8"))["prompts"]
    assert prompts["steps, sentences"].startswith("Before you answer")
    assert "{count}" in prompts["keywords, sentences"]
    with (audited / "table.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert {cell["style"] for cell in cells} == {"keywords", "reasons", "steps"}
    assert all(cell["rows"] == "6" and cell["denied_n"] == "6" and "nan" not in cell.values() for cell in cells)
    assert all((cell["same_answer_behind_steps"] != "") == (cell["style"] == "steps") for cell in cells)
    for name in ("report.md", "report.html"):
        page = (audited / name).read_text("utf-8")
        assert "coverage" in page
        assert "denied" in page
        assert "nan" not in page.casefold().replace("finance", "").replace("nano", "")
    assert "the words mentioned" in (audited / "report.html").read_text("utf-8")


def test_what_each_metric_says_is_kept_beside_the_rows_and_reported(audited):
    lines = (audited / "seed-0/audited/sentences.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["style"] for record in records] == ["keywords", "reasons", "steps"] * 6
    for record in records:
        metrics = record["values"].keys() | record["reasons"].keys()
        assert metrics >= {"mention AUROC", "necessity gain", "sufficiency share", "consistency", "simulatability"}
        assert record["insertions"]
        assert "model" in record["simulated"]
        assert ("early answering" in metrics) == (record["style"] == "steps")
    page = (audited / "report.md").read_text("utf-8")
    for shown in ("mention AUROC", "insertion, targeted: phi", "NSG, lexical: over label alone", "corrupted steps"):
        assert shown in page


def test_an_audit_of_before_the_metrics_gets_them_and_is_reported_without(audited, call, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(audited, out)
    kept = (out / "seed-0/audited/sentences.jsonl").read_bytes()
    (out / "seed-0/audited/sentences.jsonl").unlink()
    (out / "checksums.json").unlink()
    assert call("report", str(out)).code == 0
    assert "mention AUROC" not in (out / "report.md").read_text("utf-8")
    config = json.loads((out / "run.json").read_text("utf-8"))["config"]
    settings = ["settings=sentences", "steps_order=before", "rows=6", "decide_rows=6", "calibration_rows=8"]
    assert call("audit", f"model={config['model']}", f"out={out}", *settings).code == 0
    assert (out / "seed-0/audited/sentences.jsonl").read_bytes() == kept


def test_a_bank_keeps_the_metrics_without_words(audited, call, tmp_path):
    bank = tmp_path / "bank"
    assert call("release", str(audited), str(bank)).code == 0
    with gzip.open(bank / "seed-0/audited/sentences.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    words = {word for record in records for word in (*record["mentioned"], *record["denied"])}
    words |= {insertion["word"] for record in records for insertion in record["insertions"]}
    assert words
    assert all(word.startswith(("#", "sha256:")) for word in words)
    assert call("report", str(bank)).code == 0
    shown = [
        [line for line in (folder / "report.md").read_text("utf-8").splitlines() if line.startswith("| mention AUROC")]
        for folder in (audited, bank)
    ]
    assert shown[0] == shown[1] != []


def test_more_rows_give_the_metrics_of_a_run_that_began_with_them(tiny_folder, call, tmp_path):
    settings = ["settings=sentences", "styles=keywords", "chunk=2", "decide_rows=3", "calibration_rows=4"]
    for out, rows in (("grown", 2), ("grown", 3), ("begun", 3)):
        assert call("audit", f"model={tiny_folder}", f"out={tmp_path / out}", f"rows={rows}", *settings).code == 0
    grown, begun = ((tmp_path / out / "seed-0/audited/sentences.jsonl").read_bytes() for out in ("grown", "begun"))
    assert grown == begun


def test_sampled_replies_are_kept_and_the_report_says_how_many(tiny_folder, call, tmp_path):
    settings = ["settings=sentences", "styles=keywords", "chunk=2", "decide_rows=3", "calibration_rows=4"]

    def audit(out, rows):
        given = [f"model={tiny_folder}", f"out={tmp_path / out}", f"rows={rows}", "mention_samples=3", *settings]
        assert call("audit", *given).code == 0
        return tmp_path / out

    audit("grown", 2)
    folders = audit("grown", 3), audit("begun", 3)
    arms = [folder / "seed-0/audited" for folder in folders]
    for name in ("samples.jsonl", "sentences.jsonl"):
        assert (arms[0] / name).read_bytes() == (arms[1] / name).read_bytes()
    samples = [json.loads(line) for line in (arms[1] / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [sample["sample"] for sample in samples] == [0, 1, 2] * 3
    assert len({sample["reply"] for sample in samples}) > 3
    assert json.loads((folders[1] / "run.json").read_text("utf-8"))["sampling"] == {
        "samples": 3,
        "temperature": 1.0,
        "seeds": [0],
    }
    assert "the share of k = 3 sampled replies" in (folders[1] / "report.md").read_text("utf-8")
    (arms[1] / "sentences.jsonl").unlink()
    (folders[1] / "checksums.json").unlink()
    kept = (arms[1] / "samples.jsonl").read_bytes()
    audit("begun", 3)  # goes on behind the samples
    assert (arms[1] / "samples.jsonl").read_bytes() == kept
    assert (arms[1] / "sentences.jsonl").read_bytes() == (arms[0] / "sentences.jsonl").read_bytes()
    assert call("release", str(folders[1]), str(tmp_path / "bank")).code == 0
    with gzip.open(tmp_path / "bank/seed-0/audited/samples.jsonl.gz", "rt", encoding="utf-8") as file:
        masked = [json.loads(line) for line in file]
    assert all(sample["reply"].startswith("sha256:") for sample in masked)
    assert all(word.startswith("#") for sample in masked for word in (*sample["words"], *sample["denied"]))


def test_inserted_words_are_explained_in_requested_lengths(tiny_folder, call, tmp_path):
    settings = ["settings=sentences", "steps_order=before", "rows=2", "decide_rows=2", "calibration_rows=4"]
    out = tmp_path / "run"
    assert call("audit", f"model={tiny_folder}", f"out={out}", "insertion_lengths=true", *settings).code == 0
    lines = (out / "seed-0/audited/sentences.jsonl").read_text("utf-8").splitlines()
    for record in map(json.loads, lines):
        lengths = {insertion["length"] for insertion in record["insertions"]}
        assert lengths == {None, *REQUESTED_LENGTHS[record["style"]]}
        assert {insertion["kept_length"] for insertion in record["insertions"] if not insertion["length"]} == {None}
        assert "F-AUROC" in record["values"] | record["reasons"]
    page = (out / "report.md").read_text("utf-8")
    assert "insertion, random: F-AUROC" in page
    assert "insertion, targeted: replies of the requested length" in page
    prompts = json.loads((out / "run.json").read_text("utf-8"))["prompts"]
    assert "exactly 4 keywords" in prompts["keywords, sentences, length 4"]
    assert prompts["steps, sentences, length 5"].startswith("Before you answer, write exactly 5 numbered steps")
