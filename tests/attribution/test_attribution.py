"""Attribution against captum on a tiny model, and against weights that are known."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from captum.attr import FeatureAblation, KernelShap, Lime

import tiny
from saywhy.attribution import METHODS, OPERATOR_METHODS, MethodOptions, check_methods
from saywhy.attribution.occlusion import occlusion
from saywhy.attribution.sampling import LinearSurrogate, kernel_shap, lime, masked_text_margins, sampling_seed
from saywhy.measure.edits import leave_one_out_tables, stand_in
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.records import OPERATORS, SaywhyError
from saywhy.words import candidates, take_out
from scored import ASSOCIATED, TASKS, planted, setting


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_occlusion_is_captums_feature_ablation(tiny_model, task, operator):
    classifier, items = setting(tiny_model, task)
    for item, found in zip(items, occlusion(classifier, items, MethodOptions(operator=operator)), strict=True):
        text = item.example.text
        keys = [word.key for word in candidates(text)]

        def forward(present, text=text, keys=keys, label=item.prediction.label):
            gone = {key for key, there in zip(keys, present[0].tolist(), strict=True) if not there}
            [after] = classifier.predict([(take_out(text, gone, stand_in(task, operator)), {})])
            return torch.tensor([after.margin_of(label)])

        expected = FeatureAblation(forward).attribute(torch.ones(1, len(keys)))[0]
        assert found.words == tuple(keys)
        assert found.scores == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("name", sorted(OPERATOR_METHODS))
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("text", ["Great, nice and awful, great! :( again", "nice awful", "something great, great"])
def test_a_bag_of_words_gets_its_own_weights_back(name, operator, text):
    classifier, item, expected = planted(text)
    [found] = METHODS[name](classifier, [item], MethodOptions(operator))
    assert found.words == tuple(word.key for word in candidates(text))
    # LIME's ridge pulls towards nothing, by about a twentieth.
    close = {"abs": 0.3} if name == "lime" else {"abs": 1e-4}
    assert found.scores == pytest.approx(expected, **close)
    assert found.best() == found.words[expected.index(max(expected))]
    assert found.method == name


def test_kernel_shap_shares_the_whole_margin_out(tiny_model):
    classifier, items = setting(tiny_model)
    for item, found in zip(items, kernel_shap(classifier, items, MethodOptions(samples=60)), strict=True):
        margins = masked_text_margins(classifier, item, found.words, MethodOptions())
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

    classifier, [item] = setting(ScriptedModel("toy", tiny.TASK, rule, honest, tiny.PINNED), texts=("not a great day",))
    [found] = kernel_shap(classifier, [item], MethodOptions(samples=4000))
    margins = masked_text_margins(classifier, item, found.words, MethodOptions())
    exact = ShapleyValues(margins).attribute(torch.ones(1, 4))[0].tolist()
    assert found.scores == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize("name", ["kernel_shap", "lime"])
def test_sampling_is_captums_own_with_scikit_learn(tiny_model, name):
    pytest.importorskip("sklearn", reason="captum's own fit needs scikit-learn")
    from captum._utils.models.linear_model import SkLearnRidge

    classifier, items = setting(tiny_model)
    method = {"kernel_shap": kernel_shap, "lime": lime}[name]
    captums = {"kernel_shap": KernelShap, "lime": lambda f: Lime(f, SkLearnRidge(alpha=1.0))}[name]
    for item, found in zip(items, method(classifier, items, MethodOptions(samples=80)), strict=True):
        torch.manual_seed(sampling_seed(0, item.example.id))
        theirs = captums(masked_text_margins(classifier, item, found.words, MethodOptions())).attribute(
            torch.ones(1, len(found.words)), n_samples=80, perturbations_per_eval=80, return_input_shape=False
        )
        assert found.scores == pytest.approx(theirs.flatten().tolist(), abs=1e-4)


def test_a_line_is_the_weighted_least_squares_line():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    y, w = 3 + 2 * x[:, 0] - x[:, 1], torch.tensor([1e6, 1.0, 1.0, 1e6])
    line, pulled = LinearSurrogate(), LinearSurrogate(1e9)
    for one in (line, pulled):
        one.fit([(x, y, w)])
    assert line.representation().tolist() == pytest.approx([2.0, -1.0], abs=1e-9)
    assert pulled.representation().abs().max() < 0.01


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_a_text_the_same_scores_in_any_company(tiny_model, name):
    classifier, items = setting(tiny_model)
    options = MethodOptions(samples=30, steps=4, associations=ASSOCIATED)
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


def test_lexical_looks_at_the_corpus_and_not_at_the_model():
    classifier, item, _ = planted("an awful, great day", {"day": 2.0})
    [found] = METHODS["lexical"](classifier, [item], MethodOptions(associations=ASSOCIATED))
    assert item.prediction.label == "positive"
    assert dict(zip(found.words, found.scores, strict=True)) == {"an": 0, "awful": -3, "great": 2, "day": 0}
    with pytest.raises(SaywhyError, match="associations"):
        METHODS["lexical"](classifier, [item], MethodOptions())


def test_every_method_is_called_alike(tiny_model):
    classifier, items = setting(tiny_model)
    made = leave_one_out_tables(classifier, items, "redact")
    ticks = []
    for name, method in METHODS.items():
        found = method(classifier, items, MethodOptions(samples=20, steps=3, associations=ASSOCIATED), ticks.append)
        assert [scores.method for scores in found] == [name] * len(items)
        assert [scores.words for scores in found] == [table.words for table in made]
        assert all(scores.best() in scores.words for scores in found)
    assert sum(ticks) == len(METHODS) * len(items)


def test_what_is_no_method_is_refused_with_the_closest(monkeypatch):
    with pytest.raises(SaywhyError, match="did you mean 'occlusion'"):
        check_methods(["random", "oclusion"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_methods(["occlusion"])
    with pytest.raises(SaywhyError, match=r"lime needs captum: pip install 'saywhy\[attribution\]'"):
        check_methods(["lime"])


def test_the_methods_are_listed_without_torch():
    code = "import sys, saywhy.attribution; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
