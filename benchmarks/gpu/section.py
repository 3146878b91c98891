"""The section of RESULTS.md that tells what was measured on a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.common import grid
from benchmarks.script import command

TITLES = {
    "a": "Ways and number formats against plain prompts",
    "b": "The default model beside plain batched transformers",
    "c": "A model of seven billion weights",
    "d": "When memory runs out",
}


def section(about: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the section: a table a part, and a line for each step that is missing."""
    versions = ", ".join(
        f"{name} {_shown(value)}" for name, value in about.items() if name not in ("device", "missing")
    )
    missing = ", ".join(about["missing"]) or "none"
    blocks = [f"## On a graphics card\n\n{about['device']}; {versions}. Missing packages: {missing}.\n\n`{command()}`"]
    for part, of_part in parts.items():
        rows = [row for name, result in of_part["results"].items() for row in _rows(name, result)]
        blocks.append(f"### {TITLES[part]}")
        blocks += [grid(("step", "measured"), rows)] if rows else []
        lines = [f"- left out: {name}: {reason}" for name, reason in of_part["left out"].items()]
        lines += [f"- FAILED: {name}: {reason}" for name, reason in of_part["failed"].items()]
        blocks += ["\n".join(lines)] if lines else []
    return "\n\n".join(blocks)


def _rows(name: str, result: Any) -> list[list[str]]:
    """Return the lines of a step: one a way, or one."""
    if isinstance(result, list):
        return [[f"{name}, {way['way']}", _listed({k: v for k, v in way.items() if k != "way"})] for way in result]
    return [[name, _listed(result) if isinstance(result, Mapping) else _shown(result)]]


def _listed(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {_shown(value)}" for name, value in values.items())


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value).replace("|", "/").replace("\n", " ")
