"""Two runs of one task, cell by cell, on the texts that both have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from saywhy import stats
from saywhy.arms import start_arm
from saywhy.records import SaywhyError
from saywhy.report.arms import StartGrader, graders_of, level_seeds
from saywhy.report.cells import CellKey, excesses, rows_by_cell
from saywhy.report.format import Sheet, SheetCell, counted, estimate_cell, number, p_value_cell, sheet_of
from saywhy.report.load import LoadedRun
from saywhy.report.shares import SHARE_COLUMNS, difference_cell
from saywhy.report.sheets import block_title
from saywhy.report.tables import escaped_markdown, markdown_table
from saywhy.stats import Difference
from saywhy.words import candidates_rule


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """One cell in both runs: the paired difference of mean excess, second minus first.

    Attributes:
        key: The cell, with the arm as the second run names it.
        first: Mean excess in the first run, on the shared texts.
        second: Mean excess in the second run, on the shared texts.
        difference: Second minus first.
        effect_share: Effect share in the second run minus that in the first, each by its own tables.
        effect_share_start: The same, both by the tables of one frozen model (``grading_arm``); of no text without it.
        p_holm: p corrected for the number of cells.
    """

    key: CellKey
    first: float
    second: float
    difference: Difference
    effect_share: Difference
    effect_share_start: Difference
    p_holm: float | None = None


def compare_runs(first: LoadedRun, second: LoadedRun, seed: int = 0) -> tuple[ComparedCell, ...]:
    """Compare the cells that two runs share; runs of one arm each are compared whatever the arms are called.

    Raises:
        SaywhyError: If the runs are of different tasks, or share no text or no cell.
    """
    _refuse_other_task(first, second)
    cells = rows_by_cell(first.rows)
    if len(first.arms) == len(second.arms) == 1:
        cells = {replace(key, arm=second.arms[0]): rows for key, rows in cells.items()}
    compared, graders = [], _graders(first, second, {key.operator for key in cells})
    for key, rows in sorted(
        rows_by_cell(second.rows).items(), key=lambda item: item[0].order(second.arms, second.operators)
    ):
        first_rows, second_rows = level_seeds(cells.get(key, []), rows)
        before, after = excesses(first_rows), excesses(second_rows)
        shared = before.keys() & after.keys()
        if shared:
            difference = stats.paired_difference(after, before, seed)
            means = [sum(excess[text_seed] for text_seed in shared) / len(shared) for excess in (before, after)]
            own, by_start = (
                stats.effect_share_difference(grade(second_rows), grade(first_rows), seed)
                for grade in (stats.own_effects, graders[key.operator].effects)
            )
            compared.append(ComparedCell(key, means[0], means[1], difference, own, by_start))
    if not compared:
        raise SaywhyError(f"{first.folder} and {second.folder} share no text with the same arm, style and readout")
    corrected = stats.holm([cell.difference.p if cell.difference.p is not None else 1.0 for cell in compared])
    return tuple(replace(cell, p_holm=p_holm) for cell, p_holm in zip(compared, corrected, strict=True))


def grading_arm(first: LoadedRun, second: LoadedRun) -> str | None:
    """Return the arm of the first run whose tables grade the words of both: its start, or the model as downloaded.

    There is none where the runs are of different models, where the only model of the first is a trained one, or where
    words are numbers of candidates (in a bank) by different rules.
    """
    models = [run.manifest.get("model") or {} for run in (first, second)]
    if models[0].get("fingerprint") != models[1].get("fingerprint"):
        return None
    if (first.bank or second.bank) and candidates_rule(first.manifest) != candidates_rule(second.manifest):
        return None
    untrained = first.arms[0] if len(first.arms) == 1 and not models[0].get("adapter") else None
    return start_arm(first.arms) or untrained


def _graders(first: LoadedRun, second: LoadedRun, operators: Collection[str]) -> dict[str, StartGrader]:
    """Return who grades the words of both runs, by operator; of one seed it grades those of every seed."""
    graders = graders_of(first, grading_arm(first, second), operators)
    return {
        operator: grader.of_words().for_seeds((*first.seeds, *second.seeds)) for operator, grader in graders.items()
    }


def _refuse_other_task(first: LoadedRun, second: LoadedRun) -> None:
    for name in ("name", "labels"):
        first_value, second_value = first.task.get(name), second.task.get(name)
        if first_value != second_value:
            difference = f"{first.folder} has task {name} {first_value!r}, {second.folder} has {second_value!r}"
            raise SaywhyError(f"{difference}; compare runs of one task")


def comparison_sheets(first: LoadedRun, second: LoadedRun, compared: Sequence[ComparedCell]) -> list[Sheet]:
    """Return the comparison as one table for each setting x readout x operator."""
    names = _run_folder_name(first), _run_folder_name(second)
    names = ("first", "second") if names[0] == names[1] else names
    header = ("style", "arm", "texts", *names, "difference", "p (Holm)", *SHARE_COLUMNS)
    note = f"Mean excess on the texts that both runs have; difference: {names[1]} minus {names[0]}, paired; "
    note += f"p from sign flips, in brackets corrected (Holm) for the {counted(len(compared), 'cell')} compared."
    changed = [name for name in ("prompts", "model") if first.manifest.get(name) != second.manifest.get(name)]
    note += " Effect share: its difference, each run by its own tables; uncorrected p by sign flips."
    if (arm := grading_arm(first, second)) is not None:
        note += f" Start-graded: the words of both by the tables of {names[0]} ({arm})."
    note += f" The runs also differ in: {', '.join(changed)}." if changed else ""
    sheets: list[Sheet] = []
    for _, block in groupby(compared, key=lambda cell: cell.key.block):
        cells = list(block)
        sheets.append(
            sheet_of(block_title(cells[0].key), header, [_compared_row(cell) for cell in cells], note * (not sheets))
        )
    return sheets


def _compared_row(cell: ComparedCell) -> list[SheetCell | str]:
    p, difference = p_value_cell(cell.difference, cell.p_holm), estimate_cell(cell.difference)
    names = [cell.key.style, cell.key.arm, str(cell.difference.n)]
    shares = [difference_cell(share) for share in (cell.effect_share, cell.effect_share_start)]
    return [*names, number(cell.first), number(cell.second), difference, p, *shares]


def _run_folder_name(run: LoadedRun) -> str:
    return run.folder.resolve().name


def comparison_markdown(first: LoadedRun, second: LoadedRun, sheets: Sequence[Sheet]) -> str:
    """Return the comparison as Markdown."""
    parts = [f"# saywhy: {escaped_markdown(_run_folder_name(first))} and {escaped_markdown(_run_folder_name(second))}"]
    for block in sheets:
        parts += [f"## {escaped_markdown(block.title)}", markdown_table(block)] + [
            f"_{escaped_markdown(block.note)}_"
        ] * bool(block.note)
    return "\n\n".join(parts) + "\n"
