"""Seeded inputs, and the JSON files that hold cases."""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Draws:
    """Random inputs on a grid of 1/1024: exact in float32, and short in a file."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, scale=1.0):
        return (torch.randn(shape, generator=self.generator) * scale * 1024).round() / 1024

    def uniform(self, *shape, low=0.0, high=1.0):
        return ((torch.rand(shape, generator=self.generator) * (high - low) + low) * 1024).round() / 1024

    def integers(self, high, *shape):
        return torch.randint(high, shape, generator=self.generator)


def leaf(value):
    """A copy that autograd differentiates by."""
    return value.detach().clone().requires_grad_()


def leaves(tensors):
    return {name: leaf(value) for name, value in tensors.items()}


def gradients(tensors, prefix="grad."):
    """What backward() left, and zeros where a tensor had no part in the result."""
    return {prefix + name: torch.zeros_like(t) if t.grad is None else t.grad for name, t in tensors.items()}


def prefixed(prefix, tensors):
    return {prefix + name: value for name, value in tensors.items()}


def case(family, name, **entries):
    """One case: numbers, words, and tensors. Names with dots come as a dictionary under `tensors`."""
    return {"family": family, "case": name, **entries.pop("tensors", {}), **entries}


def written(value):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.dim() == 0:
            return value.item()
        return {"shape": list(value.shape), "values": value.flatten().tolist()}
    return value


def write_cases(folder, name, cases):
    """One entry a line, so that a change is seen. Numbers are written with all their digits."""
    parts = []
    for one in cases:
        lines = [f"  {json.dumps(key)}: {json.dumps(written(value), allow_nan=False)}" for key, value in one.items()]
        parts.append(" {\n" + ",\n".join(lines) + "\n }")
    path = Path(folder) / name
    path.write_text('{"cases": [\n' + ",\n".join(parts) + "\n]}\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
