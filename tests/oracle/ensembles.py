"""Ensembles: TPGM (methods.md 7.14), model soups (7.10), and the mixture of two models' outputs (7.16).

The model of most cases is logits = head(gelu(layer(x))) on four numbers, gelu with erf.
"""

import torch
from torch.nn.functional import cross_entropy, gelu

from case_file import Draws, case, leaf, prefixed

WIDTH, HIDDEN = 4, 6


def model(draws, classes, scale=0.7):
    return {
        "layer.weight": draws.normal(HIDDEN, WIDTH, scale=scale),
        "layer.bias": draws.normal(HIDDEN, scale=scale),
        "head.weight": draws.normal(classes, HIDDEN, scale=scale),
        "head.bias": draws.normal(classes, scale=scale),
    }


def moved(draws, tensors, scale):
    return {name: value + draws.normal(*value.shape, scale=scale) for name, value in tensors.items()}


def logits(tensors, x):
    return gelu(x @ tensors["layer.weight"].T + tensors["layer.bias"]) @ tensors["head.weight"].T + tensors["head.bias"]


# ------------------------------------------------------------------------------------------------------------- TPGM


def sizes(step, norm):
    """One number for the tensor, or one for each row: the sum of |.| over all dimensions but the first."""
    if norm == "l2":
        return (step * step).sum().sqrt()
    return step.abs().reshape(len(step), -1).sum(1)


def projected(anchor, tuned, radius, norm):
    """anchor + min(1, max(0, radius / (size + 1e-8))) (tuned - anchor), for radii of at least 0.

    Section 10 asks for the tuned value itself at a radius of the size, where the formula stays 1e-8 / size short of it;
    the derivative there is the formula's. At a radius of 0 it is the one from the right: radii are never below.
    """
    step = tuned - anchor
    size = sizes(step, norm)
    ratio = torch.clamp(radius / (size + 1e-8), max=1.0)
    ratio = ratio + torch.where(radius >= size, 1 - ratio, torch.zeros(())).detach()
    if norm == "mars":
        ratio = ratio.reshape(-1, *[1] * (step.dim() - 1))
    return anchor + ratio * step


def projection_case(name, draws, classes, norm, shares):
    """Radii are shares of the largest norm of each tensor; the last tensor of the model is not tuned at all."""
    anchor = model(draws, classes)
    tuned = moved(draws, anchor, 0.5)
    tuned["head.bias"] = anchor["head.bias"].clone()
    upstream = model(draws, classes, 1.0)
    radii = [
        leaf(share * sizes(tuned[n] - anchor[n], norm).max() + (0.25 if n == "head.bias" else 0.0))
        for n, share in zip(anchor, shares)
    ]
    out = {n: projected(anchor[n], tuned[n], r, norm) for n, r in zip(anchor, radii)}
    sum((out[n] * upstream[n]).sum() for n in anchor).backward()
    return case(
        "projection",
        name,
        norm=norm,
        classes=classes,
        radii=torch.stack([r.detach() for r in radii]),
        dradii=torch.stack([r.grad for r in radii]),
        tensors=prefixed("anchor.", anchor)
        | prefixed("tuned.", tuned)
        | prefixed("dprojected.", upstream)
        | prefixed("projected.", out),
    )


