"""Methods on features: CLIP-Adapter (methods.md 7.7), Tip-Adapter and Tip-Adapter-F (7.9)."""

import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

from case_file import Draws, case, gradients, leaf

# ------------------------------------------------------------------------------------------------------ CLIP-Adapter


def clip_adapter_case(name, f, w1, w2, head, labels, percent, scale):
    """A(f) = ReLU(W2 ReLU(W1 f)), mixed with f before either is normalised; W1 (hidden, d) and W2 (d, hidden) train."""
    w1, w2, rho = leaf(w1), leaf(w2), percent / 100
    adapted = torch.relu(torch.relu(f @ w1.T) @ w2.T)
    mixed = rho * adapted + (1 - rho) * f
    logits = scale * (mixed / mixed.norm(dim=1, keepdim=True)) @ head.T
    loss = cross_entropy(logits, labels)
    loss.backward()
    return case(
        "clip_adapter",
        name,
        features=f,
        w1=w1,
        w2=w2,
        head=head,
        labels=labels,
        percent=percent,
        scale=scale,
        logits=logits,
        loss=loss,
        tensors=gradients({"w1": w1, "w2": w2}),
    )


def clip_adapter_cases():
    draws = Draws(8)

    def one(name, samples, embed, hidden, classes, percent, scale, first=1.0):
        return clip_adapter_case(
            name,
            draws.normal(samples, embed),
            draws.normal(hidden, embed) * first,
            draws.normal(embed, hidden),
            draws.normal(classes, embed, scale=0.5),
            draws.integers(classes, samples),
            percent,
            scale,
        )

    return [
        one("released share", 6, 8, 2, 3, 20, 10.0),
        one("odd widths, another share", 5, 7, 3, 4, 45, 4.0),
        one("one sample", 1, 8, 2, 3, 20, 3.0),
        one("an adapter of zeros", 4, 7, 3, 4, 45, 4.0, first=0.0),
    ]


# ------------------------------------------------------------------------------------------------------- Tip-Adapter


def keys_case(name, draws, passes, samples, embed):
    """Normalised features, their mean over the passes, normalised again. The library has this in float32."""
    f = draws.normal(passes, samples, embed, scale=2.0)
    return case("keys", name, features=f, keys=normalize(normalize(f, dim=2).mean(0), dim=1))


def tip_logits(f, keys, one_hot_labels, head, alpha, beta, scale):
    f = normalize(f, dim=1)
    votes = torch.exp(-beta * (1 - f @ keys.T)) @ one_hot_labels
    return scale * f @ head.T + alpha * votes if len(head) else alpha * votes


def logits_case(name, draws, samples, embed, classes, shots, alpha, beta, scale, with_head=True):
    f, keys = draws.normal(samples, embed, scale=2.0), normalize(draws.normal(shots, embed), dim=1).float().double()
    head = normalize(draws.normal(classes, embed), dim=1).float().double() if with_head else torch.zeros(0, embed)
    labels = draws.integers(classes, shots)
    values = one_hot(labels, classes).double()
    return case(
        "logits",
        name,
        features=f,
        keys=keys,
        head=head,
        labels=labels,
        classes=classes,
        alpha=alpha,
        beta=beta,
        scale=scale,
        logits=tip_logits(f, keys, values, head, alpha, beta, scale),
    )


def trained_case(name, draws, samples, embed, classes, alpha, beta, scale, epochs, lr, weight_decay=0.01):
    """Tip-Adapter-F on the cache's own samples in one batch: AdamW with eps 1e-4, cosine to zero, one step an epoch."""
    f, labels = draws.normal(samples, embed), draws.integers(classes, samples)
    first = normalize(f, dim=1).float().double()
    head = normalize(draws.normal(classes, embed), dim=1).float().double()
    keys, values = leaf(first), one_hot(labels, classes).double()
    optimizer = torch.optim.AdamW([keys], lr=lr, eps=1e-4, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    losses, gradient = [], None
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = cross_entropy(tip_logits(f, keys, values, head, alpha, beta, scale), labels)
        loss.backward()
        gradient = keys.grad.clone() if gradient is None else gradient
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return case(
        "trained",
        name,
        features=f,
        labels=labels,
        keys=first,
        head=head,
        classes=classes,
        alpha=alpha,
        beta=beta,
        scale=scale,
        epochs=epochs,
        lr=lr,
        weight_decay=weight_decay,
        first_gradient=gradient,
        losses=torch.stack(losses),
        trained_keys=keys,
    )


def tip_adapter_cases():
    draws = Draws(9)
    return [
        keys_case("ten passes", draws, 10, 3, 5),
        keys_case("one pass", draws, 1, 4, 6),
        logits_case("released numbers", draws, 4, 8, 3, 6, 1.17, 1.0, 100.0),
        logits_case("odd widths, sharp", draws, 5, 7, 4, 9, 2.5, 5.5, 10.0),
        logits_case("the cache alone", draws, 3, 5, 3, 4, 1.0, 3.0, 100.0, with_head=False),
        logits_case("one key, one class", draws, 2, 5, 1, 1, 1.17, 1.0, 100.0),
        logits_case("no votes", draws, 3, 7, 3, 5, 0.0, 1.0, 100.0),
        trained_case("released rate", draws, 6, 5, 3, 1.17, 1.0, 20.0, 5, 1e-3),
        trained_case("larger steps", draws, 9, 7, 4, 3.0, 2.5, 10.0, 6, 2e-2, weight_decay=0.125),
    ]
