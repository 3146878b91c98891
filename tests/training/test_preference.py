"""DPO and GRPO by TRL's own trainers: what they are told, what their steps do, what a reply is worth."""

import dataclasses
import json
import random

import pytest
import torch
from safetensors.torch import load_file

import tiny
from practice import RECIPE
from saywhy.config import Config
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.interface import Choice
from saywhy.models.spec import resolve_model
from saywhy.records import STYLES, SaywhyError
from saywhy.settings import parse
from saywhy.training.arguments import dpo_arguments, grpo_arguments, refuse_trainer
from saywhy.training.completions import completion
from saywhy.training.effects import ordered_by
from saywhy.training.lessons import Target
from saywhy.training.models import ArmModels
from saywhy.training.preference import effect_rewards, reply_reward
from saywhy.training.rows import arm_rows
from saywhy.training.targets import lessons_of
from saywhy.training.train import train
from saywhy.words import fold

DPO = dataclasses.replace(RECIPE, objective="dpo", word_share=0.0)
GRPO = dataclasses.replace(
    RECIPE, objective="grpo", trainer={"num_generations": 2, "max_completion_length": 6, "max_steps": 2}
)


@pytest.fixture(scope="module")
def lessons(tiny_folder):
    classifier = Classifier(tiny.load_exact(tiny_folder), tiny.TASK, {"negative": -0.7, "positive": -0.7})
    return lessons_of(classifier, tiny.examples(), tiny.PINNED, Config(objective="dpo"))


def rows_of(lessons, objective, seed=0, **settings):
    return arm_rows(Config(objective=objective, **settings), tiny.TASK, lessons, lessons, seed)


@pytest.fixture(scope="module")
def start(tiny_folder, lessons, tmp_path_factory):
    """Return the adapter that the others go on from."""
    rows = arm_rows(Config(), tiny.TASK, lessons, lessons)
    recipe = dataclasses.replace(RECIPE, num_train_epochs=1)
    return train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path_factory.mktemp("start"))


def margins(folder, rows):
    """Return by how much each chosen explanation is likelier than the rejected one."""
    model = open_model(str(folder))
    tiny.exact_products()
    pairs = [
        Choice(row["prompt"], tuple(row[reply][0]["content"] for reply in ("completion", "rejected")), ends=True)
        for row in rows
    ]
    return [chosen - rejected for chosen, rejected in model.choose(pairs)]


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_a_pair_is_the_best_explanation_and_a_random_other(lessons):
    rejected = set()
    for seed in range(6):
        rows = rows_of(lessons, "dpo", seed)
        assert [row["style"] for row in rows] == [*STYLES] * len(lessons)  # no label turns
        for row, lesson in zip(rows, [lesson for lesson in lessons for _ in STYLES], strict=True):
            text, style, effects = lesson.item.example.text, row["style"], lesson.effects.of(row["style"])
            contents = [
                completion(text, style, Target((word,), (new,) if new else ()))[0]
                for word, new in zip(effects.words, effects.inserted, strict=True)
            ]
            assert row["completion"][0]["content"] == contents[effects.best()]
            assert row["rejected"][0]["content"] in contents
            assert row["rejected"] != row["completion"]
        rejected.add(rows[0]["rejected"][0]["content"])
        assert rows == rows_of(lessons, "dpo", seed)
    assert len(rejected) > 2