def learning_case(name, draws, classes, norm, iterations, lr, excluded=()):
    """Held-out loss: a weighted square around a target, sum of curvature (theta - target)^2 / 2."""
    anchor = model(draws, classes)
    tuned = moved(draws, anchor, 0.4)
    target = {
        n: (1 - t) * anchor[n] + t * tuned[n] + draws.normal(*anchor[n].shape, scale=0.1)
        for n, t in zip(anchor, (0.25, 1.5, 0.75, -0.5))
    }
    curvature = {n: draws.uniform(*value.shape, low=0.5, high=2.0) for n, value in anchor.items()}
    learned = [n for n in anchor if n not in excluded]
    steps = {n: sizes(tuned[n] - anchor[n], norm) for n in anchor}
    radii = {n: leaf(steps[n].min() / 2) for n in learned}
    optimizer = torch.optim.Adam(list(radii.values()), lr=lr)

    def weights():
        return {n: projected(anchor[n], tuned[n], radii[n], norm) if n in learned else tuned[n] for n in anchor}

    losses = []
    for _ in range(iterations):
        optimizer.zero_grad()
        at = weights()
        loss = sum((curvature[n] * (at[n] - target[n]) ** 2).sum() / 2 for n in anchor)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        with torch.no_grad():
            for n in learned:
                radii[n].clamp_(1e-8, steps[n].max().item())
    return case(
        "learning",
        name,
        norm=norm,
        classes=classes,
        iterations=iterations,
        lr=lr,
        excluded=list(excluded),
        losses=torch.stack(losses),
        radii=torch.stack([radii[n] if n in learned else steps[n].max() for n in anchor]),
        tensors=prefixed("anchor.", anchor)
        | prefixed("tuned.", tuned)
        | prefixed("target.", target)
        | prefixed("curvature.", curvature)
        | prefixed("projected.", weights()),
    )


def tpgm_cases():
    draws = Draws(1)
    return [
        projection_case("l2", draws, 3, "l2", (0.3, 0.8, 1.5, 0.0)),
        projection_case("l2 at zero", draws, 5, "l2", (0.0, 1.0625, 0.5, 0.0)),
        projection_case("mars, rows on both sides", draws, 3, "mars", (0.6, 0.4, 0.8, 0.0)),
        projection_case("mars at zero", draws, 5, "mars", (0.0, 2.0, 0.05, 0.0)),
        learning_case("l2", draws, 3, "l2", 12, 1e-2),
        learning_case("l2 until the radii are clamped", draws, 5, "l2", 15, 0.1),
        learning_case("mars", draws, 3, "mars", 12, 1e-2),
        learning_case("mars until the radii are clamped", draws, 5, "mars", 15, 0.1, ("head.weight",)),
    ]


# ------------------------------------------------------------------------------------------------------------ soups


def uniform_case(name, draws, models, classes):
    all_models = [model(draws, classes) for _ in range(models)]
    mean = {n: sum(m[n] for m in all_models) / models for n in all_models[0]}
    tensors = prefixed("mean.", mean)
    for k, m in enumerate(all_models):
        tensors |= prefixed(f"model_{k}.", m)
    return case("uniform", name, classes=classes, models=models, tensors=tensors)


def accuracy(weights, x, labels):
    z = x @ weights["weight"].T + weights["bias"]
    best = z.topk(2, 1).values
    assert (best[:, 0] - best[:, 1]).min() > 1e-6, "rounding must not decide a class"
    return (z.argmax(1) == labels).sum().item() / len(labels)


def greedy_case(name, models, x, labels):
    """The current mean and the number of models in it; each next model is mixed in with 1 / (n + 1)."""
    alone = [accuracy(m, x, labels) for m in models]
    order = sorted(range(len(models)), key=lambda m: alone[m], reverse=True)
    current, score, n = dict(models[order[0]]), alone[order[0]], 1
    turns = [(order[0], score, score, True)]
    for m in order[1:]:
        mixed = {t: n / (n + 1) * current[t] + 1 / (n + 1) * models[m][t] for t in current}
        reached = accuracy(mixed, x, labels)
        turns.append((m, alone[m], reached, reached > score))
        if reached > score:
            current, score, n = mixed, reached, n + 1
    tensors = prefixed("soup.", current)
    for k, m in enumerate(models):
        tensors |= prefixed(f"model_{k}.", m)
    return case(
        "greedy",
        name,
        classes=len(models[0]["bias"]),
        models=len(models),
        x=x,
        labels=labels,
        score=score,
        order=[t[0] for t in turns],
        alone=[t[1] for t in turns],
        reached=[t[2] for t in turns],
        kept=[int(t[3]) for t in turns],
        tensors=tensors,
    )


def greedy_models(draws, classes, models, samples, noise):
    """Heads around one that made the labels."""
    truth = {"weight": draws.normal(classes, WIDTH), "bias": draws.normal(classes, scale=0.2)}
    x = draws.normal(samples, WIDTH)
    labels = (x @ truth["weight"].T + truth["bias"]).argmax(1)
    return [moved(draws, truth, noise) for _ in range(models)], x, labels


