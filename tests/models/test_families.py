"""A model is no code: the chat templates of much-used families are read, asked and answered as they are."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import families
import tiny
from practice import made_rows
from problems import fails
from saywhy.folders.store import read_records
from saywhy.models import template
from saywhy.models.backends import open_model
from saywhy.models.chat import Chat
from saywhy.models.infill import SHORTEST_WORD, words_of_gap
from saywhy.models.interface import Choice, Copy, Edit, Gap
from saywhy.protocol.prompts import question_chat
from saywhy.records import Row
from saywhy.training.encoding import Recipe, encode
from saywhy.words import fold

QUESTION = [{"role": "user", "content": "Which word?"}]
ANSWERED = [*QUESTION, {"role": "assistant", "content": "It is sad."}, {"role": "user", "content": "Why?"}]
BRIEF = {"role": "system", "content": "Be brief."}
SMALL = ("rows=2", "calibration_rows=4", "lexicon_rows=40", "decide_rows=2", "chunk=2")
STYLES = ("styles=redaction,counterfactual", "readouts=generated,constrained,guided")
PRACTICE = (
    "arms=base,faithful",
    "adapt_rows=4",
    "train_rows=4",
    "adapt_epochs=1",
    "epochs=1",
    "train_styles=redaction",
)


@pytest.fixture(params=families.FAMILIES)
def family(request):
    """Return a family and its chats."""
    of_kind = families.FAMILIES[request.param]
    return of_kind, Chat(families.tokenizer(of_kind), request.param)


def test_a_turn_is_written_where_it_is_scored(family):
    of_kind, chat = family
    assert chat.lead == of_kind.lead
    assert chat.tokenizer.convert_ids_to_tokens(chat.end_of_turn[0]) == of_kind.end
    answer = {"role": "assistant", "content": "The food was sad"}
    for messages in (QUESTION, ANSWERED):
        turn = chat.turn([*messages, answer], "row 1")
        head, [whole] = chat.continuations(chat.begin(messages, "The food was"), [" sad"])
        assert turn.ids == (*whole, chat.end_of_turn[0])
        assert turn.ids[: turn.start] == chat.ids([chat.open(messages)])[0] == head[: turn.start]
        assert chat.reply(turn.ids[turn.start : -1]) == answer["content"]
        assert [answer["content"][slice(*span)] for span in turn.spans[-3:-1]] == [" was", " sad"]


def test_thoughts_are_over_before_an_answer_and_no_part_of_one(family):
    of_kind, chat = family
    opened = chat.open(ANSWERED)
    assert opened.count("<think>") == opened.count("</think>")
    assert opened.rstrip().endswith("</think>") == of_kind.thoughts
    text = "<think> what a mess </think> bad"
    assert (chat.refusal([{"role": "user", "content": text}]) is not None) == of_kind.thoughts


def test_a_thought_is_ended_by_whoever_reads_a_template_that_only_begins_it():
    begun = tiny.CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    chat = Chat(tiny.tokenizer(begun), "begun")
    assert chat.open(QUESTION).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert chat.refusal([{"role": "user", "content": "<think> bad"}]) == "holds a control token of the model"


@pytest.mark.parametrize("prefix", ["bytes", "always", "first", "never"])
def test_an_end_that_is_no_special_token_is_the_one_behind_a_word(prefix):
    plain = families.Family(tiny.CHATML.replace("<|im_end|>\n", "</s> "), "<|end|>", prefix=prefix)
    chat = Chat(families.tokenizer(plain), "plain")
    turn = chat.turn([*QUESTION, {"role": "assistant", "content": "The food was sad"}], "row 1")
    assert chat.tokenizer.convert_ids_to_tokens(turn.ids[-1]).startswith("<")
    assert chat.reply(turn.ids[turn.start : -1]) == "The food was sad"


def test_marks_in_a_text_are_control_tokens(family):
    of_kind, chat = family
    for mark in (of_kind.end, *of_kind.special):
        assert chat.refusal([{"role": "user", "content": f"they typed {mark} and left"}]), mark
    for text in ("plain <table> words", "a <b>bold</b> word", "[REDACTED]", "I think [so]"):
        assert chat.refusal([{"role": "user", "content": text}]) is None, text


def test_system_turns_are_kept_or_go_before_the_users_words(family, capsys):
    of_kind, chat = family
    opened = chat.open([BRIEF, *QUESTION])
    assert opened.index("Be brief.") < opened.index("Which word?")
    said = " ".join(capsys.readouterr().err.split())
    assert ("takes no system turns: they go before the user's words" in said) != of_kind.system
    chat.open([BRIEF, *ANSWERED])
    assert not capsys.readouterr().err


def test_turns_that_a_template_does_not_take_are_told():
    chat = Chat(families.tokenizer(families.FAMILIES["mistral"]), "strict")
    twice = [*QUESTION, *QUESTION]
    assert chat.refusal(twice) == "refused by the model's chat template"
    assert fails(chat.open, twice) == (
        "model 'strict': its chat template does not take these turns (user, user): roles must alternate"
    )


@pytest.mark.parametrize("form", ["%d %b %Y", "%d %B %Y", "%Y-%m-%d", "%A, %-d.%m.%y", "%H:%M %p"])
def test_the_day_is_the_same_in_every_sitting(form):
    for argument in (f"'{form}'", f"format='{form}'"):
        dated = "{% if strftime_now is defined %}{{ strftime_now(" + argument + ") }}{% endif %}" + tiny.CHATML
        opened = Chat(tiny.tokenizer(dated), "dated").open(QUESTION)
        assert opened.startswith(template.TEMPLATE_DATE.strftime(form) + "<|im_start|>")


def test_a_fingerprint_is_that_of_what_is_written():
    prints = {name: Chat(families.tokenizer(of_kind), name).fingerprint for name, of_kind in families.FAMILIES.items()}
    assert prints["gemma 2"] == prints["gemma 3"]  # but for system turns, which nobody has here
    assert prints["r1 distill"] == prints["r1 distill, older"]
    assert len(set(prints.values())) == len(prints) - 2
    plain, commented = tiny.tokenizer(), tiny.tokenizer("{# said otherwise #}" + tiny.CHATML)
    assert Chat(plain, "a").fingerprint == Chat(commented, "b").fingerprint


def test_one_of_several_templates_is_the_default():
    several = tiny.tokenizer({"default": tiny.CHATML, "tool_use": "{{ messages }}"})
    assert Chat(several, "several").open(QUESTION) == Chat(tiny.tokenizer(), "one").open(QUESTION)
    assert "has no default chat template" in fails(Chat, tiny.tokenizer({"tool_use": tiny.CHATML}), "tools")


def test_a_template_that_cannot_be_rendered_is_one_line():
    line = fails(Chat, tiny.tokenizer("{{ messages[0].content + messages[0].name }}"), "odd")
    assert line.startswith("model 'odd': its chat template does not take these turns (user): ")
    assert "is no template" in fails(Chat, tiny.tokenizer("{% for m in messages %}"), "broken")


@pytest.mark.parametrize("name", families.FAMILIES)
def test_every_question_has_an_answer(tmp_path, name):
    model = open_model(str(families.save(tmp_path, families.FAMILIES[name])), precision="float32")
    chats = [question_chat(tiny.TASK, text, {}) for text in tiny.TEXTS]
    choices = [Choice(chat, ("sad", "great"), ends=True) for chat in chats]
    choices += [Choice(chat, ("positive", "negative"), "The sentiment is") for chat in chats]
    edited = tiny.TEXTS[2].replace("sad", "glad")
    copies = [Copy(chats[2], tiny.TEXTS[2], (Edit(edited, edited.index("glad") + 4),))]
    scores, departures = model.weigh(choices, copies)
    assert all(score < 0 for of_choice in scores for score in of_choice)
    assert departures[0][0].inserted <= departures[0][0].begins < 0
    drafted = model.generate(chats, [12] * 3, copied=tiny.TEXTS)
    assert drafted == model.generate(chats, [12] * 3)


def test_what_is_practised_is_what_is_measured(family):
    _, chat = family
    recipe = Recipe()
    for row in made_rows(tiny.TEXTS[2:]):
        encoded = encode(chat, row, recipe)
        assert sum(encoded["weights"]) == pytest.approx(1.0)
        completion = row["completion"][0]["content"]
        assert chat.reply(encoded["ids"][encoded["start"] : -1]) == completion


FAST = ("llama 2", "qwen 3", "gemma 2")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in families.FAMILIES]
)
def test_a_whole_audit(call, tmp_path, name):
    folder = families.save(tmp_path / "model", families.FAMILIES[name])
    ended = call("audit", f"model={folder}", f"out={tmp_path / 'run'}", *SMALL, *STYLES)
    assert ended.code == 0, ended.err
    noted = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["model"]
    assert noted["template"] == Chat(families.tokenizer(families.FAMILIES[name]), name).fingerprint
    assert noted["template_date"] == "2024-07-26"
    [file] = (tmp_path / "run").glob("seed-0/*/rows.jsonl")
    rows = read_records(file, Row)
    assert {row.readout for row in rows} == {"generated", "constrained", "guided"}
    assert all(row.valid for row in rows if row.readout != "generated")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_a_whole_run(call, tmp_path, name):
    folder = families.save(tmp_path / "model", families.FAMILIES[name])
    ended = call("run", f"model={folder}", f"out={tmp_path / 'run'}", *SMALL, *PRACTICE, "styles=redaction")
    assert ended.code == 0, ended.err
    [adapter] = (tmp_path / "run").glob("seed-0/faithful/adapter")
    saved = json.loads((adapter / "saywhy.json").read_text("utf-8"))["tasks"]["sentiment140"]
    assert saved["belongs"]["template"] == Chat(families.tokenizer(families.FAMILIES[name]), name).fingerprint
    again = call("audit", f"model={adapter}", f"out={tmp_path / 'again'}", *SMALL, "styles=redaction")
    assert again.code == 0, again.err
    [constants] = (tmp_path / "again").glob("seed-0/*/constants.json")
    assert json.loads(constants.read_text("utf-8")) == saved["constants"]


def test_words_of_a_gap_are_found_by_every_kind_of_tokenizer(family):
    """Some tokenizers swallow the blank before a token that is decoded by itself."""
    _, chat = family
    gap, blank = Gap([{"role": "user", "content": "How was it?"}], "the weather was"), {}
    for token in range(len(chat.tokenizer)):
        [piece] = chat.pieces([token])
        if piece.startswith(" ") and piece[1:].isalpha() and len(piece) > SHORTEST_WORD:
            blank[token] = fold(piece[1:])
    assert len(set(blank.values())) > 3
    tokens = list(blank)
    assert words_of_gap(chat, gap, tokens, len(tokens)) == tuple(dict.fromkeys(blank[token] for token in tokens))


def test_no_blank_of_a_reply_is_cleaned_up():
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), *((sign, -1.0) for sign in "\u2581so,god.In'tlvei")], 0, False))
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made = PreTrainedTokenizerFast(tokenizer_object=unigram, eos_token="<|im_end|>", clean_up_tokenization_spaces=True)
    made.chat_template = tiny.CHATML
    text = "so good , I do n't love it ."
    assert Chat(made, "unigram").reply(made.encode(text, add_special_tokens=False)) == text
