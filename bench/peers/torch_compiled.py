"""PyTorch with torch.compile: whole towers, weights frozen into the graph, which lets it pack them for its kernels."""

from protocol import serve


class Peer:
    name = "torch.compile"
    works = ["image", "text", "train_step"]
    precisions = ["f32", "bf16"]

    def __init__(self):
        import open_clip
        import torch
        import torch._inductor.config
        import torch_works

        torch._inductor.config.freezing = True
        self.torch, self.works_module = torch, torch_works
        self.versions = {"torch": torch.__version__, "open_clip": open_clip.__version__}

    def prepare(self, request):
        torch = self.torch
        torch.set_num_threads(request["threads"])
        if request["work"] == "train_step":
            self.torch._inductor.config.freezing = False  # for inference only
            autocast = torch.bfloat16 if request["precision"] == "bf16" else None
            work = self.works_module.TrainStep(request, autocast=autocast, wrap=torch.compile)
            work.ran = False  # with drawn masks it compiles anew
            return work
        precision = "bf16" if request["precision"] == "bf16" else None
        return self.works_module.Features(
            request, precision=precision, wrap=lambda module: torch.compile(module, dynamic=False)
        )


if __name__ == "__main__":
    serve(Peer)
