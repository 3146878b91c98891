"""The settings of a run: one flat pydantic model that the command line, Python and ``run.json`` share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, field_validator, model_validator

from saywhy.checks import ALL_CHECKS, CHECKS, unknown_check_name
from saywhy.clashes import beyond_sense, clash, practice_clash, sentences_clash, unused_setting, with_implied
from saywhy.engine_settings import EngineSettings
from saywhy.records import SENTENCE_STYLES, Operator, Readout, ReplyPlan, Setting, StepsOrder, StyleName
from saywhy.setting_names import current_names, own_trainer_argument

Arm = Literal["base", "adapted", "faithful", "random", "lexical", "transplant"]
"""An arm of ``saywhy run``."""

ObjectiveName = Literal["word", "table", "reward", "dpo", "grpo"]
"""What a training step of an arm minimises (``training.objectives``, ``training.preference``)."""

TargetMethod = Literal["occlusion", "gradient_x_input", "integrated_gradients", "kernel_shap", "lime"]
"""An attribution method that can choose the words of ``faithful``: all but the baselines, which are arms."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed: what every generator of random numbers takes, and what the name of a folder can be read back as."""


class Config(EngineSettings):
    """Every setting, with its default: the built-in job that ``make run`` does."""

    task: str = Field("sentiment140", description="Task: a name of `saywhy tasks`, or a path to a .yaml.")
    data: str | None = Field(
        "pocket",
        description="Data: 'pocket' (built-in texts), a folder or file, or 'hub' (the task's own data set).",
    )
    split: Literal["train", "validation", "test"] = Field("test", description="Split that is audited.")
    arms: tuple[Arm, ...] = Field(
        ("base", "faithful", "random"),
        description="Arms to audit and compare; `adapted`, from which the trained ones go on, is made in any case.",
    )
    styles: tuple[StyleName, ...] = Field(
        ("attribution", "redaction", "counterfactual"),
        description="Styles that are asked for; keywords, reasons, steps with settings=sentences.",
    )
    train_styles: tuple[StyleName, ...] = Field(
        ("attribution", "redaction", "counterfactual"),
        description="Styles that the arms practise; keywords, reasons, steps: in sentences, whatever is asked for.",
    )
    plan: ReplyPlan = Field(
        "direct",
        description="How redactions and counterfactuals are replied to. direct: the edited text; named-first: the "
        "words that are edited, and on the next line the text, so that every style names its words alike.",
    )
    settings: tuple[Setting, ...] = Field(("one-word",), description="one-word, free, or both; or sentences.")
    steps_order: StepsOrder = Field("after", description="Whether `steps` come after the answer, or before it.")
    mention_samples: int = Field(
        1,
        ge=1,
        description="Replies in sentences, drawn at temperature 1, by whose share a word counts as mentioned where "
        "mention is held against effect; 1: the greedy reply.",
    )
    insertion_lengths: bool = Field(
        False, description="Explain inserted words also in sentences of several requested lengths (F-AUROC)."
    )
    readouts: tuple[Readout, ...] = Field(("constrained",), description="generated, guided, constrained, placebo.")
    operators: tuple[Operator, ...] = Field(
        ("redact",), description="How a word is taken out: redact, delete, infill; the first is primary."
    )
    methods: tuple[str, ...] = Field(
        ("occlusion", "gradient_x_input", "lexical", "random"),
        description="Attribution methods of `saywhy attribute`: occlusion, gradient_x_input, integrated_gradients, "
        "kernel_shap, lime, lexical, random.",
    )
    steps: int = Field(50, ge=1, description="Points on the path of integrated gradients.")
    samples: int = Field(200, ge=2, description="Masked texts that KernelSHAP and LIME fit each text's line to.")
    plants: tuple[str, ...] = Field(
        ("keyword", "trigger"),
        description="Planted rules of `saywhy calibrate`: keyword, trigger, pair, quorum, negation, position.",
    )
    plant_rows: int = Field(
        360,
        ge=8,
        description="Texts on which a model learns a planted rule; those of two words take several times as many.",
    )
    plant_epochs: int = Field(2, ge=1, description="Passes over them.")
    most_words: int | None = Field(
        None,
        ge=2,
        description="Texts of more distinct words are set aside (the work grows with their square); none: keep all. "
        "The built-in job, which is to be quick, keeps up to 9.",
    )
    rows: int | None = Field(60, ge=1, description="Texts to audit; none: all of the split. A folder may grow.")
    robustness: tuple[str, ...] = Field(
        (),
        description="Checks of how far the verdicts move; may be added to a finished run. "
        + "; ".join(f"{name}: {what}" for name, what in CHECKS.items())
        + f"; {ALL_CHECKS}: every one that the run and its task allow.",
    )
    adapt_rows: int = Field(36, ge=1, description="Texts on which `adapted` learns labels and formats.")
    train_rows: int | None = Field(
        48, ge=1, description="Texts on which each arm is trained; they need no labels; none: all there are."
    )
    decontaminate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Training texts at least this alike to one that is audited or classified are left out (share of "
        "characters that stay; 0.9 finds the same text with a word changed); none: only the same texts.",
    )
    heldout_rows: int = Field(
        0,
        ge=0,
        description="Texts beside them on which the objective's loss is measured as training goes, none of the "
        "audited: it ends when the loss falls no more, and the best checkpoint is kept; 0: not measured.",
    )
    decide_rows: int | None = Field(
        None,
        ge=1,
        description="Texts of the split on which accuracy and agreement are measured; none: all (built-in texts: 100).",
    )
    calibration: Literal["batch"] | None = Field(
        "batch", description="Labels less those of an average text; none: raw."
    )
    calibration_rows: int = Field(256, ge=2, description="Unlabelled training texts for it; 128 on built-in texts.")
    lexicon_rows: int = Field(4000, ge=2, description="Training texts from which words' associations are counted.")
    pinned_words: int = Field(2, ge=2, description="Words a label that a counterfactual may insert.")
    target_method: TargetMethod = Field(
        "occlusion",
        description="Attribution method that chooses the words of `faithful`. Occlusion is exact: it is the recheck.",
    )
    infill_words: int = Field(
        0,
        ge=0,
        description="The model's own words that the search for counterfactual targets tries at a position beside the "
        "pinned ones; 0: none, so that targets and random control draw from one list.",
    )
    adapt_labels: Literal["gold", "formats"] = Field(
        "gold", description="`adapted` learns the gold labels, or (no labels at hand) formats only."
    )
    donor: str | None = Field(
        None,
        description="Whose deciding words `transplant` explains with: another model=; none: the model as downloaded.",
    )
    objective: ObjectiveName = Field(
        "word",
        description="What an arm minimises. word: the loss of one explanation a text, the best; table: that of its "
        "whole distribution over one-word explanations, drawn to what each would do; reward: minus the expected effect "
        "of that distribution; dpo: TRL's DPO, the best explanation against a random other; grpo: TRL's GRPO, rewarded "
        "by the effect of its sampled replies.",
    )
    tau: float = Field(
        0.3,
        ge=1e-6,
        description="Temperature (nats) of `table`: explanations are drawn to softmax(effect / tau), so the lower, the "
        "more the best one counts. Of `reward`: the least gain that it divides by.",
    )
    beta: float | None = Field(
        None,
        ge=1e-6,
        description="Cost (nats) of parting from the start model: `table` is drawn to start * exp(effect / beta), "
        "`reward` pays beta times the divergence, `dpo` and `grpo` take it as TRL's; none: nothing, TRL's default.",
    )
    word_share: float = Field(
        0.3, ge=0, description="How much the best explanation, written out, counts beside `table`, `reward` or `dpo`."
    )
    target_operators: tuple[Operator, ...] = Field(
        ("redact",),
        description="Operators whose mean effect is practised by all objectives but `word`: redact, delete, infill.",
    )
    anchor: float = Field(
        0.0,
        ge=0,
        description="How much it counts, against 1 for an explanation, that the label probabilities stay as they were, "
        "on each text and on four edited texts of it; 0: the label turn of label_turn.",
    )
    verified: bool = Field(False, description="Train only on texts in which the best edit of each style hits.")
    adapt_num_train_epochs: int = Field(1, ge=1, description="Passes of `adapted` over its rows.")
    num_train_epochs: int = Field(2, ge=1, description="Passes of each arm over its rows.")
    adapt_learning_rate: float = Field(1e-3, gt=0, description="Learning rate of `adapted`.")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate of the arms.")
    per_device_train_batch_size: int = Field(
        4, ge=1, description="Texts a training step; several processes share them, and a step stays the same."
    )
    lora_r: int = Field(16, ge=0, description="LoRA rank; 0 trains all weights.")
    trainer: dict[str, Any] = Field(
        {},
        description="What else TRL's SFTConfig (of the arms with dpo or grpo: DPOConfig, GRPOConfig) is told: "
        "trainer.weight_decay=0.01, or a mapping in a study file; what saywhy sets itself is refused.",
    )
    decision_weight: float = Field(10.0, ge=1, description="How much more a deciding token counts than a copied one.")
    label_weight: float = Field(1.0, ge=0, description="How much the label turn (the own answer) counts; 0: nothing.")
    replay: str | None = Field(None, description="Instruction data (JSONL with `messages`) that is mixed in.")
    replay_share: float = Field(0.1, ge=0, lt=0.9, description="Share of the samples that is instruction data.")
    format_share: float = Field(
        0.0,
        ge=0,
        lt=0.9,
        description="Share of an arm's texts that rehearse the formats of styles that it does not practise: adapted's "
        "texts with random words.",
    )
    stay_weight: float = Field(
        0.0,
        ge=0,
        description="How much it counts, against 1 for an explanation, that the words behind the deciding one stay in "
        "a copy that is unedited so far; 0: not practised.",
    )
    label_turn: Literal["answer", "probabilities"] = Field(
        "answer",
        description="What the label turn of an arm practises: the model's own answer, or its own probabilities of all "
        "labels, which leaves its margins where they are.",
    )
    wordings: Literal["pinned", "pool"] = Field(
        "pinned",
        description="In which sentences an arm practises. pinned: those of the audit; pool: drawn for each text, from "
        "ten wordings of every request and the task's paraphrases in both label orders.",
    )
    packing: Literal["tree", "none"] = Field("tree", description="Rows of a text as one tree, or each row by itself.")
    seeds: tuple[Seed, ...] = Field((0,), description="Seeds: of random words, of row order and of LoRA's start.")
    data_seed: Seed = Field(0, description="Seed of the samples of texts; the same texts for all seeds.")
    chunk: int = Field(20, ge=1, description="Texts a chunk: what a killed run has to repeat at most.")

    @property
    def whole_tables(self) -> bool:
        """Whether the effect of every explanation of a training text is needed, not the best one alone."""
        return self.objective != "word" or self.anchor > 0

    @property
    def trains_sentences(self) -> bool:
        """Whether the arms practise explanations in sentences, so that the words of these are needed."""
        return bool(set(SENTENCE_STYLES) & set(self.train_styles))

    def has_check(self, check: str) -> bool:
        """Return whether ``robustness`` asks for a check, and what it is compared with is audited."""
        compared = "constrained" in self.readouts and "one-word" in self.settings and self.plan == "direct"
        return bool({check, ALL_CHECKS} & set(self.robustness)) and (compared or check != "unseen-wording")

    @property
    def compares_with_start(self) -> bool:
        """Whether the start model's log-probability of every explanation of a training text is needed."""
        return self.beta is not None and self.objective in ("table", "reward")

    @property
    def lesson_form(self) -> str:
        """What is kept of a training text: explanations of one form serve every objective that takes them."""
        of_words = "word"
        if self.whole_tables:
            of_words = "anchored" if self.objective == "word" else "reference" if self.compares_with_start else "table"
        return f"{of_words}-sentences" if self.trains_sentences else of_words

    @model_validator(mode="wrap")
    @classmethod
    def _with_implied(cls, given: dict[str, Any], handler: ModelWrapValidatorHandler[Config]) -> Config:
        given = current_names(given)
        config = handler(with_implied(given))
        config.model_fields_set.intersection_update(given)  # what is implied was not given
        return config

    @field_validator("robustness", mode="before")
    @classmethod
    def _are_checks(cls, names: Any) -> Any:
        wrong = unknown_check_name(names or ())
        if wrong:
            raise ValueError(wrong)
        return names or ()

    @field_validator("trainer")
    @classmethod
    def _leaves_what_is_set(cls, trainer: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        for key in trainer:
            if reason := own_trainer_argument(info.data.get("objective", "word"), key):
                raise ValueError(f"{key} {reason}")
        return trainer

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        lists = ("arms", "styles", "train_styles", "settings", "readouts", "operators", "target_operators", "methods")
        for name in (*lists, "plants", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name}: at least one, none twice")
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        given = dict(self)
        for problem in (
            beyond_sense(given),
            unused_setting(given, defaults),
            sentences_clash(given),
            practice_clash(given),
            clash(given),
        ):
            if problem:
                raise ValueError(problem)
        if "unseen-wording" in self.robustness and not self.has_check("unseen-wording"):
            raise ValueError(
                "robustness: unseen wordings ask for constrained one-word explanations: add constrained to readouts "
                "and one-word to settings, and leave plan= out"
            )
        return self
