"""The tables of docs/scale.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from benchmarks.common import grid
from benchmarks.scale.events import Cluster, Schedule, simulate
from benchmarks.scale.growth import (
    ASSUMPTIONS,
    GRID,
    SHAPES,
    Assumption,
    Card,
    Shape,
    for_styles,
    operations_of,
    rates_on_card,
)
from benchmarks.scale.jobs import NONE, QUARTERS, Sizes, StudyJobs
from benchmarks.scale.network import Job, critical_path
from benchmarks.scale.tokens import TokenCount, TokenCounts
from saywhy.study.plan import StudyPlan

START_SECONDS, READ_RATE = 30.0, 1e9
"""Until a process has its libraries, and bytes a second at which it reads weights: assumed."""
MERGE_SECONDS = 3.0
"""Until an adapter is merged into weights that are there: assumed. Today saywhy reads the base anew for each arm."""
WRITE_RATE, FILE_SECONDS = 1e9, 0.02
"""Bytes a second of a shared folder, seconds a file (written beside, renamed, its checksum noted): assumed."""
LOSSES, SPOT_LOSSES, RESTART_SECONDS = 2e-5, 0.02, 300.0
"""Lost workers an hour: 419 in 54 days of 16,384 cards (Llama 3's report); cards that may be taken back: assumed."""
TEXT_BYTES, LINE_BYTES = 30e3, 450.0
"""Of an audited text (measured: 4.5 kB with 3 explanations and 9 words), of a target or decision (measured)."""
WORKERS = (1, 8, 64)


@dataclass(frozen=True)
class Grid:
    """The studies of a grid: one plan on several models.

    Attributes:
        plan: The plan.
        counts: Tokens a text, of all styles.
        styles: How many styles.
        card: What it runs on.
    """

    plan: StudyPlan
    counts: TokenCounts
    styles: int
    card: Card

    @property
    def scaled(self) -> TokenCounts:
        """Tokens a text with all styles."""
        return for_styles(self.counts, self.styles)

    def jobs(self, assumption: Assumption, shapes: Sequence[str] = GRID, chunk: int | None = None) -> list[Job]:
        """Return the jobs on all models."""
        return [
            job
            for name in shapes
            for job in StudyJobs(
                self.plan,
                name,
                rates_on_card(self.scaled, SHAPES[name], self.card, assumption),
                sizes_of(SHAPES[name]),
                self.styles,
                chunk,
            ).jobs()
        ]

    def cluster(self, workers: int) -> Cluster:
        """Return cards with a shared folder."""
        switch = {name: shape.weight_bytes / READ_RATE + MERGE_SECONDS for name, shape in SHAPES.items()}
        start = dict.fromkeys(SHAPES, START_SECONDS)
        return Cluster(workers, start, switch, LOSSES, RESTART_SECONDS, WRITE_RATE, FILE_SECONDS)


def sizes_of(shape: Shape) -> Sizes:
    """Return the bytes that steps on a model write."""
    return Sizes(TEXT_BYTES, LINE_BYTES, 3 * shape.adapter_bytes, shape.adapter_bytes)


def counts_table(plan: StudyPlan, counts: TokenCounts, words: Mapping[str, float]) -> str:
    """Return tokens a text by task, as a tree (as plain prompts)."""
    kinds = ("audit", "edits", "targets", "decide", "train")

    def cell(kind: str, task: str) -> str:
        names = [name for name in counts if name.startswith(f"{kind} {task}")]
        largest = max((counts[name] for name in names), key=lambda count: count.tree)
        return f"{largest.tree:,.0f} ({largest.plain:,.0f})"

    rows = [[task, f"{words[task]:.0f}", *(cell(kind, task) for kind in kinds)] for task in plan.all_tasks]
    header = [
        "task",
        "words",
        "audit, most asked for",
        "its table and grid",
        "targets",
        "decision",
        "practice, three styles",
    ]
    return grid(header, rows)


def totals(jobs: Sequence[Job], value: Callable[[Job], float]) -> dict[str, float]:
    """Return the sum of a value of jobs by kind."""
    sums: dict[str, float] = {}
    for job in jobs:
        sums[job.kind] = sums.get(job.kind, 0.0) + value(job)
    return sums


def counted_jobs(priced: Grid, shape: str, value: Callable[[str, TokenCount], float]) -> list[Job]:
    """Return the jobs on a model with a value of their texts' tokens in place of seconds."""
    values = {name: value(name, count) for name, count in priced.scaled.items()}
    return StudyJobs(priced.plan, shape, values, NONE, priced.styles).jobs()


def cost_table(priced: Grid) -> str:
    """Return what the study costs on each model: steps, tokens, operations, card hours low and high, bytes."""
    tree, plain = (
        sum(job.work for job in counted_jobs(priced, "any", value))
        for value in (lambda _, count: count.tree, lambda _, count: count.plain)
    )
    rows = []
    for name in GRID:
        shape = SHAPES[name]
        operations = sum(job.work for job in counted_jobs(priced, name, partial(operations_of, shape)))
        low, high = (priced.jobs(assumption, [name]) for assumption in ASSUMPTIONS)
        hours = [sum(job.work for job in jobs) / 3600 for jobs in (high, low)]
        adapters = sum(1 for job in low if job.kind == "train")
        rest = sum(job.pieces * job.size for job in low if job.kind != "train")
        rows.append(
            [
                f"{shape.name} ({shape.parameters / 1e9:.2f} G)",
                f"{len(low):,}",
                f"{tree / 1e9:.2f} ({plain / 1e9:.1f})",
                f"{operations / 1e18:.0f}",
                f"{hours[0]:,.0f} to {hours[1]:,.0f}",
                f"{shape.weight_bytes / 1e9:.0f}, {shape.training_bytes / 1e9:.0f} GB",
                f"{adapters} x {shape.adapter_bytes / 1e6:.0f} MB = {adapters * shape.adapter_bytes / 1e9:.0f} GB",
                f"{rest / 1e9:.0f} GB",
            ]
        )
    header = ["model", "jobs", "tokens as a tree (as plain prompts), G", "operations, 10^18"]
    return grid(
        [
            *header,
            f"hours of one {priced.card.name}",
            "weights in audits, in training",
            "adapters",
            "rows, tables, decisions",
        ],
        rows,
    )


def kinds_table(priced: Grid, shape: str = GRID[0]) -> str:
    """Return the share of each kind of step in the tokens and hours of one model."""
    by_tokens = counted_jobs(priced, shape, lambda _, count: count.tree)
    tokens = totals(by_tokens, lambda job: job.work)
    low, high = (totals(priced.jobs(assumption, [shape]), lambda job: job.work / 3600) for assumption in ASSUMPTIONS)
    rows = [
        [
            kind,
            f"{sum(job.kind == kind for job in by_tokens):,}",
            f"{tokens[kind] / 1e6:,.0f}",
            f"{high[kind]:,.1f} to {low[kind]:,.1f}",
        ]
        for kind in sorted(tokens, key=lambda kind: -low[kind])
    ]
    return grid(["step", "number", "tokens, M", "card hours"], rows)


def cards_table(priced: Grid, workers: Sequence[int] = WORKERS) -> str:
    """Return how long the whole grid takes on some cards, and where their time goes."""
    rows = []
    for assumption in ASSUMPTIONS:
        jobs = priced.jobs(assumption)
        for count in workers:
            schedule = simulate(jobs, priced.cluster(count))
            rows.append([assumption.name, str(count), *_cells(schedule), bound(jobs, schedule)])
    return grid(["assumed", "cards", *CELLS, "what holds it up"], rows)


CELLS = ["hours", "computing", "loading", "folder", "idle", "lost", "written"]


def _cells(schedule: Schedule) -> list[str]:
    shares = (schedule.computing, schedule.loading, schedule.writing, schedule.idle)
    return [
        _hours(schedule.makespan),
        *(f"{share / schedule.whole:.1%}" for share in shares),
        f"{schedule.losses} ({schedule.lost / 3600:.1f} h)",
        f"{schedule.size / 1e12:.1f} TB in {schedule.files:,}",
    ]


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f}" if seconds >= 360 else f"{seconds / 3600:.2f}"


