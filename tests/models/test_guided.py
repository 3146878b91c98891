"""Guided replies: greedy among the valid ones, whatever the text, the tokenizer and the way in which it is computed."""

import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import tiny
from saywhy.measure import readouts
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.models import guided
from saywhy.models.forward import FORWARD_WAYS, Forward
from saywhy.models.interface import Guide
from saywhy.models.local import LocalModel
from saywhy.protocol import styles
from saywhy.protocol.templates import Template, reply_templates
from saywhy.records import STYLES, Example, Explanation, SaywhyError
from saywhy.words import candidates, fold, take_out

LABELS = tuple(tiny.TASK.labels.values())
ODD = (
    "great",
    "so so, so good!",
    "Great great GREAT day",
    "a an and ant",
    "the  double   blanks day ",
    "don't, don’t; DON`T stop",
    "AT&amp;T lost it #39;s quot;fun quot; &amp; more",
    "good 😀😀 👍🏽 day :( 😀",
    "das war schön, nicht wahr?",
    "это плохой, плохой день",
    "今日は とても いい 天気",
    "हिन्दी में लिखा है",
    "taken [REDACTED] out of [REDACTED] it",
    "foo: bar baz",
    '"quoted all of it"',
    "**bold** and _under_ `ticks`",
    "two lines\nand more: here",
    "negative or positive, that is it",
    "(a note at the end)",
    "sunny sunnyday day daysunny",
    "redacted words are redacted",
    "U.S.A. vs. e.g. 8:15",
    "cafe\u0301 café",
)


def chat(text):
    return [{"role": "user", "content": text}]


def guide(text, style, labels=LABELS):
    """Return the guide of a reply of ``style`` to a bare text."""

    def is_allowed(reply):
        return styles.read_reply(style, "one-word", text, reply, labels).valid

    return Guide(chat(text), tuple(reply_templates(style, text, labels)), is_allowed)


class ByHand:
    """Guided decoding token by token: every allowed next token is looked at, and the likeliest taken."""

    def __init__(self, model, made):
        self.model, self.made = model, made
        self.opened = model.chat.open(made.messages)
        [self.prompt] = model.chat.ids([self.opened])
        self.pieces = model.chat.letter_tokens

    def ids(self, text):
        return self.model.chat.ids([self.opened + text])[0][len(self.prompt) :]

    def logits(self, reply):
        return self.model.model(torch.tensor([[*self.prompt, *reply]])).logits[0, -1].tolist()

    def allows(self, template, word):
        return self.made.is_allowed(template.filled(word))

    def gap(self, template):
        """Return the tokens before a template's gap, and whether a blank is still to come."""
        blank = template.pieces[0].endswith(" ")
        return self.ids(template.pieces[0][: len(template.pieces[0]) - blank]), blank

    def whole(self, template):
        return (*self.ids(template.filled()), self.model.chat.end_of_turn[0])

    def beginnings(self, template, copies):
        """Yield the (token, word) with which the gap may be filled."""
        ids, blank = self.gap(template)
        own = self.ids(template.pieces[0] + template.replaced)[len(ids)]
        for token, piece in self.pieces.items():
            word = piece.removeprefix(" ")
            departs = piece.startswith(" ") == blank and token not in (*copies, own)
            if departs and self.allows(template, word):
                yield token, word

    def reply(self):
        ids = ()
        while True:
            routes = [(self.gap(t)[0] if t.has_gap else self.whole(t), t) for t in self.made.templates]
            options = {r[len(ids)]: None for r, _ in routes if r[: len(ids)] == ids and len(r) > len(ids)}
            for template in [t for route, t in routes if t.has_gap and route == ids]:
                options |= {token: (template, word) for token, word in self.beginnings(template, tuple(options))}
            if not options:
                return next(template.filled() for route, template in routes if route == ids)
            scores = self.logits(ids)
            token = max(options, key=lambda token: scores[token])
            ids = (*ids, token)
            if options[token]:
                return self.with_word(ids, *options[token])

    def with_word(self, ids, template, word):
        letters = {token for token, piece in self.pieces.items() if not piece.startswith(" ")}
        for _ in range(guided.LONGEST_INSERT - 1):
            scores = self.logits(ids)
            refused = {token for token in letters if not self.allows(template, word + self.pieces[token])}
            token = max(set(range(len(scores))) - refused, key=lambda token: scores[token])
            if token not in letters:
                break
            ids, word = (*ids, token), word + self.pieces[token]
        return template.filled(word)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize("style", STYLES)
def test_replies_are_those_of_greedy_decoding_among_the_allowed(loaded, architecture, style):
    model = loaded(architecture)
    guides = [guide(text, style) for text in (*tiny.TEXTS, *ODD[1:4])]
    ticks = []
    assert model.guide(guides, ticks.append) == [ByHand(model, made).reply() for made in guides]
    assert sum(ticks) == len(guides)


@pytest.mark.parametrize("way", FORWARD_WAYS)
def test_no_reply_depends_on_the_way_the_batch_or_the_budget(tiny_folder, way):
    model = tiny.load_exact(tiny_folder)
    guides = [guide(text, style) for text in ODD for style in STYLES]
    alone = [reply for made in guides for reply in model.guide([made])]
    model.forward = Forward(model.model, "tiny", (way,))
    assert model.guide(guides) == alone
    model.budget.tokens = model.budget.longest = 300
    assert model.guide(guides) == alone


