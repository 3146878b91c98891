"""The verbs of what is published: release and join banks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.records import SaywhyError


def release(
    folder: Annotated[Path, typer.Argument(help="A run or study folder, or the adapter of an arm.")],
    out: Annotated[Path, typer.Argument(help="Where the bank, or the released adapter, goes.")],
    key: Annotated[
        Path | None,
        typer.Option(help="File with the secret of its hashes, made if missing: banks to be joined share one."),
    ] = None,
) -> None:
    """Write a bank that can be published: every verdict and score, nobody's text; or an adapter, small.

    Examples:
    - `saywhy release runs/tweets results/tweets`
    - `saywhy report results/tweets` — the same tables, from the bank
    - `saywhy release runs/tweets/seed-0/faithful/adapter released/tweets` — with its card, in bfloat16

    Words become indices; ids, edited texts and replies hashes, keyed with a secret that stays in the folder
    (.bank-key, or --key FILE). Refused if words of a text would still stand in it, or a hash without the key, by which
    who guesses a text, a word of it or two in a row could find it.
    """
    from saywhy.bank.adapter import is_adapter, release_adapter
    from saywhy.bank.release import release_bank

    folder, out = user_path(folder), user_path(out)
    if is_adapter(folder):
        if key:
            raise SaywhyError(f"{folder} is an adapter: --key is for a bank, leave it out")
        say(f"wrote {release_adapter(folder, out)}")
    else:
        say(f"wrote {release_bank(folder, out, user_path(key) if key else None)}")


def join(
    folders: Annotated[list[Path], typer.Argument(metavar="BANK BANK... OUT", help="Banks of one study, then OUT.")],
) -> None:
    """Join the banks of a study that was spread over machines.

    Examples:
    - `saywhy study studies/small.yaml seeds=0` here, `seeds=1,2` there; `saywhy release OUT BANK --key FILE` on each
    - `saywhy join here there results/small`

    Of an arm that several have, the fullest counts; refused if they were not frozen alike, or are of other texts.
    """
    from saywhy.study.join import join_banks as joined

    *banks, out = map(user_path, folders)
    say(f"wrote {joined(banks, out)}")
