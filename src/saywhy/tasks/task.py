"""What a task is, and where its YAML is found (docs/definitions.md, *Task*; every key in ``docs/tasks.md``).

A task is the same inside and outside the package: ``load_task("snli")`` and ``load_task("my/reviews.yaml")``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from itertools import pairwise
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from saywhy.hints import did_you_mean
from saywhy.paths import user_path
from saywhy.printable import in_one_line
from saywhy.records import ReplyPlan, SaywhyError, StepsOrder
from saywhy.tasks.parts import STRICT_CONFIG, FilledText, Hub, OwnPrompt, Paraphrase
from saywhy.words import fold
from saywhy.yaml_files import UniqueKeyLoader, parse_yaml

TASK_SUFFIXES = (".yaml", ".yml")
"""What makes a name a path to a task file."""


def _word_by_label(value: Any) -> Any:
    """Turn a list of words into a mapping in which each word stands for itself."""
    if isinstance(value, list):
        if not all(isinstance(word, str) for word in value):
            raise ValueError("must be a list of words")
        doubled = sorted({word for word in value if value.count(word) > 1})
        if doubled:
            raise ValueError(f"names {doubled[0]!r} twice")
        return {word: word for word in value}
    if not isinstance(value, dict):
        raise ValueError("must be a list of words, or a mapping 'data label: label word'")
    return value


class Task(BaseModel):
    """A classification whose answers are explained.

    Build one with ``load_task``, which reports problems as one-line ``SaywhyError``; the constructor itself
    raises pydantic's ``ValidationError``.
    """

    model_config = STRICT_CONFIG

    name: FilledText = Field(description="Name in tables and run folders: letters, digits, `_`, `-` and `.`.")
    question: FilledText = Field(description="What the model is asked. It comes first, the fields follow.")
    lead_in: FilledText = Field(
        description="How the answer begins; the label word completes it: `The sentiment of the tweet is`."
    )
    labels: Annotated[dict[FilledText, FilledText], BeforeValidator(_word_by_label)] = Field(
        description="Data label to the label word that the model says; a plain list where both are the same."
    )
    noun: FilledText = Field("text", description="What prompts call the explained field: tweet, hypothesis, article.")
    text: FilledText = Field("text", description="Column of the explained field.")
    context: tuple[FilledText, ...] = Field(
        (), description="List of other columns; they are shown before the text and never edited."
    )
    label: FilledText = Field("label", description="Column of the gold label; the data may lack it.")
    stand_in: FilledText = Field(
        "something", description="Neutral word that the `infill` operator puts in a word's place."
    )
    paraphrases: tuple[Paraphrase, ...] = Field(
        (), description="Other ways to ask: a list of `question` and `lead_in` (`robustness=paraphrases`)."
    )
    label_map: dict[FilledText, FilledText | None] = Field(
        {}, description="What values of the label column mean in a file: value to our label; `null`: no label."
    )
    verbaliser: dict[FilledText, FilledText] = Field(
        {}, description="Other label words: data label to word (`robustness=verbaliser`)."
    )
    prompt: OwnPrompt | None = Field(
        None, description="The chat as your application has it, in place of `question` and `lead_in`."
    )
    hub: Hub | None = Field(
        None, description="Where the rows are on the Hugging Face hub; without it, pass data=FOLDER_OR_FILE."
    )
    source: str = Field("", description="Name of the data set, as a model card cites it.")
    licence: str = Field("", description="Licence of the data, shown in reports and model cards.")
    note: str = Field("", description="What a reader of results should know about the data.")
    _plan: ReplyPlan = PrivateAttr("direct")  # no keys of a task file: a run decides
    _steps_order: StepsOrder = PrivateAttr("after")

    @property
    def plan(self) -> ReplyPlan:
        """How redactions and counterfactuals are replied to: the setting ``plan``."""
        return self._plan

    @property
    def steps_order(self) -> StepsOrder:
        """Whether steps come after the answer or before it: the setting ``steps_order``."""
        return self._steps_order

    def replied_by(self, plan: ReplyPlan, steps_order: StepsOrder = "after") -> Self:
        """Return the task with another plan of replies, and another order of steps and answer."""
        task = self.model_copy()
        task._plan, task._steps_order = plan, steps_order
        return task

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that the model reads, in the order of the prompt: the explained one is last."""
        return (*self.context, self.text)

    @field_validator("name")
    @classmethod
    def _name_is_a_file_name(cls, name: str) -> str:
        if name.startswith(".") or not all(char.isalnum() or char in "_-." for char in name):
            raise ValueError(f"is {name!r}: use letters, digits, '_', '-' and '.' only")
        return name

    @field_validator("stand_in")
    @classmethod
    def _one_word(cls, stand_in: str) -> str:
        if len(stand_in.split()) > 1:
            raise ValueError(f"is {stand_in!r}: use one word")
        return stand_in

    @field_validator("labels")
    @classmethod
    def _are_several(cls, labels: dict[str, str]) -> dict[str, str]:
        if len(labels) < 2:
            raise ValueError(f"has {len(labels)} label; a task needs at least two")
        return labels

    @field_validator("labels", "verbaliser")
    @classmethod
    def _can_be_told_apart(cls, labels: dict[str, str]) -> dict[str, str]:
        # The stop behind a word tells it from one that it begins (``protocol.prompts.answers``).
        words = sorted((" ".join(fold(word).split()).rstrip("."), label, word) for label, word in labels.items())
        for (former, twin_label, twin), (folded, label, word) in pairwise(words):
            if folded == former:
                raise ValueError(
                    f"cannot be told apart: {word!r} (of {label!r}) is {twin!r} (of {twin_label!r}); choose others"
                )
        return labels

    @model_validator(mode="after")
    def _columns_are_apart(self) -> Self:
        columns = [*self.fields, self.label]
        for column in columns:
            if columns.count(column) > 1:
                raise ValueError(f"column {column!r} is used twice: text, label and context must be different columns")
        if fold(self.noun) in map(fold, self.context):
            raise ValueError(f"noun {self.noun!r} is also a context column: the prompt would show two of that name")
        return self

    @model_validator(mode="after")
    def _prompt_fits(self) -> Self:
        if self.prompt and (problem := self.prompt.problem(self.text, self.context)):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _verbaliser_fits(self) -> Self:
        if self.verbaliser and set(self.verbaliser) != set(self.labels):
            raise ValueError(f"verbaliser must have one word for each label: {', '.join(self.labels)}")
        return self

    @model_validator(mode="after")
    def _labels_are_mapped(self) -> Self:
        for key, label_map in (("label_map", self.label_map), ("hub.labels", self.hub.labels if self.hub else {})):
            for value, label in label_map.items():
                if label is not None and label not in self.labels:
                    raise ValueError(f"{key} maps {value!r} to {label!r}, which is no label: {', '.join(self.labels)}")
        return self

    @model_validator(mode="after")
    def _hub_fits(self) -> Self:
        if self.hub is None:
            return self
        for column in self.hub.columns:
            if column not in (*self.fields, self.label):
                used = ", ".join((*self.fields, self.label))
                raise ValueError(f"hub.columns renames {column!r}, but the task's columns are {used}")
        return self