@pytest.mark.parametrize("word_share", [0.0, 0.3])
def test_dpo_widens_the_margin_of_the_chosen_explanations(start, lessons, tmp_path, word_share):
    rows = rows_of(lessons, "dpo")
    folder = train(resolve_model(str(start)), rows, dataclasses.replace(DPO, word_share=word_share), tmp_path)
    before, after = margins(start, rows), margins(folder, rows)
    assert sum(after) > sum(before) + 1
    assert weights(folder).keys() == weights(start).keys()
    assert not (folder / "ref").exists()  # the copy of the start that TRL makes is not shipped
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert (
        config["base_model_name_or_path"]
        == json.loads((start / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"]
    )


def test_the_first_loss_of_dpo_is_that_of_the_start(start, lessons, tmp_path):
    """Before the first step the policy is its reference, so that every pair costs log 2: the start is no bare base."""
    train(resolve_model(str(start)), rows_of(lessons, "dpo"), DPO, tmp_path)
    losses = json.loads((tmp_path / "losses.json").read_text("utf-8"))
    assert losses[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert losses[-1]["loss"] < losses[0]["loss"]


@pytest.mark.parametrize("recipe", [DPO, GRPO], ids=["dpo", "grpo"])
def test_a_killed_training_goes_on_to_the_same_weights(start, lessons, tmp_path, monkeypatch, recipe):
    monkeypatch.setattr("saywhy.training.preference.reply_reward", rewarded_by_length(1))
    rows, spec = rows_of(lessons, recipe.objective), resolve_model(str(start))
    straight = weights(train(spec, rows, recipe, tmp_path / "straight"))
    assert any(not torch.allclose(weight, weights(start)[name]) for name, weight in straight.items())

    def kill(done, of):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, rows, recipe, tmp_path / "killed", kill)
    steps = []
    resumed = weights(train(spec, rows, recipe, tmp_path / "killed", lambda *step: steps.append(step)))
    assert steps[0][0] > 0
    assert all(torch.allclose(weight, resumed[name], atol=1e-6) for name, weight in straight.items())


def rewarded_by_length(sign):
    """Return a reward by which the replies of a random model differ: all are invalid, and worth the same."""
    return lambda row, reply: float(sign * len(reply))


def test_grpo_moves_the_weights_by_its_rewards(start, lessons, tmp_path, monkeypatch):
    """The first step towards longer replies is the opposite of the first step towards shorter ones."""
    recipe, moved = dataclasses.replace(GRPO, trainer={**GRPO.trainer, "max_steps": 1}), {}
    for sign in (1, -1):
        monkeypatch.setattr("saywhy.training.preference.reply_reward", rewarded_by_length(sign))
        folder = train(resolve_model(str(start)), rows_of(lessons, "grpo"), recipe, tmp_path / str(sign))
        moved[sign] = {name: weight - weights(start)[name] for name, weight in weights(folder).items()}
    assert max(change.abs().max() for change in moved[1].values()) > 1e-4
    assert all(torch.allclose(change, -moved[-1][name], atol=1e-6) for name, change in moved[1].items())


@pytest.mark.parametrize(("texts", "styles", "batch"), [(101, 1, 2), (100, 1, 3), (49, 1, 4), (7, 3, 4), (2, 3, 4)])
def test_a_step_of_grpo_samples_replies_to_as_many_texts_as_that_of_any_objective(tmp_path, texts, styles, batch):
    recipe = dataclasses.replace(GRPO, per_device_train_batch_size=batch)
    arguments = grpo_arguments(recipe, tmp_path, texts * styles, styles, 16)
    assert arguments.per_device_train_batch_size == arguments.num_generations  # the replies to one prompt
    assert arguments.gradient_accumulation_steps == min(texts, batch) * styles


def test_grpo_takes_its_steps_and_keeps_its_rewards(start, lessons, tmp_path, capfd):
    rows, steps = rows_of(lessons, "grpo"), []
    folder = train(resolve_model(str(start)), rows, GRPO, tmp_path, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    logged = json.loads((folder / "losses.json").read_text("utf-8"))
    assert all(entry["reward"] < 0 for entry in logged)  # a random model says nothing valid
    assert weights(folder).keys() == weights(start).keys()
    assert "Tokenizing" not in capfd.readouterr().err


def test_grpo_with_beta_holds_off_from_the_start(start, lessons, tmp_path):
    recipe = dataclasses.replace(GRPO, beta=0.1)
    folder = train(resolve_model(str(start)), rows_of(lessons, "grpo"), recipe, tmp_path)
    first = json.loads((folder / "losses.json").read_text("utf-8"))[0]
    assert first["kl"] == pytest.approx(0.0, abs=1e-4)


def test_a_canonical_reply_is_worth_its_effect_and_any_other_less_than_all(lessons):
    rows = rows_of(lessons, "grpo")
    for row, lesson in zip(rows, [lesson for lesson in lessons for _ in STYLES], strict=True):
        table, text = row["candidates"], lesson.item.example.text
        for word, new, effect in zip(table["words"], table["inserted"], table["effects"], strict=True):
            said, _ = completion(text, row["style"], Target((word,), (new,) if new else ()))
            assert reply_reward(row, said) == effect
        failures = {reply_reward(row, reply) for reply in ("", "zebra zebra", "I'm sorry, I cannot say.", text * 2)}
        assert failures == {-max(abs(effect) for effect in table["effects"])}
        assert failures.pop() <= min(table["effects"])


def test_a_control_prefers_its_own_word_and_is_rewarded_for_it(lessons):
    for lesson in lessons:
        removal = lesson.effects.removal
        word = removal.words[(removal.best() + 1) % len(removal.words)]
        effects = ordered_by(lesson.effects, {word: 1.0}, random.Random(0))
        control = dataclasses.replace(lesson, effects=effects, targets=effects.targets(verified=False))
        [pair] = rows_of([control], "dpo", train_styles=("attribution",))
        [asked] = rows_of([control], "grpo", train_styles=("attribution",))
        assert fold(pair["completion"][0]["content"]) == word
        assert reply_reward(asked, word) == round(removal.values[removal.best()], 4)


def test_rewards_are_told_to_trl_in_its_order(lessons):
    rows = rows_of(lessons, "grpo")
    columns = {key: [row[key] for row in rows] for key in rows[0]} | {"trainer_state": None}
    replies = [row.pop("completion") for row in [dict(row) for row in rows]]
    del columns["completion"]
    rewards = effect_rewards(replies, **columns)
    assert rewards == [reply_reward(row, reply[0]["content"]) for row, reply in zip(rows, replies, strict=True)]


@pytest.mark.parametrize("objective", ["table", "reward", "dpo", "grpo"])
def test_a_text_of_a_single_candidate_is_passed_over(lessons, objective):
    removal = lessons[0].effects.removal
    single = dataclasses.replace(
        removal, **{name: getattr(removal, name)[:1] for name in ("words", "inserted", "values", "hits")}
    )
    short = dataclasses.replace(lessons[0], effects=lessons[0].effects._replace(removal=single))
    rows = rows_of([short, *lessons[1:]], objective)
    assert {row["id"] for row in rows} == {lesson.item.example.id for lesson in lessons[1:]}
    with pytest.raises(SaywhyError, match="no text has two words to choose from"):
        rows_of([short], objective)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("objective=grpo anchor=0.5", r"^objective=grpo takes no anchor=0.5: TRL's trainer sees explanations alone"),
        ("objective=grpo word_share=1", "objective=grpo takes no word_share=1.0: it learns from its own replies"),
        ("objective=dpo tau=0.1", "objective=dpo takes no tau=0.1: "),
        ("objective=dpo lora_r=0", "objective=dpo takes no lora_r=0: "),
        ("objective=dpo heldout_rows=5", "objective=dpo takes no heldout_rows=5: "),
        ("objective=dpo replay=x.jsonl", "objective=dpo takes no replay=x.jsonl: "),
        ("objective=table beta=1 tau=0.1", "objective=table takes no tau=0.1: with beta, that is the temperature"),
        ("objective=reward infill_words=3", "objective=reward takes no infill_words=3: "),
        ("beta=1", "objective=word takes no beta=1.0: "),
        ("beta=0 objective=table", "^beta=0: Input should be greater than or equal to 0.000001$"),
        ("tau=0 objective=table", "^tau=0: Input should be greater than or equal to 0.000001$"),
        ("objective=ppo", "objective=ppo: .*it takes word, table, reward, dpo, grpo"),
        ("objective=dpo trainer.beta=1", "beta is the setting beta: give it there"),
        ("objective=dpo trainer.loss_weights=1", "loss_weights is the setting word_share"),
        ("objective=grpo trainer.use_vllm=true", "use_vllm has no effect here"),
    ],
)
def test_what_an_objective_would_ignore_is_one_line(words, reason):
    with pytest.raises(SaywhyError, match=reason) as refused:
        parse(words.split())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("objective=grpo lora_r=8 label_weight=0", {"objective": "grpo", "lora_r": 8, "label_weight": 0}),
        ("objective=dpo word_share=0 decision_weight=1", {"objective": "dpo", "word_share": 0, "decision_weight": 1}),
    ],
)
def test_what_says_no_more_than_what_is_done_is_taken(words, settings):
    config = parse(words.split())
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("objective", "trainer", "reason"),
    [
        ("dpo", {"num_generations": 4}, r"trainer\.num_generations: DPOConfig of this version of TRL"),
        ("dpo", {"f_alpha_divergence_coef": "x"}, "it takes a number"),
        ("grpo", {"num_generation": 4}, r"trainer\.num_generation: GRPOConfig .* did you mean 'num_generations'"),
        ("grpo", {"num_generations": 1}, "GRPO requires at least 2 generations"),
        ("word", {"num_generations": 4}, r"trainer\.num_generations: SFTConfig"),
    ],
)
def test_what_the_trainer_of_an_objective_would_not_take_is_one_line(objective, trainer, reason):
    with pytest.raises(SaywhyError, match=reason) as refused:
        refuse_trainer(trainer, objective)
    assert "\n" not in str(refused.value)


