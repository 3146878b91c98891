"""A training in shards between CPUs: started by tests in several processes, ``python sharded.py FOLDER OUT RECIPE``.

accelerate shards weights between cards alone; here it is let do so between CPUs, where it is torch's sharding all the
same, by gloo.
"""

import json
import os
import sys
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from practice import made_rows
from saywhy.models.spec import resolve_model
from saywhy.training.encoding import Recipe
from saywhy.training.train import train

_before = AcceleratorState.__init__


def _with_shards(self, *arguments, fsdp_plugin=None, **more):
    _before(self, *arguments, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def main():
    AcceleratorState.__init__ = _with_shards
    folder, out, recipe = sys.argv[1:]
    ends_at = int(os.environ.get("ENDS_AT", "0"))

    def end(done, _):
        if done == ends_at:
            os._exit(9)

    train(resolve_model(folder), made_rows(), Recipe(**json.loads(recipe)), Path(out), end)
    # torch's shards keep gloo's threads to the end, where they may abort a process whose work is done
    # (pytorch/pytorch#190489). Shards between cards, the only ones outside of this file, go by NCCL.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
