"""The model card of a trained adapter: recipe, data, measured faithfulness and retention, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from saywhy.arms import REFRESHED, STARTS, kind
from saywhy.clashes import ignored_settings
from saywhy.config import Config
from saywhy.folders.store import write_text
from saywhy.models.shipped import ADAPTER_MANIFEST, read_shipped
from saywhy.models.spec import ADAPTER_CONFIG, DEFAULT_PUBLIC_ID
from saywhy.records import SaywhyError
from saywhy.report.arms import level_seeds, rivals, start_graders
from saywhy.report.card_retention import instruction_sentences, retention_sentences
from saywhy.report.cells import CellKey, rows_by_cell, several_words_legend
from saywhy.report.contrasts import Contrast, contrast_of
from saywhy.report.format import (
    NO_NUMBER,
    SAME_INSTRUMENT,
    Sheet,
    SheetCell,
    estimate_cell,
    number,
    p_value_cell,
    sheet_of,
)
from saywhy.report.html import jinja_environment
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.provenance import (
    BUILT_IN_ROWS,
    TaskDataSource,
    base_model_of,
    data_source_of,
    model_parts,
    replay_data_of,
    training_row_counts,
)
from saywhy.report.shares import (
    SHARE_COLUMNS,
    SHARE_DIFFERENCE_LEGEND,
    SHARE_LEGEND,
    share_cells,
    share_difference_cells,
)
from saywhy.report.sheets import is_primary_cell
from saywhy.report.summary import Summary
from saywhy.report.tables import code_span, escaped_markdown, markdown_table
from saywhy.tasks.task import catalog

CARD_FILE = "README.md"
"""File name of a model card, beside the weights."""

BASE_MODEL_LICENCES: Mapping[str, str] = {DEFAULT_PUBLIC_ID: "apache-2.0"}
"""Licences of base models, by public id."""

ARM_DESCRIPTIONS: Mapping[str, str] = {
    "adapted": "has learned the labels of its tasks, and the formats of explanations from words drawn at random. It is "
    "the start of the other arms",
    "faithful": "goes on from `adapted` with explanations that are likely to be faithful: words whose removal moves "
    "the model's own answer, found by taking out each in turn",
    "random": "is a control: it practised the formats on the same texts for the same steps, with words drawn at random",
    "lexical": "is a control: it practised naming the word that the corpus associates most with the answer, whatever "
    "moves the model",
    "transplant": "is a control: it practised explaining the decisions of another model",
}
"""What each kind of arm is."""

CONTROL_KINDS = ("random", "lexical", "transplant")
"""Kinds of arms whose cards say that they are controls, not for use."""


def write_cards(summary: Summary) -> list[Path]:
    """Write the card of each adapter in a run folder; return their paths."""
    files = sorted(summary.run.folder.glob(f"seed-*/*/adapter/{ADAPTER_MANIFEST}"))
    return [write_card(file.parent, [summary], file.parent.parent.name) for file in files]


def write_card(
    adapter: Path,
    summaries: Sequence[Summary],
    arm: str,
    *,
    control: str | None = None,
    arm_folder: Path | None = None,
    training_summaries: Sequence[Summary] = (),
) -> Path:
    """Write ``README.md`` beside the weights of an arm, in the form of a Hugging Face model card.

    Args:
        adapter: The folder with the weights and ``saywhy.json``.
        summaries: The runs in which the arm was measured, one a task; one without rows if it was not.
        arm: Name of the arm in them.
        control: The arm that it is compared with; None: its matched ``random`` arm, if there is one.
        arm_folder: Where its ``training.jsonl`` and ``retention.json`` lie; None: the folder above.
        training_summaries: The runs whose training texts it learned from, its start's included; empty: ``summaries``.

    Returns:
        The card.

    Raises:
        SaywhyError: If the folder does not say what was trained.
    """
    if not (adapter / ADAPTER_MANIFEST).is_file() or not summaries:
        raise SaywhyError(f"{adapter} has no {ADAPTER_MANIFEST}: give the folder of an adapter that saywhy trained")
    extras = read_shipped(adapter)
    arm_folder, manifest = arm_folder or adapter.parent, summaries[0].run.manifest
    sources, replay = [data_source_of(summary) for summary in training_summaries or summaries], replay_data_of(manifest)
    peft = (adapter / ADAPTER_CONFIG).is_file()
    text = jinja_environment(escaped=False).get_template("card.md.j2").render(
        front=front_matter(extras, sources, kind(arm), peft=peft, replay=bool(replay)),
        arm=arm,
        about=ARM_DESCRIPTIONS.get(kind(arm), "was trained with saywhy"),
        control=kind(arm) in CONTROL_KINDS,
        peft=peft,
        base=base_model_of(extras), parts=model_parts(adapter),
        recipe=[(name.replace("_", " "), str(value)) for name, value in _card_recipe(extras, arm, manifest).items()],
        practised=training_row_counts(arm_folder / "training.jsonl"),
        sources=sources, of_tasks=[_task_words(summary.run.task) for summary in training_summaries or summaries],
        replay=replay,
        tables=_card_tables(summaries, arm, control),
        kept=[(str(summary.run.task.get("name", "run")), retention_sentences(summary, arm)) for summary in summaries],
        instructions=instruction_sentences(arm_folder, summaries[0].start),
        manifest=manifest, md=escaped_markdown, code=code_span,
    )  # fmt: skip
    write_text(adapter / CARD_FILE, text)
    return adapter / CARD_FILE


def _task_words(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a command is told of a task: its name or a file of that name, and its other fields."""
    name = str(task.get("name", "run"))
    fields = "".join(f' {field}="..."' for field in task.get("context") or ())
    return f"task={name if name in catalog() else f'{name}.yaml'}", fields


