"""A released bank: every table can be rebuilt from it, and nobody's text can."""

import hashlib
import hmac
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from moods import FULL, TEXTS, study_of
from saywhy.bank.leaks import leaks
from saywhy.bank.mask import BankKey, Mask
from saywhy.bank.paths import portable
from saywhy.bank.release import KEY_FILE, release_bank
from saywhy.bank.runs import training_texts
from saywhy.checks import Judged
from saywhy.cli import app as cli
from saywhy.folders.checksums import CHECKSUMS_FILE, seal
from saywhy.folders.run import TEXT_ORDER, RunFolder
from saywhy.folders.store import read_json, read_lines, read_text, write_json, write_lines
from saywhy.models.scripted import honest
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.report import html, show_report, write_report
from saywhy.report.checked import bias_sheet, probe_sheet, score_sheet
from saywhy.report.load import by_place, load_run
from saywhy.report.study.frozen import frozen_digest
from saywhy.report.summary import summarise
from saywhy.study.frozen import settled_hash
from saywhy.tasks.data import example_id
from saywhy.tasks.parts import OwnPrompt
from saywhy.tasks.task import load_task
from saywhy.words import candidates
from written_runs import write_run

TABLES = ("table.csv", "contrasts.csv", "robustness.csv")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A scripted model's audit with free explanations, three operators and every robustness check."""
    with pytest.MonkeyPatch.context() as patch:
        settings = (*FULL, "robustness=all", "rows=6")
        run = study_of(tmp_path_factory.mktemp("toy"), patch, honest, *settings)
    practised = [
        {"id": "x1", "prompt": [{"role": "user", "content": "Is it?\nTweet: my secret diary of today"}],
         "completion": [{"role": "assistant", "content": "It is."}]},
        {"id": "x1", "prompt": [{"role": "user", "content": "Is it?\nTweet: my [REDACTED] diary of today"}],
         "completion": [{"role": "assistant", "content": "It is."}]},
        {"id": "replay-0", "style": "replay", "prompt": [{"role": "user", "content": "Sing a song of sixpence"}],
         "completion": [{"role": "assistant", "content": "A pocket full of rye"}]},
    ]  # fmt: skip
    write_lines(run / "seed-0" / "audited" / "training.jsonl", practised)
    told = {
        "label": "good",
        "raw_label": "good",
        "scores": {"good": -0.1, "bad": -2.4},
        "margin": 2.3,
        "runner_up": "bad",
    }
    picks = {
        "attribution": {"words": ["diary"], "inserted": [], "hit": True},
        "counterfactual": {"words": ["today"], "inserted": ["stormy"], "hit": False},
    }
    lines = [{"id": name, "prediction": told, "picks": picks} for name in ("x1", "x2")]
    write_lines(run / "seed-0" / "targets.jsonl", lines)
    write_json(run / "seed-0" / "targets.json", {"n": 2, "hits": {"attribution": 1.0}})
    write_report(run)
    return run


@pytest.fixture(scope="module")
def released(toy, tmp_path_factory):
    return release_bank(toy, tmp_path_factory.mktemp("out") / "bank")


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    """A run of five arms and two seeds, judged under a variation too."""
    folder = write_run(tmp_path_factory.mktemp("arms"), arms=("base", "adapted", "faithful", "random"), n=9)
    for place in folder.glob("seed-*/*"):
        fields = Judged.__dataclass_fields__
        rows = read_lines(place / "rows.jsonl")
        lines = [{**{k: v for k, v in row.items() if k in fields}, "variation": "paraphrase-1"} for row in rows]
        write_lines(place / "robustness" / "paraphrase-1.jsonl", lines)
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    write_json(folder / "run.json", manifest | {"text_order": TEXT_ORDER})
    write_report(folder)
    return folder


