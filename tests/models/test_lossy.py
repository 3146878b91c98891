"""Tokenizers and chat templates that do not take every text: it is set aside with its reason, or one line says why."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import tiny
from saywhy.models.backends import open_model
from saywhy.models.interface import Copy, Edit
from saywhy.models.sequences import edited_copies
from saywhy.records import SaywhyError
from saywhy.training.encoding import Recipe, samples

WORDS = ("What", "a", "great", "day", "negative", "positive", "user", "assistant")
GUARDED = (
    "{% if 'forbidden' in messages[0]['content'] %}{{ raise_exception('not this word') }}{% endif %}" + tiny.CHATML
)
STRICT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """Return a tiny model that has one token for all words that it does not know."""
    folder = tmp_path_factory.mktemp("forgetful")
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<|im_start|>", "<|im_end|>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|im_end|>", unk_token="<unk>", pad_token="<unk>")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.chat_template = (
        "{% for m in messages %}<|im_start|> {{ m['role'] }} {{ m['content'] }} <|im_end|> {% endfor %}"
        "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
    )
    torch.manual_seed(0)
    tiny.ARCHITECTURES["llama"](len(made)).save_pretrained(folder)
    made.save_pretrained(folder)
    return open_model(str(folder))


def said(content, role="user"):
    return [{"role": role, "content": content}]


def test_texts_of_unknown_words_are_set_aside(forgetful):
    reasons = forgetful.objections([said("What a great day"), said("What a dreadful day")], 0)
    assert reasons == [None, "holds signs that the model's tokenizer does not have"]


def test_an_edit_that_the_tokenizer_does_not_see_is_one_line(forgetful):
    copy = Copy(said("What a dreadful day"), "What a dreadful day", (Edit("What a wonderful day", 16),))
    with pytest.raises(SaywhyError, match="reads 'What a wonderful day' and the text it is an edit of alike"):
        edited_copies(forgetful.chat, copy)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Return a tiny model whose chat template refuses a word, and a system turn."""
    return open_model(str(tiny.save(tmp_path_factory.mktemp("guarded"), template=STRICT + GUARDED)))


def test_texts_that_the_chat_template_refuses_are_set_aside(guarded):
    reasons = guarded.objections([said("a fine day"), said("a forbidden day")], 0)
    assert reasons == [None, "refused by the model's chat template"]
    with pytest.raises(SaywhyError, match=r"does not take these turns \(user\): not this word"):
        guarded.chat.open(said("a forbidden day"))


def test_instruction_rows_that_the_chat_template_refuses_are_left_out(guarded, capsys):
    answer = [{"role": "assistant", "content": "a great day"}]
    rows = [
        {"id": str(number), "style": "replay", "prompt": prompt, "completion": answer}
        for number, prompt in enumerate((said("forbidden"), said("hi")))
    ]
    assert len(samples(guarded.chat, rows, Recipe(), 512)) == 1
    assert "1 instruction rows are left out: refused by the model's chat template" in capsys.readouterr().err
    assert guarded.losses([[*said("forbidden"), *answer]]) == [None]
