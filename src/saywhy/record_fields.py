"""Whether what a file holds fits the fields of a record: words where words belong, finite numbers where numbers do."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

FitsField = Callable[[Any], bool]


def fitting_fields(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the dataclass ``kind`` that ``data`` has, lists as tuples; other keys are left out.

    Raises:
        TypeError: If a value is not of its field's type.
    """
    fields = {}
    for name, fits in _checks(kind).items():
        if name in data:
            value = data[name]
            fields[name] = tuple(value) if isinstance(value, list) else value
            if not fits(fields[name]):
                raise TypeError(f"its {name} is {str(value)[:40]!r}")
    return fields


@cache
def _checks(kind: type) -> dict[str, FitsField]:
    return {name: _check_of(hint) for name, hint in get_type_hints(kind).items()}


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _check_of(hint: Any) -> FitsField:
    """Return the check of one type of field: of a number whether it is finite, else like isinstance."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inner
    if origin in (Union, types.UnionType):
        checks = [_check_of(part) for part in inner]
        return lambda value: any(check(value) for check in checks)
    if origin is tuple:
        each = _check_of(inner[0])
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        of_key, of_value = map(_check_of, inner)
        return lambda value: (
            isinstance(value, Mapping) and all(map(of_key, value)) and all(map(of_value, value.values()))
        )
    if hint is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)
