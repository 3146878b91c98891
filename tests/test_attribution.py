"""Attribution against captum on a tiny model, and against weights that are known."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients, KernelShap, Lime

import tiny
from saywhy.attribution import METHODS, TAKE_OUT, Options, check
from saywhy.attribution.gradients import ask, baseline, gradient_x_input, integrated_gradients, margin
from saywhy.attribution.occlusion import occlusion
from saywhy.attribution.sampling import Line, kernel_shap, lime, margins_of, seed_of
from saywhy.edits import Item, stand_in, tables
from saywhy.models.scripted import Scripted, honest, keyword_rule
from saywhy.predict import Classifier
from saywhy.prompts import question
from saywhy.records import OPERATORS, Example, SaywhyError
from saywhy.words import candidates, take_out

# The last labels have several tokens in the tiny vocabulary.
TASKS = [
    tiny.TASK,
    tiny.TASK.model_copy(update={"labels": {"negative": "dreadful", "positive": "splendid!"}}),
]
TEXTS = (
    "Great day, what a GREAT, great day!",
    "My awful flight is late again :(",
    "I don\u2019t love it &amp; him",
)


def setting(model, task=tiny.TASK, texts=TEXTS):
    constants = dict(zip(task.labels, (-0.3, -1.4), strict=True))
    classifier = Classifier(model, task, constants)
    examples = tiny.examples(texts)
    predictions = classifier.predict_examples(examples)
    return classifier, [Item(*pair) for pair in zip(examples, predictions, strict=True)]


def planted(text, weights=None):
    """Return a model that adds up the weights of words, and the text as an item; planted: what each word must get."""
    weights = weights or {"great": 2.0, "nice": 1.25, "awful": -3.0, ":(": -0.5}
    cues = {
        "positive": {word: weight for word, weight in weights.items() if weight > 0},
        "negative": {word: -weight for word, weight in weights.items() if weight < 0},
    }
    rule = keyword_rule(tiny.TASK, cues, default="negative")
    classifier, [item] = setting(Scripted("linear", tiny.TASK, rule, honest, tiny.PINNED), texts=(text,))
    sign = 1 if item.prediction.label == "positive" else -1
    return classifier, item, [sign * weights.get(word.key, 0.0) for word in candidates(text)]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_occlusion_is_captums_feature_ablation(tiny_model, task, operator):
    classifier, items = setting(tiny_model, task)
    for item, found in zip(items, occlusion(classifier, items, Options(operator=operator)), strict=True):
        text = item.example.text
        keys = [word.key for word in candidates(text)]

        def forward(present, text=text, keys=keys, label=item.prediction.label):
            gone = {key for key, there in zip(keys, present[0].tolist(), strict=True) if not there}
            [after] = classifier.predict([(take_out(text, gone, stand_in(task, operator)) if gone else text, {})])
            return torch.tensor([after.margin_of(label)])

        expected = FeatureAblation(forward).attribute(torch.ones(1, len(keys)))[0]
        assert found.words == tuple(keys)
        assert found.scores == pytest.approx(expected.tolist(), abs=1e-4)


METHODS_OF_GRADIENTS = {
    "gradient_x_input": (gradient_x_input, InputXGradient, {}),
    "integrated_gradients": (integrated_gradients, IntegratedGradients, {"n_steps": 7}),
}


@pytest.mark.parametrize("name", METHODS_OF_GRADIENTS)
@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_gradients_are_captums(tiny_model, task, name):
    classifier, items = setting(tiny_model, task)
    chat, network = tiny_model.chat, tiny_model.model
    method, theirs, more = METHODS_OF_GRADIENTS[name]
    for item, found in zip(items, method(classifier, items, Options(steps=7)), strict=True):
        text = item.example.text
        rendered = chat.open(question(task, text, {})) + task.lead_in
        [(ids, offsets)] = chat.ids_and_offsets([rendered])
        labels = [task.labels[label] for label in (item.prediction.label, item.prediction.runner_up)]
        tails = [chat.ids([rendered + " " + label])[0][len(ids) :] for label in labels]
        assert all(len(tail) > 1 for tail in tails) == (task is TASKS[1])

        def forward(embedded, tails=tails):
            scores = []
            for tail in tails:
                said = network.get_input_embeddings()(torch.tensor([tail])).expand(len(embedded), -1, -1)
                likely = network(inputs_embeds=torch.cat([embedded, said], 1)).logits.log_softmax(-1)
                likely = likely[:, embedded.shape[1] - 1 :]
                scores.append(sum(likely[:, at, token] for at, token in enumerate(tail)))
            return scores[0] - scores[1]

        embedded = network.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_(True)
        if name == "integrated_gradients":
            blanks = [
                chat.ids([" "])[0][0] if a < rendered.index(text) + len(text) and rendered.index(text) < b else token
                for token, (a, b) in zip(ids, offsets, strict=True)
            ]
            assert blanks != list(ids)
            more = {**more, "baselines": network.get_input_embeddings()(torch.tensor([blanks])).detach()}
        tokens = theirs(forward).attribute(embedded, **more).sum(-1)[0].tolist()
        # Which word each character of the prompt belongs to, by hand.
        owner = [None] * rendered.index(text)
        for run in text.split():
            core = run if not any(map(str.isalnum, run)) or run == "&amp;" else run.strip(",!")
            owner += [core.lower().replace("\u2019", "'").replace("&amp;", "&")] * len(core)
            owner += [None] * (len(run) - len(core) + 1)
        owner += [None] * len(rendered)
        expected = {}
        for score, (start, stop) in zip(tokens, offsets, strict=True):
            for word in {owner[at] for at in range(start, stop)} - {None}:
                expected[word] = expected.get(word, 0.0) + score
        assert dict(zip(found.words, found.scores, strict=True)) == pytest.approx(expected, abs=1e-4)
        assert found.words == tuple(word.key for word in candidates(text))


def test_the_gradients_margin_is_the_predictions(tiny_model):
    classifier, [item, *_] = setting(tiny_model, TASKS[1])
    [raw] = Classifier(tiny_model, TASKS[1], dict.fromkeys(TASKS[1].labels, 0.0)).predict_examples([item.example])
    chat = tiny_model.chat
    rendered = chat.open(question(TASKS[1], item.example.text, {})) + TASKS[1].lead_in
    head, tails = chat.continuations(rendered, [" " + TASKS[1].labels[x] for x in (raw.label, raw.runner_up)])
    embedded = tiny_model.model.get_input_embeddings()(torch.tensor([head]))
    found = margin(tiny_model, embedded, tuple(tail[len(head) :] for tail in tails))
    assert found.item() == pytest.approx(raw.margin, abs=1e-4)
    assert classifier.constants != dict.fromkeys(TASKS[1].labels, 0.0)


def test_gradients_leave_nothing_in_the_model(tiny_model):
    classifier, items = setting(tiny_model)
    gradient_x_input(classifier, items[:1], Options())
    assert all(weight.grad is None for weight in tiny_model.model.parameters())


@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_the_completeness_gap_goes_to_nothing_with_the_steps(tiny_model, task):
    classifier, items = setting(tiny_model, task)
    gaps = {n: [abs(one.gap) for one in integrated_gradients(classifier, items, Options(steps=n))] for n in (2, 50)}
    assert max(gaps[50]) < 1e-3 < max(gaps[2])
    for item, found in zip(items, integrated_gradients(classifier, items, Options()), strict=True):
        asked = ask(classifier, tiny_model, item)
        ends = [margin(tiny_model, one, asked.tails).item() for one in (asked.embedded, baseline(tiny_model, asked))]
        assert found.change == pytest.approx(ends[0] - ends[1], abs=1e-4)


def test_steps_in_small_batches_are_the_same(tiny_model, monkeypatch):
    classifier, items = setting(tiny_model)
    straight = integrated_gradients(classifier, items, Options(steps=8))
    monkeypatch.setattr(tiny_model.budget, "tokens", 700)
    for one, other in zip(straight, integrated_gradients(classifier, items, Options(steps=8)), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


@pytest.mark.parametrize("name", sorted(TAKE_OUT))
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("text", ["Great, nice and awful, great! :( again", "nice awful", "something great, great"])
def test_a_bag_of_words_gets_its_own_weights_back(name, operator, text):
    classifier, item, expected = planted(text)
    [found] = METHODS[name](classifier, [item], Options(operator))
    assert found.words == tuple(word.key for word in candidates(text))
    # LIME's ridge pulls towards nothing, by about a twentieth.
    close = {"abs": 0.3} if name == "lime" else {"abs": 1e-4}
    assert found.scores == pytest.approx(expected, **close)
    assert found.best() == found.words[expected.index(max(expected))]
    assert found.method == name


def test_kernel_shap_shares_the_whole_margin_out(tiny_model):
    classifier, items = setting(tiny_model)
    for item, found in zip(items, kernel_shap(classifier, items, Options(samples=60)), strict=True):
        margins = margins_of(classifier, item, found.words, Options())
        ends = margins(torch.tensor([[1.0] * len(found.words), [0.0] * len(found.words)])).tolist()
        assert ends[0] == pytest.approx(item.prediction.margin, abs=1e-4)
        assert sum(found.scores) == pytest.approx(ends[0] - ends[1], abs=1e-3)


def test_kernel_shap_comes_to_the_exact_shapley_values():
    from captum.attr import ShapleyValues

    rule_of = {"great": 2.0, "awful": -3.0}

    def rule(text):  # an interaction: not turns great around
        keys = {word.key for word in candidates(text)}
        flip = -1 if {"not", "great"} <= keys else 1
        return {"negative": 0.0, "positive": flip * rule_of["great"] * ("great" in keys) + 0.5 * ("day" in keys)}

    classifier, [item] = setting(Scripted("toy", tiny.TASK, rule, honest, tiny.PINNED), texts=("not a great day",))
    [found] = kernel_shap(classifier, [item], Options(samples=4000))
    margins = margins_of(classifier, item, found.words, Options())
    exact = ShapleyValues(margins).attribute(torch.ones(1, 4))[0].tolist()
    assert found.scores == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize("name", ["kernel_shap", "lime"])
def test_sampling_is_captums_own_with_scikit_learn(tiny_model, name):
    pytest.importorskip("sklearn", reason="captum's own fit needs scikit-learn")
    from captum._utils.models.linear_model import SkLearnRidge

    classifier, items = setting(tiny_model)
    method = {"kernel_shap": kernel_shap, "lime": lime}[name]
    captums = {"kernel_shap": KernelShap, "lime": lambda f: Lime(f, SkLearnRidge(alpha=1.0))}[name]
    for item, found in zip(items, method(classifier, items, Options(samples=80)), strict=True):
        torch.manual_seed(seed_of(0, item.example.id))
        theirs = captums(margins_of(classifier, item, found.words, Options())).attribute(
            torch.ones(1, len(found.words)), n_samples=80, perturbations_per_eval=80, return_input_shape=False
        )
        assert found.scores == pytest.approx(theirs.flatten().tolist(), abs=1e-4)


def test_a_line_is_the_weighted_least_squares_line():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    y, w = 3 + 2 * x[:, 0] - x[:, 1], torch.tensor([1e6, 1.0, 1.0, 1e6])
    line, pulled = Line(), Line(1e9)
    for one in (line, pulled):
        one.fit([(x, y, w)])
    assert line.representation().tolist() == pytest.approx([2.0, -1.0], abs=1e-9)
    assert pulled.representation().abs().max() < 0.01


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_a_text_the_same_scores_in_any_company(tiny_model, name):
    classifier, items = setting(tiny_model)
    options = Options(samples=30, steps=4, associations=ASSOCIATED)
    torch.manual_seed(5)
    together = METHODS[name](classifier, items, options)
    before = torch.random.get_rng_state()
    alone = [METHODS[name](classifier, [item], options)[0] for item in reversed(items)][::-1]
    assert torch.equal(before, torch.random.get_rng_state())  # others' draws are theirs
    for one, other in zip(together, alone, strict=True):
        assert one.words == other.words
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    other_seed = METHODS[name](classifier, items[:1], dataclasses.replace(options, seed=1))[0]
    drawn = name in ("random", "kernel_shap", "lime")
    assert (other_seed.scores != pytest.approx(together[0].scores, abs=1e-3)) == drawn


ASSOCIATED = {"negative": {"awful": 3.0, "great": -2.0}, "positive": {"great": 2.0, "awful": -3.0}}


def test_lexical_looks_at_the_corpus_and_not_at_the_model():
    classifier, item, _ = planted("an awful, great day", {"day": 2.0})
    [found] = METHODS["lexical"](classifier, [item], Options(associations=ASSOCIATED))
    assert item.prediction.label == "positive"
    assert dict(zip(found.words, found.scores, strict=True)) == {"an": 0, "awful": -3, "great": 2, "day": 0}
    with pytest.raises(SaywhyError, match="associations"):
        METHODS["lexical"](classifier, [item], Options())


@pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients"])
def test_a_scripted_model_has_no_gradients(name):
    classifier, item, _ = planted("nice awful")
    with pytest.raises(SaywhyError, match=f"{name} needs a model with gradients, not 'linear': use occlusion"):
        METHODS[name](classifier, [item], Options())


@pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients"])
def test_a_repeated_word_has_one_score_for_all_its_places(tiny_model, name):
    """The tokens of both places are added up: the scores of all words stay what the tokens' are together."""
    classifier, [item] = setting(tiny_model, texts=("sad day sad",))
    asked = ask(classifier, tiny_model, item)
    tokens = [float(number) for number in range(len(asked.offsets))]
    found = asked.words(tokens, name, None, None)
    assert found.words == ("sad", "day")
    places = [asked.inside(0, 3), asked.inside(4, 7), asked.inside(8, 11)]
    assert found.scores == (sum(places[0]) + sum(places[2]), sum(places[1]))


