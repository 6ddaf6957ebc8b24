"""open_clip's models with the weights that our side wrote, and their towers as modules of their own."""

import open_clip
import torch


def model(request):
    """The model of an architecture, in evaluation and without gradients."""
    clip = open_clip.create_model(request["architecture"], pretrained=request["weights"])
    return clip.eval().requires_grad_(False)


class ImageTower(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.visual = clip.visual

    def forward(self, pixels):
        return self.visual(pixels)


class TextTower(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.clip = clip
        clip.visual = None  # half of the memory, which captions do not need

    def forward(self, ids):
        return self.clip.encode_text(ids)


def tower(request):
    """The module that a work on one tower runs, and its input as numpy has it."""
    import inputs

    if request["work"] == "image":
        return ImageTower(model(request)), inputs.pixels(request)
    return TextTower(model(request)), inputs.captions(request)["captions"]
