"""No report has an empty table or a number that is none, however little there is to report; none breaks on a file."""

import dataclasses
import io
import shutil

import pytest
from rich.console import Console

from pages import holes, holes_of
from saywhy.attribution.scores import WordScores
from saywhy.cli import attribute as attributing
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import read_lines, read_records, write_json, write_lines, write_text
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.records import Decision, Prediction, Row, SaywhyError
from saywhy.report import show_any_report, write_comparison, write_report
from saywhy.report.agreement import PREDICTIONS_STEM, SCORES_FOLDER
from saywhy.report.attribution import show_attribution, write_attribution
from saywhy.report.calibration_page import PLANT_COLOURS, PLANT_MARKERS, show_calibration, write_calibration
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from saywhy.report.terminal import show_run_summary as show_summary
from saywhy.ruler import run as calibration
from saywhy.ruler.plants import PLANT_LABELS, PLANTS
from saywhy.settings import parse
from saywhy.tasks.task import load_task
from written_runs import lines, write_run


def printed(function, *args):
    stream = io.StringIO()
    function(*args, Console(file=stream, width=120))
    return stream.getvalue()


def test_the_tests_of_holes_find_some():
    assert holes("<table><tr><th>a</th></tr></table><p>nan</p>", "html") == ["table 0 is empty", "nan"]
    assert holes("<style>a{fill:none}</style><title>None</title><table><tr><td>1</td></tr></table>", "html") == []
    assert holes("| a |\n| --- |\n\n| b |\n| --- |\n| NaN |\n", "md") == ["the table at line 1 is empty", "NaN"]
    assert holes("a,b\n1,inf\n2\n", "csv") == ["line 2 has 1 cells", "inf"]
    assert holes("a\n", "csv") == ["the file is empty"]
    assert holes("a finance of -inf and nothing", "txt") == ["-inf"]


def changed(folder, **fields):
    """Change every row of a run."""
    for place in folder.glob("seed-*/*"):
        rows = [dataclasses.replace(row, **fields) for row in read_records(place / "rows.jsonl", Row)]
        lines(place / "rows.jsonl", rows)


def without(folder, name):
    for file in folder.glob(f"seed-*/*/{name}"):
        file.unlink()


INVALID = {"words": (), "inserted": (), "edited": None, "reason": "empty reply", "recheck": None, "drop": None,
           "hit": False}  # fmt: skip
LITTLE = {
    "one text": (lambda folder: None, {"n": 2, "arms": ("x",), "seeds": (0,)}),
    "one text of each of five arms": (lambda folder: None, {"n": 2, "seeds": (0,)}),
    "nothing valid": (lambda folder: changed(folder, **INVALID), {"n": 4}),
    "nothing can flip": (lambda folder: changed(folder, hit=False, floor=0.0, ceiling=False), {"n": 4}),
    "everything flips": (lambda folder: changed(folder, hit=True, floor=1.0, ceiling=True), {"n": 4}),
    "no gold labels": (
        lambda folder: [
            lines(file, [dataclasses.replace(one, gold=None) for one in read_records(file, Decision)])
            for file in folder.glob("seed-*/*/decisions.jsonl")
        ],
        {"n": 4},
    ),
    "no decisions": (lambda folder: without(folder, "decisions.jsonl"), {"n": 4}),
    "no tables": (lambda folder: without(folder, "tables.jsonl"), {"n": 4}),
    "no rows": (lambda folder: without(folder, "rows.jsonl"), {"n": 4}),
    "no texts": (lambda folder: (folder / "texts.jsonl").unlink(), {"n": 4}),
    "nothing set aside": (lambda folder: (folder / "set_aside.jsonl").unlink(), {"n": 4}),
}


@pytest.mark.parametrize("name", LITTLE)
def test_a_run_with_little_in_it(tmp_path, name):
    change, shape = LITTLE[name]
    folder = write_run(tmp_path, **shape)
    change(folder)
    write_report(folder)
    assert holes_of(folder) == []
    assert holes(printed(show_summary, summarise(load_run(folder))), "txt") == []
    if name not in ("no rows", "no texts"):
        assert holes(write_comparison(folder, folder).read_text("utf-8"), "md") == []


