"""`saywhy attribute` from the command to the page, on a tiny model and on scores made by hand."""

import io
import json
import re

import pytest
from rich.console import Console

import tiny
from saywhy.attribution.scores import WordScores
from saywhy.cli import attribute as module
from saywhy.cli.attribute import attribute_texts, planned_passes
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import read_json, read_lines, write_lines
from saywhy.records import Example, Prediction, SaywhyError
from saywhy.report.agreement import Attributions, agreement_csv, agreement_sheet, agreements, gap_sheet, load_scores
from saywhy.report.attribution import attribution_page, shaded_pieces, show_attribution, write_attribution
from saywhy.settings import parse

ALL = "occlusion,gradient_x_input,integrated_gradients,kernel_shap,lime,lexical,random"
SMALL = ("rows=5", "calibration_rows=8", "lexicon_rows=40", "chunk=2", "steps=3", "samples=20")


def made(scores, texts=None):
    """Return scores by method, one list of (words, scores) a text, as if they had been read."""
    ids = [f"t{at}" for at in range(len(next(iter(scores.values()))))]
    return Attributions(
        folder=None,
        manifest={"task": {"name": "toys"}, "config": {"model": "m"}},
        texts={one: Example(one, text) for one, text in zip(ids, texts or [" ".join("abcde")] * len(ids), strict=True)},
        predictions={one: Prediction("positive", "positive", {}, 1.0, "negative") for one in ids},
        scores={
            name: {
                one: WordScores(tuple("abcde")[: len(mine)], tuple(mine), name)
                for one, mine in zip(ids, each, strict=True)
            }
            for name, each in scores.items()
        },
        aside=0,
    )


def test_the_command_on_built_in_texts(call, monkeypatch, tmp_path, tiny_folder):
    out = tmp_path / "run"
    words = ("attribute", f"model={tiny_folder}", f"methods={ALL}", "operators=redact,delete", *SMALL, f"out={out}")
    code, shown, told = call(*words)
    assert code == 0, told
    names = [*ALL.split(","), "occlusion-delete"]
    texts = [line["id"] for line in read_lines(out / "texts.jsonl")]
    assert len(texts) == 5
    for name in names:
        lines = read_lines(out / "attribution" / f"{name}.jsonl")
        assert [line["id"] for line in lines] == texts
        assert {line["method"] for line in lines} == {name}
        assert all(len(line["words"]) == len(line["scores"]) >= 2 for line in lines)
        assert all(isinstance(line["gap"], float) == (name == "integrated_gradients") for line in lines)
        assert name in shown
    everything = "".join(path.read_text("utf-8") for path in out.rglob("*") if path.is_file()) + shown
    assert "NaN" not in everything
    assert not re.search(r"\bnan\b", everything)
    assert "rank correlation" in shown
    assert "attribution.html" in told
    assert (out / "attribution.html").read_text("utf-8").count('class="card"') == 5
    assert len((out / "agreement.csv").read_text("utf-8").splitlines()) == 1 + 8 * 7 // 2
    # The report is rebuilt from the files; the same command again computes nothing.
    (out / "attribution.html").unlink()
    monkeypatch.setattr("saywhy.training.models.open_model", None)
    assert call("report", str(out)).code == 0
    assert (out / "attribution.html").is_file()
    assert call(*words).code == 0


