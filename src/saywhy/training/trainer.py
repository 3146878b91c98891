"""The trainer: TRL's, whose batch is texts, each a tree of rows, shared by processes and computed in parts that fit."""

from __future__ import annotations

import atexit
import dataclasses
import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer
from trl import SFTTrainer

from saywhy.folders.store import readable_save_errors
from saywhy.models.forward import Forward
from saywhy.models.memory import is_out_of_memory
from saywhy.processes import process_rank, world_size
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.training.encoding import Encoded
from saywhy.training.objectives import Objective


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Texts that are computed at once, one tree.

    Attributes:
        texts: The rows of each text; none where there is nothing to compute.
        rows: How many rows their step has, with those of its other parts and processes.
        counts: Whether they add to the loss; else they are computed for the sake of the other processes alone.
    """

    texts: Sequence[Encoded]
    rows: int
    counts: bool = True


def accept_batches(model: Any, forward: Forward, objective: Objective) -> None:
    """Let ``model``, called with a ``batch``, return its loss: so also where accelerate has wrapped it.

    A model that is wrapped for several processes adds up its gradients only if the loss comes from calling it.

    Args:
        model: What is trained; called in any other way it does what it did.
        forward: Computes its trees.
        objective: What a batch costs.
    """
    before = model.forward

    def with_batches(*args: Any, batch: Batch | None = None, **more: Any) -> Any:
        return before(*args, **more) if batch is None else _share_of_loss(model, forward, objective, batch)

    model.forward = with_batches


def _share_of_loss(model: torch.nn.Module, forward: Forward, objective: Objective, batch: Batch) -> torch.Tensor:
    """Return what this process adds to the loss of a batch; the mean over processes is the mean over all rows."""
    if batch.texts:
        return objective(forward, batch.texts, batch.rows) * (world_size() if batch.counts else 0)
    # Every process must have gradients to add, be they zero.
    return torch.stack([0.0 * weight.flatten()[0] for weight in model.parameters() if weight.requires_grad]).sum()


class ReadableSaves:
    """A trainer, with one of transformers': what keeps a checkpoint from being saved is said in one line."""

    args: Any

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with readable_save_errors(Path(self.args.output_dir or ".")):
            super()._save_checkpoint(model, trial)  # type: ignore[misc]


class TreeTrainer(ReadableSaves, SFTTrainer):
    """SFTTrainer whose batch is a list of texts, each a tree of rows; the loss is the mean over rows.

    Attributes:
        at_once: Texts of a step that are computed at once; halved when memory runs out, which changes no step.
    """

    at_once: int = 1

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Take a step: this process computes its share of the texts in parts; all gradients are added up."""
        texts = inputs["texts"]
        if self.accelerator.is_fsdp2:
            return self._sharded_step(model, texts, num_items_in_batch)
        share, rows = texts[process_rank() :: world_size()], sum(map(len, texts))
        while True:
            size, loss = max(1, min(self.at_once, len(share))), torch.zeros((), device=self.args.device)
            try:
                with self.accelerator.no_sync(model):
                    for at in range(0, len(share), size):
                        part = {"batch": Batch(share[at : at + size], rows)}
                        loss = loss + super().training_step(model, part, num_items_in_batch)  # type: ignore[no-untyped-call]
                break
            except (MemoryError, RuntimeError) as error:
                self.at_once = _fewer(size, error)
                model.zero_grad()
        if world_size() == 1:
            return loss
        # Only now are gradients sent: a process that ran out of memory could begin its share again.
        nothing = {"batch": Batch((), rows)}
        return loss + super().training_step(model, nothing, num_items_in_batch)  # type: ignore[no-untyped-call]

    def _sharded_step(self, model: Any, texts: Sequence[Encoded], num_items_in_batch: Any) -> Any:
        """Take a step with weights in shards: no process computes a layer without all others, so all take as often."""
        share, rows = texts[process_rank() :: world_size()], sum(map(len, texts))
        loss = torch.zeros((), device=self.args.device)
        try:
            for at in range(0, -(-len(texts) // world_size()), self.at_once):
                part = share[at : at + self.at_once]
                batch = {"batch": Batch(part or texts[:1], rows, counts=bool(part))}
                loss = loss + super().training_step(model, batch, num_items_in_batch)  # type: ignore[no-untyped-call]
        except (MemoryError, RuntimeError) as error:
            raise _step_too_large(error) from error
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted completion-only loss of a batch of texts, computed by the wrapped model."""
        return model(batch=inputs["batch"])

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the loss of the held-out texts: the mean over their rows, whatever the parts and processes.

        transformers would take the mean of batches, and fill up the last one with other texts.
        """
        assert self.model is not None
        self.model.eval()
        texts = self.data_collator(list(self.eval_dataset))["texts"]  # type: ignore[arg-type]
        loss = cast(torch.Tensor, self.accelerator.reduce(self._share_of_heldout_loss(texts), "sum"))
        metrics = {"eval_loss": loss.item()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @torch.no_grad()
    def _share_of_heldout_loss(self, texts: Sequence[Encoded]) -> torch.Tensor:
        """Return what this process adds to the mean over rows; with weights in shards all compute equally often."""
        share, rows = texts[process_rank() :: world_size()], sum(map(len, texts))
        loss, at = torch.zeros((), device=self.args.device), 0
        while at < -(-len(texts) // world_size()):
            part = share[at : at + self.at_once]
            batch = Batch(part or (texts[:1] if self.accelerator.is_fsdp2 else ()), rows, counts=bool(part))
            try:
                loss = loss + cast(Any, self.model)(batch=batch) / world_size()
                at += self.at_once
            except (MemoryError, RuntimeError) as error:
                if self.accelerator.is_fsdp2:
                    raise _step_too_large(error) from error
                self.at_once = _fewer(self.at_once, error)
        return loss

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Compute an epoch; nothing of it where the loss had ceased to fall at the checkpoint that is resumed.

        transformers restores the count of ``EarlyStoppingCallback``, and clears the sign to stop that came of it.
        """
        stopping = [call for call in self.callback_handler.callbacks if isinstance(call, EarlyStoppingCallback)]
        if any(call.early_stopping_patience_counter >= call.early_stopping_patience for call in stopping):
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of whole batches: every process gets all texts of a step and takes its share.

        Else a batch that is no multiple of the processes would be filled up with texts of other steps.
        """
        loader = super().get_train_dataloader()
        if world_size() > 1:
            shard: Any = loader.batch_sampler
            shard.num_processes, shard.process_index, shard.even_batches = 1, 0, False
        return loader

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as transformers does: TRL would add token metrics, which only its own loss counts."""
        super(SFTTrainer, self).log(logs, start_time)