def contents(folder):
    """Every file of a folder by its place, uncompressed."""
    return {
        path.relative_to(folder).as_posix(): read_text(path) if path.suffix == ".gz" else path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_table_is_rebuilt_byte_for_byte(toy, released, arms, tmp_path):
    for folder, made in ((toy, released), (arms, release_bank(arms, tmp_path / "bank"))):
        write_report(made)
        present = [name for name in TABLES if (folder / name).is_file()]
        assert len(present) == (3 if folder == arms else 2)
        for name in present:
            assert (made / name).read_bytes() == (folder / name).read_bytes()
        for name in TABLES:
            assert (made / name).is_file() == (folder / name).is_file()
    show_report(tmp_path / "bank")


def test_nothing_of_a_text_is_in_the_bank(released):
    lists = json.loads((released / "run.json").read_text("utf-8"))["pinned"]
    allowed = {word for words in lists.values() for word in words}
    assert set(lists) == {"good", "bad"}
    assert len(allowed) < 8
    told = {name: text for name, text in contents(released).items() if name.endswith(("jsonl.gz", "constants.json"))}
    assert len(told) > 12
    for text in TEXTS:
        for word in candidates(text):
            if len(word.key) > 3 and word.key not in allowed:
                assert not [name for name, content in told.items() if re.search(rf"\b{word.key}\b", content)], word.key
    assert not any("diary" in content or "sixpence" in content for content in contents(released).values())
    assert leaks(released, [*TEXTS, "my secret diary of today"]) == []
    left = {path.name for path in released.rglob("*") if path.is_file()}
    assert "training.jsonl.gz" not in left
    assert not {name for name in left if name.endswith(".jsonl")}


def test_the_indices_are_those_of_the_words(toy, released):
    key = BankKey.at(toy / KEY_FILE)
    texts = {line["id"]: line for line in read_lines(toy / "texts.jsonl")}
    shown = {line["id"]: line for line in read_lines(released / "texts.jsonl")}
    before, after = (read_lines(folder / "seed-0/audited/rows.jsonl") for folder in (toy, released))
    named = 0
    for old, new in zip(before, after, strict=True):
        keys = [word.key for word in candidates(texts[old["id"]]["text"])]
        assert [keys[int(place[1:])] for place in new["words"]] == old["words"]
        named += len(new["words"])
        assert {k: v for k, v in new.items() if k not in ("id", "words", "inserted", "reply", "edited")} == {
            k: v for k, v in old.items() if k not in ("id", "words", "inserted", "reply", "edited")
        }
        assert new["id"] == key.id(old["id"]) != old["id"]
        if old["edited"]:
            both = f"{texts[old['id']]['text']}\0{old['edited']}".encode()
            assert new["edited"] == f"sha256:{hmac.new(key.secret, both, 'sha256').hexdigest()[:16]}"
        assert (new["reply"] is None) == (old["reply"] is None)
        assert shown[new["id"]] | {"words": len(keys)} == shown[new["id"]]
    assert named > 50
    for table in read_lines(released / "seed-0/audited/tables.jsonl"):
        assert list(table["words"]) == [f"#{at}" for at in range(shown[table["id"]]["words"])]
    known, unknown = read_lines(released / "seed-0/targets.jsonl")
    assert known["picks"]["attribution"]["words"] == ["#2"]
    assert known["picks"]["counterfactual"]["words"] == ["#4"]
    assert known["picks"]["counterfactual"]["inserted"][0].startswith("sha256:")  # no pinned word
    assert unknown["picks"]["attribution"]["words"] == ["#?"]


def test_how_likely_a_word_was_stays(toy, released):
    before, after = ([row.log_probability for row in load_run(folder).rows] for folder in (toy, released))
    assert before == after
    assert set(before) != {None}


def test_what_was_put_in_stays_if_it_is_pinned_and_is_hashed_if_not():
    key = BankKey(b"secret")
    mask = Mask.of("a sunny day", frozenset({"awful"}), key)
    line = mask.line({"words": ["sunny", "noon"], "inserted": ["awful", "stormy"], "reason": "refusal: I hate it"})
    assert line["words"][0] == "#1"
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", line["words"][1])
    assert line["inserted"][0] == "awful"
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", line["inserted"][1])
    assert line["reason"] == "refusal"
    # A short reply cannot be guessed from its hash: the text and the key go into it.
    assert mask.hashed("sunny") != Mask.of("a sunny day", frozenset(), BankKey(b"another")).hashed("sunny")
    assert mask.hashed("sunny") != Mask.of("another day", frozenset(), key).hashed("sunny")


@pytest.mark.parametrize(
    ("rule", "words"), [(None, ("so", ".", "great", "it", "is")), (2, ("so", "great", "it", "is"))]
)
def test_a_run_is_read_and_released_by_the_rule_for_candidates_that_made_it(tmp_path, rule, words):
    folder = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,))
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    write_json(folder / "run.json", manifest | ({"candidates_rule": rule} if rule else {}))
    texts = [{**line, "text": "so . great . it is ."} for line in read_lines(folder / "texts.jsonl")]
    write_lines(folder / "texts.jsonl", texts)
    arm = folder / "seed-0/base"
    rows = read_lines(arm / "rows.jsonl")
    write_lines(arm / "rows.jsonl", [row | ({"words": ["great"]} if row["words"] else {}) for row in rows])
    (arm / "tables.jsonl").unlink()
    whole, bare = load_run(folder), load_run(release_bank(folder, tmp_path / "bank"))
    assert set(whole.words.values()) == {words}
    assert set(bare.words.values()) == {tuple(f"#{at}" for at in range(len(words)))}
    assert {row.words for row in bare.rows if row.valid} == {(f"#{words.index('great')}",)}
    sheets = [bias_sheet(summarise(run)) for run in (whole, bare)]
    assert [row[:5] for row in sheets[0].rows] == [row[:5] for row in sheets[1].rows]


