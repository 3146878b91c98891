"""A released adapter: what practice has added to a public model, small enough to be kept beside code."""

from __future__ import annotations

import shutil
from pathlib import Path

from saywhy.folders.entries import refuse_links
from saywhy.folders.store import read_object, replacing_folder
from saywhy.models.fingerprints import weights_fingerprint
from saywhy.models.shipped import ADAPTER_MANIFEST, of_other_weights, read_shipped, write_shipped
from saywhy.models.spec import ADAPTER_CONFIG
from saywhy.models.weights import halve_adapter, refuse_damaged_weights, weight_checksums
from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.report.card import CARD_FILE


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / ADAPTER_CONFIG).is_file()


def release_adapter(folder: Path, out: Path) -> Path:
    """Write an adapter with its card and constants, the weights in bfloat16: half the size, the same bytes every time.

    The tokenizer is left out: it is the base model's, as the card says.

    Args:
        folder: The adapter of an arm, with its card (``saywhy report`` writes it).
        out: The folder of the release: it does not exist, is empty, or holds an adapter, which is replaced.

    Returns:
        ``out``.

    Raises:
        SaywhyError: If the adapter has no card or constants, or is damaged, or ``out`` holds something else: nothing is
            written then.
    """
    refuse_links(folder)
    for name, what in ((CARD_FILE, "model card"), (ADAPTER_MANIFEST, "calibration constants")):
        if not (folder / name).is_file():
            raise SaywhyError(f"{folder} has no {what} ({name}): give the adapter of an arm that was audited")
    refuse_damaged_weights(folder)
    out = out.resolve()
    if out == folder.resolve():
        raise SaywhyError(f"{folder} would be replaced by its own copy in bfloat16: give another folder")
    with replacing_folder(out, "adapter", is_adapter) as part:
        part.mkdir(parents=True)
        for name in (ADAPTER_CONFIG, CARD_FILE):
            shutil.copyfile(folder / name, part / name)
        halve_adapter(folder, part)
        shipped = of_other_weights(read_shipped(folder), weights_fingerprint(part))
        write_shipped(part, shipped | {"files": weight_checksums(part)})
    base = read_object(out / ADAPTER_CONFIG).get("base_model_name_or_path")
    if isinstance(base, str) and user_path(base).exists():
        say(f"its base is the folder {base} of this machine: before you publish it, write its public name for that")
    return out
