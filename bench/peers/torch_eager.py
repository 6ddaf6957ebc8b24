"""PyTorch as it is after `import open_clip`."""

from protocol import fastest, serve


class Peer:
    name = "PyTorch"
    works = ["image", "text", "zero_shot_head", "train_step", "load_image", "load_text"]
    precisions = ["f32", "bf16"]

    def __init__(self):
        import open_clip
        import torch
        import torch_works

        self.torch, self.works_module = torch, torch_works
        self.versions = {"torch": torch.__version__, "open_clip": open_clip.__version__}

    def prepare(self, request):
        torch, module = self.torch, self.works_module
        torch.set_num_threads(request["threads"])
        torch.manual_seed(0)
        if request["work"] in ("load_image", "load_text"):
            return module.FirstFeatures(request)
        bf16 = torch.bfloat16
        kind = {"zero_shot_head": module.ZeroShotHead, "train_step": module.TrainStep}.get(
            request["work"], module.Features
        )
        if request["precision"] == "f32":
            return kind(request)
        # Adapters are trained in f32, which takes autocast; without a gradient the model can be bf16 from end to end.
        whole = bf16 if request["work"] == "train_step" else None
        return fastest(
            {
                "weights in bf16": lambda: kind(request, precision="bf16", autocast=whole),
                "autocast": lambda: kind(request, autocast=bf16),
            }
        )


if __name__ == "__main__":
    serve(Peer)
