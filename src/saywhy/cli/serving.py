"""The verbs of what runs for long: serve decisions over HTTP, and watch what was decided."""

from __future__ import annotations

from typing import Annotated

import typer

from saywhy.records import SaywhyError
from saywhy.serve.options import ServiceSettings, service_and_config
from saywhy.settings import with_joined_lists

SERVE_WORDS = "model=, task=, data= and other settings of `saywhy settings`; and: " + " ".join(
    f"{name}={str(field.default).lower()}: {field.description}" for name, field in ServiceSettings.model_fields.items()
)
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
    - `saywhy serve data=unlabelled.jsonl effort=self batch=32 timeout=10`

    Any address but a loopback one needs a token, SAYWHY_TOKEN in the environment. Ctrl-C or SIGTERM finishes what is
    being computed. The API: docs/serve.md.
    """
    settings, config = service_and_config(pairs or [])
    _refuse_missing_extra()
    from saywhy.serve.server import run_service

    run_service(settings, config)


def _refuse_missing_extra() -> None:
    """Refuse to serve without the packages of the extra.

    Raises:
        SaywhyError: With the command that installs them.
    """
    from importlib.util import find_spec

    if missing := [name for name in _SERVE_PACKAGES if find_spec(name) is None]:
        raise SaywhyError(f"saywhy serve needs {', '.join(missing)}: pip install 'saywhy[serve]'")
