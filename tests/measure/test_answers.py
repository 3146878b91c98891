"""Label words of which one begins another are told apart by the whole word."""

import json

import pytest

import tiny
from saywhy.measure.predict import label_scores
from saywhy.models.interface import Choice
from saywhy.protocol.prompts import question_chat
from saywhy.tasks.task import Task

STARS = {
    "name": "stars",
    "question": "Is this review worth 1, 12 or 5 points?",
    "lead_in": "The review is worth",
    "labels": {"a": "1", "b": "12", "c": "5"},
}
SMALL = ("rows=2", "calibration_rows=4", "lexicon_rows=40", "decide_rows=2", "chunk=2", "styles=attribution")


def test_the_stop_behind_a_label_counts_where_one_begins_another(tiny_model):
    task = Task(**STARS)
    chat = question_chat(task, tiny.TEXTS[0], {})
    [bare] = tiny_model.choose([Choice(chat, ("1", "12", "5"), task.lead_in)])
    [whole] = tiny_model.choose([Choice(chat, ("1.", "12.", "5."), task.lead_in)])
    [scores] = label_scores(tiny_model, task, [(tiny.TEXTS[0], {})])
    assert bare[0] > bare[1]  # of a beginning alone the shorter one is always likelier
    for label, score in zip("abc", whole, strict=True):
        assert scores[label] - scores["a"] == pytest.approx(score - whole[0], abs=1e-5)


def test_such_a_task_is_audited(call, tmp_path, tiny_folder, jsonl):
    words = {"a": "awful cold", "b": "great sunny", "c": "plain quiet"}
    rows = [
        {"text": f"the {words[label]} food number {number}", "label": label} for number in range(40) for label in words
    ]
    for split in ("train", "validation", "test"):
        data = jsonl(rows, f"{split}.jsonl").parent
    (tmp_path / "stars.yaml").write_text(json.dumps(STARS), "utf-8")
    for verb, more in (("audit", SMALL), ("attribute", (*SMALL[:-1], "methods=occlusion,gradient_x_input"))):
        words_of_verb = (f"task={tmp_path / 'stars.yaml'}", f"data={data}", f"model={tiny_folder}", *more)
        ended = call(verb, *words_of_verb, f"out={tmp_path / verb}")
        assert ended.code == 0, ended.err
