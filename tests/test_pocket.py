"""The built-in texts keep their promises: counts, balance, true deciding words, clean sentences."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from saywhy.pocket import POCKET_TASKS, SPLIT_SIZES, rows
from saywhy.pocket.__main__ import print_sample_rows
from saywhy.pocket.grammar import (
    Dice,
    PhraseBlock,
    PhraseTemplate,
    article,
    draw_sentences,
    expand_template,
    strip_marks,
)

LABELS = {
    "sentiment140": {"negative", "positive"},
    "snli": {"entailment", "neutral", "contradiction"},
    "ag_news": {"World", "Sports", "Business", "Sci/Tech"},
}
COLUMNS = {"sentiment140": ["text"], "snli": ["premise", "hypothesis"], "ag_news": ["text"]}
LENGTHS = {
    ("sentiment140", "text"): (6, 13),
    ("snli", "premise"): (7, 14),
    ("snli", "hypothesis"): (4, 9),
    ("ag_news", "text"): (9, 18),
}
EVERY = [(task, split) for task in POCKET_TASKS for split in SPLIT_SIZES]


def core(run: str) -> str:
    """Return a run of non-blanks without edge punctuation, folded; the whole run if nothing else is left."""
    return (re.sub(r"^[\W_]+|[\W_]+$", "", run) or run).lower()


def fields(task: str, row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[column] for column in COLUMNS[task])


def explained(task: str, row: dict[str, Any]) -> str:
    return str(row[COLUMNS[task][-1]])


def squeezed(task: str, row: dict[str, Any]) -> str:
    """Return a row's text in small letters, without punctuation, handle and hash tag."""
    bare = re.sub(r"@\w+|#\w+|&amp;|\band\b", " ", " / ".join(fields(task, row)).lower())
    return " ".join(re.sub(r"\W+", " ", bare).split())


def whole(task: str) -> list[dict[str, Any]]:
    return [row for split in SPLIT_SIZES for row in rows(task, split)]


@pytest.mark.parametrize(("task", "split"), EVERY)
def test_counts_and_columns(task: str, split: str) -> None:
    made = rows(task, split)
    assert len(made) == {"train": 1100, "validation": 200, "test": 300}[split]
    wanted = {*COLUMNS[task], "label", "causes", "competing"}
    assert all(set(row) == wanted for row in made)
    json.dumps(made)


@pytest.mark.parametrize("task", POCKET_TASKS)
def test_rows_are_distinct_and_splits_disjoint(task: str) -> None:
    folded = {split: {squeezed(task, row) for row in rows(task, split)} for split in SPLIT_SIZES}
    assert {split: len(texts) for split, texts in folded.items()} == SPLIT_SIZES
    assert all(not folded[one] & folded[other] for one, other in combinations(SPLIT_SIZES, 2))


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize(("task", "split"), EVERY)
def test_labels_and_competing_words_are_balanced(task: str, split: str, seed: int) -> None:
    made = rows(task, split, seed)
    labels = Counter(row["label"] for row in made)
    assert set(labels) == LABELS[task]
    assert max(labels.values()) - min(labels.values()) <= 1
    contested = Counter(row["label"] for row in made if row["competing"])
    assert abs(2 * sum(contested.values()) - len(made)) <= 1
    assert all(abs(2 * contested[label] - count) <= 1 for label, count in labels.items())


@pytest.mark.parametrize("task", POCKET_TASKS)
def test_marked_words_are_whole_words_of_the_explained_field(task: str) -> None:
    for row in whole(task):
        words = {core(run) for run in explained(task, row).split()}
        causes = {core(word) for word in row["causes"]}
        competing = {core(word) for word in row["competing"]}
        assert len(causes) == len(row["causes"]) == 1, row
        assert causes <= words, row
        assert competing <= words, row
        assert not causes & competing, row


@pytest.mark.parametrize("task", POCKET_TASKS)
def test_deciding_words_are_many_and_their_place_tells_nothing(task: str) -> None:
    made = whole(task)
    assert len({row["causes"][0].lower() for row in made}) >= 60
    first: Counter[bool] = Counter()
    for row in made:
        if row["competing"]:
            order = [core(run) for run in explained(task, row).split()]
            first[order.index(core(row["causes"][0])) < order.index(core(row["competing"][0]))] += 1
    assert min(first.values()) >= 0.1 * sum(first.values()), first


