"""The CPU build's kernels give what its layers compute without them."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: the layers of this one stay vLLM's.
_PROGRAM = """
import itertools
from types import SimpleNamespace
import torch
from vllm import forward_context
from vllm.config import DeviceConfig, VllmConfig, set_current_vllm_config
from sensorium.serving.engine.cpu_layers import use_cpu_kernels

assert use_cpu_kernels()
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.model_executor.layers.rotary_embedding.common import ApplyRotaryEmb
from vllm.model_executor.layers.rotary_embedding.mrope import MRotaryEmbedding

torch.manual_seed(0)
CLOSE = {torch.float32: 2e-6, torch.bfloat16: 2**-6}
tried = 0


def compare(ours, theirs):
    global tried
    tried += 1
    bound = CLOSE[ours.dtype]
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=bound, atol=bound)


def norms(dtype):
    for shape in ((0, 64), (1, 64), (7, 3, 24), (33, 192), (5, 20)):
        layer = RMSNorm(shape[-1], dtype=dtype)
        layer.weight.data.uniform_(0.5, 1.5)
        x, residual = (3 * torch.randn(shape, dtype=dtype) for _ in range(2))
        compare(layer.forward_cpu(x.clone()), layer.forward_native(x))
        added = layer.forward_cpu(x.clone(), residual.clone())
        for ours, theirs in zip(added, layer.forward_native(x, residual)):
            compare(ours, theirs)
        strided = torch.randn((*shape[:-1], 2 * shape[-1]), dtype=dtype)[..., : shape[-1]]
        before = strided.clone()
        compare(layer.forward_cpu(strided), layer.forward_native(before))
        compare(strided, before)


def rotations(dtype):
    for interleaved, neox, rotary in itertools.product((True, False), (True, False), (32, 16)):
        sections = [8, 4, 4] if rotary == 32 else [4, 2, 2]
        layer = MRotaryEmbedding(
            32, rotary, 128, 10000.0, neox, dtype, sections, mrope_interleaved=interleaved
        )
        for axes in (1, 3):
            shape = (11,) if axes == 1 else (3, 11)
            positions = torch.randint(0, 128, shape)
            both = torch.randn(11, 3 * 4 * 32, dtype=dtype)
            query, key, _ = both.split(4 * 32, dim=-1)
            theirs = layer.forward_native(positions, query.clone(), key.clone())
            for ours, other in zip(layer.forward_cpu(positions, query, key), theirs):
                compare(ours, other)


def next_pass():
    # The same tensor of positions, filled anew for the next forward pass.
    layer = MRotaryEmbedding(32, 32, 128, 10000.0, True, torch.float32, [8, 4, 4])
    positions = torch.randint(0, 60, (3, 11))
    query, key = torch.randn(11, 64), torch.randn(11, 64)
    for step in range(2):
        forward_context._forward_context = SimpleNamespace(step=step)
        positions += step
        theirs = layer.forward_native(positions, query.clone(), key.clone())
        for _ in range(2):
            ours = layer.forward_cpu(positions, query.clone(), key.clone())
            compare(ours[0], theirs[0])


def towers(dtype):
    for neox, shape in itertools.product((True, False), ((5, 2, 16), (2, 9, 3, 32), (2, 0, 3, 32))):
        layer = ApplyRotaryEmb(is_neox_style=neox)
        angles = 6 * torch.rand(shape[-3], shape[-1] // 2)
        x = torch.randn(shape, dtype=dtype).transpose(-2, -1).contiguous().transpose(-2, -1)
        before, halves = x.clone(), (angles.cos(), angles.sin())
        compare(layer.forward_cpu(x, *halves), layer.forward_native(x, *halves))
        compare(x, before)


def products(dtype):
    from vllm import _custom_ops

    weight, bias = torch.randn(48, 64, dtype=dtype), torch.randn(48, dtype=dtype)
    handler = _custom_ops.create_onednn_mm(weight.t())
    for shape in ((1, 64), (31, 64), (33, 64), (7, 11, 64), (255, 64), (1027, 64)):
        x = torch.randn(shape, dtype=dtype)
        for added in (None, bias):
            ours = _custom_ops.onednn_mm(handler, x, added)
            assert ours.is_contiguous()
            torch.testing.assert_close(
                ours, torch.nn.functional.linear(x, weight, added), rtol=1e-2, atol=1e-2
            )


with set_current_vllm_config(VllmConfig(device_config=DeviceConfig(device="cpu"))), torch.no_grad():
    for dtype in CLOSE:
        norms(dtype)
        rotations(dtype)
        products(dtype)
        towers(dtype)
    next_pass()
print("compared", tried)
"""


@pytest.mark.engine
def test_kernels_compute_what_the_layers_do() -> None:
    command = [sys.executable, "-P", "-c", _PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "compared 142", done.stdout
