"""Settings that others imply, those beyond all sense, those that do not go together, and those without a use.

To ignore them silently would let a run seem to be what it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saywhy.records import SENTENCE_STYLES, STYLES

QUICK_WORDS = 9
"""Longest built-in text, in distinct words, of the job that is to end within minutes."""

PREFERENCE_OBJECTIVES = ("dpo", "grpo")
"""Objectives whose loss and batches are TRL's (``training.preference``)."""

_RANKED = "explanations are ranked by what each does"
_OTHER_ROWS = "TRL's trainer sees explanations alone, no other rows"
_OF_CANDIDATES = {"target_method": _RANKED, "infill_words": _RANKED}
_OF_PREFERENCE = {
    **_OF_CANDIDATES,
    **dict.fromkeys(("anchor", "label_turn", "label_weight", "stay_weight", "replay", "format_share"), _OTHER_ROWS),
    "tau": "it has no temperature, beta says how far it may go from the start",
    "decision_weight": "all tokens of a reply count alike",
    "heldout_rows": "its loss on held-out texts is not measured",
    "lora_r": "what it compares with is the start's own LoRA, which needs a rank",
}
_UNUSED: Mapping[str, Mapping[str, str]] = {
    "word": {
        "beta": "it does not compare with the start model",
        **dict.fromkeys(("tau", "word_share"), "it practises one explanation, written out"),
        "target_operators": "its words are those of redact",
    },
    "table": _OF_CANDIDATES,
    "reward": _OF_CANDIDATES,
    "dpo": _OF_PREFERENCE,
    "grpo": {**_OF_PREFERENCE, "word_share": "it learns from its own replies, none is written out for it"},
}
_SAYS_WHAT_IS_SO: Mapping[str, tuple[float, ...]] = {"label_weight": (0,), "word_share": (0,), "decision_weight": (1,)}
"""Values beside the default by which nothing is asked for that would not be done."""

SETTINGS_OF_TRAINING = (
    *("adapt_labels", "donor", "objective", "tau", "beta", "word_share", "anchor", "format_share", "stay_weight"),
    *("adapt_num_train_epochs", "num_train_epochs", "adapt_learning_rate", "learning_rate", "lora_r", "trainer"),
    *("per_device_train_batch_size", "decision_weight", "label_weight", "label_turn", "packing", "heldout_rows"),
    *("replay", "replay_share", "practice_precision"),
)
"""Settings of how arms practise."""
SETTINGS_OF_PRACTICE = (
    *("train_styles", "adapt_rows", "train_rows", "target_method", "infill_words", "target_operators", "verified"),
    *("wordings", *SETTINGS_OF_TRAINING),
)
"""Settings of what arms practise, and how."""


MOST: Mapping[str, float] = {
    **dict.fromkeys(("learning_rate", "adapt_learning_rate"), 10.0),
    **dict.fromkeys(("num_train_epochs", "adapt_num_train_epochs", "plant_epochs"), 10_000),
    **dict.fromkeys(("tau", "beta"), 1_000.0),
    **dict.fromkeys(("decision_weight", "label_weight", "stay_weight", "anchor", "word_share"), 1_000_000.0),
    **dict.fromkeys(("steps", "samples", "per_device_train_batch_size", "chunk"), 1_000_000),
    "mention_samples": 1_000,
    **dict.fromkeys(("lora_r", "pinned_words", "infill_words", "most_words"), 100_000),
}
"""The largest value of a number; of those that are not here it is ``MOST_OF_ANY``."""
MOST_OF_ANY = 1_000_000_000


