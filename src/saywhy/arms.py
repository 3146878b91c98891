"""Names of arms: what was learned, in which styles, on which tasks (docs/study.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from saywhy.records import ALL_STYLES, STYLES, SaywhyError, StyleName

ALL_NAME = "all"
"""In place of styles: all of one word. In place of tasks: jointly on all of the study's."""

STARTS = ("base", "adapted")
"""Arms that every study has, and that practise no explanations of their own."""

AUDITED = "audited"
"""Name of the only arm of ``saywhy audit``: the model that is given, whatever it is."""

UNTRAINED = ("base", AUDITED)
"""Names of the model as downloaded."""

KINDS = ("faithful", "random", "lexical", "transplant")
"""What an arm's explanations are made of."""

SEARCHED = ("faithful", "transplant")
"""Kinds of arms whose words were found by taking words out, with ``TRAINING_OPERATOR``."""

REFRESHED = "refreshed"
"""Variant in which the targets are made anew, half-way, from the model as it is then."""
HALF = "half"
"""Variant that a refreshed arm goes on from: trained on the first half of the texts."""


def kind(arm: str) -> str:
    """Return what sort of arm a name means, also where it is no name of ours.

    >>> kind("faithful"), kind("random-bare.all.snli"), kind("base")
    ('faithful', 'random', 'base')
    """
    match = re.match(r"[A-Za-z]+", arm)
    return match[0].lower() if match else arm


def kind_and_variant(arm: str) -> str:
    """Return the first part of an arm's name.

    >>> kind_and_variant("faithful-refreshed.all.snli")
    'faithful-refreshed'
    """
    return arm.partition(".")[0]


def task_name(task: str) -> str:
    """Return what a task is called in folders and in names of arms: the stem, where it is the path of a YAML file."""
    path = Path(task)
    return path.stem if path.suffix.lower() in (".yaml", ".yml") else task


def start_arm(arms: Iterable[str]) -> str | None:
    """Return the arm that the others went on from.

    >>> start_arm(["base", "faithful", "adapted"]), start_arm(["base", "faithful"]), start_arm(["audited"])
    ('adapted', 'base', None)
    """
    kinds = {kind(arm): arm for arm in reversed(list(arms))}
    return kinds.get("adapted", kinds.get("base"))


@dataclass(frozen=True, slots=True)
class ArmName:
    """The name of an arm that was trained on explanations.

    Attributes:
        kind: One of ``KINDS``.
        variant: What is special about its training; empty for the usual recipe.
        styles: The styles that it practised, in the order of ``ALL_STYLES``.
        tasks: The tasks whose texts it practised on; (``all``,) for all of the study's, jointly.

    >>> str(ArmName("random", "bare", ("attribution", "redaction"), ("all",)))
    'random-bare.attribution+redaction.all'
    >>> ArmName.parse("faithful.all.snli").styles
    ('attribution', 'redaction', 'counterfactual')
    """

    kind: str
    variant: str
    styles: tuple[StyleName, ...]
    tasks: tuple[str, ...]

    def __str__(self) -> str:
        """``faithful.all.snli``: what rows and folders call it."""
        kind = f"{self.kind}-{self.variant}" if self.variant else self.kind
        return f"{kind}.{joined_styles(self.styles)}.{'+'.join(self.tasks)}"

    @classmethod
    def parse(cls, name: str) -> ArmName:
        """Read a name.

        Raises:
            SaywhyError: If it is none.
        """
        parts = name.split(".", 2)
        kind, _, variant = parts[0].partition("-")
        if len(parts) != 3 or kind not in KINDS:
            raise SaywhyError(f"'{name}' is no arm of a study: KIND[-VARIANT].STYLES.TASKS, as in faithful.all.snli")
        styles = STYLES if parts[1] == ALL_NAME else tuple(parts[1].split("+"))
        if unknown := sorted(set(styles) - set(ALL_STYLES)):
            raise SaywhyError(f"arm '{name}': no style '{unknown[0]}', there are {', '.join(ALL_STYLES)}")
        return cls(kind, variant, tuple(style for style in ALL_STYLES if style in styles), tuple(parts[2].split("+")))


def joined_styles(styles: Collection[str]) -> str:
    """Return what styles are called in the name of an arm: ``all`` for those of words, or each, with ``+`` between."""
    return ALL_NAME if set(styles) == set(STYLES) else "+".join(styles)
