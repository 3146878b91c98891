"""The verbs of what runs for long: serve decisions over HTTP, and watch what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from saywhy.cli.ending import Stopped
from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.serve.options import ServiceSettings, service_and_config
from saywhy.settings import with_joined_lists

SERVE_WORDS = "model=, task=, data= and other settings of `saywhy settings`; and: " + " ".join(
    f"{name}={str(field.default).lower()}: {field.description}" for name, field in ServiceSettings.model_fields.items()
)
ALARM_CODE = 1
"""Exit code of ``saywhy watch`` where there is cause for alarm."""
MOST_DAYS = 3650
"""Longest period, in days."""
_SERVE_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


def serve(
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help=SERVE_WORDS, callback=with_joined_lists),
    ] = None,
) -> None:
    """Serve explained decisions over HTTP: an API, a page in the browser, metrics, a decision log.

    Examples:
    - `saywhy serve` — built-in model and task, at http://127.0.0.1:8000
    - `saywhy serve model=runs/mine/adapter task=ag_news beside=base port=9000 log=decisions.jsonl`
    - `saywhy serve task=ag_news data=unlabelled.jsonl effort=self batch=32 timeout=10`

    Any address but a loopback one needs a token, SAYWHY_TOKEN in the environment. Ctrl-C or SIGTERM finishes what is
    being computed. The API: docs/serve.md.
    """
    settings, config = service_and_config(pairs or [])
    _refuse_missing_extra()
    from saywhy.serve.server import run_service

    try:
        run_service(settings, config)
    except Stopped as stopped:  # a service has nothing to go on with
        raise Stopped(stopped.number, "the service has ended") from None


def watch(
    log: Annotated[
        Path, typer.Argument(help="The decision log of `saywhy serve log=FILE`; its older files belong to it.")
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="days=N (length of a period, 1), out=PAGE.html (LOG.html)."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Cause for alarm: holds, abstained or drift, then <, <=, > or >=, then a share."),
    ] = None,
) -> None:
    """Show how often the reasons of a service held, by day and answer, and end with code 1 if that is cause for alarm.

    Examples:
    - `saywhy watch decisions.jsonl`
    - `saywhy watch decisions.jsonl days=7 out=week.html --fail-if "holds<0.8" --fail-if "drift>0.2"` — in cron

    The last period is compared with the one before. Exit code 0: no alarm; 1: alarm; 2: a log or a rule that cannot be
    read.
    """
    from saywhy.report.monitoring import alarm_rules
    from saywhy.report.monitoring_page import watch_log

    rules, (days, page) = alarm_rules(fail_if or []), _watch_settings(pairs or [])
    page, states = watch_log(user_path(log), page, days=days, rules=rules)
    for state in states:
        say(str(state))
    say(f"wrote {page}")
    if any(state.fires for state in states):
        raise typer.Exit(ALARM_CODE)


def _watch_settings(pairs: Sequence[str]) -> tuple[int, Path | None]:
    """Return the days of a period, and where the page goes.

    Raises:
        SaywhyError: For another setting, or a number of days that is none.
    """
    days, page = "1", None
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in ("days", "out") or not value:
            raise SaywhyError(f"'{pair}': saywhy watch takes days=N and out=PAGE.html")
        if key == "days":
            days = value
        else:
            page = user_path(value)
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:6]) <= MOST_DAYS and len(days) < 6):
        raise SaywhyError(f"days={days}: give a whole number from 1 to {MOST_DAYS}")
    return int(days), page


def _refuse_missing_extra() -> None:
    """Refuse to serve without the packages of the extra.

    Raises:
        SaywhyError: With the command that installs them.
    """
    from importlib.util import find_spec

    if missing := [name for name in _SERVE_PACKAGES if find_spec(name) is None]:
        raise SaywhyError(f"saywhy serve needs {', '.join(missing)}: pip install 'saywhy[serve]'")