def test_the_same_folder_gives_the_same_bytes_and_a_bank_is_replaced(toy, released, tmp_path):
    again = release_bank(toy, tmp_path / "bank")
    first = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    packed = [path for path in first if path.suffix == ".gz"]
    assert packed
    (again / "report.md").write_text("an old page", "utf-8")
    release_bank(toy, again)
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()} == first
    assert all(first[path] == (released / path).read_bytes() for path in packed)
    assert {path.name for path in tmp_path.iterdir()} == {"bank"}


def test_sections_say_what_they_cannot_know(toy, released):
    whole, bare = summarise(load_run(toy)), summarise(load_run(released))
    assert load_run(released).bank
    assert not load_run(toy).bank
    assert [row[:5] for row in bias_sheet(bare).rows] == [row[:5] for row in bias_sheet(whole).rows]
    assert bias_sheet(whole).header[5:] == ("length", "frequency")
    assert bias_sheet(bare).header[5:] == ()
    assert "length" not in score_sheet(bare).header
    assert "words kept" in probe_sheet(whole).header
    assert "words kept" not in probe_sheet(bare).header
    for found in (bias_sheet(bare), score_sheet(bare), probe_sheet(bare)):
        assert "the texts are not part of a bank." in found.note
    page = html.run_report_page(bare, ())
    assert "The texts are not part of a bank" in page
    assert "<blockquote>" not in page
    run = by_place(load_run(toy))
    assert {text: len(keys) for text, keys in run.words.items()} == by_place(load_run(released)).counts


def test_a_bank_shows_the_built_in_texts_that_it_carries(toy, tmp_path):
    folder = shutil.copytree(toy, tmp_path / "run")
    pocket = write_run(folder / "examples", arms=("some-model",), n=6, seeds=(0,), task="toys")
    (pocket / "seed-0" / "some-model" / "adapter").mkdir()
    with pytest.raises(SaywhyError, match="data=pocket"):
        release_bank(folder, tmp_path / "bank")
    told = json.loads((pocket / "run.json").read_text("utf-8"))
    config = {"data": "pocket", "model": "/models/of/mine/tiny", "replay": "../mine/replay.jsonl"}
    write_json(pocket / "run.json", told | {"config": config})
    seal(pocket)
    made = release_bank(folder, tmp_path / "bank")
    kept = contents(made / "examples")
    assert {"run.json", "texts.jsonl", "seed-0/some-model/rows.jsonl"} <= set(kept)
    rewritten = {"run.json", CHECKSUMS_FILE}
    assert {name: kept[name] for name in kept.keys() - rewritten} == {
        name: text for name, text in contents(pocket).items() if name in kept.keys() - rewritten
    }
    assert load_run(made / "examples").manifest["config"] == {
        **{"data": "pocket", "model": "tiny", "replay": "local data"}
    }
    assert not (made / "examples" / "seed-0" / "some-model" / "adapter").exists()
    page = html.run_report_page(summarise(load_run(made)), ())
    assert "these are built-in ones" in page
    assert page.count("<blockquote>") == 6


