"""A block of a study: arms that are compared with each other, what they practise, what they are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saywhy.arms import ALL_NAME, HALF, KINDS, REFRESHED, STARTS
from saywhy.clashes import sentences_clash
from saywhy.config import Seed
from saywhy.hints import did_you_mean
from saywhy.records import ALL_STYLES, STYLES, Readout, Setting, StepsOrder, StyleName
from saywhy.setting_names import current_names

PLAN_MODEL = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)
"""How the parts of a study file are read: what they do not know is refused."""

OWN_TASKS, TRAINED_TASKS, UNSEEN_TASKS = "own", "trained", "unseen"
"""Which tasks an arm is tested on: its own, all that are trained on, those that none is trained on."""


def with_known_order(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings of ``with:`` in which ``steps_order`` is known.

    Raises:
        ValueError: If it is not.
    """
    if (order := settings.get("steps_order", "after")) not in get_args(StepsOrder):
        raise ValueError(f"with: steps_order: {order}: it takes {', '.join(get_args(StepsOrder))}")
    return settings


class StudyBlock(BaseModel):
    """Some arms, the styles and tasks that they practise, and the tasks that they are tested on.

    The arms of a block are compared within it: same texts, same steps, other words.
    """

    model_config = PLAN_MODEL

    name: str = Field(min_length=1, description="What the report calls it.")
    arms: tuple[str, ...] = Field(
        ("faithful", "random"), min_length=1, description="base, adapted, faithful, random, lexical, transplant."
    )
    variant: str = Field("", pattern=r"^[a-z0-9]*$", description="What is special about its trained arms, one word.")
    train_styles: tuple[tuple[StyleName, ...], ...] | Literal["all", "each"] = Field(
        "all", description="Styles practised: all of one word together, each of these by itself, or a list of lists."
    )
    train_tasks: tuple[tuple[str, ...], ...] | Literal["all", "each"] = Field(
        "each", description="Tasks practised on: each by itself, all jointly, or a list of lists."
    )
    test_tasks: tuple[str, ...] | Literal["own", "trained", "unseen", "all"] = Field(
        "own", description="Tasks tested on: its own, trained (all that any arm is trained on), unseen, all, or a list."
    )
    styles: tuple[StyleName, ...] = Field(STYLES, min_length=1, description="Styles that are asked for.")
    settings: tuple[Setting, ...] = Field(("one-word",), min_length=1, description="one-word, free; or sentences.")
    readouts: tuple[Readout, ...] = Field(("constrained",), min_length=1, description="generated, guided, constrained.")
    seeds: tuple[Seed, ...] | None = Field(None, description="Seeds; none: the study's first.")
    with_: Mapping[str, Any] = Field({}, alias="with", description="Settings of its training, such as learning_rate.")

    @field_validator("train_styles", "train_tasks", "test_tasks")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if not isinstance(value, str) and (not value or not all(value)):
            raise ValueError("an empty list: leave the entry out, or name what is meant")
        return value

    @field_validator("arms")
    @classmethod
    def _arms_exist(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        for arm in arms:
            if arm not in (*STARTS, *KINDS):
                raise ValueError(f"no arm '{arm}'{did_you_mean(arm, (*STARTS, *KINDS), ', ')}")
        return arms

    @field_validator("with_")
    @classmethod
    def _training_settings(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        settings = with_known_order(current_names(settings))
        for key in settings:
            if key not in SETTINGS_OF_BLOCKS:
                hint = did_you_mean(key, SETTINGS_OF_BLOCKS, ", ")
                raise ValueError(f"with: '{key}' is no setting of an arm's training{hint}")
        if settings.get("lora_r", 0) != 0:
            raise ValueError("with: lora_r: a LoRA goes on with the rank of adapted; only 0, all weights, can be asked")
        return settings

    @property
    def practised_style_sets(self) -> tuple[tuple[StyleName, ...], ...]:
        """The sets of styles that its arms practise, one arm a set."""
        if isinstance(self.train_styles, str):
            return (STYLES,) if self.train_styles == ALL_NAME else tuple((style,) for style in STYLES)
        return tuple(tuple(style for style in ALL_STYLES if style in styles) for styles in self.train_styles)

    @model_validator(mode="after")
    def _fits_together(self) -> StudyBlock:
        if "free" in self.settings and "generated" not in self.readouts:
            raise ValueError("free explanations are generated only: add generated to readouts")
        practised = {style for styles in self.practised_style_sets for style in styles}
        if problem := sentences_clash({**self.model_dump(), **self.with_, "train_styles": practised}):
            raise ValueError(problem)
        if self.with_ and not self.variant:
            raise ValueError("a block with settings of its own needs a variant, the word that names its arms")
        if self.variant == HALF:
            raise ValueError(f"variant '{HALF}' is what {REFRESHED} goes on from: choose another word")
        return self


SETTINGS_OF_BLOCKS: tuple[str, ...] = (
    *(
        "train_rows",
        "num_train_epochs",
        "learning_rate",
        "per_device_train_batch_size",
        "decision_weight",
        "label_weight",
    ),
    *("label_turn", "stay_weight", "replay", "replay_share", "format_share", "packing", "verified", "target_method"),
    *("infill_words", "lora_r", "trainer", "objective", "tau", "beta", "word_share", "target_operators", "anchor"),
    *("wordings", "steps_order"),
)
"""Settings that a block may change for its arms: those of their training."""
