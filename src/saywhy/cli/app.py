"""The command line: one function a verb. Everything heavy is imported where it is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saywhy.arms import AUDITED
from saywhy.cli import banks, listings
from saywhy.cli.ending import call_to_clear_end
from saywhy.config import Config
from saywhy.processes import is_first_process, process_rank, world_size
from saywhy.progress import outlasting, say, speak_plainly
from saywhy.records import NON_INFERIORITY_MARGIN
from saywhy.setting_names import OLD_NAMES
from saywhy.settings import parse, switched

if TYPE_CHECKING:
    from saywhy.report.rules import Rules

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Measure whether a model's explanations of its own answers are faithful, train it to give faithful ones,
and prove that it does.

Start with `saywhy run` (built-in model and texts, some minutes), or ask one question:
`saywhy explain "the queue was awful but the show was superb"`.""",
)

SettingPairs = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings; `saywhy settings` lists them.")
]
STUDY_WORDS = (
    "out=FOLDER, hours=N (stop before), seeds=0,1 (only these), blocks=NAME,NAME (only these, in this order), "
    "beside=BANK (what it has is not done again), precision=, and model=, data= in place of the file's."
)
LAUNCHED_VERBS = ("run", "audit", "attribute", "calibrate", "study", "targets", "train")
"""Verbs whose work the processes of a launch share; the others are the first one's alone."""
DryOption = Annotated[bool, typer.Option("--dry", help="Print the resolved plan and a time estimate, compute nothing.")]


@app.command()
def run(pairs: SettingPairs = None, dry: DryOption = False) -> None:
    """Measure, train, measure again against matched controls, report.

    Examples:
    - `saywhy run` — built-in model and texts
    - `saywhy run data=tweets.jsonl task=sentiment140 rows=200 train_rows=400 out=runs/tweets`
    - `saywhy run model=allenai/tulu-2-7b data=hub task=ag_news arms=base,adapted,faithful,random,lexical`

    The same command again goes on where a killed run was.
    """
    settings, out = _config_and_out(pairs, "runs/run")
    _run_or_plan(settings, out, dry=dry)


@app.command()
def audit(pairs: SettingPairs = None, dry: DryOption = False) -> None:
    """Measure how faithful a model's explanations are; no training.

    Examples:
    - `saywhy audit model=path/to/adapter data=tweets.jsonl rows=100 readouts=generated,constrained`
    - `saywhy audit task=snli data=FOLDER rows=100 settings=one-word,free`
    """
    readouts = {"readouts": ("constrained", "generated"), "arms": ("base",)}
    settings, out = _config_and_out(pairs, "runs/audit", readouts)
    _run_or_plan(settings, out, dry=dry, arms=(AUDITED,))


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The text to classify and explain.")],
    pairs: SettingPairs = None,
) -> None:
    """Classify one text and show three explanations, each with its verdict.

    Examples:
    - `saywhy explain "the queue was awful but the show was superb"`
    - `saywhy explain "Nobody sleeps." task=snli premise="Two dogs sleep." model=path/to/adapter`
    """
    from saywhy.cli.explain import explain_text as explained
    from saywhy.cli.explain import print_explained

    value_by_key = dict(pair.split("=", 1) for pair in pairs or [] if "=" in pair)
    fields = {
        key: value
        for key, value in value_by_key.items()
        if key not in {*Config.model_fields, *OLD_NAMES} and not key.startswith("trainer.")
    }
    setting_pairs = [pair for pair in pairs or [] if pair.partition("=")[0] not in fields]
    print_explained(explained(text, parse(setting_pairs), fields))


@app.command()
def attribute(pairs: SettingPairs = None, dry: DryOption = False) -> None:
    """Score the words of texts by several attribution methods, and show how far these agree.

    Examples:
    - `saywhy attribute rows=20`
    - `saywhy attribute task=snli methods=occlusion,integrated_gradients,kernel_shap samples=300`
    - `saywhy attribute data=tweets.jsonl methods=occlusion operators=redact,delete,infill`

    Scores go to OUT/attribution/METHOD.jsonl, shaded texts to OUT/attribution.html.
    """
    settings, out = _config_and_out(pairs, "runs/attribute")
    if dry:
        from saywhy.cli.dry_run import plan_attribution

        plan_attribution(settings, out)
        return
    from saywhy.cli.attribute import attribute_texts as attributed

    _say_report(attributed(settings, out))


