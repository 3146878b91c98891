"""What a task's YAML holds beside plain values: where its rows are, other questions, a prompt of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Split = Literal["train", "validation", "test"]

FilledText = Annotated[str, Field(min_length=1)]
STRICT_CONFIG = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Hub(BaseModel):
    """Where a task's rows are on the Hugging Face hub, and how they become the task's."""

    model_config = STRICT_CONFIG

    id: FilledText = Field(description="Data set id on the hub, such as `stanfordnlp/snli` (or a local folder).")
    config: str | None = Field(None, description="Configuration of the data set, where it has several.")
    revision: str | None = Field(None, description="Branch, tag or commit; set it to pin the rows of a study.")
    splits: dict[Split, FilledText] = Field(
        default={"train": "train", "validation": "validation", "test": "test"},
        min_length=1,
        description="Our split to the hub's split expression; `train[90%:]` where one is missing.",
    )
    columns: dict[str, FilledText] = Field({}, description="Our column to the hub's column, where the names differ.")
    labels: dict[str, FilledText | None] = Field(
        {}, description="The hub's value to our label; rows whose value maps to `null` are left out."
    )


class Paraphrase(BaseModel):
    """The same question in other words."""

    model_config = STRICT_CONFIG

    question: FilledText = Field(description="The question in other words; the label words stay.")
    lead_in: FilledText = Field(description="How its answer begins.")


LABEL_PLACE = "{label}"
"""Where the label word stands in the answer of an own prompt."""


class OwnPrompt(BaseModel):
    """The chat in which an application asks for a label: the decision that is explained is then the one it takes.

    Fields stand in braces by the names of their columns: ``Ticket from {channel}: {body}``. Other braces are text.
    """

    model_config = STRICT_CONFIG

    system: FilledText | None = Field(None, description="System message; none: there is no system turn.")
    question: FilledText = Field(
        description="The user's turn, with the columns in braces: `Ticket from {channel}: {body}`. What stands before "
        "them is computed once for all texts."
    )
    answer: FilledText = Field(
        LABEL_PLACE, description="The assistant's turn, with the label word as {label}: `Queue: {label}.`"
    )

    @field_validator("answer")
    @classmethod
    def _names_the_label(cls, answer: str) -> str:
        before, *behind = answer.split(LABEL_PLACE)
        if len(behind) != 1:
            raise ValueError(f"is {answer!r}: the label word stands in it once, as {LABEL_PLACE}")
        if before and not before.endswith(" "):
            raise ValueError(f"is {answer!r}: put a blank before {LABEL_PLACE}, or begin with it")
        return answer

    def problem(self, text: str, context: Sequence[str]) -> str | None:
        """Return what does not fit the columns of a task, None if all does."""
        if self.question.count(f"{{{text}}}") != 1:
            return f"prompt.question must hold the explained field once, as {{{text}}}"
        missing = [name for name in context if f"{{{name}}}" not in self.question]
        return f"prompt.question lacks {{{missing[0]}}}, a field of the task's context" if missing else None

    @property
    def answer_parts(self) -> tuple[str, str]:
        """What stands before the label word, without the blank between them, and what behind it."""
        before, behind = self.answer.split(LABEL_PLACE)
        return before.removesuffix(" "), behind

    def filled(self, fields: Mapping[str, str]) -> str:
        """Return the user's turn, each column in braces replaced by its value."""
        return self._places(fields).sub(lambda match: fields[match[1]], self.question)

    def text_offset(self, text: str, fields: Mapping[str, str]) -> int:
        """Return where the field ``text`` begins in the user's turn."""
        before = self.question.split(f"{{{text}}}")[0]
        return len(self._places(fields).sub(lambda match: fields[match[1]], before))

    def read(self, turn: str, text: str, context: Sequence[str]) -> str | None:
        """Return the field ``text`` of a user's turn, the inverse of ``filled``; None of a turn of another prompt."""
        pieces = self._places({text: "", **dict.fromkeys(context, "")}).split(self.question)
        pattern = "".join(
            ("(?P<text>.*)" if piece == text else "(?:.*?)") if i % 2 else re.escape(piece)
            for i, piece in enumerate(pieces)
        )
        match = re.fullmatch(pattern, turn, re.S)
        return match["text"] if match else None

    @staticmethod
    def _places(names: Mapping[str, object]) -> re.Pattern[str]:
        return re.compile("{(" + "|".join(map(re.escape, names)) + ")}")
