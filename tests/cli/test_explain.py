"""``saywhy explain`` as people use it: a text, a file of lines, JSON for programs."""

import io
import json

import pytest

from api_server import RuleServer, failing
from moods import RULE, TASK, TEXTS

SMALL = ("calibration_rows=8", "styles=attribution,redaction")


@pytest.fixture
def lines_in(monkeypatch):
    """Return a function that puts lines into standard input."""

    def put(*lines, terminal=False):
        stream = io.StringIO("".join(f"{line}\n" for line in lines))
        stream.isatty = lambda: terminal
        monkeypatch.setattr("sys.stdin", stream)

    return put


def test_lines_become_decisions_in_their_order(call, tiny_folder, lines_in):
    texts = ["What a great day at sea", "the queue was awful", "great", '{"a brace": begins', "  ", "rain again"]
    lines_in(*texts)
    ended = call("explain", f"model={tiny_folder}", "effort=self", *SMALL)
    assert ended.code == 0, ended.err
    decisions = [json.loads(line) for line in ended.out.splitlines()]
    assert [decision["text"] for decision in decisions] == [text for text in texts if text.strip()]
    assert all(decision["effort"] == "self" for decision in decisions)
    assert decisions[2]["check"]["status"] == "not_explainable"
    assert decisions[0]["redaction"] is not None
    assert decisions[0]["counterfactual"] is None


def test_lines_may_be_objects_and_a_bad_one_ends_nothing(call, tiny_folder, lines_in):
    rows = [
        {"text": "No one sleeps.", "premise": "Two dogs nap."},
        {"text": "No one sleeps."},
        {"txt": "No one sleeps.", "premise": "x"},
        {"text": "No one sleeps.", "context": {"premise": "Two dogs nap."}, "effort": "search"},
        {"text": "No one sleeps.", "premise": "x", "effort": "much"},
        {"text": "No one sleeps. " * 300, "premise": "Two dogs nap."},
        {"text": 5, "premise": "x"},
    ]
    lines_in(*map(json.dumps, rows))
    ended = call("explain", f"model={tiny_folder}", "task=snli", *SMALL)
    assert ended.code == 2
    answers = [json.loads(line) for line in ended.out.splitlines()]
    assert [answer.get("line") for answer in answers] == [None, 2, 3, None, 5, 6, 7]
    assert answers[3]["effort"] == "search"
    assert answers[3]["context"] == {"premise": "Two dogs nap."}
    problems = {answer["line"]: answer["error"] for answer in answers if "line" in answer}
    assert "premise=..." in problems[2]
    assert "text" in problems[3]
    assert "effort=much: it takes self, repair, search" in problems[5]
    assert "longer than the model's context" in problems[6]
    assert "5 of 7 lines could not be explained" in ended.err


def test_fields_beside_a_context_are_not_lost(call, tiny_folder, lines_in):
    premise = {"premise": "Two dogs nap."}
    rows = [
        {"text": "No one sleeps.", "context": premise, "efort": "search"},
        {"text": "No one sleeps.", "context": {}, **premise},
        {"text": "No one sleeps.", "context": 5},
    ]
    lines_in(*map(json.dumps, rows), '{"text": ' + "[" * 100_000)
    ended = call("explain", f"model={tiny_folder}", "task=snli", "premise=x", "effort=self", *SMALL)
    typo, split, number, deep = map(json.loads, ended.out.splitlines())
    assert "efort" in typo["error"]
    assert split["context"] == premise
    assert "its context is '5'" in number["error"]
    assert "error" in deep


def test_bytes_that_are_no_text_fail_by_themselves(call, tiny_folder, monkeypatch):
    """A file from Windows begins with a mark; a line in another encoding is said to be, the others are answered."""
    content = b'\xef\xbb\xbf{"text": "what a day at sea"}\nthe caf\xe9 was great\nrain "\xf0\x9f\x98\x80" again\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    ended = call("explain", f"model={tiny_folder}", "effort=self", *SMALL)
    assert ended.code == 2
    first, broken, last = map(json.loads, ended.out.splitlines())
    assert (first["text"], last["text"]) == ("what a day at sea", 'rain "\U0001f600" again')
    assert (broken["line"], "broken characters" in broken["error"]) == (2, True)


def test_one_text_as_json(call, tiny_folder):
    ended = call("explain", "--json", "What a \x1b[31mgreat day", f"model={tiny_folder}", *SMALL)
    assert ended.code == 0, ended.err
    decision = json.loads(ended.out)
    assert set(decision["made_with"]) == {"weights", "template", "prompts", "task"}
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(
    ("lines", "terminal", "problem"),
    [(("", " "), False, "standard input has no line"), ((), True, "explain takes one text, in quotes; or give lines")],
)
def test_nothing_to_explain(call, lines_in, lines, terminal, problem):
    lines_in(*lines, terminal=terminal)
    ended = call("explain", "task=sentiment140")
    assert ended.code == 2
    assert problem in ended.problem


