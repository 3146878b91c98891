"""An adapter that cannot be used is one line: damaged, incomplete, of another base."""

import dataclasses
import json
import re
import shutil

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import tiny
from saywhy.config import Config
from saywhy.explainer.explainer import Explainer
from saywhy.models import backends, fingerprints, shipped, spec, weights
from saywhy.records import SaywhyError
from saywhy.report.card import write_card
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from saywhy.training.encoding import Recipe
from saywhy.training.models import ArmModels, in_practised_plan
from saywhy.training.train import lora, train
from written_runs import write_run

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """Return the folder of an untrained adapter of a tiny Llama."""
    folder = tmp_path_factory.mktemp("adapted")
    model, _ = weights.load_base(spec.resolve_model(str(tiny.save(folder / "base"))))
    get_peft_model(model, lora(Recipe(lora_r=2))).save_pretrained(folder / "adapter")
    return folder / "adapter"


def fails(folder) -> str:
    with pytest.raises(SaywhyError) as refused:
        backends.open_model(str(folder))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_whole_one_is_loaded(adapter):
    assert backends.open_model(str(adapter)).name == str(adapter)


def truncated(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def lost(folder):
    (folder / WEIGHTS).unlink()


def of_another_base(folder):
    told = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    other = tiny.save(folder.parent / "other", "gpt2")
    (folder / "adapter_config.json").write_text(json.dumps(told | {"base_model_name_or_path": str(other)}), "utf-8")


def half_of_it(folder):
    kept = load_file(folder / WEIGHTS)
    save_file(dict(list(kept.items())[::2]), folder / WEIGHTS)


@pytest.mark.parametrize("damage", [truncated, lost, of_another_base, half_of_it], ids=lambda one: one.__name__)
def test_what_does_not_fit_its_base(adapter, tmp_path, damage):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    damage(folder)
    told = fails(folder)
    assert told.startswith(f"adapter {folder} cannot be put on")
    assert told.endswith("check that it was trained on this base, and that its files are whole")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('{"base_model_name_or_path": null}', "names no base model; write base_model_name_or_path"),
        ("[]", "is damaged (no JSON object)"),
        ("{", "is damaged ("),
    ],
)
def test_a_configuration_that_names_no_base(tmp_path, config, told):
    (tmp_path / "adapter_config.json").write_text(config, "utf-8")
    assert told in fails(tmp_path)


@pytest.mark.parametrize(
    ("beside", "problem"),
    [
        ("{", "saywhy.json is damaged ("),
        ("[]", "no JSON object"),
        ('{"tasks": []}', "tasks is no JSON object"),
        ('{"base": ["x"]}', "base is no JSON object"),
        ('{"base": {"fingerprint": ["x"]}}', "base.fingerprint is no text"),
        ('{"recipe": "direct"}', "recipe is no JSON object"),
        ('{"recipe": {"plan": 3}}', "recipe.plan is no text"),
        ('{"tasks": {"sentiment140": {"constants": {"negative": NaN}, "pinned": {}}}}', "NaN is no number"),
        *(
            (json.dumps({"tasks": {"sentiment140": entry}}), "of task sentiment140): delete it")
            for entry in (
                ["a"],
                {"constants": {"negative": 0.1}},
                {"constants": {}, "pinned": 3},
                {"constants": [0.1], "pinned": {}},
                {"constants": {"negative": "x"}, "pinned": {}},
                {"constants": {"negative": True}, "pinned": {}},
                {"constants": {}, "pinned": {"negative": "word"}},
                {"constants": {}, "pinned": {"negative": [3]}},
                {"constants": {}, "pinned": {}, "belongs": ["x"]},
            )
        ),
    ],
)
def test_what_lies_beside_the_weights_is_read_strictly(adapter, tmp_path, call, beside, problem):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    (folder / shipped.ADAPTER_MANIFEST).write_text(beside, "utf-8")
    ended = call("explain", "What a great day at sea", f"model={folder}", "task=sentiment140")
    assert ended.code == 2
    assert problem in ended.problem


