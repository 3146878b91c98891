"""Workers of a study that fail as workers do: tests give them to a crew in place of its own."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from kills import kill_behind
from saywhy.models.weights import CHECKPOINTS
from saywhy.study.worker import StudyWorker


class NotedWorker(StudyWorker):
    """Keeps a line for every part that it begins, in the file that the environment names."""

    def compute(self, step, place, number):
        with Path(os.environ["SAYWHY_TEST_PARTS"]).open("a", encoding="utf-8") as notes:
            notes.write(f"{step.kind if step else 'begin'} {place}:{number}\n")
        return super().compute(step, place, number)


class MortalWorker(NotedWorker):
    """Is killed by ``kill -9`` in the middle of the first part of each kind of work that any worker comes to."""

    def compute(self, step, place, number):
        kind = step.kind if step else "begin"
        kind = "practise" if kind == "train" and place.name != "adapter" else kind
        mark = Path(f"{os.environ['SAYWHY_TEST_PARTS']}.{kind}")
        if number == 0 and not mark.exists():
            mark.touch()
            if kind == "train":
                kill_behind(f"{place}/{CHECKPOINTS}/checkpoint-*/trainer_state.json")
            else:
                super().compute(step, place, number)
                os.kill(os.getpid(), signal.SIGKILL)  # all is computed, and nothing is handed over
        return super().compute(step, place, number)


class DoomedWorker(StudyWorker):
    """Ends whenever it is to compute."""

    def compute(self, step, place, number):
        os.kill(os.getpid(), signal.SIGKILL)


class OtherVersionWorker(StudyWorker):
    """Has another version of what rows depend on."""

    def greet(self, out, token, answer):
        greeting = super().greet(out, token, answer)
        return replace(greeting, host="node-7", versions={**greeting.versions, "transformers": "4.0.0"})


class ApartWorker(StudyWorker):
    """Is on a machine that has a folder of its own under the study's path."""

    def greet(self, out, token, answer):
        return super().greet(out.with_name("elsewhere"), token, answer)


class UnheardWorker(StudyWorker):
    """Sees what the leader writes; the leader does not see what it writes."""

    def greet(self, out, token, answer):
        greeting = super().greet(out, token, answer)
        next(out.glob(f".*{answer}*")).unlink()
        return greeting


class FullDiskWorker(StudyWorker):
    """Has no room left where it computes."""

    def compute(self, step, place, number):
        raise OSError(28, "No space left on device", str(place))
