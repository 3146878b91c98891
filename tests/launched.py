"""Processes as a launcher starts them: torchrun and ``accelerate launch`` set these variables."""

import os
import socket
import subprocess
import sys

TOLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def environments(count: int) -> list[dict[str, str]]:
    """Return the environment of each of ``count`` processes of one launch on this machine's CPUs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if name not in TOLD}
    plain |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    if count == 1:
        return [plain]
    return [
        {
            **plain,
            **dict(zip(TOLD, (str(rank), str(rank), str(count), str(count), "127.0.0.1", str(port)), strict=True)),
        }
        for rank in range(count)
    ]


def launch(count: int, *words: str) -> list[subprocess.Popen]:
    """Start ``python WORDS`` in ``count`` processes of one launch."""
    return [
        subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for environment in environments(count)
    ]


def ended(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Return exit code, stdout and stderr of each."""
    said = [process.communicate(timeout=1800) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
