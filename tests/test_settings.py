"""Settings: their names, old ones too, and what is passed on to TRL's SFTConfig."""

import dataclasses

import pytest

from saywhy import Config, SaywhyError
from saywhy.engine_settings import EngineSettings
from saywhy.models.backends import EngineDefaults
from saywhy.setting_names import OLD_NAMES, OWN_TRAINER_ARGUMENTS
from saywhy.settings import differences, parse, resolved, with_defaults


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_old_names_mean_the_new_ones(old, new):
    assert getattr(parse([f"{old}=3"]), new) == 3
    assert getattr(Config(**{old: 3}), new) == 3
    assert with_defaults({old: 3})[new] == 3
    assert not differences(with_defaults({old: 3}), resolved(Config(**{new: 3})), ("most_words", "decide_rows"))


def test_a_setting_under_both_its_names_is_refused():
    with pytest.raises(SaywhyError, match=r"^rate is the old name of learning_rate: give one of them$"):
        parse(["rate=0.1", "learning_rate=0.1"])


def test_what_trainer_holds_is_read():
    trainer = parse(["trainer.weight_decay=0.01", "trainer.optim=adafactor", "trainer.max_steps=3"]).trainer
    assert trainer == {"weight_decay": 0.01, "optim": "adafactor", "max_steps": 3}


@pytest.mark.parametrize("argument", OWN_TRAINER_ARGUMENTS)
def test_what_saywhy_sets_itself_is_refused(argument):
    with pytest.raises(
        SaywhyError, match=rf"^trainer=.*: {argument} (is set by saywhy|is the setting \w+|has no effect|would let)"
    ) as refused:
        parse([f"trainer.{argument}=1"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [("1e-7", 1e-7), ("3", 3), ("true", True), ("none", None), ("no", "no"), ("{", "{"), ("2024-01-01", "2024-01-01")],
)
def test_a_word_is_a_number_a_constant_or_itself(word, value):
    assert parse([f"trainer.adam_epsilon={word}"]).trainer == {"adam_epsilon": value}


@pytest.mark.parametrize(("typed", "meant"), [("epoch", "epochs"), ("learning_rat", "learning_rate")])
def test_what_was_probably_meant_is_said(typed, meant):
    with pytest.raises(SaywhyError, match=rf"no setting '{typed}', did you mean '{meant}'"):
        parse([f"{typed}=1"])


def test_a_mapping_is_no_word():
    with pytest.raises(SaywhyError, match=r"write trainer\.NAME=VALUE"):
        parse(["trainer=x"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("settings=free", "add generated to readouts"),
        ("robustness=minimality", "add free to settings"),
        ("plan=named-first wordings=pool", "one wording: pinned"),
        ("plan=named-first objective=dpo", "practised by word, table and reward"),
        ("plan=named-first objective=table beta=1", "practised by word, table and reward"),
        ("plan=named-first stay_weight=0.2", "^stay_weight"),
        ("objective=table beta=0.1 wordings=pool", "^beta: the start model is asked in the pinned wording"),
        ("anchor=1 label_weight=0.1", "^anchor: it takes the place of the label turn"),
        ("anchor=1 label_turn=probabilities", "^anchor: it takes the place of the label turn"),
        ("objective=word tau=0.1", "objective=word takes no tau=0.1"),
        ("target_operators=delete", "objective=word takes no target_operators"),
        ("heldout_rows=8 trainer.save_steps=5", "trainer.save_steps: with heldout_rows"),
        ("trainer.metric_for_best_model=loss", "metric_for_best_model has no effect here"),
        ("trainer.bf16=true", "is the setting practice_precision"),
        ("trainer.save_only_model=true", "save_only_model would let a killed training go on to other weights"),
        ("trainer.ignore_data_skip=true", "ignore_data_skip would let a killed training go on to other weights"),
        ("trainer.train_sampling_strategy=group_by_length", "train_sampling_strategy is set by saywhy"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(words, reason):
    with pytest.raises(SaywhyError, match=reason) as refused:
        parse(words.split())
    assert "\n" not in str(refused.value)


def test_an_engine_that_stands_alone_has_the_defaults_of_the_settings():
    defaults = dataclasses.asdict(EngineDefaults())
    assert defaults == {name: EngineSettings.model_fields[name].default for name in defaults}