def _card_recipe(extras: Mapping[str, Any], arm: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of an arm, with the settings that say what its rows hold; what its objective ignores is not."""
    trained: dict[str, Any] = extras.get("recipe", {})
    objective = {"objective": "word", "beta": None, "lora_r": 1} | trained  # older folders lack the first two
    stated = {**trained, **({} if kind(arm) in STARTS else unusual_row_settings(manifest))}
    left_out = ignored_settings(objective)
    recipe = {key: value for key, value in stated.items() if value not in ({}, None) and key not in left_out}
    refresh = {REFRESHED: "the model half-way explained the second half of the texts itself"}
    return recipe | (refresh if f"-{REFRESHED}." in arm else {})


TRAINING_ROW_SETTINGS = (
    *("verified", "target_method", "infill_words", "label_turn", "stay_weight", "format_share"),
    *("target_operators", "anchor", "wordings"),
)
"""Settings that say what an arm's training rows hold, not how they are learned."""


def unusual_row_settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an arm's training rows that differ from the defaults."""
    config = manifest.get("config", {})
    defaults = Config.model_construct().model_dump(mode="json", include=set(TRAINING_ROW_SETTINGS))
    return {name: config[name] for name in TRAINING_ROW_SETTINGS if config.get(name, defaults[name]) != defaults[name]}


def front_matter(
    extras: Mapping[str, Any], sources: Sequence[TaskDataSource], arm_kind: str, *, peft: bool, replay: bool
) -> str:
    """Return the YAML by which the hub files a model.

    Args:
        extras: Content of the adapter's ``saywhy.json``.
        sources: The data of its tasks.
        arm_kind: Kind of its arm.
        peft: Whether it is an adapter; else it is a whole model.
        replay: Whether instruction data was mixed in.
    """
    import yaml

    base = base_model_of(extras)["id"]
    # The licence is known only where all rows are built-in texts and no instruction data was mixed in.
    licence = (
        BASE_MODEL_LICENCES.get(base)
        if not replay and all(source.rows == BUILT_IN_ROWS for source in sources)
        else None
    )
    front: dict[str, Any] = {
        "base_model": base,
        "base_model_relation": "adapter" if peft else "finetune",
        "license": licence or "other",
        **({} if licence else {"license_name": "those-of-the-base-model-and-the-data"}),
        "library_name": "peft" if peft else "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "tags": ["saywhy", "faithfulness", "self-explanation", *(["lora"] if peft else []), arm_kind],
        "datasets": list(dict.fromkeys(source.hub for source in sources if source.hub)),
    }
    return str(yaml.safe_dump(front, sort_keys=False, allow_unicode=True)).strip()


def _card_tables(summaries: Sequence[Summary], arm: str, control: str | None) -> list[tuple[str, str, str]]:
    """Return (task, table as Markdown, note) for each run that measured the arm."""
    card_sheets = [
        (str(summary.run.task.get("name", "run")), card_sheet(summary, arm, control)) for summary in summaries
    ]
    return [
        (name, markdown_table(card_table), escaped_markdown(card_table.note))
        for name, card_table in card_sheets
        if card_table
    ]


def card_sheet(summary: Summary, arm: str, control: str | None = None) -> Sheet | None:
    """Return an arm's cells as the report has them, with the difference to its control; None if it has no cells."""
    cells = [cell for cell in summary.cells if cell.key.arm == arm and is_primary_cell(summary, cell.key)]
    if not cells:
        return None
    control_arm = control or next((name for name in rivals(summary.run.arms, arm) if kind(name) == "random"), None)
    over_controls = [contrast_with_control(summary, cell.key, control_arm) for cell in cells]
    if not any(over_controls):
        control_arm = None  # it was planned, and not measured
    hit = "hit" + shipped_fooled_metrics().sign("hit")
    header = ["style", "setting", "readout", "n", "valid", hit, "floor", "ceiling", "excess", "score"]
    header += SHARE_COLUMNS
    rows: list[list[SheetCell | str]] = []
    for cell, over_control in zip(cells, over_controls, strict=True):
        generated = cell.key.readout == "generated"
        rows.append(
            [
                cell.key.style + f" {SAME_INSTRUMENT}" * cell.instrument,
                cell.key.setting,
                cell.key.readout,
                str(cell.rows),
                estimate_cell(cell.validity) if generated else SheetCell(NO_NUMBER),
                estimate_cell(cell.hit),
                SheetCell(number(cell.floor.value)),
                SheetCell(number(cell.ceiling.value)),
                estimate_cell(cell.excess),
                estimate_cell(cell.score),
                *share_cells(cell),
                *_over_control_cells(over_control),
            ]
        )
    note = (
        "Hit: carrying the explanation out changes the answer (n counts texts x seeds, invalid replies are misses). "
        "Floor: hits of a random word. Ceiling: texts in which any word hits. Excess: hit minus floor. Score: excess "
        f"as a share of what the best word could do. {SHARE_LEGEND} In brackets: 95 % intervals over texts."
        f"{several_words_legend(cell.key for cell in cells)}"
    )
    if control_arm:
        note += (
            f" Over {control_arm}: paired difference of mean excess to the matched control; p corrected (Holm) in "
            f"brackets. {SHARE_DIFFERENCE_LEGEND}"
        )
    seeds = sorted({row.seed for row in summary.run.rows if row.arm == arm})
    if len(seeds) > 1:
        note += f" Means over models of this recipe with seeds {', '.join(map(str, seeds))}; this is one of them."
    note = f"{note} {shipped_fooled_metrics().footnote(('hit',))}".strip()
    over = f"over {control_arm or 'a control'}"
    header += [over, "p (Holm)", *(f"{name}, {over}" for name in SHARE_COLUMNS)]
    return sheet_of("Faithfulness", header, rows, note, texts=3)


def _over_control_cells(over_control: Contrast | None) -> list[SheetCell]:
    if over_control is None:
        return [SheetCell(NO_NUMBER)] * 4
    difference = over_control.difference
    return [
        estimate_cell(difference),
        p_value_cell(difference, over_control.p_holm),
        *share_difference_cells(over_control.effect_share, over_control.effect_share_start),
    ]


def contrast_with_control(summary: Summary, key: CellKey, control: str | None) -> Contrast | None:
    """Return the contrast of a cell with the same cell of a control arm; None without such a cell.

    Where the report does not hold it, its p is not corrected.
    """
    for contrast in summary.contrasts:
        if contrast.key == key and contrast.rival == control:
            return contrast
    cells = rows_by_cell(summary.run.rows)
    control_rows = cells.get(replace(key, arm=control)) if control else None
    if control is None or control_rows is None:
        return None
    grader = start_graders(summary.run, (key.operator,))[key.operator]
    return contrast_of(key, control, level_seeds(cells[key], control_rows), grader, seed=0)
