"""The command line: one function a verb. Everything heavy is imported where it is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from saywhy.arms import AUDITED
from saywhy.cli import banks, listings, reports, serving
from saywhy.cli.ending import call_to_clear_end
from saywhy.cli.reports import say_report
from saywhy.config import Config
from saywhy.models.api.address import is_api_name
from saywhy.paths import is_vllm_name, user_path
from saywhy.printable import in_one_line
from saywhy.processes import is_first_process
from saywhy.progress import outlasting, say, speak_plainly
from saywhy.records import SaywhyError
from saywhy.settings import default_out, parse, switched, with_joined_lists

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
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Settings; `saywhy settings` lists them.", callback=with_joined_lists
    ),
]
STUDY_WORDS = (
    "out=FOLDER, hours=N (stop before), seeds=0,1 (only these), blocks=NAME,NAME (only these, in this order), "
    "beside=BANK (what it has is not done again), precision=, and model=, data= in place of the file's; "
    "with --on ray: workers=N (at a time, at most), cpus=, gpus=, memory= a worker, train.gpus=1 for a kind of step."
)
LAUNCHED_VERBS = ("run", "audit", "attribute", "calibrate", "study", "targets", "train")
"""Verbs that keep what they compute; the processes of a launch share their work. Others are the first one's alone."""
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
    settings, out = _config_and_out(pairs, "run")
    _run_or_plan(settings, out, dry=dry)


@app.command()
def audit(pairs: SettingPairs = None, dry: DryOption = False) -> None:
    """Measure how faithful a model's explanations are; no training.

    Examples:
    - `saywhy audit model=path/to/adapter data=tweets.jsonl rows=100 readouts=generated,constrained`
    - `saywhy audit task=snli data=FOLDER rows=100 settings=one-word,free`
    - `saywhy audit settings=sentences` — explanations in sentences: keywords, reasons, steps
    - `saywhy audit model=openai:NAME@http://localhost:8000/v1 rows=100 --dry` — behind an API: what it would cost
    """
    defaults = {"readouts": ("constrained", "generated"), "arms": ("base",), **_engine_defaults(pairs)}
    settings, out = _config_and_out(pairs, "audit", defaults)
    _run_or_plan(settings, out, dry=dry, arms=(AUDITED,))


@app.command(context_settings={"ignore_unknown_options": True})  # a text may begin with a dash
def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT] [KEY=VALUE]...",
            help="The text to classify and explain, the task's other fields, and settings, in any order.",
            callback=with_joined_lists,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the decision as a line of JSON.")] = False,
) -> int:
    """Classify a text and give the reason, rechecked before it is shown.

    Examples:
    - `saywhy explain "the queue was awful but the show was superb"`
    - `saywhy explain "Nobody sleeps." task=snli premise="Two dogs sleep." model=path/to/adapter effort=search`
    - `saywhy explain task=reviews.yaml data=reviews.csv < texts.txt > decisions.jsonl`

    Without a text it reads standard input, a text or a JSON object ({"text": ..., "premise": ...}) a line, and writes
    JSONL. effort=self takes the model's word for it, repair (the default) tries its next likeliest words where that
    does not hold, search tries all words, then pairs. answer=LABEL: a decision that was taken elsewhere. budget=N,
    seconds=N: after how many rechecks, or how long, to stop looking. A field that is called like a setting is written
    context.NAME=VALUE. The JSON is described in docs/explainer.md.
    """
    from saywhy.cli import explain as explaining

    return 2 if explaining.explain(words or (), as_json=as_json) else 0