def with_implied(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those that they imply, where these are not given: built-in texts are for quick jobs."""
    quick = {"most_words": QUICK_WORDS, "decide_rows": 100, "calibration_rows": 128}
    is_quick = given.get("data", "pocket") == "pocket"
    return {**(quick if is_quick else {}), **implied_by_sentences(given), **given}


def implied_by_sentences(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the styles and the readout of sentences, if they are what is asked for."""
    asked = given.get("settings") in ("sentences", ["sentences"], ("sentences",))
    return {"styles": SENTENCE_STYLES, "readouts": ("generated",)} if asked else {}


def beyond_sense(settings: Mapping[str, Any]) -> str | None:
    """Return the first number that is not finite or larger than any that could be meant, in words; None if none is."""
    numbers = {**settings, **{f"trainer.{name}": value for name, value in settings["trainer"].items()}}
    for name, value in numbers.items():
        most = MOST.get(name, 2**32 if name.startswith(("data_seed", "trainer.")) else MOST_OF_ANY)
        if isinstance(value, int | float) and not -most <= value <= most:
            return f"{name}={value}: it takes a finite number, at most {most:,}"
    return None


def unused_setting(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> str | None:
    """Return the first setting that the objective would ignore, in words; None if there is none.

    Args:
        settings: All settings, by name.
        defaults: Their defaults, which are never refused: a run's folder holds them, too.
    """
    objective = settings["objective"]
    for name, reason in ignored_settings(settings).items():
        if settings[name] not in (defaults[name], *_SAYS_WHAT_IS_SO.get(name, ())):
            return f"objective={objective} takes no {name}={settings[name]}: {reason}"
    return None


def idle_settings(settings: Mapping[str, Any], *, trains: bool) -> dict[str, str]:
    """Return the settings of which a run makes no use, each with why; they do no harm.

    Args:
        settings: All settings, by name.
        trains: Whether an arm is trained.
    """
    if not trains:
        several_arms = ("arms",) if {*settings["arms"]} - {"base"} else ()
        of_practice = (*SETTINGS_OF_PRACTICE, *several_arms, *several_seeds(settings))
        return dict.fromkeys(of_practice, "nothing is trained")
    idle = {}
    if "transplant" not in settings["arms"]:
        idle["donor"] = "arms= has no transplant"
    if not settings["replay"]:
        idle["replay_share"] = "no replay= is given"
    if set(STYLES) <= set(settings["train_styles"]):
        idle["format_share"] = "every style is practised"
    return idle


def several_seeds(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the name of the setting of seeds, where there are several and the first alone is used."""
    return ("seeds",) if len(settings["seeds"]) > 1 else ()


def ignored_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that an objective ignores, each with why.

    Args:
        settings: ``objective``, ``beta`` and ``lora_r`` at least; of an objective that is not known nothing is said.
    """
    objective = settings["objective"]
    unused = dict(_UNUSED.get(str(objective), {}))
    if objective == "table" and settings["beta"] is not None:
        unused["tau"] = "with beta, that is the temperature"
    if "lora_r" in unused and settings["lora_r"]:
        del unused["lora_r"]
    return unused


def clash(settings: Mapping[str, Any]) -> str | None:
    """Return which settings do not go together, in words; None if all do."""
    named_first = settings["plan"] == "named-first"
    if "free" in settings["settings"] and "generated" not in settings["readouts"]:
        return "settings: free explanations are generated only: add generated to readouts"
    if "minimality" in settings["robustness"] and "free" not in settings["settings"]:
        return "robustness: minimality is measured on free explanations: add free to settings"
    if named_first and settings["wordings"] == "pool":
        return "wordings: replies that name their words first are asked for in one wording: pinned"
    if named_first and (settings["beta"] is not None or settings["objective"] in PREFERENCE_OBJECTIVES):
        return "plan: named-first is practised by word, table and reward, without beta"
    if named_first and settings["stay_weight"]:
        return "stay_weight: replies that name their words first are not compared by where the copy is left"
    if settings["wordings"] == "pool" and settings["beta"] is not None and settings["objective"] in ("table", "reward"):
        return "beta: the start model is asked in the pinned wording: wordings=pool goes without beta"
    if settings["quantize"] and not settings["lora_r"]:
        return "quantize: weights in four bits are not trained themselves: give lora_r"
    if settings["anchor"] and (settings["label_weight"], settings["label_turn"]) != (1.0, "answer"):
        return "anchor: it takes the place of the label turn: leave label_weight and label_turn out"
    if settings["heldout_rows"] and (owned := {"save_steps", "save_strategy"} & settings["trainer"].keys()):
        return f"trainer.{min(owned)}: with heldout_rows a checkpoint is kept at each measurement: leave it out"
    return None


def practice_clash(practised: Mapping[str, Any]) -> str | None:
    """Return why sentences cannot be practised by the arms and with the objective of settings, in words; else None."""
    in_sentences = [style for style in practised["train_styles"] if style in SENTENCE_STYLES]
    objective, listed = practised.get("objective", "word"), ",".join(in_sentences)
    if not in_sentences:
        return None
    if "transplant" in practised["arms"]:
        return f"train_styles: {listed}: a donor has one word a text, so leave transplant out of arms"
    if objective in PREFERENCE_OBJECTIVES:
        return f"train_styles: {listed}: objective={objective} ranks one-word replies: use word, table or reward"
    if objective != "word" and len(in_sentences) == len(practised["train_styles"]):
        return (
            f"train_styles: {listed}: objective={objective} ranks one-word replies, beside which sentences are written "
            "out: add a one-word style, or use objective=word"
        )
    return None


SENTENCE_SETTINGS: Mapping[str, object] = {"mention_samples": 1, "insertion_lengths": False}
"""Settings that only explanations in sentences have a use for, with their defaults."""


def sentences_clash(asked: Mapping[str, Any]) -> str | None:
    """Return which styles, settings, readouts and order do not go with sentences, in words; None if all do."""
    in_sentences = [style for style in asked["styles"] if style in SENTENCE_STYLES]
    in_words = [style for style in asked["styles"] if style in STYLES]
    if in_sentences and "sentences" not in asked["settings"]:
        listed = ",".join(in_sentences)
        return f"styles: {listed}: they are asked for in sentences: give styles={listed} settings=sentences"
    if asked.get("steps_order") == "before" and "steps" not in (*in_sentences, *asked["train_styles"]):
        return "steps_order: no steps are asked for: give styles=steps settings=sentences, or leave it out"
    if "sentences" not in asked["settings"]:
        for name, usual in SENTENCE_SETTINGS.items():
            if asked.get(name, usual) != usual:
                return f"{name}: no explanations in sentences are asked for: give settings=sentences, or leave it out"
        return None
    if len(asked["settings"]) > 1:
        return "settings: sentences have styles and floors of their own: give settings=sentences by itself"
    if in_words:
        return f"styles: {','.join(in_words)} are no sentences: give styles={','.join(in_sentences or SENTENCE_STYLES)}"
    if set(asked["readouts"]) != {"generated"}:
        return "readouts: sentences are generated only: give readouts=generated"
    return None
