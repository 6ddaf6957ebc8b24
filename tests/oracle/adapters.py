"""Adapters: AdaptFormer (methods.md 7.6) in the second half of a block (0.2), and RepAdapter (7.8)."""

import torch
from torch.nn.functional import conv1d, gelu, layer_norm

from case_file import Draws, case, gradients, leaves


def activated(u, activation):
    return u * torch.sigmoid(1.702 * u) if activation == "quick_gelu" else gelu(u)


def exact(scale):
    """In float32 as well, where 0.1 is not."""
    return torch.tensor(scale).float().double().item()


def adapt_former_case(name, draws, tokens, width, hidden, bottleneck, activation, scale=0.1, at_the_start=False):
    """y = x + FFN(LN2(x)) + s Up(ReLU(Down(x))): x is the stream after attention, without a norm for the adapter."""
    w = {
        "ln_2.weight": 1 + draws.normal(width, scale=0.2),
        "ln_2.bias": draws.normal(width, scale=0.2),
        "mlp.c_fc.weight": draws.normal(hidden, width, scale=0.4),
        "mlp.c_fc.bias": draws.normal(hidden, scale=0.2),
        "mlp.c_proj.weight": draws.normal(width, hidden, scale=0.4),
        "mlp.c_proj.bias": draws.normal(width, scale=0.2),
        "mlp.parallel_adapter.down.weight": draws.normal(bottleneck, width, scale=0.5),
        "mlp.parallel_adapter.down.bias": draws.normal(bottleneck, scale=0.2),
        "mlp.parallel_adapter.up.weight": draws.normal(width, bottleneck, scale=0.5),
        "mlp.parallel_adapter.up.bias": draws.normal(width, scale=0.2),
    }
    if at_the_start:
        for n in ("down.bias", "up.weight", "up.bias"):
            w["mlp.parallel_adapter." + n] *= 0
    x, dy, scale = draws.normal(tokens, width), draws.normal(tokens, width), exact(scale)
    t = leaves(w | {"x": x})

    def linear(u, layer):
        return u @ t[layer + ".weight"].T + t[layer + ".bias"]

    u = layer_norm(t["x"], (width,), t["ln_2.weight"], t["ln_2.bias"], 1e-5)
    mlp = linear(activated(linear(u, "mlp.c_fc"), activation), "mlp.c_proj")
    branch = linear(torch.relu(linear(t["x"], "mlp.parallel_adapter.down")), "mlp.parallel_adapter.up")
    y = t["x"] + mlp + scale * branch
    (y * dy).sum().backward()
    return case(
        "adapt_former",
        name,
        activation=activation,
        x=x,
        dy=dy,
        y=y,
        tensors=w | {"mlp.parallel_adapter.scale": scale} | gradients(t),
    )


def adapt_former_cases():
    draws = Draws(6)
    return [
        adapt_former_case("a block", draws, 6, 8, 16, 3, "quick_gelu"),
        adapt_former_case("odd widths", draws, 5, 5, 7, 2, "gelu", scale=0.75),
        adapt_former_case("at the start", draws, 3, 5, 7, 2, "gelu", at_the_start=True),
        adapt_former_case("one token", draws, 1, 8, 16, 3, "quick_gelu"),
    ]


def rep_adapter_case(name, draws, tokens, d_in, d_out, hidden, groups, scale, alpha, at_the_start=False):
    """y = W (s conv_B(conv_A(x)) + x) + b with convolutions of one tap, conv_B in groups.

    Merged in the row layout: W' = (alpha s A B + 1) W and b' = b + alpha s (a B + beta) W, with A (d_in, hidden) and
    B (hidden, d_in) written out; alpha is 1 in the source and weights the adapter here as everywhere. Alpha does not
    take part in y and its gradients.
    """
    w = {
        "weight": draws.normal(d_out, d_in, scale=0.5),
        "bias": draws.normal(d_out, scale=0.5),
        "conv_A.weight": draws.normal(hidden, d_in, scale=0.5),
        "conv_A.bias": draws.normal(hidden, scale=0.5),
        "conv_B.weight": draws.normal(d_in, hidden // groups, scale=0.5),
        "conv_B.bias": draws.normal(d_in, scale=0.5),
    }
    if at_the_start:
        for n in ("conv_A.bias", "conv_B.weight", "conv_B.bias"):
            w[n] *= 0
    x, dy = draws.normal(tokens, d_in), draws.normal(tokens, d_out)
    t = leaves(w | {"x": x})
    columns = t["x"].T[None]  # (1, d_in, tokens)
    branch = conv1d(columns, t["conv_A.weight"][:, :, None], t["conv_A.bias"])
    branch = conv1d(branch, t["conv_B.weight"][:, :, None], t["conv_B.bias"], groups=groups)
    y = (branch * scale + columns)[0].T @ t["weight"].T + t["bias"]
    (y * dy).sum().backward()

    # A and B as what the convolutions make of unit rows without their biases.
    with torch.no_grad():
        a_row = conv1d(torch.eye(d_in)[:, :, None], w["conv_A.weight"][:, :, None])[:, :, 0]
        b_row = conv1d(torch.eye(hidden)[:, :, None], w["conv_B.weight"][:, :, None], groups=groups)[:, :, 0]
        w_row = w["weight"].T
        merged = ((alpha * scale * a_row @ b_row + torch.eye(d_in)) @ w_row).T
        merged_bias = w["bias"] + alpha * scale * (w["conv_A.bias"] @ b_row + w["conv_B.bias"]) @ w_row
        if alpha == 1.0:
            assert (x @ merged.T + merged_bias - y).abs().max() < 1e-13
    return case(
        "rep_adapter",
        name,
        groups=groups,
        alpha=alpha,
        x=x,
        dy=dy,
        y=y,
        merged_weight=merged,
        merged_bias=merged_bias,
        tensors=w | {"adapter_scale": scale} | gradients(t),
    )


def rep_adapter_cases():
    draws = Draws(7)
    return [
        rep_adapter_case("two groups", draws, 5, 6, 5, 6, 2, 1.0, 1.0),
        rep_adapter_case("scaled, half merged", draws, 3, 6, 5, 6, 2, 0.625, 0.5),
        rep_adapter_case("negative scale", draws, 4, 6, 5, 6, 2, -1.5, 1.0),
        rep_adapter_case("at the start", draws, 2, 6, 5, 6, 2, 1.0, 1.0, at_the_start=True),
        rep_adapter_case("one token, not merged", draws, 1, 6, 5, 6, 2, 1.0, 0.0),
    ]