def test_a_word_of_tweets_decides_for_one_label_and_competes_against_the_other() -> None:
    for label, other in (("negative", "positive"), ("positive", "negative")):
        deciding = {r["causes"][0].lower() for r in whole("sentiment140") if r["label"] == label}
        rival = {r["competing"][0].lower() for r in whole("sentiment140") if r["label"] == other and r["competing"]}
        assert len(deciding) >= 60
        assert len(deciding & rival) >= 30, "the same words should win in some rows and lose in others"
        against = {r["causes"][0].lower() for r in whole("sentiment140") if r["label"] == other}
        assert not deciding & against


@pytest.mark.parametrize("task", POCKET_TASKS)
def test_sentences_are_clean(task: str) -> None:
    for row in whole(task):
        for column in COLUMNS[task]:
            text = row[column]
            least, most = LENGTHS[task, column]
            assert least <= len(text.split()) <= most, text
            assert text == " ".join(text.split()), text
            assert not re.search(r"[*~{}<>|%\t]|\(n\)| [,.!?]|,,|\.\.\.\.", text.replace(":)", "").replace(":(", "")), (
                text
            )
            assert not re.search(r"\ba [aeio]", text, re.IGNORECASE) or re.search(r"\ba one\b", text), text
            assert not re.search(r"\ban (?!hour|honest|heir)[^aeiou\W]", text, re.IGNORECASE), text
            assert not re.search(r"\b(the|a|an|to|of|is|was|in|on|and) \1\b", text, re.IGNORECASE), text


def test_tweets_look_like_tweets() -> None:
    texts = [row["text"] for row in whole("sentiment140")]
    assert 8.5 <= sum(len(text.split()) for text in texts) / len(texts) <= 10.5
    for pattern in (r"#\w", r"^@\w", "\u2019", "&amp;", r":\(", r":\)", "sooo", "!", r"^[a-z]", r"^[A-Z]"):
        assert sum(bool(re.search(pattern, text)) for text in texts) >= 5, pattern


@pytest.mark.parametrize("task", POCKET_TASKS)
def test_same_seed_same_rows_in_another_process_and_another_seed_differs(task: str) -> None:
    script = f"import json; from saywhy.pocket import rows; print(json.dumps(rows({task!r}, 'validation', 3)))"
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"]
    there = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}).stdout
    assert json.loads(there) == rows(task, "validation", 3)
    assert rows(task, "validation", 4) != rows(task, "validation", 3)


def test_rows_are_the_callers_to_change() -> None:
    rows("snli", "test")[0]["causes"].append("changed")
    assert "changed" not in rows("snli", "test")[0]["causes"]


@pytest.mark.parametrize(("task", "split", "named"), [("imdb", "test", "ag_news"), ("snli", "dev", "validation")])
def test_unknown_names_are_answered_with_the_known_ones(task: str, split: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        rows(task, split)


def test_grammar_binds_names_once_and_reads_marks() -> None:
    names = [(["who", "his"], [["man", "his"], ["woman", "her"]])]
    for seed in range(20):
        text = expand_template(
            PhraseTemplate("a(n) {old|tall} <who>, <his> *hat*, ~not~ <his> coat", names), Dice(str(seed))
        )
        assert re.fullmatch(r"(an old|a tall) (man, his \*hat\*, ~not~ his|woman, her \*hat\*, ~not~ her) coat", text)
    done = strip_marks("*Boring* *boring*, said the ~happy~ man *:(*")
    assert (done.text, done.causes, done.competing) == (
        "Boring boring, said the happy man :(",
        ["Boring", ":("],
        ["happy"],
    )
    assert [article(word) for word in ("hour", "uniform", "8:15", "old", "man")] == [
        "an",
        "a",
        "an",
        "an",
        "a",
    ]
    assert PhraseBlock("empty").tagged("f") == []


def test_an_exhausted_or_broken_grammar_says_so() -> None:
    with pytest.raises(ValueError, match="holds 2 distinct"):
        draw_sentences([[PhraseTemplate("{a|b} thing", [])]], 3, Dice("0"), lambda text, _: text, set())
    with pytest.raises(ValueError, match="unmatched"):
        expand_template(PhraseTemplate("a {b thing", []), Dice("0"))


def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    print_sample_rows()
    page = Path(__file__).parents[1] / "docs" / "pocket.md"
    assert page.read_text(encoding="utf-8").endswith(capsys.readouterr().out.rstrip() + "\n")
