"""Explained decisions as a service: saywhy serve / one request at a time with plain transformers.

What is computed: the decision on each text, its reason (attribution), and the rechecks, for each effort and for 1, 8
and 32 clients that ask one text after the other. Both sides have the same float32 model, the same HTTP server and the
same steps (`explainer.steps`), so that the verdicts must be the same; those that differ are counted.

  ours   what waits is computed together, in one prefix tree
  naive  one request at a time; the reason by transformers.generate (held to the words of the text by
         prefix_allowed_tokens_fn), the likelihoods of all words in one padded batch, each recheck a plain pass

--load MINUTES asks a real `saywhy serve` for so long with 8 clients: texts to be decided, and of four requests one that
is broken, too long, or hung up on. It ends with code 1 if a request is lost, or answered otherwise than it should be.

Examples:
  python -m benchmarks.serving
  python -m benchmarks.serving --efforts self --texts 16
  python -m benchmarks.serving --load 10 --threads 1
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast, get_args

import httpx2

from benchmarks.common import Ledger, grid, progress
from benchmarks.naive import PlainModel
from benchmarks.script import Texts, arguments, begin, finish, positive, run, texts
from benchmarks.serving_load import load_section
from benchmarks.work import Machine, load_bare, load_exact
from saywhy.explainer.decision import Effort
from saywhy.explainer.explainer import Explainer
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Model
from saywhy.serve.options import ServiceSettings
from saywhy.serve.server import GracefulServer, bound_socket
from saywhy.serve.service import Service
from saywhy.tasks.task import Task

TASK = "sentiment140"
EFFORTS: tuple[Effort, ...] = get_args(Effort)
CLIENTS = (1, 8, 32)
WANTED = 4.0
"""Times the naive throughput that is wanted at eight clients."""


@dataclasses.dataclass(frozen=True)
class Served:
    """What clients got: seconds of all, seconds of each request, (label, status, words of the reason) by text."""

    seconds: float
    latencies: list[float]
    verdicts: dict[str, list[Any]]


@contextmanager
def serving(model: Model, task: Task, batch: int) -> Any:
    """Serve a model in this process; yield the address."""
    settings = ServiceSettings(port=0, batch=batch, timeout=3600, queue=1000)
    explainer = Explainer(Classifier(model, task, dict.fromkeys(task.labels, 0.0)), {})
    service = Service({"base": explainer}, settings)
    with bound_socket(settings) as listener:
        server = GracefulServer(service, listener)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.end()
            thread.join()
            service.close()


def asked(address: str, drawn: Sequence[str], effort: Effort, clients: int) -> Served:
    """Ask for all texts with so many clients, each one text after the other."""
    waiting, lock = iter(drawn), threading.Lock()
    latencies: list[float] = []
    verdicts: dict[str, list[Any]] = {}

    def client() -> None:
        with httpx2.Client(base_url=address, timeout=3600) as http:
            while True:
                with lock:
                    text = next(waiting, None)
                if text is None:
                    return
                began = time.perf_counter()
                [decision] = http.post("/v1/explain", json={"text": text, "effort": effort}).json()["decisions"]
                words = decision["reason"]["words"] if decision["reason"] else []
                with lock:
                    latencies.append(time.perf_counter() - began)
                    verdicts[text] = [decision["label"], decision["check"]["status"], words]

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Served(time.perf_counter() - began, latencies, verdicts)


def measured(
    sides: Mapping[str, tuple[Model, int]], drawn: Texts, name: str, count: int, effort: Effort, clients: int
) -> dict[str, Any]:
    """Return what a side does for one effort and number of clients, which ask for ``count`` texts."""
    model, batch = sides[name]
    part = [example.text for example in drawn.examples[:count]]
    with serving(model, drawn.task, batch) as address:
        outcome = asked(address, part, effort, clients)
    progress(f"serving: {effort}, {clients} clients: {name} {len(part) / outcome.seconds:.2f} texts/s")
    return dataclasses.asdict(outcome)


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile; of one value, that value."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def section(
    ours: Mapping[tuple[Effort, int], Mapping[str, Any]],
    naive: Mapping[Effort, Mapping[str, Any]],
    drawn: Texts,
    machine: Machine,
) -> str:
    """Return the section of RESULTS.md."""
    rows, at_eight = [], []
    for effort in dict.fromkeys(effort for effort, _ in ours):
        pace = {0: len(naive[effort]["latencies"]) / naive[effort]["seconds"]}
        pace |= {count: len(side["latencies"]) / side["seconds"] for (of, count), side in ours.items() if of == effort}
        for count, side in ((count, side) for (of, count), side in ours.items() if of == effort):
            ratio = pace[count] / pace[0]
            at_eight += [f"{effort} {ratio:.1f}"] if count == 8 else []
            both = side["verdicts"].keys() & naive[effort]["verdicts"].keys()
            unlike = sum(side["verdicts"][text] != naive[effort]["verdicts"][text] for text in both)
            times = " / ".join(f"{quantile(side['latencies'], share):.2f}" for share in (0.5, 0.95, 0.99))
            rows.append(
                [effort, str(count), str(len(side["latencies"])), f"{pace[count]:.2f} / {pace[0]:.3f}", f"{ratio:.1f}",
                 times, f"{count / pace[0]:.1f}", f"{unlike} of {len(both)}"]
            )  # fmt: skip
    header = [
        "effort", "clients", "texts", "texts a second, ours / naive", "ratio", "our seconds, p50 / p95 / p99",
        "naive seconds, mean x clients", "different verdicts",
    ]  # fmt: skip
    few = len(next(iter(naive.values()))["latencies"])
    note = (
        f"Texts: {drawn.task.name}, {drawn.source}. The naive side takes one request at a time: it was measured with "
        f"one client and the first {few} texts an effort; with more clients each would wait as many times longer. "
        f"Ratio at 8 clients: {', '.join(at_eight)}; wanted: at least {WANTED:g}."
    )
    return f"## Explained decisions as a service\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def efforts_of(written: str) -> tuple[Effort, ...]:
    """Return the efforts that an option names."""
    names = tuple(written.split(","))
    if not set(names) <= set(EFFORTS):
        raise argparse.ArgumentTypeError(f"{written!r}: they are {', '.join(EFFORTS)}")
    return tuple(effort for effort in EFFORTS if effort in names)


def main() -> None:
    """Compare, or load, and write the section."""
    parser = arguments(__doc__ or "", "4 texts, self, 1 and 8 clients", texts=32)
    parser.add_argument("--naive-texts", type=positive, default=8, help="texts of the naive side (default 8)")
    parser.add_argument("--efforts", type=efforts_of, default=EFFORTS, help="efforts, by commas (default all)")
    parser.add_argument("--load", type=float, default=0.0, help="minutes of load on a real service, in place of that")
    options = parser.parse_args()
    clients: tuple[int, ...] = CLIENTS
    if options.quick:
        options.texts, options.naive_texts, options.efforts, clients = 4, 2, ("self",), CLIENTS[:2]
    efforts = vars(options).pop("efforts")  # a finished round is that of one effort
    ledger: Ledger = begin("serving", options)
    drawn = texts(TASK, max(options.texts, *clients), options.data)
    if options.load:
        body, is_whole = load_section([example.text for example in drawn.examples], options)
        finish("serving-load", options, body, ledger)
        sys.exit(0 if is_whole else 1)
    local = load_exact(options.model)
    machine = Machine(local)
    plain = cast(Model, PlainModel(load_bare(options.model)))  # what it lacks, no explainer asks for
    measure: Callable[..., Any] = partial(measured, {"ours": (local, 16), "naive": (plain, 1)}, drawn)
    ours, naive = dict[tuple[Effort, int], Any](), dict[Effort, Any]()
    for effort in efforts:
        begun = partial(measure, "naive", options.naive_texts, effort, 1)
        naive[effort] = ledger.once(f"naive {effort}", begun)
        for count in clients:
            begun = partial(
                measure, "ours", options.texts if options.quick else max(options.texts, count), effort, count
            )
            ours[effort, count] = ledger.once(f"ours {effort} {count}", begun)
    finish("serving", options, section(ours, naive, drawn, machine), ledger)


if __name__ == "__main__":
    run("serving", main)
