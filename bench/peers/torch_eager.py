"""PyTorch as it is after `import open_clip`."""

import time

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
            },
            # A GPU's work is waited for, which takes no processor time to speak of.
            time.perf_counter if request.get("device") == "cuda" else time.process_time,
        )

    def roofline(self, request):
        """FLOP/s of the best of ten products of two 8192 x 8192 matrices of random numbers, on a GPU."""
        torch = self.torch
        torch.backends.cuda.matmul.allow_tf32 = False
        kind = torch.bfloat16 if request["precision"] == "bf16" else torch.float32
        size, best = 8192, 0.0
        a, b = (torch.randn(size, size, device="cuda", dtype=kind) for _ in range(2))
        for _ in range(11):
            begin = time.perf_counter()
            a @ b
            torch.cuda.synchronize()
            best = max(best, 2 * size**3 / (time.perf_counter() - begin))
        return best


if __name__ == "__main__":
    serve(Peer)