def test_a_killed_run_goes_on_and_gives_the_same(monkeypatch, tmp_path, tiny_folder):
    words = [f"model={tiny_folder}", "methods=random,kernel_shap", *SMALL]
    config = parse(words)
    straight = attribute_texts(config, tmp_path / "straight")
    real, calls = module.METHODS["kernel_shap"], []

    def dies(classifier, items, options, tick=None):
        calls.append(len(items))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(classifier, items, options, tick)

    monkeypatch.setattr(module, "METHODS", {**module.METHODS, "kernel_shap": dies})
    with pytest.raises(KeyboardInterrupt):
        attribute_texts(config, tmp_path / "killed")
    with pytest.raises(SaywhyError, match=r"no kernel_shap.jsonl: run the same"):
        load_scores(tmp_path / "killed")
    attribute_texts(config, tmp_path / "killed")
    assert calls == [2, 2, 2, 1]
    for name in ("random", "kernel_shap"):
        first, second = (
            read_lines(folder / "attribution" / f"{name}.jsonl") for folder in (straight, tmp_path / "killed")
        )
        for one, other in zip(first, second, strict=True):
            assert one["words"] == other["words"]
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("methods=oclusion",), "did you mean 'occlusion'?"),
        (("methods=attention",), "Methods: occlusion, gradient_x_input"),
        (("operators=redakt",), "operators=redakt: did you mean 'redact'? it takes redact, delete, infill"),
        (("methods=",), "methods"),
        (("methods=lime,lime",), "none twice"),
        (("steps=0",), "steps=0"),
        (("task=one.yaml",), "at least two"),
        (("model=MODEL", "data=short.jsonl"), "no text of short.jsonl can be used: fewer than two words ("),
    ],
)
def test_bad_input_is_one_line(words, told, call, monkeypatch, tmp_path, tiny_folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text("name: one\nquestion: Is it?\nlead_in: It is\nlabels: [good]\n")
    write_lines(tmp_path / "short.jsonl", ({"text": f"word{n}", "label": "positive"} for n in range(40)))
    words = (word.replace("MODEL", str(tiny_folder)) for word in words)
    said = call("attribute", "rows=3", "calibration_rows=4", *words)
    assert said.code == 2
    assert told in said.problem
    assert not said.out


def test_captum_missing_is_said_before_anything_is_computed(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SaywhyError, match=r"pip install 'saywhy\[attribution\]'"):
        attribute_texts(parse(["methods=random,lime"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_method_that_takes_words_out_is_run_once_an_operator():
    config = parse(["methods=occlusion,random", "operators=delete,redact"])
    assert [one.name for one in planned_passes(config)] == ["occlusion-delete", "occlusion", "random"]


def test_a_run_that_lacks_a_later_setting_had_its_default(monkeypatch, tmp_path, tiny_folder):
    config = parse([f"model={tiny_folder}", "methods=random", *SMALL])
    folder = attribute_texts(config, tmp_path / "run")
    told = read_json(folder / "run.json")
    del told["config"]["packing"], told["config"]["chunk"]
    (folder / CHECKSUMS_FILE).unlink()
    (folder / "run.json").write_text(json.dumps(told))
    with pytest.raises(SaywhyError, match=r"holds another run \(chunk: 20 -> 2\)"):
        attribute_texts(config, folder)


def test_words_that_are_no_candidates_are_neither_scored_nor_shaded(tiny_folder, tmp_path):
    texts = [{"text": f"a {mood} day , at number {at} .", "label": label} for at, (mood, label) in enumerate(
        [("sunny", "positive"), ("awful", "negative")] * 20)]  # fmt: skip
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    methods = "methods=occlusion,gradient_x_input,random"
    folder = attribute_texts(
        parse([f"model={tiny_folder}", methods, *SMALL, f"data={tmp_path / 'texts.jsonl'}"]), tmp_path / "run"
    )
    for name in ("occlusion", "gradient_x_input", "random"):
        for line in read_lines(folder / "attribution" / f"{name}.jsonl"):
            assert len(line["words"]) == len(line["scores"]) == 6
            assert not {",", "."} & {*line["words"]}
    assert [(piece.text, piece.score) for piece in shaded_pieces("so , so .", WordScores(("so",), (1.0,), "m"))] == [
        ("so", 1.0), (" , ", None), ("so", 1.0), (" .", None),
    ]  # fmt: skip


def test_agreement_by_hand():
    found = made(
        {
            "one": [[3, 2, 1], [3, 2, 1], [1, 1, 1], [0.5, 0.1]],
            "same": [[9, 5, 0], [9, 5, 0], [1, 2, 3], [2, 1]],
            "turned": [[1, 2, 3], [3, 2, 1], [1, 2, 3], [1, 2]],
            "flat": [[0, 0, 0]] * 3 + [[0, 0]],
        }
    )
    by_pair = {(one.first, one.second): one for one in agreements(found)}
    same, turned, flat = by_pair["one", "same"], by_pair["one", "turned"], by_pair["one", "flat"]
    assert (same.top.value, same.rank.value, same.top.n) == (1.0, pytest.approx(1.0), 3)  # one tells no words apart
    assert turned.top.value == pytest.approx(1 / 3)
    assert turned.rank.value == pytest.approx(-1 / 3)
    assert turned.top.low < turned.top.value < turned.top.high
    assert (flat.top.value, flat.rank.value, flat.top.n) == (None, None, 0)
    assert len(by_pair) == 6
    assert "one,flat,0,,,,,," in agreement_csv(found)
    rows = {(row[0].main, row[1].main): [str(cell) for cell in row[2:]] for row in agreement_sheet(found).rows}
    assert rows["one", "flat"] == ["–", "–", "0"]  # noqa: RUF001
    assert rows["one", "same"][2] == "3"


def test_a_single_method_agrees_with_nothing():
    assert agreement_sheet(made({"one": [[1, 2]]})) is None
    assert gap_sheet(made({"one": [[1, 2]]})) is None


def test_shades_put_the_text_together_again():
    text = "  (A b, a!\tc) &amp; d e\n"
    shaded = shaded_pieces(text, WordScores(("a", "b", "c", "&", "d", "e"), (4.0, -4.0, -2.0, 1.0, 0.4, 0.0), "m"))
    assert "".join(piece.text for piece in shaded) == text
    assert [(piece.text, piece.level) for piece in shaded if piece.score is not None] == [
        ("A", 4), ("b", -4), ("a", 4), ("c", -2), ("&amp;", 1), ("d", 0), ("e", 0)
    ]  # fmt: skip
    assert {piece.level for piece in shaded_pieces("a b", WordScores(("a", "b"), (0.0, 0.0), "m"))} == {0}


def test_the_page_escapes_what_comes_from_data():
    bad = "<script>alert(1)</script> & <b>b</b> [bold]x[/]"
    found = made({"one": [[1, -1]]}, [bad])
    words = tuple(dict.fromkeys(("script>alert(1)</script", "&", "b>b</b", "bold]x")))
    found.scores["one"]["t0"] = WordScores(words, (1.0, -1.0, 0.2, 0.0), "one")
    found.predictions["t0"] = Prediction("<i>", "<i>", {}, 1.0, "n")
    html = attribution_page(found)
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert re.sub(r"<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").count(bad) == 1


def test_the_terminal_reads_no_markup_from_data(tmp_path, tiny_folder):
    rows = [{"text": f"[red]so[/] {word} a day, [link=x]n{n}", "label": "positive"} for n in range(40) for word in "ab"]
    write_lines(tmp_path / "rows.jsonl", rows)
    config = parse([f"model={tiny_folder}", f"data={tmp_path / 'rows.jsonl'}", "methods=random", *SMALL, "rows=2"])
    folder = attribute_texts(config, tmp_path / "run")
    stream = io.StringIO()
    show_attribution(folder, Console(file=stream, width=120))
    assert stream.getvalue().count("[red]so[/]") == 2
    assert write_attribution(folder).is_file()


def test_any_task_can_be_attributed(tmp_path, tiny_folder):
    words = [f"model={tiny_folder}", "methods=occlusion,gradient_x_input", *SMALL, "rows=2", "most_words=12"]
    for task in ("snli", "ag_news"):
        found = load_scores(attribute_texts(parse([*words, f"task={task}"]), tmp_path / task))
        assert len(found.texts) == 2
        assert tiny.TASK.name not in attribution_page(found)