@app.command()
def calibrate(
    pairs: SettingPairs = None,
    full: Annotated[
        bool, typer.Option("--full", help="All plants, methods and operators: one to two hours on two cores.")
    ] = False,
    dry: DryOption = False,
) -> None:
    """Put the ruler to the test: models with planted rules, whose deciding words are known.

    Says how often each attribution method finds an accepted cause, how well each faithfulness metric tells true from
    false explanations, and which one a trivial explainer fools. The default ends within minutes.

    Examples:
    - `saywhy calibrate`
    - `saywhy calibrate plants=keyword,negation methods=occlusion,integrated_gradients rows=40`
    - `saywhy calibrate --full out=results/calibration`
    """
    from saywhy.ruler.run import FULL_CALIBRATION, calibrate_ruler

    full_setting, setting_pairs = switched("full", pairs)
    settings, out = _config_and_out(setting_pairs, "runs/calibrate", FULL_CALIBRATION if full or full_setting else None)
    if dry:
        from saywhy.cli.dry_run import plan_calibration

        plan_calibration(settings, out)
        return
    _say_report(calibrate_ruler(settings, out))


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study file (YAML).")],
    pairs: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=STUDY_WORDS)] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Print the plan and its time here; compute no more.")] = False,
) -> None:
    """Run a whole grid of arms, tasks, styles and seeds from one file, and report it.

    Examples:
    - `saywhy study studies/smoke.yaml` — every part of it, on built-in texts
    - `saywhy study studies/small.yaml --dry`
    - `saywhy study studies/small.yaml hours=2 out=runs/small` — confirmatory cells first; the same again goes on

    What each entry means: docs/study.md.
    """
    from saywhy.study.command import run_study as studied

    if folder := studied(file, pairs or [], dry=dry):
        _say_report(folder, cards=True)


@app.command()
def targets(pairs: SettingPairs = None) -> None:
    """Write pseudo-faithful explanations of your rows as TRL-ready JSONL (prompt/completion).

    Examples:
    - `saywhy targets train_rows=200 out=runs/targets`
    - `saywhy targets data=tweets.jsonl model=path/to/adapter verified=true`
    """
    from saywhy.cli.export import write_targets

    settings, out = _config_and_out(pairs, "runs/targets", {"arms": ("base",)})
    say(f"wrote {write_targets(settings, out)}")


@app.command()
def train(pairs: SettingPairs = None) -> None:
    """Train a model to explain itself faithfully on your own rows, labelled or not; no audit.

    Examples:
    - `saywhy train data=tweets.jsonl train_rows=400 out=runs/mine`
    - `saywhy train data=unlabelled.jsonl adapt_labels=formats replay=instructions.jsonl`

    What ships is OUT/adapter: a PEFT adapter; `saywhy audit model=OUT/adapter` measures it.
    """
    from saywhy.cli.export import train_adapter

    settings, out = _config_and_out(pairs, "runs/train", {"arms": ("adapted", "faithful")})
    say(f"wrote {train_adapter(settings, out)}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, a study folder, or a released bank.")],
    png: Annotated[bool, typer.Option("--png", help="Also write the pictures as PNG files.")] = False,
    confirmatory: Annotated[
        str | None,
        typer.Option(help="The comparisons that Holm corrects together, e.g. 'style=attribution against=random,base'."),
    ] = None,
    accuracy_loss: Annotated[
        float | None, typer.Option(min=0, help=f"Loss of accuracy that is none ({NON_INFERIORITY_MARGIN}).")
    ] = None,
    agreement_loss: Annotated[
        float | None, typer.Option(min=0, help=f"Loss of agreement that is none ({NON_INFERIORITY_MARGIN}).")
    ] = None,
) -> None:
    """Rebuild table and pages of a run, or of a study of many arms and tasks, from its rows; no model is loaded."""
    from saywhy.report.rules import rules_of

    _say_report(folder, png=png, rules=rules_of(confirmatory, accuracy_loss, agreement_loss))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another run folder of the same task.")],
) -> None:
    """Compare two runs cell by cell on the texts that they share."""
    from saywhy.report import show_comparison, write_comparison

    show_comparison(first, second)
    say(f"wrote {write_comparison(first, second)}")


for _verb in (banks.release, banks.join, listings.tasks, listings.models, listings.settings):
    app.command()(_verb)


def _config_and_out(
    pairs: Sequence[str] | None, default_out: str, defaults: Mapping[str, Any] | None = None
) -> tuple[Config, Path]:
    all_pairs = list(pairs or [])
    out_folders = [pair.removeprefix("out=") for pair in all_pairs if pair.startswith("out=")]
    config = parse([pair for pair in all_pairs if not pair.startswith("out=")], defaults)
    return config, Path(out_folders[-1] if out_folders else default_out).expanduser()


def _run_or_plan(config: Config, out: Path, *, dry: bool, arms: tuple[str, ...] | None = None) -> None:
    if dry:
        from saywhy.cli.dry_run import plan_run

        if is_first_process():
            plan_run(config, out, arms or config.arms)
        return
    from saywhy.runs.run import Run

    _say_report(Run(config, out, arms=arms).run(), cards=True)


def _say_report(folder: Path, *, png: bool = False, rules: Rules | None = None, cards: bool = False) -> None:
    """Report what a folder holds; of several processes, the first one does."""
    from saywhy.report import show_any_report

    if is_first_process():
        say(f"wrote {show_any_report(folder, png=png, rules=rules, cards=cards)}")


def main() -> None:
    """Run the command line, in one process or several; what a user can mend is one line and exit code 2."""
    if not is_first_process() and not set(sys.argv[1:2]) & set(LAUNCHED_VERBS):
        return
    speak_plainly(sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = outlasting(sys.stdout, BrokenPipeError), outlasting(sys.stderr, OSError)
    name = f"saywhy (process {process_rank()} of {world_size()})" if world_size() > 1 else "saywhy"
    # Libraries warning each other of their own changes are nothing that a user can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\.")
    call_to_clear_end(app, name)


if __name__ == "__main__":
    main()
