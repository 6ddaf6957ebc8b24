"""The inputs of a work, from the files that bench/compare wrote."""

import json

import numpy as np


def pixels(request, size=224):
    """(batch, 3, size, size), f32."""
    batch = request["batch"]
    values = np.fromfile(request["pixels"], dtype=np.float32, count=batch * 3 * size * size)
    return values.reshape(batch, 3, size, size)


def padded(captions, context=77):
    """Lists of token ids as open_clip's tokenizer gives them: (captions, context), zeros behind the end of text."""
    ids = np.zeros((len(captions), context), dtype=np.int64)
    for row, caption in zip(ids, captions):
        row[: len(caption)] = caption
    return ids


def captions(request):
    """The file's content; `captions` and `groups` cut to the batch, captions padded."""
    with open(request["captions"]) as file:
        content = json.load(file)
    batch = request["batch"]
    content["captions"] = padded(content["captions"][:batch])
    content["groups"] = content["groups"][:batch]
    return content


def prompts(request):
    """(prompts, context) and how many prompts each class has."""
    with open(request["prompts"]) as file:
        content = json.load(file)
    return padded(content["prompts"]), content["per_class"]
