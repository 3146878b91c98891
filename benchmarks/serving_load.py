"""A real service under load for some minutes: no request may be lost, nor the memory grow."""

from __future__ import annotations

import argparse
import collections
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import httpx2
import psutil

from benchmarks.common import grid, progress
from benchmarks.script import command, revision

CLIENTS = 8
WARM_UP = 0.2
"""Share of the time after which memory must not grow any more."""
JSON = {"Content-Type": "application/json"}
HOSTILE: dict[str, tuple[bytes, dict[str, str], set[int]]] = {
    "broken JSON": (b'{"text": "half', JSON, {400}),
    "half a character": (b'{"text": "\\ud800 and more"}', JSON, {400}),
    "another content type": (b'{"text": "a b"}', {"Content-Type": "text/plain"}, {415}),
    "an empty text": (b'{"text": " "}', JSON, {422}),
    "an unknown field": (b'{"text": "a b", "efort": "self"}', JSON, {422}),
    "control tokens": (b'{"text": "a <|im_end|> b"}', JSON, {422}),
    "a long text": (b'{"text": "' + b"word " * 1500 + b'"}', JSON, {413}),
    "a large body": (b'{"text": "' + b"word " * 600_000 + b'"}', JSON, {413}),
    "10,000 texts": (b'{"texts": [' + b'"a",' * 9999 + b'"a"]}', JSON, {413}),
}
"""What is no request: body, headers, the statuses that are right."""
GOOD = {200, 429}
"""Statuses of a text that can be decided: 429 where too much waits."""


class Load:
    """Clients that ask, and what they got."""

    def __init__(self, address: str, drawn: Sequence[str], until: float) -> None:
        self.address, self.texts, self.until = address, drawn, until
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def run(self, seed: int) -> None:
        """Ask until the time is over."""
        chance = random.Random(seed)
        with httpx2.Client(base_url=self.address, timeout=300) as client:
            while time.monotonic() < self.until:
                kind = chance.choice([*HOSTILE, "hang-up"]) if chance.random() < 0.25 else "text"
                outcome = self._ask(client, kind, chance)
                with self._lock:
                    self.counts[kind] += 1
                    self.wrong += [f"{kind}: {outcome}"] if outcome else []

    def _ask(self, client: httpx2.Client, kind: str, chance: random.Random) -> str | None:
        """Ask once; return what was wrong with the answer, None if nothing was."""
        body = {"text": chance.choice(self.texts), "effort": chance.choice(("self", "self", "self", "repair"))}
        try:
            if kind == "text":
                response, right = client.post("/v1/explain", json=body), GOOD
            elif kind == "hang-up":
                self._hang_up(body)
                return None
            else:
                content, headers, right = HOSTILE[kind]
                response = client.post("/v1/explain", content=content, headers=headers)
        except httpx2.HTTPError as error:
            return f"lost ({type(error).__name__})"
        return None if response.status_code in right else f"status {response.status_code}"

    def _hang_up(self, body: dict[str, str]) -> None:
        """Ask, and leave before the answer."""
        with httpx2.Client(base_url=self.address, timeout=0.05) as client:
            try:
                client.post("/v1/explain", json=body)
            except httpx2.TimeoutException:
                return


def load_section(drawn: Sequence[str], options: argparse.Namespace) -> tuple[str, bool]:
    """Load a service for ``options.load`` minutes; return the section of RESULTS.md, and whether all was well."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})}
    words = [sys.executable, "-m", "saywhy", "serve", "port=0", f"model={options.model}", "timeout=300"]
    service = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        address = next(match[1] for line in service.stderr or () if (match := re.search(r"at (http://\S+) ", line)))
        threading.Thread(target=_pass_on, args=(service,), daemon=True).start()
        began, seconds = time.monotonic(), 60 * options.load
        load = Load(address, drawn, began + seconds)
        threads = [threading.Thread(target=load.run, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        memory: list[tuple[float, float]] = []
        process = psutil.Process(service.pid)
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(5.0, seconds / 20))
            memory.append(((time.monotonic() - began) / seconds, process.memory_info().rss / 2**20))
        service.send_signal(signal.SIGTERM)
        code = service.wait(120)
    finally:
        service.kill()
    return _section(load, memory, code, options)


def _pass_on(service: subprocess.Popen[str]) -> None:
    for line in service.stderr or ():
        progress(line.rstrip())


def _section(
    load: Load, memory: Sequence[tuple[float, float]], code: int, options: argparse.Namespace
) -> tuple[str, bool]:
    warm = [rss for at, rss in memory if at >= WARM_UP]
    growth = max(warm) - warm[0]
    is_whole = not load.wrong and code == 128 + signal.SIGTERM
    rows = [[kind, str(count)] for kind, count in sorted(load.counts.items())]
    wrong = "; ".join(sorted(set(load.wrong))[:5]) or "none"
    facts = (
        f"{options.load:g} minutes, {CLIENTS} clients, one of four requests hostile; {sum(load.counts.values())} "
        f"requests, lost or answered wrongly: {len(load.wrong)} ({wrong}). Memory (RSS) of the service: "
        f"{warm[0]:.0f} MB after warm-up, {max(warm):.0f} MB at most, growth {growth:.0f} MB, {warm[-1]:.0f} MB at the "
        f"end. SIGTERM ended it with code {code}. saywhy {revision()}; "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}.\n\n`{command()}`"
    )
    return f"## The service under load\n\n{facts}\n\n{grid(['request', 'count'], rows)}", is_whole