def test_a_model_is_calibrated_once_for_the_same_texts(call, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    words = ("explain", "What a great day at sea", f"model={tiny_folder}", *SMALL)
    first, second, other = call(*words), call(*words), call(*words, "calibration_rows=9")
    assert first.out == second.out
    assert "calibrate" in first.err
    assert "calibrate" not in second.err
    assert "calibrate" in other.err
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text('{"constants": {"negative": "x"}, "pinned": {}}')
    mended = call(*words)
    assert mended.out == first.out
    assert "is damaged: measured anew" in mended.err


def test_a_calibration_that_cannot_be_kept_is_used_all_the_same(call, tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "file" / "cache"))
    ended = call("explain", "What a great day at sea", f"model={tiny_folder}", *SMALL, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["text"] == "What a great day at sea"
    assert "cannot be written (Not a directory): calibration is not kept" in ended.err


def test_data_that_leaves_no_text_to_calibrate_on(call, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": f"word{n}"}) + "\n" for n in range(40)))
    ended = call("explain", "a great day", f"model={tiny_folder}", f"data={tmp_path / 'rows.jsonl'}", *SMALL)
    assert ended.code == 2
    assert "no training text is left to calibrate 'sentiment140' on: give more, of at least two words" in ended.problem


def test_what_was_measured_on_other_texts_or_otherwise_is_not_taken(call, tiny_folder, tmp_path, monkeypatch):
    """Two tasks may ask alike of texts from different places; other products give other constants."""
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    labels = ("negative", "positive")
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        rows = [
            {"text": f"the {day} day {split} {n} was long", "body": f"a {day} meal {split} {n} at noon", "label": label}
            for day, label in zip(("sad", "great"), labels, strict=True)
            for n in range(24)
        ]
        (tmp_path / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(column, *words):
        task = {"name": "days", "question": "How was it?", "lead_in": "It was", "labels": labels, "text": column}
        (tmp_path / "days.yaml").write_text(json.dumps(task))
        data = (f"data={tmp_path / 'data'}", f"task={tmp_path / 'days.yaml'}")
        ended = call("explain", "a great day at sea", f"model={tiny_folder}", *data, *SMALL, *words)
        assert ended.code == 0, ended.err
        return ended.err

    assert "calibrate" in run("text")
    (tmp_path / "data" / "decisions.jsonl").write_text("{}\n")  # a log beside the data is none of them
    assert "calibrate" not in run("text")
    assert "calibrate" in run("text", "precision=bfloat16")
    monkeypatch.setattr("saywhy.models.precision.has_bfloat16_units", lambda: True)
    monkeypatch.setattr("saywhy.models.precision.copies_are_faster", lambda width: True)
    assert "calibrate" in run("text")  # the same setting, now with other products
    assert "calibrate" in run("body")
    train = tmp_path / "data" / "train.jsonl"
    train.write_text("".join(reversed(train.read_text().splitlines(keepends=True))))
    assert "calibrate" in run("body")


def test_data_without_labels_will_do(call, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    days = ("great", "sad", "cold", "sunny", "late", "early", "grey", "blue")
    rows = [{"text": f"the {day} day number {number} was long"} for day in days for number in range(12)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = call("explain", "a great day at sea", f"model={tiny_folder}", f"data={path}", *SMALL)
    assert ended.code == 0, ended.err
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[::-1]))
    assert "calibrate" in call("explain", "a great day at sea", f"model={tiny_folder}", f"data={path}", *SMALL).err


def test_a_model_behind_an_api_gives_reasons_that_hold(call, tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    rows = [{"text": f"{text} {n}", "label": max(RULE(text), key=RULE(text).get)} for n, text in enumerate(TEXTS * 12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "toys.yaml").write_text(json.dumps(TASK.model_dump(mode="json", exclude={"hub"})))
    server = RuleServer()
    try:
        text = "the food at noon was great"
        words = (f"model={server.model}", f"task={tmp_path / 'toys.yaml'}", f"data={tmp_path / 'rows.jsonl'}")
        ended = call("explain", text, *words, "calibration_rows=8", "--json")
        assert ended.code == 0, ended.err
        decision = json.loads(ended.out)
        assert (decision["effort"], decision["label"]) == ("self", "good")
        assert (decision["reason"]["words"], decision["check"]["status"]) == (["great"], "holds")
        refused = call("explain", text, *words, "effort=repair")
        assert refused.code == 2
        assert "effort=repair needs a model that tells how likely it finds words" in refused.problem
    finally:
        server.close()


@pytest.mark.parametrize("setting", ["operators=delete", "readouts=generated", "learning_rate=0.1", "trainer.x=1"])
def test_a_setting_that_changes_nothing_in_a_single_decision_is_refused(call, tiny_folder, setting):
    refused = call("explain", "a great day at sea", f"model={tiny_folder}", setting)
    assert refused.code == 2
    assert f"{setting.partition('=')[0].partition('.')[0]}= changes nothing in a single decision" in refused.problem


def test_a_line_that_the_server_refuses_or_that_is_broken_costs_the_others_nothing(call, tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    rows = [{"text": f"{text} {n}", "label": max(RULE(text), key=RULE(text).get)} for n, text in enumerate(TEXTS * 12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "toys.yaml").write_text(json.dumps(TASK.model_dump(mode="json", exclude={"hub"})))
    lines = [
        "the food at noon was great",
        "the poison at noon was great",
        '{"text": "an awful day",}',
        "an awful cold day",
        '{"id": 7, "text": "half a li',
    ]
    server, refuse = RuleServer(), failing(400)
    server.every = lambda handler, body: (refuse if "poison" in str(body) else server.answer)(handler, body)
    try:
        words = (f"model={server.model}", f"task={tmp_path / 'toys.yaml'}", f"data={tmp_path / 'rows.jsonl'}")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        ended = call("explain", *words, "calibration_rows=8")
    finally:
        server.close()
    answers = [json.loads(line) for line in ended.out.splitlines()]
    assert [answer.get("label") for answer in answers] == ["good", None, None, "bad", None]
    assert answers[1]["line"] == 2
    assert all("broken JSON" in answers[at]["error"] for at in (2, 4))