def test_trl_alone_trains_in_one_process(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SaywhyError, match="objective=dpo trains in one process"):
        ArmModels(Config(objective="dpo"), tmp_path)


def test_a_row_that_the_model_does_not_hold_is_one_line(start, lessons, tmp_path):
    [row, *others] = rows_of(lessons, "dpo")
    longer = {**row, "rejected": [{"role": "assistant", "content": "day " * 600}]}
    with pytest.raises(SaywhyError, match=r"training row t0: .* tokens, the model takes 512"):
        train(resolve_model(str(start)), [longer, *others], DPO, tmp_path)


@pytest.mark.parametrize(
    ("recipe", "trainer"),
    [(DPO, {"loss_type": "silly"}), (GRPO, {"loss_type": "silly"}), (GRPO, {"temperature": -1.0})],
)
def test_what_trl_refuses_once_it_trains_is_one_line(start, lessons, tmp_path, recipe, trainer):
    told = dataclasses.replace(recipe, trainer={**recipe.trainer, **trainer})
    with pytest.raises(SaywhyError, match=f"objective={recipe.objective}: TRL does not train with trainer=") as refused:
        train(resolve_model(str(start)), rows_of(lessons, recipe.objective), told, tmp_path)
    assert "\n" not in str(refused.value)


def test_the_trainer_of_an_objective_is_told_what_trl_names(tmp_path):
    sampled = {"num_generations": 4, "temperature": 0.7, "loss_type": "dr_grpo"}
    refuse_trainer(sampled, "grpo")
    arguments = grpo_arguments(dataclasses.replace(GRPO, trainer=sampled), tmp_path, 4, 1, 16)
    assert {name: getattr(arguments, name) for name in sampled} == sampled
    paired = {"loss_type": "ipo", "precompute_ref_log_probs": True}
    refuse_trainer(paired, "dpo")
    arguments = dpo_arguments(dataclasses.replace(DPO, trainer=paired, word_share=0.0), tmp_path, 4, 1)
    assert (arguments.loss_type, arguments.precompute_ref_log_probs) == (["ipo"], True)
