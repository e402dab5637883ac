"""A tiny random checkpoint of each old language model, in the layout its authors publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.families import legacy_tokenizers, tiny

__all__ = ["BUILDERS", "qwen_config", "qwen_state"]

State = dict[str, torch.Tensor]
WIDTH, INNER, LAYERS, HEADS = 128, 192, 3, 4


def _drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> State:
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        if len(shape) == 2:
            state[name] = tiny.draw(shape, seed + number, 1.5 / shape[1] ** 0.5)
        else:
            noise = tiny.draw(shape, seed + number, 0.1)
            state[name] = noise if name.endswith("bias") else 1 + noise
    return state


def qwen_state(seed: int, rows: int = 832) -> State:
    """Tensors under the names of QwenLM/Qwen, modeling_qwen.py."""
    shapes: dict[str, tuple[int, ...]] = {"transformer.wte.weight": (rows, WIDTH)}
    for layer in range(LAYERS):
        name = f"transformer.h.{layer}"
        shapes |= {
            f"{name}.ln_1.weight": (WIDTH,),
            f"{name}.attn.c_attn.weight": (3 * WIDTH, WIDTH),
            f"{name}.attn.c_attn.bias": (3 * WIDTH,),
            f"{name}.attn.c_proj.weight": (WIDTH, WIDTH),
            f"{name}.ln_2.weight": (WIDTH,),
            f"{name}.mlp.w1.weight": (INNER, WIDTH),
            f"{name}.mlp.w2.weight": (INNER, WIDTH),
            f"{name}.mlp.c_proj.weight": (WIDTH, INNER),
        }
    shapes |= {"transformer.ln_f.weight": (WIDTH,), "lm_head.weight": (rows, WIDTH)}
    return _drawn(shapes, seed)


def qwen_config(**changes: Any) -> dict[str, Any]:
    """config.json of Qwen-7B, small."""
    return {
        "architectures": ["QWenLMHeadModel"],
        "auto_map": {"AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"},
        "attn_dropout_prob": 0.0,
        "bf16": False,
        "emb_dropout_prob": 0.0,
        "fp16": False,
        "fp32": True,
        "hidden_size": WIDTH,
        "initializer_range": 0.02,
        "intermediate_size": 2 * INNER,
        "kv_channels": WIDTH // HEADS,
        "layer_norm_epsilon": 1e-6,
        "max_position_embeddings": 8192,
        "model_type": "qwen",
        "no_bias": True,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "onnx_safe": None,
        "rotary_emb_base": 10000,
        "rotary_pct": 1.0,
        "scale_attn_weights": True,
        "seq_length": 2048,
        "tie_word_embeddings": False,
        "tokenizer_class": "QWenTokenizer",
        "use_cache": True,
        "use_dynamic_ntk": True,
        "use_flash_attn": "auto",
        "use_logn_attn": True,
        "vocab_size": 832,
        **changes,
    }


def qwen(folder: Path) -> None:
    """Qwen-7B-Chat: two safetensors files with an index, the vocabulary padded."""
    from safetensors.torch import save_file

    state = qwen_state(1100)
    names = sorted(state)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    tiny.write_json(
        folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map}
    )
    tiny.write_json(folder / "config.json", qwen_config())
    tiny.write_json(
        folder / "generation_config.json",
        {"chat_format": "chatml", "eos_token_id": 556, "pad_token_id": 556},
    )
    legacy_tokenizers.qwen_tiktoken(folder)


def _llama_shapes(
    rows: int, *, packed: bool = False, bias: bool = False, groups: int = HEADS
) -> dict[str, tuple[int, ...]]:
    keys = groups * WIDTH // HEADS
    linears: dict[str, tuple[int, int]] = {
        "q_proj": (WIDTH, WIDTH),
        "k_proj": (keys, WIDTH),
        "v_proj": (keys, WIDTH),
    }
    if packed:
        linears = {"W_pack": (3 * WIDTH, WIDTH)}
    linears["o_proj"] = (WIDTH, WIDTH)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, WIDTH)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        for part, shape in linears.items():
            shapes[f"{name}.self_attn.{part}.weight"] = shape
            if bias:
                shapes[f"{name}.self_attn.{part}.bias"] = shape[:1]
        shapes |= {
            f"{name}.self_attn.rotary_emb.inv_freq": (WIDTH // HEADS // 2,),
            f"{name}.mlp.gate_proj.weight": (INNER, WIDTH),
            f"{name}.mlp.up_proj.weight": (INNER, WIDTH),
            f"{name}.mlp.down_proj.weight": (WIDTH, INNER),
            f"{name}.input_layernorm.weight": (WIDTH,),
            f"{name}.post_attention_layernorm.weight": (WIDTH,),
        }
    return {**shapes, "model.norm.weight": (WIDTH,), "lm_head.weight": (rows, WIDTH)}


def _llama_like(architecture: str, model_type: str, rows: int, **changes: Any) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "auto_map": {"AutoModelForCausalLM": f"modeling_{model_type}.{architecture}"},
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "max_position_embeddings": 2048,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "rms_norm_eps": 1e-6,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": rows,
        **changes,
    }


def internlm(folder: Path) -> None:
    """InternLM-chat-7b: biases, dynamic rotary positions, symbols in the sentencepiece model."""
    tiny.save_bin(folder, _drawn(_llama_shapes(704, bias=True), 1200))
    rotary = {"base": 10000, "type": "dynamic"}
    raw = _llama_like("InternLMForCausalLM", "internlm", 704, bias=True, rotary=rotary)
    tiny.write_json(folder / "config.json", raw)
    legacy_tokenizers.sentencepiece_model(folder, dummy_prefix=False, symbols=("<eoh>", "<eoa>"))


def baichuan(folder: Path) -> None:
    """Baichuan-7B: one file, q, k and v in `W_pack`, no BOS."""
    state = _drawn(_llama_shapes(640, packed=True), 1300)
    torch.save(state, folder / "pytorch_model.bin")
    tiny.write_json(folder / "config.json", _llama_like("BaiChuanForCausalLM", "baichuan", 640))
    legacy_tokenizers.sentencepiece_model(folder, dummy_prefix=True, bos=False)


def baichuan2(folder: Path) -> None:
    """Baichuan2-7B-Chat: a head whose rows are scaled, symbols for the speakers."""
    tiny.save_bin(folder, _drawn(_llama_shapes(640, packed=True), 1400))
    raw = _llama_like(
        "BaichuanForCausalLM", "baichuan", 640, model_max_length=2048, z_loss_weight=0
    )
    tiny.write_json(folder / "config.json", raw)
    tiny.write_json(
        folder / "generation_config.json",
        {"user_token_id": 3, "assistant_token_id": 4, "eos_token_id": 2},
    )
    symbols = ("<reserved_106>", "<reserved_107>")
    legacy_tokenizers.sentencepiece_model(folder, dummy_prefix=False, symbols=symbols, bos=False)


def xverse(folder: Path) -> None:
    """XVERSE-13B-Chat: Llama's names, a tokenizer.json."""
    tiny.save_bin(folder, _drawn(_llama_shapes(640), 1500))
    raw = _llama_like("XverseForCausalLM", "xverse", 640, bos_token_id=2, eos_token_id=3)
    tiny.write_json(folder / "config.json", {**raw, "max_tokenizer_truncation": 1024})
    legacy_tokenizers.xverse_tokenizer(folder)


