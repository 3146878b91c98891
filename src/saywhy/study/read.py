"""Read a study file: YAML in which every key is a word, told in one line where it is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from saywhy.records import SaywhyError
from saywhy.study.plan import Plan, first_line
from saywhy.tasks.task import OnceLoader


class _Loader(OnceLoader):
    """YAML in which every key is a word: ``on:``, which YAML takes for *true*, is told by what was written."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a key that is no text."""
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                told = repr(key.value) if isinstance(key, yaml.ScalarNode) else "of several words"
                problem = f"key {told} is no entry of a study: docs/study.md has them"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep=deep)


def read_plan(path: Path, instead: Mapping[str, str] | None = None) -> Plan:
    """Read a study file, with ``instead`` in place of its own entries.

    Raises:
        SaywhyError: If it is none, with the place and what to do.
    """
    try:
        told = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise SaywhyError(
            f"the study file {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f":{mark.line + 1}" if mark else ""
        raise SaywhyError(f"{path}{line}: no YAML of a study: {' '.join(str(problem).split())}") from error
    if not isinstance(told, dict):
        raise SaywhyError(f"{path} is no study: write name:, tasks: and blocks: (docs/study.md)")
    try:
        given = dict(instead or {})
        data = given.pop("data", None)
        plan = Plan(**{**told, **given})
        return plan if data is None else plan.moved(data)
    except ValidationError as error:
        raise SaywhyError(f"{path}: {first_line(error)}") from None
