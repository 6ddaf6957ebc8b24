"""Mask-fill (methods.md 7.11): its term, the relevance of patches (with the image tower of 0.2), and what it fills."""

import torch
from torch.nn.functional import conv2d, gelu, interpolate, layer_norm

from case_file import Draws, case, gradients, leaf, prefixed

# ---------------------------------------------------------------------------------------------------------- the term


def distillation_case(name, features, teacher, strength):
    """strength times the mean of squares over all elements; features are not normalised, the teacher is fixed."""
    features = leaf(features)
    loss = strength * ((features - teacher) ** 2).mean()
    loss.backward()
    return case(
        "masked_distillation",
        name,
        features=features,
        teacher=teacher,
        strength=strength,
        loss=loss,
        tensors=gradients({"features": features}),
    )


# ----------------------------------------------------------------------------------------------------- the relevance


def tower_weights(draws, width, layers, hidden, embed, image, patch, classes):
    def norm(name):
        return {f"{name}.weight": 1 + draws.normal(width, scale=0.2), f"{name}.bias": draws.normal(width, scale=0.2)}

    grid = image // patch
    w = {
        "visual.conv1.weight": draws.normal(width, 3, patch, patch, scale=0.2),
        "visual.class_embedding": draws.normal(width, scale=0.5),
        "visual.positional_embedding": draws.normal(1 + grid * grid, width, scale=0.5),
    }
    w |= norm("visual.ln_pre")
    for i in range(layers):
        at = f"visual.transformer.resblocks.{i}."
        w |= norm(at + "ln_1")
        w |= {
            at + "attn.in_proj_weight": draws.normal(3 * width, width, scale=0.6),
            at + "attn.in_proj_bias": draws.normal(3 * width, scale=0.1),
            at + "attn.out_proj.weight": draws.normal(width, width, scale=0.4),
            at + "attn.out_proj.bias": draws.normal(width, scale=0.1),
        }
        w |= norm(at + "ln_2")
        w |= {
            at + "mlp.c_fc.weight": draws.normal(hidden, width, scale=0.4),
            at + "mlp.c_fc.bias": draws.normal(hidden, scale=0.1),
            at + "mlp.c_proj.weight": draws.normal(width, hidden, scale=0.4),
            at + "mlp.c_proj.bias": draws.normal(width, scale=0.1),
        }
    w |= norm("visual.ln_post")
    w["visual.proj"] = draws.normal(width, embed, scale=0.4)
    return w | {"head.weight": draws.normal(classes, embed, scale=3.0), "head.bias": draws.normal(classes, scale=0.5)}


def activated(u, activation):
    return u * torch.sigmoid(1.702 * u) if activation == "quick_gelu" else gelu(u)


def logits_of_one(w, pixels, heads, layers, patch, activation, attention):
    """Logits of one image (3, S, S). The probabilities of every layer (heads, L, L) are appended to `attention`."""

    def norm(x, name):
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    patches = conv2d(pixels[None], w["visual.conv1.weight"], stride=patch)[0].flatten(1).T
    x = torch.cat([w["visual.class_embedding"][None], patches]) + w["visual.positional_embedding"]
    x = norm(x, "visual.ln_pre")
    for i in range(layers):
        at = f"visual.transformer.resblocks.{i}."
        qkv = norm(x, at + "ln_1") @ w[at + "attn.in_proj_weight"].T + w[at + "attn.in_proj_bias"]
        q, k, v = (part.reshape(len(x), heads, -1).transpose(0, 1) for part in qkv.chunk(3, 1))
        p = torch.softmax(q @ k.transpose(1, 2) / q.shape[2] ** 0.5, 2)
        p.requires_grad_()
        p.retain_grad()
        attention.append(p)
        joined = (p @ v).transpose(0, 1).reshape(len(x), -1)
        x = x + joined @ w[at + "attn.out_proj.weight"].T + w[at + "attn.out_proj.bias"]
        u = norm(x, at + "ln_2") @ w[at + "mlp.c_fc.weight"].T + w[at + "mlp.c_fc.bias"]
        x = x + activated(u, activation) @ w[at + "mlp.c_proj.weight"].T + w[at + "mlp.c_proj.bias"]
    f = norm(x[0], "visual.ln_post") @ w["visual.proj"]
    return w["head.weight"] @ (f / f.norm()) + w["head.bias"]