def bound(jobs: Sequence[Job], schedule: Schedule) -> str:
    """Return what a schedule waits for most, in words."""
    chain = sum(job.shortest for job in critical_path(jobs))
    if chain > 0.7 * schedule.makespan:
        return "the longest chain"
    if schedule.utilisation > 0.8:
        return "the cards"
    waits = {
        "loading of models and adapters": schedule.loading,
        "the shared folder": schedule.writing,
        "lost cards": schedule.lost,
        "too few steps for all": schedule.idle,
    }
    return max(waits, key=lambda name: waits[name])


def chains_table(priced: Grid) -> str:
    """Return the longest chain of steps that wait for one another, and how many cards can be made use of beside it."""
    rows = []
    for assumption in ASSUMPTIONS:
        jobs = priced.jobs(assumption)
        chain, work = sum(job.shortest for job in critical_path(jobs)), sum(job.work for job in jobs)
        rows.append([assumption.name, chain_in_words(jobs), _hours(chain), _hours(work), f"{work / chain:,.0f}"])
    return grid(["assumed", "longest chain, hours", "in all", "work of all jobs, hours", "cards it feeds"], rows)


def chain_in_words(jobs: Sequence[Job]) -> str:
    """Return the longest chain, the hours of each kind of step in turn."""
    steps = [(job.kind, job.shortest) for job in critical_path(jobs)]
    grouped = [(kind, sum(seconds for _, seconds in group)) for kind, group in groupby(steps, key=lambda step: step[0])]
    return " > ".join(f"{kind} {_hours(seconds)}" for kind, seconds in grouped)


