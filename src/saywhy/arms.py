"""How the arms of a study are called: what was learned, in which styles, on which tasks (docs/study.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from saywhy.records import STYLES, SaywhyError, StyleName

ALL = "all"
"""In place of styles: all of them. In place of tasks: jointly on all of the study's."""

MADE = ("base", "adapted")
"""Arms that every study has, and that practise no explanations of their own."""

KINDS = ("faithful", "random", "lexical", "transplant")
"""What an arm's explanations are made of."""

SEARCHED = ("faithful", "transplant")
"""Kinds of arms whose words were found by taking words out, with ``TRAINING_OPERATOR``."""

REFRESHED = "refreshed"
"""Variant in which the targets are made anew, half-way, from the model as it is then."""
HALF = "half"
"""Variant that a refreshed arm goes on from: trained on the first half of the texts."""


def kind(arm: str) -> str:
    """Return what sort of arm a name means: ``faithful`` for ``faithful-redaction`` or ``faithful.all.snli``."""
    match = re.match(r"[A-Za-z]+", arm)
    return match[0].lower() if match else arm


def task_name(task: str) -> str:
    """Return what a task is called in folders and in names of arms: the stem, where it is the path of a YAML file."""
    path = Path(task)
    return path.stem if path.suffix.lower() in (".yaml", ".yml") else task


@dataclass(frozen=True, slots=True)
class Trained:
    """An arm that was trained on explanations.

    Attributes:
        kind: One of ``KINDS``.
        styles: The styles that it practised, in the order of ``STYLES``.
        tasks: The tasks whose texts it practised on; (``all``,) for all of the study's, jointly.
        variant: What is special about it; empty for the usual recipe.
    """

    kind: str
    styles: tuple[StyleName, ...]
    tasks: tuple[str, ...]
    variant: str = ""

    @property
    def name(self) -> str:
        """``faithful.all.snli``, ``random-bare.attribution+redaction.all``: what rows and folders call it."""
        styles = ALL if set(self.styles) == set(STYLES) else "+".join(self.styles)
        kind = f"{self.kind}-{self.variant}" if self.variant else self.kind
        return f"{kind}.{styles}.{'+'.join(self.tasks)}"

    @classmethod
    def parse(cls, name: str) -> Trained:
        """Read a name.

        Raises:
            SaywhyError: If it is none.
        """
        parts = name.split(".", 2)
        kind, _, variant = parts[0].partition("-")
        if len(parts) != 3 or kind not in KINDS:
            raise SaywhyError(f"'{name}' is no arm of a study: KIND[-VARIANT].STYLES.TASKS, as in faithful.all.snli")
        asked = STYLES if parts[1] == ALL else tuple(parts[1].split("+"))
        if wrong := sorted(set(asked) - set(STYLES)):
            raise SaywhyError(f"arm '{name}': no style '{wrong[0]}', there are {', '.join(STYLES)}")
        styles = tuple(style for style in STYLES if style in asked)
        return cls(kind, styles, tuple(parts[2].split("+")), variant)