def test_numbers_that_are_none_are_refused(tiny_model):
    classifier, [item, *_] = setting(tiny_model)
    asked = ask(classifier, tiny_model, item)
    with pytest.raises(SaywhyError, match="not finite"):
        asked.words([float("nan")] * len(asked.offsets), "gradient_x_input", None, None)


def test_every_method_is_called_alike(tiny_model):
    classifier, items = setting(tiny_model)
    made = tables(classifier, items, "redact")
    ticks = []
    for name, method in METHODS.items():
        found = method(classifier, items, Options(samples=20, steps=3, associations=ASSOCIATED), ticks.append)
        assert [scores.method for scores in found] == [name] * len(items)
        assert [scores.words for scores in found] == [table.words for table in made]
        assert all(scores.best() in scores.words for scores in found)
    assert sum(ticks) == len(METHODS) * len(items)


def test_what_is_no_method_is_refused_with_the_closest(monkeypatch):
    with pytest.raises(SaywhyError, match="did you mean 'occlusion'"):
        check(["random", "oclusion"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check(["occlusion"])
    with pytest.raises(SaywhyError, match=r"lime needs captum: pip install 'saywhy\[attribution\]'"):
        check(["lime"])


def test_the_methods_are_listed_without_torch():
    code = "import sys, saywhy.attribution; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_text_with_blanks_at_its_ends_keeps_its_offsets(tiny_model):
    classifier, _ = setting(tiny_model)
    scores = []
    for text in ("My awful flight", "  My awful flight "):
        example = Example("t", text)
        [prediction] = classifier.predict_examples([example])
        scores += gradient_x_input(classifier, [Item(example, prediction)], Options())
    assert scores[0].words == scores[1].words
    assert all(scores[1].scores)
