"""The command line: one function a verb. Everything heavy is imported where it is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from saywhy.config import Config, parse
from saywhy.progress import say
from saywhy.records import SaywhyError

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

Pairs = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings; `saywhy settings` lists them.")
]
Dry = Annotated[bool, typer.Option("--dry", help="Print the resolved plan and a time estimate, compute nothing.")]


@app.command()
def run(pairs: Pairs = None, dry: Dry = False) -> None:
    """Measure, train, measure again against matched controls, report.

    Examples:
    - `saywhy run` — built-in model and texts
    - `saywhy run data=tweets.jsonl task=sentiment140 rows=200 train_rows=400 out=runs/tweets`
    - `saywhy run model=allenai/tulu-2-7b data=hub task=ag_news arms=base,adapted,faithful,random,lexical`

    The same command again goes on where a killed run was.
    """
    settings, out = _settings(pairs, "runs/run")
    _study(settings, out, dry=dry)


@app.command()
def audit(pairs: Pairs = None, dry: Dry = False) -> None:
    """Measure how faithful a model's explanations are; no training.

    Examples:
    - `saywhy audit model=path/to/adapter data=tweets.jsonl rows=100 readouts=generated,constrained`
    - `saywhy audit task=snli data=../shared/data/snli rows=100 settings=one-word,free`
    """
    from saywhy.study import AUDITED

    readouts = {"readouts": ("constrained", "generated"), "arms": ("base",)}
    settings, out = _settings(pairs, "runs/audit", readouts)
    _study(settings, out, dry=dry, arms=(AUDITED,))


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The text to classify and explain.")],
    pairs: Pairs = None,
) -> None:
    """Classify one text and show three explanations, each with its verdict.

    Examples:
    - `saywhy explain "the queue was awful but the show was superb"`
    - `saywhy explain "Nobody sleeps." task=snli premise="Two dogs sleep." model=path/to/adapter`
    """
    from saywhy.explain import explain as explained
    from saywhy.explain import show

    context = dict(pair.split("=", 1) for pair in pairs or [] if "=" in pair)
    others = {key: value for key, value in context.items() if key not in Config.model_fields}
    known = [pair for pair in pairs or [] if pair.partition("=")[0] not in others]
    show(explained(text, parse(known), others))


@app.command()
def attribute(pairs: Pairs = None, dry: Dry = False) -> None:
    """Score the words of texts by several attribution methods, and show how far these agree.

    Examples:
    - `saywhy attribute rows=20`
    - `saywhy attribute task=snli methods=occlusion,integrated_gradients,kernel_shap samples=300`
    - `saywhy attribute data=tweets.jsonl methods=occlusion operators=redact,delete,infill`

    Scores go to OUT/attribution/METHOD.jsonl, shaded texts to OUT/attribution.html.
    """
    settings, out = _settings(pairs, "runs/attribute")
    if dry:
        from saywhy.estimate import plan_attribution

        plan_attribution(settings, out)
        return
    from saywhy.attribute import attribute as attributed
    from saywhy.report import show

    say(f"wrote {show(attributed(settings, out))}")


@app.command()
def calibrate(
    pairs: Pairs = None,
    full: Annotated[
        bool, typer.Option("--full", help="All plants, methods and operators: about an hour on two cores.")
    ] = False,
    dry: Dry = False,
) -> None:
    """Put the ruler to the test: models with planted rules, whose deciding words are known.

    Says how often each attribution method finds an accepted cause, how well each faithfulness metric tells true from
    false explanations, and which one a trivial explainer fools. The default ends within minutes.

    Examples:
    - `saywhy calibrate`
    - `saywhy calibrate plants=keyword,negation methods=occlusion,integrated_gradients rows=40`
    - `saywhy calibrate --full out=results/calibration`
    """
    from saywhy.calibration import FULL, calibrate_ruler

    written, others = _flag("full", pairs)
    settings, out = _settings(others, "runs/calibrate", FULL if full or written else None)
    if dry:
        from saywhy.estimate import plan_calibration

        plan_calibration(settings, out)
        return
    from saywhy.report import show

    say(f"wrote {show(calibrate_ruler(settings, out))}")


@app.command()
def targets(pairs: Pairs = None) -> None:
    """Write pseudo-faithful explanations of your rows as TRL-ready JSONL (prompt/completion).

    Examples:
    - `saywhy targets train_rows=200 out=runs/targets`
    - `saywhy targets data=tweets.jsonl model=path/to/adapter verified=true`
    """
    from saywhy.shipping import write_targets

    settings, out = _settings(pairs, "runs/targets", {"arms": ("base",)})
    say(f"wrote {write_targets(settings, out)}")


@app.command()
def train(pairs: Pairs = None) -> None:
    """Train a model to explain itself faithfully on your own rows, labelled or not; no audit.

    Examples:
    - `saywhy train data=tweets.jsonl train_rows=400 out=runs/mine`
    - `saywhy train data=unlabelled.jsonl adapt_labels=formats replay=instructions.jsonl`

    What ships is OUT/adapter: a PEFT adapter; `saywhy audit model=OUT/adapter` measures it.
    """
    from saywhy.shipping import train_adapter

    settings, out = _settings(pairs, "runs/train", {"arms": ("adapted", "faithful")})
    say(f"wrote {train_adapter(settings, out)}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    png: Annotated[bool, typer.Option("--png", help="Also write the pictures as PNG files.")] = False,
    confirmatory: Annotated[
        str | None,
        typer.Option(help="The comparisons that Holm corrects together, e.g. 'style=attribution against=random,base'."),
    ] = None,
    accuracy_loss: Annotated[float, typer.Option(min=0, help="Loss of accuracy that counts as none.")] = 0.02,
    agreement_loss: Annotated[float, typer.Option(min=0, help="Loss of agreement that counts as none.")] = 0.02,
) -> None:
    """Rebuild table and pages of a run from its rows; no model is loaded."""
    from saywhy.report import show
    from saywhy.report.rules import PRIMARY, Rules
    from saywhy.stats import Family

    family = PRIMARY if confirmatory is None else Family.parse(confirmatory)
    say(f"wrote {show(folder, png=png, rules=Rules(family, accuracy_loss, agreement_loss))}")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another run folder of the same task.")],
) -> None:
    """Compare two runs cell by cell on the texts that they share."""
    from saywhy.report import show_comparison, write_comparison

    show_comparison(first, second)
    say(f"wrote {write_comparison(first, second)}")


@app.command()
def tasks() -> None:
    """List the tasks that ship; any .yaml path is a task too."""
    from saywhy.tasks import catalog, load_task

    for name in catalog():
        task = load_task(name)
        say(f"{name}: {task.question} [{', '.join(task.labels)}]")


@app.command()
def models() -> None:
    """List the models that need no hub, and what else `model=` takes."""
    from saywhy.models.spec import BUILT_IN

    for name, note in BUILT_IN.items():
        say(f"{name}: {note}")
    say("FOLDER: a transformers model with a chat template (safetensors), or a PEFT adapter")
    say("FILE.gguf: any architecture that transformers can dequantise")
    say("OWNER/NAME: a Hugging Face hub id, e.g. allenai/tulu-2-7b")


@app.command()
def settings() -> None:
    """List every KEY=VALUE with its default and what it means."""
    for key, field in Config.model_fields.items():
        default = field.default
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        say(f"{key}={shown}\n    {field.description}")
    say("out=FOLDER\n    Where the run goes; the default is runs/VERB.")


def _settings(
    pairs: Sequence[str] | None, default_out: str, defaults: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Config, Path]:
    given = list(pairs or [])
    outs = [pair.removeprefix("out=") for pair in given if pair.startswith("out=")]
    config = parse([pair for pair in given if not pair.startswith("out=")], defaults)
    return config, Path(outs[-1] if outs else default_out).expanduser()


def _flag(name: str, pairs: Sequence[str] | None) -> tuple[bool, list[str]]:
    """Return whether an option is also switched on among the pairs (``name=true``), and the other pairs."""
    given, start = list(pairs or []), f"{name}="
    values = [pair.removeprefix(start) for pair in given if pair.startswith(start)]
    for value in values:
        if value not in ("true", "false"):
            raise SaywhyError(f"{name}={value}: it takes true or false")
    return values[-1:] == ["true"], [pair for pair in given if not pair.startswith(start)]


def _study(config: Config, out: Path, *, dry: bool, arms: tuple[str, ...] | None = None) -> None:
    if dry:
        from saywhy.estimate import plan

        plan(config, out, arms or config.arms)
        return
    from saywhy.report import show
    from saywhy.study import Study

    say(f"wrote {show(Study(config, out, arms=arms).run())}")


def main() -> None:
    """Run the command line; a problem that the user can mend is one line and exit code 2."""
    # Libraries warning each other of their own changes are nothing that a user can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\.")
    try:
        app()
    except SaywhyError as error:
        print(f"saywhy: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"saywhy: {error.strerror or error}{where}: what was computed is kept; mend it and run again",
            file=sys.stderr,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
