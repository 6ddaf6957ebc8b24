"""Works in PyTorch and open_clip, shared by the eager and the compiled peer."""

import gc

import inputs
import towers
import torch
import torch.nn.functional as F
from protocol import Work


def cast(module, precision):
    return module.to(torch.bfloat16) if precision == "bf16" else module


class Features(Work):
    """One tower. `autocast`: a type of torch, or None."""

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        module, values = towers.tower(request)
        module = cast(module, precision)
        self.unit = "images" if request["work"] == "image" else "captions"
        self.items = request["batch"]
        self.input = torch.from_numpy(values)
        if precision == "bf16" and self.input.is_floating_point():
            self.input = self.input.to(torch.bfloat16)
        self.autocast = autocast
        self.tower = wrap(module)
        gc.collect()

    def run(self):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast is not None):
            self.features = self.tower(self.input)

    def output(self):
        return self.features.float().flatten().tolist()


class ZeroShotHead(Work):
    """The zero-shot classifier as open_clip builds it, ten classes at a time."""

    unit = "prompts"

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        ids, self.per_class = inputs.prompts(request)
        self.ids = torch.from_numpy(ids)
        self.items = len(ids)
        self.text = wrap(cast(towers.TextTower(towers.model(request)), precision))
        self.autocast = autocast
        gc.collect()

    def run(self):
        rows, first = [], 0
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast is not None):
            for at in range(0, len(self.per_class), 10):
                counts = self.per_class[at : at + 10]
                features = F.normalize(self.text(self.ids[first : first + sum(counts)]), dim=-1)
                first += sum(counts)
                rows += [F.normalize(part.mean(0), dim=0) for part in features.split(counts)]
        self.head = torch.stack(rows)

    def output(self):
        return self.head.float().flatten().tolist()


class TrainStep(Work):
    """R-Adapter on images and captions. `precision`: of the frozen weights, where it is not that of the rest."""

    ran = True
    unit = "pairs"
    compared_steps = 2  # as in bench/worker/train_step.cpp

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        import r_adapter

        clip = cast(towers.model(request), precision)
        adapters = r_adapter.add_adapters(clip)
        content = inputs.captions(request)
        self.items = request["batch"]
        self.batch = (
            torch.from_numpy(inputs.pixels(request)),
            torch.from_numpy(content["captions"]),
            torch.tensor(content["groups"]),
        )
        clip.encode_image, clip.encode_text = wrap(clip.encode_image), wrap(clip.encode_text)
        self.trainer = r_adapter.Trainer(clip, adapters, autocast=autocast)
        for adapter, mask in zip(adapters, content["masks"]):
            adapter.given_mask = torch.tensor(mask[: self.items])
        self.compared = [x for _ in range(self.compared_steps) for x in self.trainer.step(*self.batch)]
        for adapter in adapters:
            adapter.given_mask = None

    def run(self):
        self.trainer.step(*self.batch)

    def output(self):
        return self.compared


class FirstFeatures(Work):
    """From a file to the features of one image or one caption."""

    unit = "loads"
    items = 1

    def __init__(self, request):
        self.request = request
        one = {**request, "batch": 1}
        self.pixels = torch.from_numpy(inputs.pixels(one))
        self.ids = torch.from_numpy(inputs.captions(one)["captions"])

    def run(self):
        with torch.inference_mode():
            clip = towers.model(self.request)
            image = self.request["work"] == "load_image"
            self.features = clip.encode_image(self.pixels) if image else clip.encode_text(self.ids)

    def output(self):
        return self.features.flatten().tolist()