def aquila(folder: Path) -> None:
    """AquilaChat2-34B in small: grouped keys, GPT-2's tokenizer files."""
    tiny.save_bin(folder, _drawn(_llama_shapes(640, groups=2), 1600))
    raw = _llama_like("AquilaForCausalLM", "aquila", 640, num_key_value_heads=2)
    tiny.write_json(folder / "config.json", {**raw, "bos_token_id": 563, "eos_token_id": 564})
    legacy_tokenizers.aquila_tokenizer(folder)


# Which model-parallel file holds what of a tensor: rows, columns, or all of it.
_ROWS = ("wq", "wk", "wv", "w1", "w3", "output")
_COLUMNS = ("wo", "w2", "tok_embeddings")


def meta(folder: Path) -> None:
    """Llama 2 13B in small: params.json and two model-parallel files."""
    multiple = 32
    inner = multiple * ((int(2 * 4 * WIDTH / 3) + multiple - 1) // multiple)
    shapes: dict[str, tuple[int, ...]] = {"tok_embeddings.weight": (640, WIDTH)}
    for layer in range(LAYERS):
        name = f"layers.{layer}"
        for part in ("wq", "wk", "wv", "wo"):
            shapes[f"{name}.attention.{part}.weight"] = (WIDTH, WIDTH)
        shapes |= {
            f"{name}.feed_forward.w1.weight": (inner, WIDTH),
            f"{name}.feed_forward.w2.weight": (WIDTH, inner),
            f"{name}.feed_forward.w3.weight": (inner, WIDTH),
            f"{name}.attention_norm.weight": (WIDTH,),
            f"{name}.ffn_norm.weight": (WIDTH,),
        }
    shapes |= {"norm.weight": (WIDTH,), "output.weight": (640, WIDTH)}
    state = _drawn(shapes, 1700)
    state["rope.freqs"] = tiny.draw((WIDTH // HEADS // 2,), 1799)
    for rank in range(2):
        torch.save(
            {name: _shard(name, value, rank) for name, value in state.items()},
            folder / f"consolidated.{rank:02d}.pth",
        )
    params = {"dim": WIDTH, "multiple_of": multiple, "n_heads": HEADS, "n_layers": LAYERS}
    tiny.write_json(folder / "params.json", {**params, "norm_eps": 1e-5, "vocab_size": -1})
    legacy_tokenizers.sentencepiece_model(folder, dummy_prefix=True)


def _shard(name: str, value: torch.Tensor, rank: int) -> torch.Tensor:
    part = name.split(".")[-2] if "." in name else name
    if part in _ROWS:
        return value.chunk(2, dim=0)[rank].clone()
    if part in _COLUMNS:
        return value.chunk(2, dim=1)[rank].clone()
    return value.clone()


BUILDERS = {
    "qwen": qwen,
    "internlm": internlm,
    "baichuan": baichuan,
    "baichuan2": baichuan2,
    "xverse": xverse,
    "aquila": aquila,
    "meta": meta,
}
