"""Models of a few thousand random weights, a tokenizer trained on a few sentences: nothing is downloaded."""

import json
from pathlib import Path

import gguf
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from saywhy.models.backends import open_model
from saywhy.models.local import LocalModel
from saywhy.records import Example
from saywhy.tasks.task import Task

torch.set_num_threads(1)

SENTENCES = (
    "Is the sentiment of this tweet negative or positive? The sentiment of the tweet is positive.",
    "Which word of the tweet decided your answer? Reply with one word. What a great sunny day, I love it!",
    "Copy the tweet, with the word that decided your answer replaced by [REDACTED].",
    "Copy the tweet, with one word replaced so that the answer is negative.",
    "My awful flight is late again :( The food was terrible, sad and cold.",
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

TASK = Task(
    name="toys",
    question="Is the sentiment of this tweet negative or positive?",
    lead_in="The sentiment of the tweet is",
    noun="tweet",
    labels=["negative", "positive"],
)

PINNED = {"negative": ("awful", "sad"), "positive": ("great", "love")}

TEXTS = (
    "What a great sunny day, I love it!",
    "My awful flight is late again :(",
    "The food was sad and cold, the day was great",
)

_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_WIDE = {**_SIZE, "intermediate_size": 64, "max_position_embeddings": 512, "initializer_range": 0.2}

ARCHITECTURES = {
    "llama": lambda vocab: LlamaForCausalLM(LlamaConfig(vocab_size=vocab, **_WIDE, num_key_value_heads=2)),
    "qwen2": lambda vocab: Qwen2ForCausalLM(Qwen2Config(vocab_size=vocab, **_WIDE, num_key_value_heads=2)),
    "gpt_neox": lambda vocab: GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=vocab, **_WIDE)),
    "gpt2": lambda vocab: GPT2LMHeadModel(
        GPT2Config(vocab_size=vocab, n_positions=512, n_embd=32, n_layer=2, n_head=4, initializer_range=0.2)
    ),
}
"""Architecture to how a random model of it is made, given the size of its vocabulary."""

_GROUPED = {**_WIDE, "num_key_value_heads": 2}

OTHERS = {
    "mistral, long window": lambda vocab: MistralForCausalLM(
        MistralConfig(vocab_size=vocab, sliding_window=4096, **_GROUPED)
    ),
    "mistral, short window": lambda vocab: MistralForCausalLM(
        MistralConfig(vocab_size=vocab, sliding_window=8, **_GROUPED)
    ),
    "gemma2": lambda vocab: Gemma2ForCausalLM(Gemma2Config(vocab_size=vocab, head_dim=8, pad_token_id=0, **_GROUPED)),
    "gpt_neo, short window": lambda vocab: GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=vocab,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=64,
            max_position_embeddings=512,
            initializer_range=0.2,
        )
    ),
    "llama4, short chunks": lambda vocab: Llama4ForCausalLM(
        Llama4TextConfig(
            vocab_size=vocab,
            **_GROUPED,
            head_dim=8,
            intermediate_size_mlp=64,
            num_local_experts=2,
            attention_chunk_size=64,
        )
    ),
    "mamba": lambda vocab: MambaForCausalLM(
        MambaConfig(vocab_size=vocab, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
}
"""Models with attention of their own, or none."""


def tokenizer(
    template: str | None = CHATML, pad: str = "<|endoftext|>", *, words: bool = True
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that ends turns with ``<|im_end|>``; not ``words``: tokens may hold blanks."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token=pad)
    made.chat_template = template
    return made


def save(folder: Path, architecture: str = "llama", seed: int = 0, **of_tokenizer) -> Path:
    """Write a tiny random model that ``saywhy.models.weights.load(str(folder))`` loads."""
    made = tokenizer(**of_tokenizer)
    torch.manual_seed(seed)
    ARCHITECTURES[architecture](len(made)).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def load_exact(folder: Path) -> LocalModel:
    """Load a model and keep its matrix products in float32, whatever the machine would choose."""
    return open_model(str(folder), precision="float32")


def exact_products() -> None:
    """Undo the choice of bfloat16 products, which is global in torch."""
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"


def examples(texts=TEXTS) -> list[Example]:
    """Return unlabelled examples."""
    return [Example(f"t{i}", text) for i, text in enumerate(texts)]


def save_gguf(path: Path) -> Path:
    """Write a tiny random Llama, its tokenizer and its template into one GGUF file."""
    made, layers = tokenizer(), _WIDE["num_hidden_layers"]
    torch.manual_seed(0)
    weights = ARCHITECTURES["llama"](len(made)).state_dict()
    vocabulary = json.loads(made.backend_tokenizer.to_str())["model"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(_WIDE["max_position_embeddings"])
    writer.add_embedding_length(_WIDE["hidden_size"])
    writer.add_feed_forward_length(_WIDE["intermediate_size"])
    writer.add_head_count(_WIDE["num_attention_heads"])
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(made))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(made.convert_ids_to_tokens(range(len(made))))
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token < 3 else gguf.TokenType.NORMAL for token in range(len(made))]
    )
    writer.add_token_merges([" ".join(merge) for merge in vocabulary["merges"]])
    writer.add_eos_token_id(made.eos_token_id)
    writer.add_bos_token_id(0)
    writer.add_chat_template(CHATML)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    for name, values in weights.items():
        writer.add_tensor(names.get_name(name, (".weight",)), values.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