@app.command()
def attribute(pairs: SettingPairs = None, dry: DryOption = False) -> None:
    """Score the words of texts by several attribution methods, and show how far these agree.

    Examples:
    - `saywhy attribute rows=20`
    - `saywhy attribute task=snli methods=occlusion,integrated_gradients,kernel_shap samples=300`
    - `saywhy attribute data=tweets.jsonl methods=occlusion operators=redact,delete,infill`

    Scores go to OUT/attribution/METHOD.jsonl, shaded texts to OUT/attribution.html.
    """
    settings, out = _config_and_out(pairs, "attribute", _engine_defaults(pairs))
    if dry:
        from saywhy.cli.dry_run import plan_attribution

        plan_attribution(settings, out)
        return
    from saywhy.cli.attribute import attribute_texts as attributed

    say_report(attributed(settings, out))


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
    - `saywhy calibrate plants=keyword,pair methods=occlusion,integrated_gradients rows=40`
    - `saywhy calibrate --full out=results/calibration`
    """
    from saywhy.ruler.run import FULL_CALIBRATION, calibrate_ruler

    full_setting, setting_pairs = switched("full", pairs)
    settings, out = _config_and_out(setting_pairs, "calibrate", FULL_CALIBRATION if full or full_setting else None)
    if dry:
        from saywhy.cli.dry_run import plan_calibration

        plan_calibration(settings, out)
        return
    say_report(calibrate_ruler(settings, out))


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study file (YAML).")],
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=STUDY_WORDS, callback=with_joined_lists)
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Print the plan and its time here; compute no more.")] = False,
    on: Annotated[
        str | None, typer.Option("--on", help="ray: by workers on the cluster of RAY_ADDRESS, else on this machine.")
    ] = None,
) -> None:
    """Run a whole grid of arms, tasks, styles and seeds from one file, and report it.

    Examples:
    - `saywhy study studies/smoke.yaml` — every part of it, on built-in texts
    - `saywhy study studies/small.yaml --dry`
    - `saywhy study studies/small.yaml hours=2 out=runs/small` — confirmatory cells first; the same again goes on
    - `saywhy study studies/small.yaml --on ray out=/shared/small` — by many machines: docs/cluster.md
    - `saywhy study studies/small.yaml --on ray out=s3://bucket/small` — machines that share no folder

    What each entry means: docs/study.md.
    """
    from saywhy.study.command import run_study as studied

    studied(user_path(file), pairs or [], dry=dry, on=on, report=partial(say_report, cards=True))


@app.command()
def targets(pairs: SettingPairs = None) -> None:
    """Write pseudo-faithful explanations of your rows as TRL-ready JSONL (prompt/completion).

    Examples:
    - `saywhy targets train_rows=200 out=runs/targets`
    - `saywhy targets data=tweets.jsonl model=path/to/adapter verified=true`
    """
    from saywhy.cli.export import write_targets

    settings, out = _config_and_out(pairs, "targets", {"arms": ("base",)})
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

    settings, out = _config_and_out(pairs, "train", {"arms": ("adapted", "faithful")})
    say(f"wrote {train_adapter(settings, out)}")


for _verb in (
    reports.report,
    reports.compare,
    reports.confidence,
    banks.release,
    banks.join,
    serving.serve,
    serving.watch,
    listings.tasks,
    listings.models,
    listings.settings,
    listings.accelerate_config,
):
    app.command()(_verb)


def _config_and_out(
    pairs: Sequence[str] | None, verb: str, defaults: Mapping[str, Any] | None = None
) -> tuple[Config, Path]:
    """Return the settings, and the folder for what ``verb`` makes of them."""
    all_pairs = list(pairs or [])
    out_folders = [pair.removeprefix("out=") for pair in all_pairs if pair.startswith("out=")]
    config = parse([pair for pair in all_pairs if not pair.startswith("out=")], defaults)
    return config, user_path(out_folders[-1]) if out_folders else default_out(verb, config)


def _engine_defaults(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Return the defaults for a model without gradients, or behind an API: labels and text only; else none."""
    names = [pair.removeprefix("model=") for pair in pairs or () if pair.startswith("model=")]
    name = names[-1] if names else ""
    defaults: dict[str, Any] = {}
    if is_api_name(name) or is_vllm_name(name):
        defaults["methods"] = ("occlusion", "lexical", "random")
    if is_api_name(name):
        defaults["readouts"] = ("generated",)
    return defaults


def _run_or_plan(config: Config, out: Path, *, dry: bool, arms: tuple[str, ...] | None = None) -> None:
    if dry:
        from saywhy.cli.dry_run import plan_run

        if is_first_process():
            plan_run(config, out, arms or config.arms)
        return
    from saywhy.runs.run import Run

    say_report(Run(config, out, arms=arms).run(), cards=True)


def _refuse_undecodable(words: Sequence[str]) -> None:
    """Refuse words that are no UTF-8 text: bytes of another encoding, in a path or a text."""
    for word in words:
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            raise SaywhyError(
                f"'{in_one_line(word, 160)}' is not UTF-8: rename the file, or write the word in a UTF-8 terminal"
            )


def main() -> None:
    """Run the command line, in one process or several; what a user can mend is one line and exit code 2."""
    speak_plainly(sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = outlasting(sys.stdout, BrokenPipeError), outlasting(sys.stderr, OSError)
    # Libraries warning each other of their own changes are nothing that a user can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\.")
    call_to_clear_end(_run_command, resumable=set(sys.argv[1:2]) <= set(LAUNCHED_VERBS) and "--dry" not in sys.argv)


def _run_command() -> None:
    if is_first_process() or set(sys.argv[1:2]) & set(LAUNCHED_VERBS):
        _refuse_undecodable(sys.argv[1:])
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0)


if __name__ == "__main__":
    main()
