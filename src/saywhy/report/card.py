"""The model card of a trained adapter: recipe, data, what was measured of it, and what it is not good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.arms import MADE, REFRESHED, kind
from saywhy.config import Config
from saywhy.folders.store import read_object, write
from saywhy.models.spec import CONSTANTS_FILE, PUBLIC_ID
from saywhy.records import SaywhyError
from saywhy.report.arms import level_seeds, rivals
from saywhy.report.cells import Key, excesses, group
from saywhy.report.format import NOTHING, SAME, Sheet, Shown, estimate, number, p_of, sheet
from saywhy.report.html import environment
from saywhy.report.kept import instruction_sentences, kept_sentences
from saywhy.report.marks import shipped
from saywhy.report.provenance import BUILT_IN, Source, base_of, practised_of, replay_of, source_of
from saywhy.report.sheets import is_primary
from saywhy.report.summary import Summary
from saywhy.report.tables import markdown_table, md
from saywhy.stats import Difference

NAME = "README.md"
"""Where a model card stands, beside the weights."""

LICENCES: Mapping[str, str] = {PUBLIC_ID: "apache-2.0"}
"""Licences of base models that are known."""

ABOUT: Mapping[str, str] = {
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

CONTROLS = ("random", "lexical", "transplant")
"""Kinds of arms that nobody should use."""


def write_cards(summary: Summary) -> list[Path]:
    """Write the card of each adapter in a run folder; return their paths."""
    places = sorted(summary.run.folder.glob(f"seed-*/*/adapter/{CONSTANTS_FILE}"))
    return [write_card(place.parent, [summary], place.parent.parent.name) for place in places]


def write_card(
    adapter: Path,
    summaries: Sequence[Summary],
    arm: str,
    *,
    control: str | None = None,
    place: Path | None = None,
    taught: Sequence[Summary] = (),
) -> Path:
    """Write ``README.md`` beside the weights of an arm, in the form of a Hugging Face model card.

    Args:
        adapter: The folder with the weights and ``saywhy.json``.
        summaries: The runs in which the arm was measured, one a task; one without rows if it was not.
        arm: Its name in them.
        control: The arm that it is compared with; None: its matched ``random`` arm, if there is one.
        place: Where its ``training.jsonl`` and ``retention.json`` lie; None: the folder above.
        taught: The runs whose training texts it learned from, its start's included; empty: those of ``summaries``.

    Returns:
        The card.

    Raises:
        SaywhyError: If the folder does not say what was trained.
    """
    if not (adapter / CONSTANTS_FILE).is_file() or not summaries:
        raise SaywhyError(f"{adapter} has no {CONSTANTS_FILE}: give the folder of an adapter that saywhy trained")
    told = read_object(adapter / CONSTANTS_FILE)
    place, manifest = place or adapter.parent, summaries[0].run.manifest
    sources, replay = [source_of(one) for one in taught or summaries], replay_of(manifest)
    peft = (adapter / "adapter_config.json").is_file()
    text = environment(escaped=False).get_template("card.md.j2").render(
        front=front_matter(told, sources, kind(arm), peft=peft, replay=bool(replay)),
        arm=arm,
        about=ABOUT.get(kind(arm), "was trained with saywhy"),
        control=kind(arm) in CONTROLS,
        peft=peft,
        base=base_of(told),
        recipe=[(name.replace("_", " "), value) for name, value in _recipe(told, arm, manifest).items()],
        practised=practised_of(place / "training.jsonl"),
        sources=sources,
        replay=replay,
        tables=_tables(summaries, arm, control),
        kept=[(str(one.run.task.get("name", "run")), kept_sentences(one, arm)) for one in summaries],
        instructions=instruction_sentences(place, summaries[0].start),
        manifest=manifest,
        md=md,
    )  # fmt: skip
    write(adapter / NAME, text)
    return adapter / NAME


def _recipe(told: Mapping[str, Any], arm: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an arm was trained, and on what kind of rows."""
    recipe = {**told.get("recipe", {}), **({} if kind(arm) in MADE else lessons_of(manifest))}
    again = {REFRESHED: "the model half-way explained the second half of the texts itself"}
    return recipe | (again if f"-{REFRESHED}." in arm else {})


LESSONS = ("verified", "target_method", "infill_words", "label_turn", "stay_weight", "format_share")
"""Settings that say what is in an arm's rows, not how they are learned."""


