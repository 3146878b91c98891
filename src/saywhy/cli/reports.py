"""The verbs that read what is there: report, compare and confidence; no model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saywhy.paths import user_path
from saywhy.processes import is_first_process
from saywhy.progress import say
from saywhy.records import NON_INFERIORITY_MARGIN

if TYPE_CHECKING:
    from saywhy.report.rules import Rules


def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, a study folder, a released bank, or a decision log.")],
    png: Annotated[bool, typer.Option("--png", help="Also write the pictures as PNG files.")] = False,
    confirmatory: Annotated[
        str | None,
        typer.Option(help="The comparisons that Holm corrects together, e.g. 'style=attribution against=random,base'."),
    ] = None,
    accuracy_loss: Annotated[
        float | None, typer.Option(help=f"Loss of accuracy that is none ({NON_INFERIORITY_MARGIN}).")
    ] = None,
    agreement_loss: Annotated[
        float | None, typer.Option(help=f"Loss of agreement that is none ({NON_INFERIORITY_MARGIN}).")
    ] = None,
) -> None:
    """Rebuild table and pages of a run, or of a study of many arms and tasks, from its rows; no model is loaded."""
    from saywhy.report.rules import rules_of

    say_report(user_path(folder), png=png, rules=rules_of(confirmatory, accuracy_loss, agreement_loss))


def compare(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another run folder of the same task.")],
) -> None:
    """Compare two runs cell by cell on the texts that they share."""
    from saywhy.report import show_comparison, write_comparison

    first, second = user_path(first), user_path(second)
    show_comparison(first, second)
    say(f"wrote {write_comparison(first, second)}")


def confidence(
    folder: Annotated[Path, typer.Argument(help="A finished audit of one model.")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[share=0.9 delta=0.05]",
            help="Share of the shown reasons that is to hold, and how likely that may fail.",
        ),
    ] = None,
) -> None:
    """Fit how likely a reason of the audited model holds, for where nobody rechecks it; no model is loaded.

    Examples:
    - `saywhy audit model=path/to/adapter data=tweets.jsonl rows=400 out=runs/audit`
    - `saywhy confidence runs/audit share=0.8` — how good it is, and from which confidence on to show a reason

    Writes RUN/confidence.json; what it holds and promises: docs/confidence.md.
    """
    from saywhy.cli.confidence import shown_share_and_delta, write_confidence

    say(f"wrote {write_confidence(user_path(folder), *shown_share_and_delta(pairs or []))}")


def say_report(folder: Path, *, png: bool = False, rules: Rules | None = None, cards: bool = False) -> None:
    """Report what a folder holds; of several processes, the first one does."""
    from saywhy.report import show_any_report

    if is_first_process():
        say(f"wrote {show_any_report(folder, png=png, rules=rules, cards=cards)}")
