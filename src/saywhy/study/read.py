"""Read a study file: YAML in which every key is a word; a file that cannot be read is refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from saywhy.printable import in_one_line
from saywhy.records import SaywhyError
from saywhy.study.plan import StudyPlan, first_problem
from saywhy.yaml_files import UniqueKeyLoader, parse_yaml


class _PlanLoader(UniqueKeyLoader):
    """YAML in which every key is a word: the message on ``on:``, which YAML takes for *true*, says ``on``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a key that is no text."""
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                key_text = repr(key.value) if isinstance(key, yaml.ScalarNode) else "of several words"
                problem = f"key {key_text} is no entry of a study: docs/study.md has them"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep=deep)


def read_plan(path: Path, overrides: Mapping[str, str] | None = None) -> StudyPlan:
    """Read a study file, with ``overrides`` in place of its own entries.

    Raises:
        SaywhyError: If it is no study file, with the place and what to do.
    """
    try:
        source = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SaywhyError(
            f"the study file {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    content = parse_yaml(source, _PlanLoader, str(path))
    if not isinstance(content, dict):
        raise SaywhyError(f"{path} is no study: write name:, tasks: and blocks: (docs/study.md)")
    try:
        replacements = dict(overrides or {})
        data = replacements.pop("data", None)
        plan = StudyPlan(**{**content, **replacements})
        return plan if data is None else plan.with_data(data)
    except ValidationError as error:
        raise SaywhyError(f"{path}: {in_one_line(first_problem(error), 800)}") from None
