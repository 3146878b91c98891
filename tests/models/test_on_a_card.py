"""What a card would meet, without one: torch's device ``meta`` takes no tensors of another, and gives no numbers."""

import copy
import weakref
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainingArguments

import tiny
from saywhy.models import branches, forward, memory, precision, weights
from saywhy.models.branches import AttentionPlan
from saywhy.models.decode import Decoder, DecodeRequest
from saywhy.models.forward import FORWARD_WAYS, Forward
from saywhy.models.tree import build_tree, shared_prefix
from saywhy.records import SaywhyError
from saywhy.training.arguments import sft_arguments
from saywhy.training.encoding import Recipe
from saywhy.training.objectives import objective_of

PROMPTS = [(5, 6, 7, 8), (5, 6, 9), (5, 6, 7, 3, 2)]
TREES = FORWARD_WAYS[:-1]
"""Padded rows have a mask of transformers' own, which looks into the numbers."""
GIB = 2**30


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def elsewhere(request, monkeypatch):
    """Return a function from a way to a model on another device that is computed that way."""
    model = tiny.ARCHITECTURES["llama"](64).eval().to("meta", request.param)
    monkeypatch.setattr(Forward, "_choose", lambda self, name, ways: None)  # it compares numbers

    def computed_by(way):
        if way == "branches":
            branches.install_tree_attention(model)
        return Forward(model, "tiny", (way,))

    return computed_by


@pytest.mark.parametrize("way", TREES)
def test_hidden_states_stay_on_the_device(elsewhere, way):
    tree = build_tree(PROMPTS)
    hidden = elsewhere(way).states(tree)
    assert (hidden.device.type, tuple(hidden.shape)) == ("meta", (len(tree.tokens), 32))


def test_so_does_what_is_computed_behind_a_kept_beginning(elsewhere):
    computed = elsewhere("branches")
    shared = shared_prefix(PROMPTS)
    kept = computed.prefix(shared)
    hidden = computed.states(build_tree([ids[len(shared) :] for ids in PROMPTS]), kept)
    assert {hidden.device.type, kept.layers[0][0].device.type} == {"meta"}


def test_a_pool_of_keys_is_on_the_device(elsewhere, monkeypatch):
    devices = set()

    def best(self, hidden, step=512):
        devices.add(forward.logits(self.forward.model, hidden).argmax(-1).device.type)
        return [1] * len(hidden)

    monkeypatch.setattr(Decoder, "_best", best)
    replies = []
    decoder = Decoder(elsewhere("branches"), end=0, tokens=64, places=64)
    decoder.decode([DecodeRequest(ids, 3) for ids in PROMPTS], lambda index, ids, cut: replies.append(ids))
    assert (devices, replies) == ({"meta"}, [[1, 1, 1]] * 3)


@pytest.mark.parametrize("way", TREES)
def test_the_loss_of_a_training_step_is_on_the_device(elsewhere, way):
    rows = [{"ids": list(ids), "start": 2, "weights": [1.0] * (len(ids) - 2)} for ids in PROMPTS]
    loss = objective_of(Recipe())(elsewhere(way), [rows])
    loss.backward()
    assert loss.device.type == "meta"