def refuse_other_shards(trainer: Trainer) -> None:
    """Refuse to train with weights in shards otherwise than by FSDP2 between cards.

    Raises:
        SaywhyError: With the configuration that does.
    """
    environment = {name: os.environ.get(name, "").lower() for name in ("ACCELERATE_USE_FSDP", *_FSDP2_NEEDS)}
    if environment["ACCELERATE_USE_FSDP"] != "true":
        return
    wrong = {name: value for name, value in _FSDP2_NEEDS.items() if environment[name] != value}
    if wrong or not trainer.accelerator.is_fsdp2:
        why = "".join(f"{name}={environment[name]} is not {value}, " for name, value in wrong.items())
        raise SaywhyError(
            f"training by FSDP: {why or 'weights are shared among cards, and here are none, '}start it with the "
            "configuration that 'saywhy accelerate-config' prints, fsdp2 or cpu"
        )


_FSDP2_NEEDS = {"FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}
"""What ``accelerate launch`` must have set: how trees can be computed is tried on whole weights, in every process."""


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """Return what was trained, put together from the shards of all processes, which all call this; None without shards.

    Returns: By name, on the CPU; in processes but the first it is empty.
    """
    if not trainer.accelerator.is_fsdp2:
        return None
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights = get_model_state_dict(cast(torch.nn.Module, trainer.model), options=options)
    return cast(dict[str, torch.Tensor], weights)


def _fewer(texts: int, error: BaseException) -> int:
    """Return how many texts to compute at once after ``error``; raise it again if it was not for want of memory."""
    if not is_out_of_memory(error):
        raise error
    if texts == 1:
        raise SaywhyError("the memory does not hold the training rows of one text: free some, or take a smaller model")
    say(f"out of memory: going on with {texts // 2} texts at once")
    return texts // 2


def _step_too_large(error: BaseException) -> SaywhyError:
    """Return what to do about a step with weights in shards that does not fit; raise another ``error`` again."""
    if not is_out_of_memory(error):
        raise error
    return SaywhyError(
        "the memory does not hold a step: lower per_device_train_batch_size, set "
        "trainer.gradient_checkpointing=true, or start more processes"
    )


@contextmanager
def readable_peer_errors() -> Iterator[None]:
    """Say in one line that a process is gone with which this one computes."""
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not (isinstance(error, torch.distributed.DistError) or "gloo" in str(error)):
            raise
        raise SaywhyError(
            "another process of this launch has ended during training: what was computed is kept, run the same "
            "command again"
        ) from error


@contextmanager
def connections_closed_at_exit() -> Iterator[None]:
    """Let this process close its connections to the others before it ends, if what it does within succeeds.

    gloo's threads may still hold tensors when the interpreter is taken down, and that aborts a process whose work is
    done (pytorch/pytorch#179291). After an error nothing is closed: it could wait for the others without end.
    """
    atexit.unregister(_close_connections)
    yield
    if world_size() > 1:
        atexit.register(_close_connections)


def _close_connections() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    # Threads end with their group, which cycles of the trained model may still hold.
    gc.collect()
