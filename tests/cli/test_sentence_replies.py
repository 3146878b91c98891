"""Odd replies in sentences, and odd texts, through the command line: a reason each, and no number that is none."""

import json
import re

import pytest

from saywhy.folders.store import write_lines
from saywhy.models.interface import Reply
from saywhy.models.scripted import ScriptedModel, keyword_rule
from saywhy.tasks.task import load_task
from saywhy.training import models

TASK = load_task("sentiment140")
CUES = {"negative": {"awful": 3.0, "sad": 2.0}, "positive": {"great": 3.0, "love": 2.0}}
INSERTS = {"negative": ("awful", "sad"), "positive": ("great", "love")}
SETTINGS = ("settings=sentences", "calibration_rows=4", "decide_rows=2")
NOTHING_MENTIONED = "names no word of the text"
MANY_WORDS = " ".join(f"word{number % 97}" for number in range(10_000))


@pytest.fixture
def audit(call, tiny_folder, tmp_path, monkeypatch):
    """Return a function from a reply, or an explainer, to the rows and the pages of an audit of who always gives it."""

    def run(reply, *settings):
        explain = reply if callable(reply) else lambda request: reply
        toy = ScriptedModel("odd", TASK, keyword_rule(TASK, CUES, "positive"), explain, INSERTS)
        monkeypatch.setattr(models, "open_model", lambda *_: toy)
        out = tmp_path / "run"
        result = call("audit", f"model={tiny_folder}", f"out={out}", *SETTINGS, *settings)
        assert result.code == 0, result.err
        assert "Traceback" not in result.err
        arm = out / "seed-0/audited"
        for name in ("rows", "sentences", "samples"):
            if (arm / f"{name}.jsonl").is_file():
                assert not re.search(r"\b(?:NaN|Infinity)\b", (arm / f"{name}.jsonl").read_text("utf-8"))
        for page in ("report.md", "table.csv", "report.html"):
            assert not re.search(r"\b(?:nan|inf)\b", (out / page).read_text("utf-8"), re.I), page
        assert not re.search(r"\b(?:nan|inf)\b", result.out + result.err, re.I)
        rows, scores = (
            [json.loads(line) for line in (arm / f"{name}.jsonl").read_text("utf-8").splitlines()]
            for name in ("rows", "sentences")
        )
        for record in scores:
            assert all(record["reasons"].values())
            assert not record["values"].keys() & record["reasons"].keys()
        texts = [json.loads(line) for line in (out / "texts.jsonl").read_text("utf-8").splitlines()]
        return rows, scores, {text["id"]: text["text"] for text in texts}

    return run


def with_label_everywhere(request):
    first = request.ranked()[0]
    return f"It is positive. The positive word “{first}” is positive. So positive it is, positive."


ODD_REPLIES = (
    ("", "empty reply"),
    ("   \n\n ", "empty reply"),
    ("<think>Hm, what does", "cut off"),
    ("Die Stimmung des Textes wirkt durchweg heiter.", NOTHING_MENTIONED),
    ("\u611f\u60c5\u306f\u80af\u5b9a\u7684\u3067\u3059\u3002", NOTHING_MENTIONED),
    ("\u0427\u0443\u0432\u0441\u0442\u0432\u043e \u0432 \u0441\u043b\u043e\u0432\u0430\u0445.", NOTHING_MENTIONED),
    (MANY_WORDS, "too long"),
    ("\U0001f600 \U0001f600", NOTHING_MENTIONED),
    ("It is positive. Positive! So positive.", NOTHING_MENTIONED),
    ("1. \n2. \n3. ", NOTHING_MENTIONED),
    ("[" * 3000, NOTHING_MENTIONED),
    ("\u200b\u200b", NOTHING_MENTIONED),
    ("\ud83d", NOTHING_MENTIONED),  # half of a character
    ("I'm sorry, but I can't help with that.", "refusal"),
    (lambda request: request.text, "repeats the text"),
    (lambda request: f"\u201c{request.text}\u201d \u201c{request.text}\u201d", "repeats the text"),
    (lambda request: f"Nothing: {request.text}", "repeats the text"),
)


def test_a_reply_that_says_nothing_of_the_text_has_a_reason(audit):
    places = {}

    def explain(request):
        """Give each text an odd reply of its own, those of the audit in order."""
        reply, _ = ODD_REPLIES[places.setdefault(request.text, len(places)) % len(ODD_REPLIES)]
        return reply(request) if callable(reply) else reply

    rows, scores, texts = audit(explain, f"rows={len(ODD_REPLIES)}")
    assert len(rows) == len(scores) == 3 * len(ODD_REPLIES)
    for row in rows:
        reply, reason = ODD_REPLIES[places[texts[row["id"]]]]
        assert row["reason"] == reason, reply
        assert not any((row["hit"], row["words"]))
    assert all("mention AUROC" in record["reasons"] for record in scores)


def test_the_label_in_every_sentence_is_no_mention(audit):
    rows, _, _ = audit(with_label_everywhere, "styles=reasons", "rows=3")
    for row in rows:
        assert len(row["words"]) == 1
        assert not {"positive", "negative"} & {*row["words"], *row["denied"]}


def test_sampled_replies_may_be_as_odd(audit):
    odd = ("", MANY_WORDS, "\u611f\u60c5", "It is great because of the day.")
    settings = ("styles=steps", "steps_order=before", "mention_samples=3", "insertion_lengths=true", "rows=2")
    rows, scores, _ = audit(lambda request: odd[(request.seed or 0) % len(odd)], *settings)
    assert {row["reason"] for row in rows} == {"empty reply"}
    assert {record["samples"] for record in scores} == {3}


def test_a_reply_that_is_cut_off_is_read_as_far_as_it_goes(audit, monkeypatch):
    def generate(self, chats, rooms, tick=None, **_):
        return [Reply("1. It is the day.\n2. And the gr", cut=True)] * len(chats)

    monkeypatch.setattr(ScriptedModel, "generate", generate)
    rows, _, _ = audit("", "styles=steps", "steps_order=before", "rows=2")
    assert {row["cut"] for row in rows} == {True}
    assert {row["reason"] for row in rows} <= {None, "cut off", NOTHING_MENTIONED}


TEXTS = (
    "\U0001f600 \U0001f621 \U0001f389",
    "qwzx vbnm plgh",
    "\u0939\u093e\u0901 \u0926\u093f\u0928",
    ":( :) ;-)",
    "positive negative tweet sentiment",  # no word that may be mentioned
    "a a a b",
    "great",
)


def test_texts_of_no_word_that_a_lemmatiser_knows_have_a_reason_or_numbers(audit, tmp_path):
    plain = [{"text": f"what a great day number{at} it is", "label": "positive"} for at in range(40)]
    data = tmp_path / "data"
    data.mkdir()
    write_lines(data / "train.jsonl", [*plain, {"text": "an awful sad day", "label": "negative"}])
    write_lines(data / "test.jsonl", [{"text": text, "label": "positive"} for text in TEXTS])
    settings = ("styles=keywords,reasons", f"data={data}", "rows=none", "most_words=none", "lexicon_rows=40")

    def name_the_last(request):
        return request.say(request.ranked()[-1:])

    rows, _, _ = audit(name_the_last, *settings)
    by_words = {(row["style"], tuple(row["words"])) for row in rows}
    assert any(words and words[0] in TEXTS[0] for _, words in by_words)
    assert {row["reason"] for row in rows} == {None, NOTHING_MENTIONED}