def relevance_case(name, draws, images, width, heads, layers, hidden, embed, image, patch, classes, activation):
    """R = 1; each layer adds A R, A = mean over heads of relu(gradient * probabilities); R[class token, patches]."""
    w = tower_weights(draws, width, layers, hidden, embed, image, patch, classes)
    pixels, labels = draws.normal(images, 3, image, image), draws.integers(classes, images)
    rows, logits = [], []
    for i in range(images):
        attention = []
        z = logits_of_one(w, pixels[i], heads, layers, patch, activation, attention)
        z[labels[i]].backward()
        rollout = torch.eye(attention[0].shape[1])
        for p in attention:
            rollout = rollout + (p.grad * p.detach()).clamp(min=0).mean(0) @ rollout
        rows.append(rollout[0, 1:])
        logits.append(z)
    return case(
        "relevance",
        name,
        pixels=pixels,
        labels=labels,
        logits=torch.stack(logits),
        relevance=torch.stack(rows),
        tensors=w,
    )


# ---------------------------------------------------------------------------------------------------------- the fill


def fill_case(name, draws, images, image, patch, relevance, threshold, donors):
    """`donors` lists what the random choice of donors may be; `filled` has the images for each of them."""
    pixels = draws.integers(256, images, 3, image, image).double()
    relevance = relevance.reshape(images, 1, image // patch, image // patch)
    share = interpolate(relevance, scale_factor=patch, mode="nearest") / relevance.amax((1, 2, 3), keepdim=True)
    masked = share > threshold  # not where nothing is relevant: 0 / 0 is not larger
    filled = torch.stack([torch.where(masked, pixels[list(donor)], pixels) for donor in donors])
    kept = 1 - masked[:, 0, ::patch, ::patch].reshape(images, -1).double()
    return case(
        "fill",
        name,
        image=image,
        patch=patch,
        pixels=pixels,
        relevance=relevance.reshape(images, -1),
        threshold=threshold,
        filled=filled,
        kept=kept,
    )


def relevance_cases():
    draws = Draws(10)
    sizes = dict(width=9, heads=3, layers=3, hidden=10, embed=5, image=6, patch=2, activation="quick_gelu")
    return [
        relevance_case("three images", draws, 3, classes=4, **sizes),
        relevance_case("one image", draws, 1, classes=2, **sizes),
    ]


def mask_fill_cases():
    draws = Draws(5)
    same = draws.normal(3, 4)
    terms = [
        distillation_case("a batch", draws.normal(5, 7), draws.normal(5, 7), 30.0),
        distillation_case("one feature", draws.normal(1, 3), draws.normal(1, 3), 30.0),
        distillation_case("the student is the teacher", same, same, 30.0),
    ]
    two = [(1, 0)]
    three = [(1, 2, 0), (2, 0, 1)]
    some = draws.uniform(2, 4)
    nothing = draws.uniform(2, 4)
    nothing[1] = 0
    level = torch.tensor([[0.25, 0.5, 1.0, 0.75], [2.0, 0.5, 0.25, 0.0]])
    fills = [
        fill_case("two images", draws, 2, 4, 2, some, 0.3, two),
        fill_case("three images of nine patches", draws, 3, 6, 2, draws.uniform(3, 9), 0.5, three),
        fill_case("relevant nowhere", draws, 2, 4, 2, nothing, 0.75, two),
        fill_case("exactly the threshold stays", draws, 2, 4, 2, level, 0.25, two),
    ]
    return terms + fills
