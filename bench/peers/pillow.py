"""Pillow, and torchvision's transforms on it: how open_clip brings a file to the pixels of a model."""

from protocol import Work, serve


def read_pictures(request):
    """The first JPEG files of a folder in the order of their names, as bench/worker/pictures.cpp takes them."""
    import pathlib

    paths = sorted(path for path in pathlib.Path(request["pictures"]).iterdir() if path.suffix == ".jpg")
    return [path.read_bytes() for path in paths[: request["batch"]]]


class Pictures(Work):
    def __init__(self, peer, request):
        self.kind, self.peer = request["work"], peer
        self.files = read_pictures(request)
        self.items = len(self.files)
        self.images = [self.decode(file) for file in self.files]

    def decode(self, file):
        image = self.peer.Image.open(self.peer.BytesIO(file))
        image.load()
        return image

    def run(self):
        if self.kind == "decode":
            self.results = [self.decode(file) for file in self.files]
        elif self.kind == "resize":
            self.results = [self.peer.resize(image) for image in self.images]
        else:
            self.results = [self.peer.transform(self.peer.Image.open(self.peer.BytesIO(file))) for file in self.files]

    def output(self):
        if self.kind == "preprocess":
            return self.peer.torch.stack(self.results).flatten()[::499].tolist()
        return [byte for image in self.results for byte in image.convert("RGB").tobytes()[::499]]


class Peer:
    name = "Pillow"
    works = ["decode", "resize", "preprocess"]
    precisions = ["f32"]

    def __init__(self):
        from io import BytesIO

        import open_clip
        import PIL
        import torch
        import torchvision
        from PIL import Image

        self.Image, self.BytesIO, self.torch = Image, BytesIO, torch
        self.versions = {"Pillow": PIL.__version__, "torchvision": torchvision.__version__}
        self.transform = open_clip.image_transform(224, is_train=False)
        # The transforms that make an image out of an image; what follows makes a tensor of it.
        self.resize = torchvision.transforms.Compose(self.transform.transforms[:2])

    def prepare(self, request):
        self.torch.set_num_threads(request["threads"])
        return Pictures(self, request)


if __name__ == "__main__":
    serve(Peer)
