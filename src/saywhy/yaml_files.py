"""YAML that users write: no key twice, nothing without end, and one line for what is wrong with it."""

from __future__ import annotations

from typing import Any

import yaml

from saywhy.printable import in_one_line
from saywhy.records import SaywhyError

DEEPEST_NESTING = 40
"""Levels of lists and mappings in a file."""
MOST_VALUES = 100_000
"""Values in a file, those counted that an alias repeats."""


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which no key stands twice: the second would silently take the place of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a key that stands twice."""
        seen: set[object] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def parse_yaml(source: str, loader: type[UniqueKeyLoader], where: str) -> Any:
    """Return what YAML holds.

    Args:
        source: The YAML.
        loader: How its scalars are read.
        where: What messages call it.

    Raises:
        SaywhyError: If it is not valid YAML, or nested or repeated beyond measure.
    """
    try:
        reader = loader(source)
        node = reader.get_single_node()
        if node is None:
            return None
        _count_values(node, 0, {})
        return reader.construct_document(node)
    except RecursionError as error:
        raise SaywhyError(f"{where}: lists or mappings are nested too deeply: write it flat") from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:  # PyYAML's, of what is not as its tag says
        raise SaywhyError(
            f"{where}: holds a value that cannot be ({in_one_line(error, 80)}); put it in quotes"
        ) from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f":{mark.line + 1}" if mark else ""
        hint = "mend the line; texts that hold ': ' or ' #' go in quotes"
        raise SaywhyError(f"{where}{line}: not valid YAML: {in_one_line(problem, 160)}; {hint}") from error


def _count_values(node: yaml.Node, depth: int, known: dict[int, int]) -> int:
    """Return how many values a node stands for; each node is walked once, however often aliases repeat it."""
    if id(node) in known:
        return known[id(node)]
    if depth > DEEPEST_NESTING:
        raise RecursionError
    known[id(node)] = MOST_VALUES + 1  # an alias of what it stands in has no end
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= sign <= "\udfff" for sign in node.value):
            raise yaml.constructor.ConstructorError(None, None, "half of a character (a surrogate)", node.start_mark)
        count = 1
    else:
        pairs = node.value if isinstance(node, yaml.MappingNode) else [(child,) for child in node.value]
        count = 1 + sum(_count_values(child, depth + 1, known) for pair in pairs for child in pair)
    if count > MOST_VALUES:
        raise yaml.constructor.ConstructorError(None, None, "aliases repeat too much", node.start_mark)
    known[id(node)] = count
    return count