def trouble_table(priced: Grid, workers: int = WORKERS[-1]) -> str:
    """Return what each trouble, and each remedy, means on many cards: the same run, one thing changed."""
    rows = []
    for name, (jobs, cluster) in troubles(priced, workers).items():
        schedule = simulate(jobs, cluster)
        rows.append([name, *_cells(schedule), bound(jobs, schedule)])
    rows.append(by_hand(priced, priced.jobs(ASSUMPTIONS[-1])))
    return grid([f"{workers} cards, {ASSUMPTIONS[-1].name}", *CELLS, "what holds it up"], rows)


def troubles(priced: Grid, workers: int) -> dict[str, tuple[Sequence[Job], Cluster]]:
    """Return jobs and cluster of each case, by what is changed."""
    assumption, cluster = ASSUMPTIONS[-1], priced.cluster(workers)
    jobs, small = priced.jobs(assumption), priced.jobs(assumption, chunk=20)
    slow_files = replace(cluster, file_seconds=10 * FILE_SECONDS)
    slow_reads = {name: 10 * seconds for name, seconds in cluster.switch.items()}
    kept = dict.fromkeys(cluster.switch, MERGE_SECONDS)
    in_float32 = priced.card.peak / priced.card.float32
    without = [
        replace(job, size=sizes_of(SHAPES[job.base]).adapter / QUARTERS) if job.kind == "train" else job for job in jobs
    ]
    slow_training = [replace(job, seconds=in_float32 * job.seconds) if job.kind == "train" else job for job in jobs]
    return {
        "as above": (jobs, cluster),
        "20 texts a chunk": (small, cluster),
        "0.2 s a file": (jobs, slow_files),
        "20 texts a chunk, 0.2 s a file": (small, slow_files),
        "a folder of 100 MB/s": (jobs, replace(cluster, write_rate=WRITE_RATE / 10)),
        "weights at 100 MB/s a card": (jobs, replace(cluster, switch=slow_reads)),
        "practice in float32, the default": (slow_training, cluster),
        "cards that are taken back, one in 50 h": (jobs, replace(cluster, losses=SPOT_LOSSES)),
        "one in an hour": (jobs, replace(cluster, losses=1.0)),
        "base weights stay on the card": (jobs, replace(cluster, switch=kept)),
        "no checkpoints on the folder": (without, cluster),
        "both": (without, replace(cluster, switch=kept)),
    }


def by_hand(priced: Grid, jobs: Sequence[Job]) -> list[str]:
    """Return the row of a grid that is spread by hand: a launch (``seeds=``) on one card for each model and seed."""
    schedules = [
        simulate([job for job in jobs if job.base == name and job.seed == seed], priced.cluster(1))
        for name in GRID
        for seed in priced.plan.seeds
    ]
    fields = ("computing", "loading", "writing", "lost", "losses", "folder", "size", "files")
    whole = Schedule(
        makespan=max(schedule.makespan for schedule in schedules),
        workers=len(schedules),
        **{field: sum(getattr(schedule, field) for schedule in schedules) for field in fields},
    )
    name = f"by hand: {len(schedules)} launches (seeds=), a card each"
    return [name, *_cells(whole), "the longest launch"]
