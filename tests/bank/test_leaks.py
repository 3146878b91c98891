"""A piece of anyone's text is found in whatever file it stands, and nothing else is taken for one."""

import gzip
import hashlib
import time

import pytest

from saywhy.bank.leaks import leaks
from saywhy.folders.store import write_json, write_lines
from saywhy.stats.insertions import Insertion
from saywhy.stats.mentions import Missing
from saywhy.stats.sentences import (
    CONTROLS,
    PREDICTORS,
    SENTENCE_METRICS,
    SentenceScores,
    control_name,
)
from saywhy.stats.simulation import predicted_counts
from saywhy.tasks.data import example_id


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("seed-0/a/rows.jsonl", '{"reply": "it said a sunny day"}', 1),
        ("seed-0/a/rows.jsonl", '{"reply": "a sunny, no, sunny day"}', 2),
        ("seed-0/a/rows.jsonl", '{"words": ["a", "sunny"]}', 1),
        ("seed-0/a/rows.jsonl", '{"extra": {"A": 1, "Sunny!": 2}}', 1),
        ("seed-0/a/rows.jsonl", '{"words": ["sunny", "a", "day", "great"]}', 0),
        ("seed-0/a/rows.jsonl", '{"words": ["#2", "#3"], "reason": "names several words"}', 0),
        ("seed-0/a/grids.jsonl", '{"inserted": ["great", "awful", "great"]}', 0),
        ("seed-0/a/rows.jsonl", '{"reply": "great awful"}', 1),
        ("seed-0/a/rows.jsonl", '{"reply": "Oh, great! Awful"}', 1),
        ("seed-0/a/adapter/losses.json", '[{"step": 1, "loss": 0.5}, {"step": 2, "eval_loss": 0.5}]', 0),
        ("set_aside.jsonl", '{"reason": "more than 12 words"}', 0),
        ("set_aside.jsonl", '{"reason": "more than 12 apples"}', 1),
        ("run.json", '{"question": "what a sunny day is it"}', 0),
        ("run.json", '{"question": "what a sunny day it is here"}', 1),
        ("report.md", "what a sunny day it is here, they said", 1),
        ("report.html", "<p>what a <b>sunny</b> day it</p> <p>is here</p>", 1),
        ("examples/texts.jsonl", '{"text": "what a sunny day it is here"}', 0),
    ],
)  # fmt: skip
def test_leaks_are_found_wherever_they_are(tmp_path, file, content, found):
    texts = ["What a sunny day it is here", "great, awful; names several words", "awful great", "it has more than"]
    texts += ["3 4 great awful great", "oh great awful", "step loss", "step eval_loss"]
    write_json(tmp_path / "run.json", {"pinned": {"good": ["great"], "bad": ["awful"]}, "task": {"labels": {}}})
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    if file.endswith("jsonl"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    told = leaks(tmp_path, texts)
    assert len(told) == found, told
    assert all(one.startswith(file) for one in told)


def masked_scores(**changes):
    """Return a record of the metrics of sentences as a bank has it: every metric, reason, predictor and control."""
    names = [name for who in PREDICTORS for name in (who, *(control_name(who, control) for control in CONTROLS))]
    insertion = Insertion("0f" * 6, "#?", targeted=True, moved=True, mentioned=False, untouched=0.5)
    record = SentenceScores(
        *("0e" * 6, "tweets", "a", 0, "reasons", "redact", ("#2", "#3"), ("#?",), 0.5),
        values=dict.fromkeys(SENTENCE_METRICS, 0.5),
        reasons={metric: reason.value for metric, reason in zip(SENTENCE_METRICS * 2, Missing, strict=False)},
        insertions=(insertion.to_dict(),),
        simulated={name: predicted_counts([(True, False)]) for name in names},
    )
    return {**record.to_dict(), **changes}


def test_what_metrics_of_sentences_are_called_is_no_leak_whatever_the_texts_say(tmp_path):
    write_json(tmp_path / "run.json", {"task": {"name": "tweets", "labels": {}}})
    # Texts of the very words, in their order, among them "of the", "this size", "another text" and "moved mentioned".
    texts = [*map(str, Missing), *SENTENCE_METRICS, "lexical, another text", "model, label alone", "operator mentioned"]
    texts += ["changed_right kept kept_right", "values reasons insertions simulated", "word targeted moved mentioned"]
    write_lines(tmp_path / "seed-0/a/sentences.jsonl", [masked_scores()])
    assert leaks(tmp_path, texts) == []
    write_lines(tmp_path / "seed-0/a/sentences.jsonl", [masked_scores(reasons={"mention AUROC": "a size of the text"})])
    assert len(leaks(tmp_path, texts)) == 1
    write_lines(tmp_path / "seed-0/a/sentences.jsonl", [masked_scores(simulated={"no word": {"kept": 1}})])
    assert leaks(tmp_path, texts) == ["seed-0/a/sentences.jsonl: no word"]


PLAIN = {
    "an id": lambda text: example_id("tweets", text, {}),
    "sha256": lambda text: f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}",
    "all of it": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "md5": lambda text: hashlib.md5(text.encode()).hexdigest(),
}


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize(
    ("guess", "is_word"), [("sunny", True), ("Sunny,", True), ("a sunny", True), ("day a", False), ("moon", False)]
)
def test_a_plain_hash_of_a_word_or_two_of_any_text_is_found_by_trying(tmp_path, plain, guess, is_word):
    write_json(tmp_path / "run.json", {"task": {"name": "tweets", "labels": {}}})
    write_lines(tmp_path / "texts.jsonl", [{"id": "0f" * 6}, {"id": plain(guess)}])
    shown = leaks(tmp_path, ["What a Sunny, day it is here"])
    assert len(shown) == is_word
    assert all(line.startswith(f"texts.jsonl: plain hash {plain(guess)} of ") for line in shown)


def test_trying_the_words_of_a_thousand_texts_is_quick(tmp_path):
    write_json(tmp_path / "run.json", {"task": {"name": "tweets", "labels": {}}})
    texts = [" ".join(f"w{n * step % 4999}" for step in range(1, 16)) for n in range(1000)]
    write_lines(
        tmp_path / "texts.jsonl",
        [{"id": hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()[:12]} for n in range(1000)],
    )
    began = time.process_time()
    assert leaks(tmp_path, texts) == []
    assert time.process_time() - began < 10, "about one second"