def check_is_valid(model, text):
    """Every style has a valid reply wherever it has a template: of the text, with one word edited alike throughout."""
    for style in STYLES:
        made = guide(text, style)
        [reply] = model.guide([made])
        assert bool(reply) == bool(made.templates)
        if not made.templates:
            continue
        explanation = styles.read_reply(style, "one-word", text, reply, LABELS)
        assert explanation.valid, (style, reply, explanation)
        [key] = explanation.words
        if style != "counterfactual":
            assert key in {word.key for word in candidates(text)}
            assert explanation.edited == take_out(text, {key})
        else:
            [inserted] = explanation.inserted
            assert inserted.isalpha()
            assert inserted not in {key, "redacted", *map(fold, LABELS)}


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_get_valid_replies(tiny_model, text):
    check_is_valid(tiny_model, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(("great", "Great", "day", "days", "don't", ":(", "[REDACTED]", "&amp;", "a", "negative")),
            st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), min_size=1, max_size=5),
        ),
        min_size=2,
        max_size=6,
    ),
    st.sampled_from((" ", "  ", ", ")),
)
def test_any_text_gets_valid_replies(tiny_model, words, between):
    text = between.join(words).strip()
    if candidates(text):
        check_is_valid(tiny_model, text)


def test_a_tokenizer_whose_tokens_hold_blanks_will_do(tmp_path):
    """Tokens that span words: the copy, and the text before a gap, are tokenised otherwise."""
    model = tiny.load_exact(tiny.save(tmp_path, words=False))
    for text in (*tiny.TEXTS, *ODD):
        check_is_valid(model, text)


@pytest.mark.parametrize("prepend", ["always", "first", "never"])
def test_a_tokenizer_that_marks_blanks_will_do(tiny_model, prepend):
    """As Llama's and Gemma's: what is decoded alone has lost its blank; what is not in the vocabulary is unknown."""
    pieces = Tokenizer(models.BPE(unk_token="<unk>"))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    pieces.decoder = decoders.Metaspace(prepend_scheme=prepend)
    names = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    pieces.train_from_iterator(
        tiny.SENTENCES, trainers.BpeTrainer(vocab_size=400, special_tokens=names, show_progress=False)
    )
    of_pieces = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    of_pieces.chat_template = tiny.CHATML
    model = LocalModel("pieces", tiny_model.model, of_pieces)
    assert {piece[0] == " " for piece in model.chat.letter_tokens.values()} == {True, False}
    for text in (*tiny.TEXTS, *ODD):
        check_is_valid(model, text)


def test_words_that_begin_others_can_be_named(tiny_model):
    """The end of the turn is a token like any other: what is likelier behind the short word decides."""
    words = ("a", "an", "and")
    for text in tiny.TEXTS:
        made = dataclasses.replace(guide(text, "attribution"), templates=tuple(Template((word,)) for word in words))
        assert tiny_model.guide([made]) == [ByHand(tiny_model, made).reply()]


def test_a_copy_without_an_edit_is_no_end(tiny_model, monkeypatch):
    """A model that would copy everything departs at the last word at the latest, and never by the copied word."""
    text = tiny.TEXTS[0]
    chats = [guide(text, style) for style in ("redaction", "counterfactual")]
    [prompt] = tiny_model.chat.ids([tiny_model.chat.open(chat(text))])
    [whole] = tiny_model.chat.ids([tiny_model.chat.open(chat(text)) + text])

    def likes_the_copy(model, queries):
        assert all(whole[: len(prompt)] == ids[: len(prompt)] for ids, _ in queries)
        return [
            pick(
                torch.zeros(len(model.chat.tokenizer)).index_fill(0, torch.tensor(whole[len(ids) : len(ids) + 1]), 1.0)
            )
            for ids, pick in queries
        ]

    monkeypatch.setattr(guided, "_picked_tokens", likes_the_copy)
    for style, reply in zip(("redaction", "counterfactual"), tiny_model.guide(chats), strict=True):
        assert reply.startswith("What a great sunny day, I love ")
        assert styles.read_reply(style, "one-word", text, reply, LABELS).words == ("it",)


@pytest.fixture
def items(tiny_model):
    classifier = Classifier(tiny_model, tiny.TASK, dict.fromkeys(tiny.TASK.labels, 0.0))
    return items_of(classifier, [Example("t0", tiny.TEXTS[0]), Example("t1", tiny.TEXTS[1])])


def test_a_valid_generated_reply_is_the_guided_one(tiny_model, items):
    kept = ("So: **love**", Explanation(words=("love",), edited="x"))
    wrong = ("Sorry.", Explanation(reason="refusal"))
    both = readouts.guided(tiny_model, tiny.TASK, items, [{"attribution": kept}, {"attribution": wrong}])
    assert both[0]["attribution"] == kept
    reply, explanation = both[1]["attribution"]
    assert explanation.valid
    assert fold(reply) == explanation.words[0]


def test_a_model_that_cannot_be_guided_is_refused(tiny_model, items):
    class Free(LocalModel):
        answers = LocalModel.answers - {"guide"}

        def __init__(self):
            self.__dict__.update(tiny_model.__dict__)

    with pytest.raises(SaywhyError, match="the guided readout needs a model with guide"):
        readouts.guided(Free(), tiny.TASK, items, [{}, {}])


@example("taken [REDACTED] out")
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn")), min_size=1, max_size=30))
def test_templates_are_read_as_meant(text):
    for style in STYLES:
        for template in reply_templates(style, text, LABELS):
            assert styles.read_reply(style, "one-word", text, template.filled("qqqqq" * 8), LABELS).valid