def lessons_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an arm's rows that are not the usual ones."""
    config = manifest.get("config", {})
    usual = {name: Config.model_fields[name].default for name in LESSONS}
    return {name: config[name] for name in LESSONS if config.get(name, usual[name]) != usual[name]}


def front_matter(told: Mapping[str, Any], sources: Sequence[Source], sort: str, *, peft: bool, replay: bool) -> str:
    """Return the YAML by which the hub files a model.

    Args:
        told: ``saywhy.json``.
        sources: The data of its tasks.
        sort: Kind of its arm.
        peft: Whether it is an adapter; else it is a whole model.
        replay: Whether instruction data was mixed in.
    """
    import yaml

    base = base_of(told)["id"]
    # Only what was made from nobody's data has a licence that is known here.
    known = LICENCES.get(base) if not replay and all(source.rows == BUILT_IN for source in sources) else None
    front: dict[str, Any] = {
        "base_model": base,
        "base_model_relation": "adapter" if peft else "finetune",
        "license": known or "other",
        **({} if known else {"license_name": "those-of-the-base-model-and-the-data"}),
        "library_name": "peft" if peft else "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "tags": ["saywhy", "faithfulness", "self-explanation", *(["lora"] if peft else []), sort],
        "datasets": list(dict.fromkeys(source.hub for source in sources if source.hub)),
    }
    return str(yaml.safe_dump(front, sort_keys=False, allow_unicode=True)).strip()


def _tables(summaries: Sequence[Summary], arm: str, control: str | None) -> list[tuple[str, str, str]]:
    """Return (task, table as Markdown, note) for each run that measured the arm."""
    made = [(str(one.run.task.get("name", "run")), card_sheet(one, arm, control)) for one in summaries]
    return [(name, markdown_table(found), md(found.note)) for name, found in made if found]


def card_sheet(summary: Summary, arm: str, control: str | None = None) -> Sheet | None:
    """Return an arm's faithfulness in the report's numbers, its control beside it; None if it was not measured."""
    cells = [cell for cell in summary.cells if cell.key.arm == arm and is_primary(summary, cell.key)]
    if not cells:
        return None
    other = control or next((one for one in rivals(summary.run.arms, arm) if kind(one) == "random"), None)
    hit = "hit" + shipped().sign("hit")
    header = ["style", "setting", "readout", "n", "valid", hit, "floor", "ceiling", "excess", "score"]
    rows: list[list[Shown | str]] = []
    for cell in cells:
        found, holm = difference(summary, cell.key, other)
        generated = cell.key.readout == "generated"
        rows.append(
            [
                cell.key.style + f" {SAME}" * cell.instrument,
                cell.key.setting,
                cell.key.readout,
                str(cell.rows),
                estimate(cell.validity) if generated else Shown(NOTHING),
                estimate(cell.hit),
                Shown(number(cell.floor.value)),
                Shown(number(cell.ceiling.value)),
                estimate(cell.excess),
                estimate(cell.score),
                Shown(NOTHING) if found is None else estimate(found),
                Shown(NOTHING) if found is None else p_of(found, holm),
            ]
        )
    note = (
        "Hit: carrying the explanation out changes the answer (n counts texts x seeds, invalid replies are misses). "
        "Floor: hits of a random word. Ceiling: texts in which any word hits. Excess: hit minus floor. Score: excess "
        "as a share of what the best word could do. In brackets: 95 % intervals over texts."
    )
    if other:
        note += (
            f" Over {other}: paired difference of mean excess to the matched control; p corrected (Holm) in brackets."
        )
    seeds = sorted({row.seed for row in summary.run.rows if row.arm == arm})
    if len(seeds) > 1:
        note += f" Means over models of this recipe with seeds {', '.join(map(str, seeds))}; this is one of them."
    note = f"{note} {shipped().footnote(('hit',))}".strip()
    return sheet("Faithfulness", [*header, f"over {other or 'a control'}", "p (Holm)"], rows, note, texts=3)


def difference(summary: Summary, key: Key, other: str | None) -> tuple[Difference | None, float | None]:
    """Return an arm's difference of mean excess to another in a cell, and its corrected p where the report has one."""
    for contrast in summary.contrasts:
        if contrast.key == key and contrast.other == other:
            return contrast.difference, contrast.p_holm
    cells = group(summary.run.rows)
    theirs = cells.get(Key(other, key.style, key.setting, key.readout, key.operator)) if other else None
    if theirs is None:
        return None, None
    mine, level = level_seeds(cells[key], theirs)
    return stats.paired_difference(excesses(mine), excesses(level)), None
