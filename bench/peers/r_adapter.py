"""A training step of R-Adapter as one writes it in PyTorch: a frozen open_clip model, linear adapters behind attention
and MLP of every block of both towers, dropped per sample, MPM-NCE, AdamW, a moving average."""

import math

import torch
import torch.nn.functional as F


class Adapter(torch.nn.Module):
    """y + s mask / (1 - p) F y, with a mask of one entry per sample."""

    def __init__(self, width, drop=0.2):
        super().__init__()
        self.linear = torch.nn.Linear(width, width, bias=False)
        torch.nn.init.zeros_(self.linear.weight)
        self.scale = torch.nn.Parameter(torch.tensor(0.1))
        self.drop = drop
        self.given_mask = None  # (samples) of 0 and 1, in the place of a drawn one

    def forward(self, y):
        mask = self.given_mask
        if mask is None:
            mask = torch.rand(y.shape[0], device=y.device) >= self.drop
        factor = (self.scale / (1 - self.drop)) * mask.to(y.dtype)
        return y + factor.view(-1, 1, 1).to(y.dtype) * self.linear(y)


def add_adapters(clip, drop=0.2):
    """Adapters behind both branches of every block, image tower first; open_clip's ls_1 and ls_2 are the places."""
    adapters = []
    for transformer in (clip.visual.transformer, clip.transformer):
        for block in transformer.resblocks:
            for place in ("ls_1", "ls_2"):
                adapter = Adapter(block.ln_1.weight.shape[0], drop)
                setattr(block, place, adapter)
                adapters.append(adapter)
    return adapters


def mpm_nce(image, text, groups, tau=0.01, margin=0.05, smoothing=0.02):
    """Cross entropy with soft targets over pairs of equal group, both directions, negatives raised by a margin."""
    same = (groups[:, None] == groups[None, :]).float()
    positives = same.sum(1, keepdim=True)
    targets = (1 - smoothing) * same / positives + smoothing * (1 - same) / (len(groups) - positives)
    logits = (image @ text.T + margin * (1 - same)) / tau
    rows = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
    columns = -(targets * F.log_softmax(logits.T, 1)).sum(1).mean()
    return (rows + columns) / 2


class Trainer:
    """`lr`: 0.5 (1 + cos(pi step / total)) base + minimum; no warm-up."""

    def __init__(self, clip, adapters, autocast=None, lr=5e-4, minimum=1e-6, total=1_000_000, momentum=0.999):
        self.clip, self.adapters, self.autocast = clip, adapters, autocast
        self.parameters = [p for a in adapters for p in a.parameters()]
        decayed = [p for p in self.parameters if p.ndim >= 2]
        scalars = [p for p in self.parameters if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": 0.0}, {"params": scalars, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, fused=True)
        self.average = [p.detach().clone() for p in self.parameters]
        self.lr, self.minimum, self.total, self.momentum, self.steps = lr, minimum, total, momentum, 0

    def step(self, pixels, ids, groups):
        """One step; (loss, norm of the gradients before clipping)."""
        rate = 0.5 * (1 + math.cos(math.pi * self.steps / self.total)) * self.lr + self.minimum
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(pixels.device.type, dtype=self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            image = self.clip.encode_image(pixels)
            text = self.clip.encode_text(ids)
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        loss = mpm_nce(image, text, groups)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - self.momentum)
        self.steps += 1
        return float(loss), float(norm)