def test_a_study_is_released_with_its_plan_and_what_its_models_retained(toy, arms, tmp_path):
    folder = tmp_path / "study"
    for name, run in (("toys", toy), ("tweets", arms)):
        shutil.copytree(run, folder / "tasks" / name)
    plan = {"name": "small", "data": "/somewhere/of/mine/data", "tasks": ["toys", "tweets"]}
    write_json(folder / "study.json", {"schema": 1, "plan": plan})
    (folder / "frozen.json").write_text('{"hash":  "abc", "cells": []}', "utf-8")
    place = folder / "models" / "seed-0" / "faithful.all.toys"
    retained = {
        "replay": {"n": 1, "ids": ["ab"], "losses": [1.5]},
        "plain": {"n": 1, "asked": ["x"], "reasons": [None]},
    }
    write_json(place / "retention.json", retained)
    write_json(place / "adapter" / "adapter_config.json", {})
    asked = [{"role": "user", "content": "Is it?\nTweet: oh my days"}]
    said = [{"role": "assistant", "content": "It is."}]
    write_lines(place / "training.jsonl", [{"id": "r", "prompt": asked, "completion": said}])
    made = release_bank(folder, tmp_path / "bank")
    assert json.loads((made / "study.json").read_text("utf-8"))["plan"]["data"] == "local data"
    assert read_json(made / "frozen.json") == read_json(folder / "frozen.json")
    there = {path.relative_to(made).as_posix() for path in (made / "models").rglob("*") if path.is_file()}
    assert there == {"models/seed-0/faithful.all.toys/retention.json"}
    kept = retained | {"replay": retained["replay"] | {"ids": [BankKey.at(folder / KEY_FILE).id("ab")]}}
    assert json.loads((made / min(there)).read_text("utf-8")) == kept
    for name, run in (("toys", toy), ("tweets", arms)):
        assert contents(made / "tasks" / name) == contents(release_bank(run, tmp_path / name, folder / KEY_FILE))
    write_json(place / "retention.json", retained | {"note": "oh my days"})
    with pytest.raises(SaywhyError, match=r"nothing was released.*oh my"):
        release_bank(folder, tmp_path / "bank")
    assert json.loads((made / min(there)).read_text("utf-8")) == kept  # the bank of before stays


