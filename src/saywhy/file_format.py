"""How a file of examples is read, where it is not as usual: its columns, delimiter and encoding, and its labels."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

DELIMITER_NAMES: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
"""What a delimiter may be called: some mean something else to a shell."""

UNUSED_COLUMN = "_"
"""Name of a column that is not read; it may stand several times."""

UNLABELLED_NAMES = ("", "none", "null")
"""What a value of ``label_map`` may be to mean that such texts have no label."""

_WHOLE_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.0*)?")


class FileFormat(BaseModel):
    """How a file is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    columns: tuple[str, ...] = Field(
        (),
        description="Names of all columns of a .csv or .tsv file without a header line, in their order: "
        "columns=label,_,_,_,_,text (_: not needed); none: its first line names them.",
    )
    delimiter: str | None = Field(
        None,
        description="What parts the cells of a .csv or .tsv file: comma, semicolon, tab, pipe, or another sign; none: "
        "that with which its first line fits.",
    )
    encoding: str | None = Field(
        None, description="Encoding of a .jsonl, .csv or .tsv file, such as latin-1 or utf-16; none: UTF-8."
    )
    label_map: dict[str, str | None] = Field(
        {},
        description="What labels in the data mean: label_map=0:negative,4:positive,2:none (none: unlabelled). A task "
        "file may have it too. -1 and an empty cell are unlabelled in any case.",
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _no_columns(cls, columns: Any) -> Any:
        return () if columns is None else columns

    @field_validator("columns")
    @classmethod
    def _are_apart(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        named = [name for name in columns if name != UNUSED_COLUMN]
        if len(named) != len(set(named)):
            raise ValueError("each column has a name of its own; those that are not needed are called _")
        return columns

    @field_validator("delimiter")
    @classmethod
    def _is_one_sign(cls, delimiter: str | None) -> str | None:
        sign = DELIMITER_NAMES.get(delimiter, delimiter) if delimiter else delimiter
        if sign is not None and (len(sign) != 1 or sign in '"\r\n\ufeff\0'):
            raise ValueError(f"it takes one sign, or {', '.join(name for name in DELIMITER_NAMES if name.isalpha())}")
        return sign

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        except (LookupError, ValueError) as error:
            raise ValueError("no such encoding: latin-1, cp1252, utf-8 and utf-16 are the usual ones") from error
        return encoding

    @field_validator("label_map", mode="before")
    @classmethod
    def _are_pairs(cls, pairs: Any) -> Any:
        if isinstance(pairs, Mapping):
            return {label_key(value): None if label is None else str(label) for value, label in pairs.items()}
        label_by_value = {}
        for pair in str(pairs or "").split(",") if pairs else ():
            value, colon, label = (part.strip() for part in pair.rpartition(":"))
            if not colon or not value:
                raise ValueError(f"'{pair.strip()}' is not VALUE:LABEL: write for example 0:negative,4:positive")
            if value in label_by_value:
                raise ValueError(f"'{value}' stands twice")
            label_by_value[value] = None if label.lower() in UNLABELLED_NAMES else label
        return label_by_value

    @property
    def given(self) -> list[str]:
        """The settings of how the cells of a file are read that are not as usual."""
        return [name for name in ("columns", "delimiter", "encoding") if getattr(self, name)]


def label_key(value: Any) -> str:
    """Return a label as YAML writes it: ``1``, ``true``; empty for what is missing."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, default=str)


def plain_number(key: str) -> str:
    """Return a whole number without its fraction and sign of plus; any other label as it is.

    >>> plain_number("4.0"), plain_number("-1"), plain_number("4.5"), plain_number("positive")
    ('4', '-1', '4.5', 'positive')
    """
    return str(int(float(key))) if _WHOLE_NUMBER.fullmatch(key) else key
