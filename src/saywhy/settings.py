"""Settings as words and as dicts: read from the command line, written into ``run.json``, compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from saywhy.clashes import implied_by_sentences
from saywhy.config import Config
from saywhy.hints import did_you_mean
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.setting_names import OLD_NAMES, current_names

Settings = TypeVar("Settings", bound=BaseModel)


def parse(pairs: Sequence[str], defaults: Mapping[str, Any] | None = None) -> Config:
    """Build a configuration from ``key=value`` words; lists are comma-separated, ``none`` is null.

    Raises:
        SaywhyError: For an unknown key (with the closest one) or a value that does not fit.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        key, sep, value = pair.partition("=")
        if not sep:
            raise SaywhyError(f"'{pair}' is not key=value: write for example rows=100")
        if key.startswith("trainer."):
            given["trainer"] = {**given.get("trainer", {}), key.removeprefix("trainer."): _word(value)}
            continue
        if key == "trainer":
            raise SaywhyError(f"'{pair}': write trainer.NAME=VALUE, as in trainer.weight_decay=0.01")
        name = OLD_NAMES.get(key, key)
        if name not in Config.model_fields:
            hint = did_you_mean(key, (*Config.model_fields, *OLD_NAMES), ", ")
            raise SaywhyError(f"no setting '{key}'{hint}: see 'saywhy settings'")
        given[key] = _value(name, value)
    return checked_config({**(defaults or {}), **implied_by_sentences(given), **given})


def with_changes(config: Config, **changes: Any) -> Config:
    """Return the settings with some changed, checked together like given ones.

    Raises:
        SaywhyError: If they do not fit together.
    """
    return checked_config({**config.model_dump(exclude_unset=True), **changes})


def checked_config(given: Mapping[str, Any]) -> Config:
    """Return settings by name as a configuration.

    Raises:
        SaywhyError: If one is unknown, has a value that does not fit, or they do not fit together.
    """
    if unknown := [name for name in given if OLD_NAMES.get(name, name) not in Config.model_fields]:
        hint = did_you_mean(unknown[0], (*Config.model_fields, *OLD_NAMES), ", ")
        raise SaywhyError(f"no setting '{unknown[0]}'{hint}: see 'saywhy settings'")
    return fitted(Config, given)


def fitted(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return settings by name as an object of ``kind``.

    Raises:
        SaywhyError: With the first setting that has a value that does not fit.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        raise SaywhyError(_first_line(error)) from None


def default_out(verb: str, config: Config) -> Path:
    """Return where a verb puts what it makes: ``runs/VERB``, with the names of task and data that are not the default.

    >>> str(default_out("audit", Config())), str(default_out("audit", Config(task="my/stars.yaml", data="a b.csv")))
    ('runs/audit', 'runs/audit-stars-a_b')
    """
    names = [
        re.sub(r"[^\w.-]", "_", PurePath(str(value or "hub")).stem)
        for name in ("task", "data")
        if (value := getattr(config, name)) != Config.model_fields[name].default
    ]
    return Path("runs", "-".join([verb, *names]))


COUNTS_OF_TEXTS = ("rows", "train_rows", "decide_rows")
"""Settings of how many texts are taken, of which ``all`` is none."""


def with_joined_lists(words: Sequence[str] | None) -> list[str]:
    """Return words in which a list that was written with blanks behind its commas is one word again.

    >>> with_joined_lists(["arms=base,", "faithful", "rows=8"])
    ['arms=base,faithful', 'rows=8']
    """
    joined: list[str] = []
    for word in words or ():
        in_list = joined and "=" not in word and _is_list(joined[-1].partition("=")[0])
        if in_list and (joined[-1].endswith(",") or word.startswith(",")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _is_list(key: str) -> bool:
    """Whether a setting, or an option of a study, takes several values."""
    field = Config.model_fields.get(OLD_NAMES.get(key, key))
    return key in ("label_map", "blocks") if field is None or key == "label_map" else "tuple" in str(field.annotation)


def switched(name: str, pairs: Sequence[str] | None) -> tuple[bool, list[str]]:
    """Return whether an option is also switched on among the pairs (``name=true``), and the other pairs."""
    given, start = list(pairs or []), f"{name}="
    values = [pair.removeprefix(start) for pair in given if pair.startswith(start)]
    for value in values:
        if value not in ("true", "false"):
            raise SaywhyError(f"{name}={value}: it takes true or false")
    return values[-1:] == ["true"], [pair for pair in given if not pair.startswith(start)]


UNBOUND = ("token_budget", "tensor_parallel_size", "robustness")
"""Settings that may change between the sittings of a run: no row depends on them."""


def resolved(config: Config) -> dict[str, Any]:
    """Return the settings as JSON-able values."""
    return config.model_dump(mode="json")


def with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a run was made with: one that came later than the run had its default."""
    return {**resolved(Config()), **current_names(settings)}


def differences(before: Mapping[str, Any], now: Mapping[str, Any], unbound: Iterable[str] = ()) -> list[str]:
    """Return 'key: before -> now' for each setting that differs, but for those that may: ``UNBOUND``, ``unbound``."""
    keys = sorted((set(before) | set(now)) - {*UNBOUND, *unbound})
    return [f"{key}: {before.get(key)!r} -> {now.get(key)!r}" for key in keys if before.get(key) != now.get(key)]


def _value(key: str, text: str) -> Any:
    if text.lower() in ("none", "null") and key not in ("packing",):
        return None
    if text.lower() == "all" and key in COUNTS_OF_TEXTS:
        return None
    if "tuple" in str(Config.model_fields[key].annotation):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _word(text: str) -> bool | int | float | str | None:
    """Return what a word means: true, false, none, a number, else itself."""
    constants = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in constants:
        return constants[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][:1])
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error":
        allowed = re.findall(r"'(.*?)'", first["ctx"]["expected"])
        what = did_you_mean(first["input"], allowed, behind=" ") + f"it takes {', '.join(allowed)}"
    return f"{where}={first['input']}: {what}" if where else what


def say_idle(config: Config, idle: Mapping[str, str]) -> None:
    """Say which of the given settings are not looked at, a line for each reason; ``idle`` has it by their names."""
    by_reason: dict[str, list[str]] = {}
    for name in sorted(idle.keys() & config.model_fields_set):
        by_reason.setdefault(idle[name], []).append(f"{name}=")
    for reason, names in by_reason.items():
        say(f"{', '.join(names)} given, but not looked at: {reason}")
