"""What all libraries run on: weights by our initialiser; pixels, captions and prompts, drawn from fixed seeds."""

import array
import json
import random

from . import report
from .workers import Worker

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
IMAGE = 224
START, END = 49406, 49407
#: The lengths of people's captions in CLIP's tokens, markers included, as in bench/support/inputs.hpp.
CAPTION_LENGTHS = (9, 10, 11, 12, 13, 14, 15, 16, 18, 21)
#: How many of OpenAI's 80 ImageNet templates have so many tokens around the name, markers included.
TEMPLATE_LENGTHS = ((5, 10), (6, 6), (7, 24), (8, 28), (9, 4), (10, 6), (11, 2))
#: How many of a hundred class names have so many tokens; ImageNet's mean is 2.2.
NAME_LENGTHS = ((1, 25), (2, 51), (3, 15), (4, 5), (5, 4))
#: Adapters of both towers: one mask each.
SITES = 48


def pixels(images):
    """Normalised pixels as preprocessing gives them, of random bytes."""
    draw = random.Random(2)
    tables = [[(v / 255 - mean) / std for v in range(256)] for mean, std in zip(MEAN, STD)]
    values = array.array("f")
    for _ in range(images):
        for table in tables:
            values.extend([table[v] for v in draw.randbytes(IMAGE * IMAGE)])
    return values.tobytes()


def words(draw, count):
    return [draw.randrange(START) for _ in range(count)]


def captions(count):
    """Captions of random words; groups, of which an eighth have two members; masks that drop a fifth."""
    draw = random.Random(3)
    texts = [[START, *words(draw, CAPTION_LENGTHS[i % len(CAPTION_LENGTHS)] - 2), END] for i in range(count)]
    groups = [i - 1 if i % 8 == 7 else i for i in range(count)]
    masks = [[int(draw.random() >= 0.2) for _ in range(count)] for _ in range(SITES)]
    return json.dumps({"captions": texts, "groups": groups, "masks": masks})


def prompts(classes):
    """Every template with every name: templates share their words, as real ones do."""
    draw = random.Random(4)
    templates = []
    for length, count in TEMPLATE_LENGTHS:
        for _ in range(count):
            templates.append(words(draw, length - 3))
    stop = words(draw, 1)
    texts = []
    lengths = [length for length, count in NAME_LENGTHS for _ in range(count)]
    for _ in range(classes):
        name = words(draw, draw.choice(lengths))
        texts += [[START, *template, *name, *stop, END] for template in templates]
    return json.dumps({"prompts": texts, "per_class": [len(templates)] * classes})


def worker_name(options):
    return "bench_worker_cuda" if options.device == "cuda" else "bench_worker"


def weights(options, architecture):
    return options.folder / architecture / "open_clip_model.safetensors"


def paths(options):
    files = {"pixels": "pixels.f32", "captions": "captions.json", "prompts": "prompts.json"}
    return {**{name: options.folder / file for name, file in files.items()}, "pictures": options.pictures or ""}


def write(options, rows):
    """Writes what the rows need and is not there yet."""
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in rows if row.architecture]
    if not rows:
        return
    at, most = paths(options), max(row.batch for row in rows)
    with Worker([str(options.worker / worker_name(options))], options.threads) as ours:
        for architecture in sorted({row.architecture for row in rows}):
            if not weights(options, architecture).exists():
                report.progress(f"writing weights of {architecture}")
                ours.ask("export", architecture=architecture, folder=str(options.folder / architecture))
    if not at["pixels"].exists() or at["pixels"].stat().st_size < most * 3 * IMAGE * IMAGE * 4:
        report.progress(f"writing pixels of {most} images")
        report.write_atomically(at["pixels"], pixels(most))
    report.write_atomically(at["captions"], captions(most))
    report.write_atomically(at["prompts"], prompts(options.classes))