def test_a_bank_that_would_leak_is_not_written(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(Mask, "hashed", lambda self, said: said)
    with pytest.raises(SaywhyError, match=r"nothing was released: 'seed-0/audited/") as error:
        release_bank(toy, tmp_path / "bank")
    assert "\n" not in str(error.value)
    assert not any(tmp_path.iterdir())


def test_what_is_no_run_or_no_place_is_said_in_one_line(toy, released, tmp_path):
    with pytest.raises(SaywhyError, match="no run and no study"):
        release_bank(tmp_path, tmp_path / "bank")
    with pytest.raises(SaywhyError, match="is a bank already"):
        release_bank(released, tmp_path / "bank")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(SaywhyError, match="no bank and not empty"):
        release_bank(toy, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    with pytest.raises(SaywhyError, match="released bank"):
        RunFolder(released, {}, {})
    shutil.copytree(toy, tmp_path / "lost")
    (tmp_path / "lost" / "texts.jsonl").unlink()
    with pytest.raises(SaywhyError, match=r"texts\.jsonl is missing: run the same command again"):
        release_bank(tmp_path / "lost", tmp_path / "bank")
    (tmp_path / "lost" / CHECKSUMS_FILE).unlink()  # an older folder
    with pytest.raises(SaywhyError, match=r"not in texts\.jsonl"):
        release_bank(tmp_path / "lost", tmp_path / "bank")
    broken = shutil.copytree(released, tmp_path / "broken")
    (broken / "texts.jsonl.gz").write_bytes(b"not packed")
    with pytest.raises(SaywhyError, match=r"texts\.jsonl\.gz is damaged .*: restore it"):
        load_run(broken)
    (broken / CHECKSUMS_FILE).unlink()
    with pytest.raises(SaywhyError, match="is damaged"):
        load_run(broken)


def test_the_verb(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["saywhy", "release", str(toy), str(tmp_path / "bank")])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 0
    assert f"wrote {tmp_path / 'bank'}" in capsys.readouterr().err
    told = json.loads((tmp_path / "bank" / "run.json").read_text("utf-8"))
    assert told["bank"] == 1
    assert told["config"]["data"] == "local data"  # no path of this machine, no name of a file
    assert str(toy.parent) not in json.dumps(told)


def test_the_folder_that_one_stands_in_may_become_the_bank(toy, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert (release_bank(toy, Path()) / "run.json").samefile(tmp_path / "here" / "run.json")


def test_the_bank_of_before_comes_back_if_the_new_one_cannot_take_its_place(toy, tmp_path, monkeypatch):
    made, real = release_bank(toy, tmp_path / "bank"), Path.rename
    before = contents(made)

    def rename(self, target):
        if self.name.endswith(".part"):
            raise OSError("no")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="no"):
        release_bank(toy, made)
    assert contents(made) == before
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_an_anchor_s_edited_texts_do_not_stand_for_the_text_itself(toy, released):
    """Rows of an anchor have the id of their text: words and leaks go by the text as it is."""
    name = BankKey.at(toy / KEY_FILE).id("x1")
    [line] = [line for line in read_lines(released / "seed-0" / "targets.jsonl") if line["id"] == name]
    words = [word.key for word in candidates("my secret diary of today")]
    before = next(line for line in read_lines(toy / "seed-0" / "targets.jsonl") if line["id"] == "x1")
    for style, target in before["picks"].items():
        assert line["picks"][style]["words"] == [f"#{words.index(word)}" for word in target["words"]]


def plain_hashes(guesses):
    """The hashes that anybody can compute of guessed texts: ids, and those of versions before."""
    task = load_task("sentiment140")
    for text in guesses:
        yield example_id(task.name, text, {})
        yield hashlib.sha256(text.encode()).hexdigest()[:16]
        yield from (hashlib.sha256(f"{text}\0{other}".encode()).hexdigest()[:16] for other in guesses)


def test_a_dictionary_does_not_find_short_texts_again(tmp_path):
    folder, guesses = write_run(tmp_path / "run", arms=("base",), n=3, seeds=(0,)), ("yes", "no", "great day")
    names = [example_id("sentiment140", text, {}) for text in guesses]
    records = [Example(name, text, {}, "good") for name, text in zip(names, guesses, strict=True)]
    write_lines(folder / "texts.jsonl", [record.to_dict() for record in records])
    write_lines(folder / "set_aside.jsonl", [SetAside(names[0], "tweets", "fewer than two words").to_dict()])
    for path in folder.glob("seed-0/base/*.jsonl"):
        lines = [{**line, "id": names[int(line["id"][1:])]} for line in read_lines(path)]
        if path.stem == "rows":
            lines = [{**line, "edited": line["edited"] and "no", "reply": "yes"} for line in lines]
        if path.stem in ("tables", "grids", "rows"):
            lines = [{**line, "words": ["yes"] * len(line["words"])} for line in lines]
        write_lines(path, lines)
    shown = "".join(contents(release_bank(folder, tmp_path / "bank")).values())
    assert not [plain for plain in plain_hashes(guesses) if plain in shown]
    assert (folder / KEY_FILE).stat().st_mode & 0o077 == 0
    assert not list((tmp_path / "bank").rglob(KEY_FILE))
    write_lines(tmp_path / "bank" / "more.jsonl", [{"id": names[1]}])
    assert leaks(tmp_path / "bank", guesses, names) == [f"more.jsonl: plain hash {names[1]}"]


def test_banks_of_one_key_have_the_same_ids_and_of_another_key_others(arms, tmp_path, call):
    for name, key in (("one", "shared"), ("two", "shared"), ("three", "other")):
        assert call("release", arms, tmp_path / name, "--key", tmp_path / key).code == 0
    ids = {
        name: {line["id"] for line in read_lines(tmp_path / name / "texts.jsonl")} for name in ("one", "two", "three")
    }
    assert ids["one"] == ids["two"]
    assert not ids["one"] & ids["three"]
    (tmp_path / "shared").write_text("no key")
    assert "holds no key of a bank" in call("release", arms, tmp_path / "four", "--key", tmp_path / "shared").problem


PATHS = {"data": "/home/someone/tweets of mine.jsonl", "replay": "~/chats.jsonl", "model": "file:///home/someone/models/tuned",
         "donor": "../someone/other", "task": "/home/someone/mood.yaml"}  # fmt: skip


def test_paths_are_left_out_and_words_are_not(tmp_path):
    task = {
        "name": "mood",
        "labels": {"/r/science": "/r/science", "~x": "~x"},
        "question": "/s Is this",
        "lead_in": "C:\\ is",
    }
    manifest = {
        "config": PATHS,
        "task": task,
        "model": {"name": "runs/someone/adapter", "public_id": "C:\\Users\\someone\\base"},
    }
    shown = portable(manifest)
    assert shown["task"] == task
    local = {**task, "hub": {"id": "/home/someone/reviews", "splits": {"test": "test"}}}
    assert portable({"task": local})["task"] == {**task, "hub": {"id": "local data", "splits": {"test": "test"}}}
    public = {**task, "hub": {"id": "stanfordnlp/snli", "splits": {"test": "test"}}}
    assert portable({"task": public})["task"] == public
    assert shown["config"] == {"data": "local data", "replay": "local data", "model": "tuned", "donor": "other",
                               "task": "mood.yaml"}  # fmt: skip
    assert shown["model"] == {"name": "adapter", "public_id": "base"}
    assert "someone" not in json.dumps(shown)
    study = {
        "plan": {
            "tasks": ["/home/someone/mood.yaml", "snli"],
            "texts": {"/home/someone/mood.yaml": {"rows": 3}},
            "with": {"trainer": {"logging_dir": "/home/someone/logs", "weight_decay": 0.1}},
            "blocks": [{"train_tasks": [["/home/someone/mood.yaml"]], "test_tasks": ["/home/someone/mood.yaml"]},
                       {"train_tasks": "all", "test_tasks": "own"}],
        },
        "seconds": {"audit base on /home/someone/mood.yaml, seed 0": 1.5, "train adapted, seed 0": 2.0},
    }  # fmt: skip
    shown = portable(study)
    assert "someone" not in json.dumps(shown)
    assert shown["plan"]["blocks"] == [{"train_tasks": [["mood.yaml"]], "test_tasks": ["mood.yaml"]},
                                       {"train_tasks": "all", "test_tasks": "own"}]  # fmt: skip
    assert shown["seconds"] == {"audit base on mood.yaml, seed 0": 1.5, "train adapted, seed 0": 2.0}
    public = {"data": "hub", "model": "allenai/tulu-2-7b", "task": "snli", "replay": None}
    assert portable({"config": public, "plan": {**public, "tasks": ["snli"], "blocks": [{"with": public}]}}) == {
        "config": public,
        "plan": {**public, "tasks": ["snli"], "blocks": [{"with": public}]},
    }


def test_a_frozen_part_that_names_a_folder_is_released_without_it(arms, tmp_path):
    shutil.copytree(arms, tmp_path / "study" / "tasks" / "tweets")
    write_json(tmp_path / "study" / "study.json", {"schema": 1, "plan": {"name": "small", "tasks": ["tweets"]}})
    settings = {"replay": "/home/someone/chats.jsonl", "rows": 3}
    part = {"cells": [], "model": "/home/someone/models/tuned", "settings": settings}
    write_json(tmp_path / "study" / "frozen.json", {"hash": frozen_digest(part), **part})
    frozen = read_json(release_bank(tmp_path / "study", tmp_path / "bank") / "frozen.json")
    assert frozen["model"] == "tuned"
    assert frozen["settings"] == {"replay": "local data", "rows": 3}
    assert frozen["hash"] == frozen_digest(frozen)
    assert settled_hash(frozen) == settled_hash({"hash": frozen_digest(part), **part})


def test_practised_texts_are_read_out_of_an_application_s_own_prompt(tmp_path):
    prompt = OwnPrompt(
        system="You sort tickets.", question="Channel: {channel}\nQueues: billing\nTicket: {body}", answer="{label}"
    )
    texts = {"a": "I was charged twice", "b": "My invoice\nTicket: lost"}
    lines = [
        {
            "id": name,
            "prompt": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.filled({"channel": "mail", "body": text})},
            ],
            "completion": [{"role": "assistant", "content": "billing"}],
        }
        for name, text in texts.items()
    ]
    write_lines(tmp_path / "training.jsonl", lines)
    task = {"noun": "ticket", "text": "body", "context": ["channel"], "prompt": prompt.model_dump()}
    assert training_texts(tmp_path / "training.jsonl", [{"noun": "tweet"}, task]) == texts
    assert all(
        "charged" in text or "invoice" in text for text in training_texts(tmp_path / "training.jsonl", []).values()
    )