def catalog() -> tuple[str, ...]:
    """Return the names of the tasks that come with saywhy."""
    files = resources.files("saywhy").joinpath("catalog").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_task(name_or_path: str) -> Task:
    """Return the task of a catalog name, or of a path that ends in ``.yaml`` or ``.yml``.

    Raises:
        SaywhyError: If there is no such task, or its file does not describe one.
    """
    if str(name_or_path).lower().endswith(TASK_SUFFIXES):
        path = user_path(name_or_path)
        return _parse_task(_read_task_file(path.read_bytes, str(path)), str(path))
    names = catalog()
    if name_or_path not in names:
        hint = did_you_mean(name_or_path, names, ": ") or "."
        raise SaywhyError(f"no task {name_or_path!r}{hint} Tasks: {', '.join(names)}; or a path to a .yaml")
    file = resources.files("saywhy").joinpath("catalog", f"{name_or_path}.yaml")
    return _parse_task(_read_task_file(file.read_bytes, str(file)), str(file))


class _TextLoader(UniqueKeyLoader):
    """YAML in which every scalar is text or null: ``no`` is the word *no*, ``0:`` the key ``"0"``."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (declared so by yaml)
        first: [rule for rule in rules if rule[0].endswith(":null")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read_task_file(read_bytes: Callable[[], bytes], where: str) -> str:
    """Return the text of a task file."""
    try:
        return read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SaywhyError(f"{where}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except FileNotFoundError as error:
        raise SaywhyError(f"{where}: no such task file; give its path, or one of: {', '.join(catalog())}") from error
    except OSError as error:
        raise SaywhyError(f"{where}: cannot be read ({error.strerror}); give the path to a task file") from error


def _parse_task(source: str, where: str) -> Task:
    """Return the task that YAML ``source`` describes."""
    data = parse_yaml(source, _TextLoader, where)
    if not isinstance(data, dict):
        content = "empty" if data is None else f"a {type(data).__name__}"
        raise SaywhyError(f"{where}: is {content}, not a task; write 'key: value' lines as in docs/tasks.md")
    try:
        return Task.model_validate(data)
    except ValidationError as error:
        problems = list(dict.fromkeys(_task_problem(dict(details)) for details in error.errors()))
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise SaywhyError(
            f"{where}: {'; '.join(in_one_line(problem, 400) for problem in problems[:3])}{more}. Keys: docs/tasks.md"
        ) from error


def _task_problem(details: dict[str, Any]) -> str:
    """Return one of pydantic's error details as a sentence."""
    location = [str(part) for part in details["loc"] if part != "[key]"]
    key = ".".join(location)
    submodels: dict[str, type[BaseModel]] = {"hub": Hub, "paraphrases": Paraphrase, "prompt": OwnPrompt}
    model = submodels.get(location[0], Task) if len(location) > 1 else Task
    if details["type"] == "extra_forbidden":
        hint = did_you_mean(location[-1], model.model_fields, ": ")
        return f"unknown key {key!r}{hint or ': allowed are ' + ', '.join(model.model_fields)}"
    if not location:
        return str(details["ctx"]["error"])
    if details["type"] == "value_error":
        return f"{key!r} {details['ctx']['error']}"
    field = model.model_fields.get(
        location[-1] if model is Paraphrase else location[0] if model is Task else location[1]
    )
    meaning = (field.description or "").rstrip(".") if field else ""
    if details["type"] == "missing":
        return f"{key!r} is missing: {meaning}"
    if details["type"] in ("string_too_short", "too_short"):
        return f"{key!r} is empty: {meaning}"
    problem = details["msg"].removeprefix("Input ")
    return f"{key!r} {problem}, got {in_one_line(repr(details['input']), 80)}: {meaning}"