def follows(plant):
    return ScriptedModel(
        "planted", load_task("sentiment140"),
        lambda text: {label: 3.0 * (label == plant.label(text)) for label in PLANT_LABELS},
        honest, {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def calibrated(tiny_folder, tmp_path_factory):
    """Return a function from settings to the folder of a calibration by the rules themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration._RulerRun, "_trained", lambda self, plant, where: plant.name)
        patch.setattr(calibration, "open_model", lambda name, *_: follows(PLANTS[name]))

        def made(*settings):
            words = [f"model={tiny_folder}", "calibration_rows=8", "methods=occlusion,random", *settings]
            return calibration.calibrate_ruler(parse(words), tmp_path_factory.mktemp("calibrated"))

        yield made


@pytest.mark.parametrize("rows", [1, 2])
def test_a_calibration_of_hardly_any_text(calibrated, rows):
    folder = calibrated(f"rows={rows}", "plants=keyword,position")
    write_calibration(folder)
    assert holes_of(folder) == []
    assert holes(printed(show_calibration, folder), "txt") == []


def test_dots_of_every_plant_are_drawn_apart():
    marks = list(zip(PLANT_MARKERS, PLANT_COLOURS, strict=True))
    assert len(set(marks)) == len(PLANTS)
    assert len(set(PLANT_COLOURS)) == len(set(PLANT_MARKERS)) == len(PLANTS)


def test_a_calibration_with_plants_that_were_not_learned_or_not_finished(calibrated):
    folder = calibrated("rows=6", "plants=keyword,trigger,negation")
    (folder / CHECKSUMS_FILE).unlink()  # an older folder
    write_json(folder / "plants/keyword/followed.json", {"right": 101, "n": 200})
    for name in ("keyword", "trigger"):
        for stem in calibration.PLANT_FILES:
            (folder / "plants" / name / f"{stem}.jsonl").unlink()
    write_calibration(folder)
    assert holes_of(folder) == []
    told = printed(show_calibration, folder)
    assert "not learned" in told
    assert "not finished" in told
    shutil.rmtree(folder / "plants/negation")
    with pytest.raises(SaywhyError, match=r"keyword not learned.*\(101 of 200 texts\); trigger not finished"):
        show_calibration(folder)


@pytest.fixture(scope="module")
def attributed(tiny_folder, tmp_path_factory):
    """Return the folder of two methods on three texts."""
    words = [f"model={tiny_folder}", "rows=3", "calibration_rows=8", "lexicon_rows=40", "methods=lexical,random"]
    folder = attributing.attribute_texts(parse(words), tmp_path_factory.mktemp("attributed") / "run")
    write_attribution(folder)
    return folder


@pytest.mark.parametrize("texts", [1, 3])
@pytest.mark.parametrize("methods", [["random"], ["lexical", "random"]])
def test_an_attribution_with_little_in_it(attributed, tmp_path, texts, methods):
    ignored = shutil.ignore_patterns("*.csv", "*.html", CHECKSUMS_FILE)
    folder = shutil.copytree(attributed, tmp_path / "run", ignore=ignored)
    told = read_lines(folder / SCORES_FOLDER / f"{PREDICTIONS_STEM}.jsonl")[:texts]
    write_lines(folder / SCORES_FOLDER / f"{PREDICTIONS_STEM}.jsonl", told)
    manifest = load_run(folder).manifest
    write_json(folder / "run.json", {**manifest, "methods": methods})
    # All words alike: there is neither a best one nor an order.
    alike = [
        {**line, "scores": [0.0] * len(line["scores"])} for line in read_lines(folder / SCORES_FOLDER / "random.jsonl")
    ]
    write_lines(folder / SCORES_FOLDER / "random.jsonl", alike)
    write_attribution(folder)
    assert (folder / "agreement.csv").is_file() == (len(methods) > 1)
    assert holes_of(folder) == []
    assert holes(printed(show_attribution, folder), "txt") == []


DAMAGE = {
    "gone": None,
    "empty": b"",
    "blank": b"\n\n",
    "an empty object": b"{}\n",
    "a list": b"[]\n",
    "a number": b"5\n",
    "null": b"null\n",
    "broken": b'{"id": "a\n',
    "no text": b"\xff\xfe\x00",
}


def damaged(folder):
    """Yield every file of a run from which a report is made, in every broken form; the file is whole again after."""
    for file in sorted(folder.rglob("*.json*")):
        whole = file.read_bytes()
        half = whole[: len(whole) // 2]
        for name, content in {
            **DAMAGE,
            "half": half,
            "half a file of whole lines": half[: half.rfind(b"\n") + 1],
        }.items():
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
            yield f"{file.relative_to(folder)} {name}"
            write_text(file, whole.decode())


def problem_of(folder):
    """Return the one line that a report ends in, None if it is made; any other error is one."""
    try:
        show_any_report(folder)
    except SaywhyError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", ["audit", "attributed", "calibrated"])
def test_a_damaged_file_is_named_in_one_line_or_done_without(request, tmp_path, monkeypatch, capsys, kind):
    monkeypatch.setattr("saywhy.report.plots.figures", lambda summary: [])  # slow, and of no interest here
    made = request.getfixturevalue(kind)
    folder = made("rows=3", "plants=keyword") if kind == "calibrated" else made
    folder = shutil.copytree(folder, tmp_path / "run")
    refused = 0
    for what in damaged(folder):
        for file in folder.glob("*.html"):
            file.unlink()
        if problem := problem_of(folder):
            refused += 1
            assert "\n" not in problem, what
            assert str(folder) in problem, what
        else:
            assert holes(capsys.readouterr().out, "txt") == [], what
            assert holes_of(folder) == [], what
    assert refused > 8


@pytest.mark.parametrize("what", ["nowhere", "a file", "an empty folder", "another folder"])
@pytest.mark.parametrize("verb", ["report", "compare"])
def test_what_is_no_run_is_one_line(call, tmp_path, audit, verb, what):
    folder = tmp_path / "run"
    if what == "a file":
        folder.write_text("x")
    elif what != "nowhere":
        folder.mkdir()
    if what == "another folder":
        (folder / "plants").mkdir()
        (folder / SCORES_FOLDER).mkdir()
        (folder / SCORES_FOLDER / f"{PREDICTIONS_STEM}.jsonl").write_text("")
    said = call(verb, *([audit, folder] if verb == "compare" else [folder]))
    assert said.code == 2
    kind = "log of decisions" if (verb, what) == ("report", "a file") else "run: it has no run.json"
    assert said.problem.startswith(f"{folder} is no {kind}")
    assert not said.out


def test_a_run_that_was_killed_at_once_has_a_report_that_says_so(call, tmp_path):
    write_json(tmp_path / "run.json", {"schema": 1, "config": {}, "seconds": {}, "counts": {}})
    (tmp_path / "seed-0/base/.rows-parts").mkdir(parents=True)
    said = call("report", tmp_path)
    assert said.code == 0
    assert "This run holds no explanation that was judged." in said.out
    assert holes_of(tmp_path) == []


def test_line_ends_within_texts_are_no_line_ends(tmp_path):
    """Real texts hold line separators that are none to JSON."""
    texts = [f"a{end}b" for end in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"]
    write_lines(tmp_path / "rows.jsonl", ({"text": text} for text in texts))
    assert [line["text"] for line in read_lines(tmp_path / "rows.jsonl")] == texts
    scores = [WordScores((text,), (1.0,), "random") for text in texts]
    lines(tmp_path / "scores.jsonl", scores)
    assert read_records(tmp_path / "scores.jsonl", WordScores) == scores
    one = Prediction("x", "x", {}, 1.0, "y")
    lines(tmp_path / "one.jsonl", [one])
    assert read_records(tmp_path / "one.jsonl", Prediction) == [one]