@pytest.fixture
def sixteen(monkeypatch):
    """Let this machine have a card of 16 GiB of which torch has taken 10 and uses 4."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 * GIB, 16 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 10 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 4 * GIB)


def test_what_torch_keeps_unused_is_free_to_it(sixteen):
    assert memory.free_memory(torch.device("cuda")) == 12 * GIB


def test_what_was_computed_is_let_go_before_the_card_is_asked_to_free_memory(tiny_model, monkeypatch):
    """Frames of an error hold their tensors as long as it is handled."""
    freed, held = [], []

    class Held:
        pass

    def compute():
        value = Held()
        held.append(weakref.ref(value))
        if len(held) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 7

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(held[0]() is None))
    budget = memory.TokenBudget(tiny_model.model, 640)
    assert (budget.attempt(compute), budget.tokens, freed) == (7, 320, [True])


@pytest.mark.parametrize(
    ("device", "kernels"), [("cuda", [branches.CARD_KERNELS]), ("cpu", [])], ids=["card", "processor"]
)
def test_no_plan_is_made_for_every_shape_of_a_tree(monkeypatch, device, kernels):
    entered = []
    monkeypatch.setattr(branches, "sdpa_kernel", lambda chosen: entered.append(chosen) or torch.no_grad())
    plan = AttentionPlan(list(build_tree(PROMPTS).branches()), range(7), None, torch.device("cpu"))
    monkeypatch.setattr(plan, "back", SimpleNamespace(device=torch.device(device)))
    with branches.attending_by(plan):
        pass
    assert entered == kernels
    assert torch.nn.attention.SDPBackend.CUDNN_ATTENTION not in branches.CARD_KERNELS


def test_a_stack_is_no_larger_than_a_card_takes(tiny_model, monkeypatch):
    tree = build_tree([(5, 6, *more) for more in ((7, 1), (8, 1), (9, 1), (10, 1), (11, 1))])
    with torch.inference_mode():
        whole = tiny_model.forward.states(tree)
        monkeypatch.setattr(branches, "MOST_STACKED", 2)
        parts = tiny_model.forward.states(tree)
    stacks = list(branches._stacked(list(tree.branches())))
    assert max(map(len, stacks)) == 2
    assert torch.allclose(whole, parts, atol=1e-5)


def short(scale):
    """Return a random bfloat16 model whose logits are as large as those of real ones: they are rounded by 0.1."""
    torch.manual_seed(0)
    model = tiny.ARCHITECTURES["llama"](64).eval()
    model.lm_head.weight.data *= scale
    return model.to(torch.bfloat16)


def test_a_short_format_is_not_taken_for_a_wrong_answer():
    model = short(60.0)
    plain = Forward(copy.deepcopy(model), "tiny", ("rows",))
    computed = Forward(model, "tiny", ("branches",))
    with torch.inference_mode():
        largest = forward.logits(plain.model, plain.states(build_tree(PROMPTS))).abs().max().item()
    assert largest > 30
    assert computed.way == "branches"


def test_a_wrong_answer_in_a_short_format_is_refused(monkeypatch):
    monkeypatch.setattr(Forward, "_branches", lambda self, tree, prefix: Forward._rows(self, tree).roll(1, 0))
    with pytest.raises(SaywhyError, match="log-probabilities are off by"):
        Forward(short(60.0), "tiny", ("branches",))


def test_a_way_is_tried_in_exact_numbers_whatever_the_products(monkeypatch):
    formats = []
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    real = Forward._objection

    def objection(self, plain, probe):
        formats.append(torch.backends.cuda.matmul.fp32_precision)
        return real(self, plain, probe)

    monkeypatch.setattr(Forward, "_objection", objection)
    Forward(tiny.ARCHITECTURES["llama"](64).eval(), "tiny")
    formats.append(torch.backends.cuda.matmul.fp32_precision)
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    assert formats == ["ieee", "tf32"]


@pytest.mark.parametrize(
    ("capability", "products", "reason"),
    [
        ((9, 0), "TF32", "fast on this device; weights and sums stay float32"),
        ((7, 5), "float32", "this card has no units for shorter products"),
    ],
)
def test_what_a_card_multiplies_in_is_said(monkeypatch, capability, products, reason):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    chosen = precision.choose_precision("auto")
    assert (chosen.device, chosen.products, chosen.reason) == ("cuda", products, reason)
    assert torch.backends.cuda.matmul.fp32_precision == ("tf32" if products == "TF32" else "ieee")
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    tiny.exact_products()


def test_an_adapter_is_merged_in_exact_numbers_whatever_the_products(monkeypatch):
    formats = []

    class Adapted(torch.nn.Module):
        def merge_and_unload(self):
            formats.append(torch.backends.cuda.matmul.fp32_precision)

    monkeypatch.setattr(weights, "with_adapter", lambda *_: Adapted())
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    weights.merged(None, None)
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    assert formats == ["ieee"]


def test_more_processes_than_cards_are_one_line(monkeypatch):
    for name, value in {"WORLD_SIZE": 4, "RANK": 3, "LOCAL_RANK": 3, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SaywhyError, match="4 processes were started here, which see 1 graphics cards"):
        precision.choose_precision("auto")


def test_a_process_trains_on_one_card_however_many_it_sees(monkeypatch, tmp_path):
    """Several would be nn.DataParallel, which multiplies the batch, and which TRL refuses."""

    def sees_four(arguments):
        arguments.__dict__.setdefault("_n_gpu", 4)
        return torch.device("cpu")

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(sees_four))
    arguments = sft_arguments(Recipe(per_device_train_batch_size=3), tmp_path, 1)
    assert (arguments.n_gpu, arguments.train_batch_size) == (1, 3)