def learned_case(name, draws, models, classes, samples, iterations, lr, weight_decay=0.0, learns_logit_scale=True):
    """Shares are the softmax of numbers that begin at zero; the logit scale begins at 1 and multiplies the logits."""
    first = model(draws, classes)
    all_models = [moved(draws, first, 0.5) for _ in range(models)]
    x, labels = draws.normal(samples, WIDTH), draws.integers(classes, samples)
    raw = leaf(torch.zeros(len(first), models))
    scale = leaf(torch.ones(())) if learns_logit_scale else torch.ones(())
    optimizer = torch.optim.AdamW([raw, scale] if learns_logit_scale else [raw], lr=lr, weight_decay=weight_decay)

    def mixture():
        shares = torch.softmax(raw, 1)
        return {n: sum(shares[j, m] * all_models[m][n] for m in range(models)) for j, n in enumerate(first)}

    losses = []
    for _ in range(iterations):
        optimizer.zero_grad()
        loss = cross_entropy(scale * logits(mixture(), x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    tensors = prefixed("mixture.", mixture())
    for k, m in enumerate(all_models):
        tensors |= prefixed(f"model_{k}.", m)
    return case(
        "learned",
        name,
        classes=classes,
        models=models,
        x=x,
        labels=labels,
        iterations=iterations,
        lr=lr,
        weight_decay=weight_decay,
        learns_logit_scale=int(learns_logit_scale),
        losses=torch.stack(losses),
        shares=torch.softmax(raw, 1),
        logit_scale=scale,
        tensors=tensors,
    )


def soup_cases():
    draws = Draws(2)
    cases = [uniform_case("one", draws, 1, 3), uniform_case("three", draws, 3, 3), uniform_case("seven", draws, 7, 2)]
    mixed = greedy_case("some are kept", *greedy_models(Draws(13), 3, 6, 41, 1.3))
    # The second model leaves the score where it is, and so does the fourth: neither is kept.
    assert mixed["kept"] == [1, 0, 1, 0, 1, 1] and mixed["reached"][0] == mixed["reached"][1]
    models, x, labels = greedy_models(draws, 5, 1, 9, 0.5)
    equal = dict(models[0])
    cases += [
        mixed,
        greedy_case("one", models, x, labels),
        greedy_case("equal models", [models[0], equal, equal], x, labels),
    ]
    return cases


def learned_soup_cases():
    draws = Draws(11)
    return [
        learned_case("three models", draws, 3, 3, 9, 5, 0.05),
        learned_case("with weight decay", draws, 2, 5, 11, 4, 0.05, weight_decay=0.1),
        learned_case("at a logit scale of one", draws, 2, 3, 7, 4, 0.05, learns_logit_scale=False),
        learned_case("one model", draws, 1, 2, 5, 3, 0.05),
    ]


# ----------------------------------------------------------------------------------------------------------- outputs


def output_case(name, tuned, zero_shot, alpha, tuned_temperature=1.0, zero_shot_temperature=1.0):
    p, q = torch.softmax(tuned / tuned_temperature, 1), torch.softmax(zero_shot / zero_shot_temperature, 1)
    return case(
        "output_ensemble",
        name,
        tuned=tuned,
        zero_shot=zero_shot,
        alpha=alpha,
        tuned_temperature=tuned_temperature,
        zero_shot_temperature=zero_shot_temperature,
        mixture=alpha * p + (1 - alpha) * q,
    )


def output_ensemble_cases():
    draws = Draws(3)

    def z(rows, classes, scale=3.0):
        return draws.normal(rows, classes, scale=scale)

    return [
        output_case("middle", z(5, 3), z(5, 3), 0.5),
        output_case("zero-shot end", z(3, 4), z(3, 4), 0.0),
        output_case("tuned end", z(3, 4), z(3, 4), 1.0),
        output_case("temperatures", z(7, 5), z(7, 5), 0.3, 1.75, 0.5),
        output_case("one class", z(2, 1), z(2, 1), 0.7),
        output_case("one row of large logits", z(1, 7, 3000.0), z(1, 7, 3000.0), 0.625),
    ]
