"""Works in PyTorch and open_clip, shared by the eager and the compiled peer."""

import gc

import inputs
import towers
import torch
import torch.nn.functional as F
from protocol import Work


def cast(module, precision):
    return module.to(torch.bfloat16) if precision == "bf16" else module


class TorchWork(Work):
    """A work on the CPU or on a GPU. Sums of f32 products are f32 on both: no TF32."""

    def place(self, request):
        """Where the request wants the work, and a fresh count of the GPU's memory."""
        self.device = request.get("device", "cpu")
        if self.device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            torch.cuda.reset_peak_memory_stats()
        return self.device

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def device_bytes(self):
        return float(torch.cuda.max_memory_allocated()) if self.device == "cuda" else None


class Features(TorchWork):
    """One tower. `autocast`: a type of torch, or None."""

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        device = self.place(request)
        module, values = towers.tower(request)
        module = cast(module, precision).to(device)
        self.unit = "images" if request["work"] == "image" else "captions"
        self.items = request["batch"]
        self.input = torch.from_numpy(values).to(device)
        if precision == "bf16" and self.input.is_floating_point():
            self.input = self.input.to(torch.bfloat16)
        self.autocast = autocast
        self.tower = wrap(module)
        gc.collect()

    def run(self):
        with torch.inference_mode(), torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.autocast is not None):
            self.features = self.tower(self.input)
        self.wait()

    def output(self):
        return self.features.float().flatten().tolist()


class ZeroShotHead(TorchWork):
    """The zero-shot classifier as open_clip builds it, ten classes at a time."""

    unit = "prompts"

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        device = self.place(request)
        ids, self.per_class = inputs.prompts(request)
        self.ids = torch.from_numpy(ids).to(device)
        self.items = len(ids)
        self.text = wrap(cast(towers.TextTower(towers.model(request)), precision).to(device))
        self.autocast = autocast
        gc.collect()

    def run(self):
        rows, first = [], 0
        with torch.inference_mode(), torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.autocast is not None):
            for at in range(0, len(self.per_class), 10):
                counts = self.per_class[at : at + 10]
                features = F.normalize(self.text(self.ids[first : first + sum(counts)]), dim=-1)
                first += sum(counts)
                rows += [F.normalize(part.mean(0), dim=0) for part in features.split(counts)]
        self.head = torch.stack(rows)
        self.wait()

    def output(self):
        return self.head.float().flatten().tolist()


class TrainStep(TorchWork):
    """R-Adapter on images and captions. `precision`: of the frozen weights, where it is not that of the rest."""

    ran = True
    unit = "pairs"
    compared_steps = 2  # as in bench/worker/train_step.cpp

    def __init__(self, request, precision=None, autocast=None, wrap=lambda module: module):
        import r_adapter

        device = self.place(request)
        clip = cast(towers.model(request), precision)
        adapters = r_adapter.add_adapters(clip)
        clip.to(device)
        content = inputs.captions(request)
        self.items = request["batch"]
        self.batch = (
            torch.from_numpy(inputs.pixels(request)).to(device),
            torch.from_numpy(content["captions"]).to(device),
            torch.tensor(content["groups"], device=device),
        )
        clip.encode_image, clip.encode_text = wrap(clip.encode_image), wrap(clip.encode_text)
        self.trainer = r_adapter.Trainer(clip, adapters, autocast=autocast)
        for adapter, mask in zip(adapters, content["masks"]):
            adapter.given_mask = torch.tensor(mask[: self.items], device=device)
        self.compared = [x for _ in range(self.compared_steps) for x in self.trainer.step(*self.batch)]
        for adapter in adapters:
            adapter.given_mask = None

    def run(self):
        self.trainer.step(*self.batch)
        self.wait()

    def output(self):
        return self.compared


class FirstFeatures(TorchWork):
    """From a file to the features of one image or one caption."""

    unit = "loads"
    items = 1

    def __init__(self, request):
        self.request = request
        device = self.place(request)
        one = {**request, "batch": 1}
        self.pixels = torch.from_numpy(inputs.pixels(one)).to(device)
        self.ids = torch.from_numpy(inputs.captions(one)["captions"]).to(device)

    def run(self):
        with torch.inference_mode():
            clip = towers.model(self.request).to(self.device)
            image = self.request["work"] == "load_image"
            self.features = clip.encode_image(self.pixels) if image else clip.encode_text(self.ids)
        self.wait()

    def output(self):
        return self.features.flatten().tolist()
