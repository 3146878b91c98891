"""The verbs of what is published: release and join banks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saywhy.progress import say


def release(
    folder: Annotated[Path, typer.Argument(help="A run or study folder.")],
    out: Annotated[Path, typer.Argument(help="Where the bank goes.")],
) -> None:
    """Write a bank that can be published: every verdict and score, nobody's text.

    Examples:
    - `saywhy release runs/tweets results/tweets`
    - `saywhy report results/tweets` — the same tables, from the bank

    Words become indices, edited texts and replies hashes; refused if words of a text would still stand in it.
    """
    from saywhy.bank.release import release_bank as released

    say(f"wrote {released(folder.expanduser(), out.expanduser())}")


def join(
    folders: Annotated[list[Path], typer.Argument(metavar="BANK BANK... OUT", help="Banks of one study, then OUT.")],
) -> None:
    """Join the banks of a study that was spread over machines.

    Examples:
    - `saywhy study studies/small.yaml seeds=0` here, `seeds=1,2` there; `saywhy release` on each
    - `saywhy join here there results/small`

    Of an arm that several have, the fullest counts; refused if they were not frozen alike, or are of other texts.
    """
    from saywhy.study.join import join_banks as joined

    *banks, out = (folder.expanduser() for folder in folders)
    say(f"wrote {joined(banks, out)}")