def test_replies_are_asked_for_in_the_plan_that_was_practised(adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    recipe = dataclasses.asdict(Recipe(plan="named-first"))
    (folder / "saywhy.json").write_text(json.dumps({"recipe": recipe}), "utf-8")
    given, silent = Config(model=str(folder), plan="direct"), Config(model=str(folder))
    for ask in (lambda: ArmModels(given, tmp_path), lambda: Explainer.of(given)):
        with pytest.raises(SaywhyError, match="give plan=named-first"):
            ask()
    assert in_practised_plan(silent) == Config(model=str(folder), plan="named-first")
    assert in_practised_plan(given) is given
    unknown = Config(model=str(adapter))
    assert in_practised_plan(unknown) is unknown
    with pytest.raises(SaywhyError, match="wordings: replies that name their words first"):
        in_practised_plan(Config(model=str(folder), wordings="pool"))


def adapter_on(base, folder, seed):
    """Write a LoRA of random weights that names ``base`` as its base; return its folder."""
    torch.manual_seed(seed)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora(Recipe(lora_r=2)))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    return folder


def named_as_base(folder, base):
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}), "utf-8")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Return the folders of a base, of an adapter on it, and of an adapter on that adapter."""
    folder = tmp_path_factory.mktemp("chain")
    base = tiny.save(folder / "base")
    inner, outer = (adapter_on(base, folder / name, seed) for seed, name in enumerate(("inner", "outer"), 1))
    named_as_base(outer, inner)
    return base, inner, outer


def test_an_adapter_on_an_adapter_has_the_numbers_of_peft(chain):
    base, inner, outer = chain
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), inner).merge_and_unload()
    expected = PeftModel.from_pretrained(adapted, outer)
    opened = backends.open_model(str(outer))
    tiny.exact_products()
    ids = torch.tensor([list(range(5, 40))])
    with torch.no_grad():
        torch.testing.assert_close(opened.model(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)
        alone = backends.open_model(str(inner)).model(ids).logits
    assert (alone - opened.model(ids).logits).abs().max() > 0.1
    resolved = spec.resolve_model(str(outer))
    assert (resolved.base, resolved.public_id, resolved.adapter) == (str(base), str(inner), outer)
    told_apart = {fingerprints.base_weights_fingerprint(spec.resolve_model(str(folder))) for folder in chain}
    assert len(told_apart) == 2  # the base is that of the inner adapter, and with it that of the outer


def test_an_adapter_goes_on_to_learn_on_its_adapter(chain, tmp_path, rows):
    _, inner, outer = chain
    folder = train(spec.resolve_model(str(outer)), rows[:2], Recipe(lora_r=2, num_train_epochs=1), tmp_path / "more")
    assert spec.resolve_model(str(folder)).inner.adapter == inner
    assert backends.open_model(str(folder)).name == str(folder)
    other = shutil.copytree(inner, tmp_path / "other")
    weights_of = load_file(other / WEIGHTS)
    save_file({name: 2 * values for name, values in weights_of.items()}, other / WEIGHTS)
    named_as_base(folder, other)
    assert "was trained on another base" in fails(folder)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]], ids=len)
def test_adapters_that_name_each_other(adapter, tmp_path, call, names):
    for name, base in zip(names, [*names[1:], names[0]], strict=True):
        named_as_base(shutil.copytree(adapter, tmp_path / name), tmp_path / base)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for folder in ("a", "link"):
        ended = call("audit", f"model={tmp_path / folder}", f"out={tmp_path / 'run'}")
        assert ended.code == 2
        assert f"is its own base ({' -> '.join([*names, 'a'])}): write the model" in ended.problem


def test_an_adapter_that_is_not_added_to_weights(adapter, tmp_path):
    base = json.loads((adapter / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"]
    prompts = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), prompts).save_pretrained(tmp_path)
    assert "is a PROMPT_TUNING, which is not added to weights: use a LoRA" in fails(tmp_path)


@pytest.mark.parametrize(
    "of_lora",
    [
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj"], "layer_replication": [(0, 2), (0, 2)]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [5, 9, 30]},
        {"target_modules": ["q_proj"], "use_dora": True},
    ],
    ids=["tied head", "tied embeddings", "layers twice", "tokens", "dora"],
)
def test_an_adapter_that_is_added_to_weights_computes_what_it_did_beside_them(tmp_path, of_lora):
    base = AutoModelForCausalLM.from_pretrained(tiny.save(tmp_path / "base"))
    base.config.tie_word_embeddings = True
    base.tie_weights()
    base.save_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    config = LoraConfig(r=4, task_type="CAUSAL_LM", init_lora_weights=False, **of_lora)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    beside = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter").eval()
    added = backends.open_model(str(tmp_path / "adapter"), precision="float32").model
    ids = torch.tensor([[5, 9, 30, 44, 60, 7]])
    with torch.no_grad():
        torch.testing.assert_close(added(ids).logits, beside(ids).logits, atol=1e-4, rtol=1e-4)


def test_an_adapter_that_peft_cannot_add_to_weights(adapter, tmp_path):
    base = json.loads((adapter / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"]
    activated = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", alora_invocation_tokens=[44, 60])
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), activated).save_pretrained(tmp_path)
    assert "cannot be added to weights (aLoRA does not support merging.): use a LoRA that can" in fails(tmp_path)


def test_constants_of_an_adapter_are_those_of_its_base_and_its_scale(tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    rows = [
        {"text": f"{word} {thing} {when}", "label": label}
        for word, label in (("great", "positive"), ("awful", "negative"))
        for thing in ("day", "flight", "food", "tweet", "sunny", "cold")
        for when in ("again", "today", "late", "now")
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    bases = [str(tiny.save(tmp_path / f"base-{seed}", seed=seed)) for seed in (0, 1)]
    config = LoraConfig(r=2, lora_alpha=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(bases[0]), config).save_pretrained(tmp_path / "adapter")
    constants = []
    for changes in ({}, {"base_model_name_or_path": bases[1]}, {"lora_alpha": 64}):
        path = tmp_path / "adapter" / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
        explainer = Explainer.load(str(tmp_path / "adapter"), data=str(tmp_path / "rows.jsonl"), precision="float32")
        constants.append(tuple(explainer.classifier.constants.values()))
    assert len(set(constants)) == 3


def test_an_adapter_that_saywhy_did_not_train_lies_on_the_weights_of_the_hub(adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    named_as_base(folder, "HuggingFaceTB/SmolLM2-135M-Instruct")
    assert spec.resolve_model(str(folder)).base == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_lora_that_goes_on_keeps_its_rank_and_says_so(adapter, tmp_path, rows):
    folder = train(spec.resolve_model(str(adapter)), rows[:2], Recipe(lora_r=16, num_train_epochs=1), tmp_path / "more")
    assert json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"] == 2
    assert json.loads((folder / "saywhy.json").read_text("utf-8"))["recipe"]["lora_r"] == 2


def test_the_card_of_an_adapter_on_an_adapter_loads_both(chain, tmp_path, rows):
    base, inner, outer = chain
    folder = train(spec.resolve_model(str(outer)), rows[:2], Recipe(lora_r=2, num_train_epochs=1), tmp_path / "more")
    run = write_run(tmp_path / "run", arms=("base", "faithful"), n=2, seeds=(0,))
    card = write_card(folder, [summarise(load_run(run))], "faithful").read_text("utf-8")
    assert str(tmp_path) not in card
    [code] = re.findall(r"```python\n(.*?)```", card, re.S)
    places = {"this/folder": folder, "inner": inner, "base": base}
    for name, place in places.items():
        assert f"path/to/{name}" in code
        code = code.replace(f"path/to/{name}", str(place))
    loaded: dict = {}
    exec(code, loaded)
    opened = backends.open_model(str(folder))
    tiny.exact_products()
    ids = torch.tensor([list(range(5, 40))])
    with torch.no_grad():
        torch.testing.assert_close(loaded["model"](ids).logits, opened.model(ids).logits, rtol=1e-4, atol=1e-4)
        alone = AutoPeftModelForCausalLM.from_pretrained(folder)(ids).logits
    assert (alone - opened.model(ids).logits).abs().max() > 1e-3, "what the line of one adapter would have loaded"
    assert loaded["tokenizer"].encode("What a day") == opened.chat.tokenizer.encode("What a day")
