"""CaRot's terms (methods.md 7.12): the orthogonality penalty, cross_fnorm, and distillation from an average.

Norms of matrices are Frobenius norms and not squared. At the matrix zero, where a norm has no derivative, autograd's
choice is zero, which is the least of its subgradients.
"""

import torch

from case_file import Draws, case, gradients, leaf, leaves


def unit(u):
    return u / u.norm(dim=1, keepdim=True)


def orthogonality_case(name, w, strength):
    w = leaf(w)
    loss = strength * torch.linalg.norm(w.T @ w - torch.eye(w.shape[1]))
    loss.backward()
    return case("orthogonality", name, weight=w, strength=strength, loss=loss, tensors=gradients({"weight": w}))


def cross_case(name, v, w, strength):
    v, w = leaf(v), leaf(w)
    loss = strength * torch.linalg.norm(v @ w.T)
    loss.backward()
    return case(
        "cross_fnorm", name, image=v, text=w, strength=strength, loss=loss, tensors=gradients({"image": v, "text": w})
    )


def distillation_case(name, image, text, teacher_image, teacher_text, log_scale, teacher_log_scale, strength):
    """Cross entropies with the teacher's rows, image to text and text to image, added; each side has its own scale."""
    student = leaves({"image": image, "text": text, "log_scale": torch.tensor(log_scale)})
    z = student["log_scale"].exp() * unit(student["image"]) @ unit(student["text"]).T
    t = torch.tensor(teacher_log_scale).exp() * unit(teacher_image) @ unit(teacher_text).T
    rows = -(torch.softmax(t, 1) * torch.log_softmax(z, 1)).sum(1).mean()
    columns = -(torch.softmax(t.T, 1) * torch.log_softmax(z.T, 1)).sum(1).mean()
    loss = strength * (rows + columns)
    loss.backward()
    return case(
        "distillation",
        name,
        image=image,
        text=text,
        teacher_image=teacher_image,
        teacher_text=teacher_text,
        log_scale=log_scale,
        teacher_log_scale=teacher_log_scale,
        strength=strength,
        loss=loss,
        tensors=gradients(student),
    )


def carot_cases():
    draws = Draws(4)
    cases = [
        orthogonality_case("tall", draws.normal(7, 4), 0.2),
        orthogonality_case("wide, of lower rank", draws.normal(3, 5), 0.2),
        orthogonality_case("one column", draws.normal(5, 1), 1.5),
        orthogonality_case("zero", torch.zeros(4, 3), 0.2),
        orthogonality_case("orthonormal columns", torch.eye(5)[:, [3, 0, 2]], 0.2),
        cross_case("both", draws.normal(7, 4), draws.normal(5, 4), 0.05),
        cross_case("one row", draws.normal(1, 3), draws.normal(6, 3), 0.5),
        cross_case("a product of zero", torch.eye(4)[:3] * 2, torch.eye(4)[3:] * 3, 0.05),
    ]
    a, b = draws.normal(5, 6), draws.normal(5, 6)
    one = draws.normal(1, 4)
    return cases + [
        distillation_case(
            "five pairs", draws.normal(5, 6), draws.normal(5, 6), draws.normal(5, 6), draws.normal(5, 6), 2.0, 1.5, 1.5
        ),
        distillation_case(
            "seven pairs, one scale",
            draws.normal(7, 3),
            draws.normal(7, 3),
            draws.normal(7, 3),
            draws.normal(7, 3),
            4.5,
            4.5,
            1.0,
        ),
        distillation_case("the teacher is the student", a, b, a, b, 3.0, 3.0, 1.5),
        distillation_case("one pair", one, draws.normal(1, 4), draws.normal(1, 4), one, 2.0, 1.0, 1.5),
        distillation_case("towers that agree", a, a + draws.normal(5, 6), b, b + draws.normal(5, 6), 3.0, 2.75, 1.5),
    ]
