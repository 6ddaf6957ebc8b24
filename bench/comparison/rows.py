"""What is measured, against whom, and how one row is measured."""

import contextlib
import dataclasses
import pathlib

from . import inputs, report, statistics
from .workers import NotRun, Worker

PEER_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "peers"
#: Scripts of other libraries, by the name that --peers takes.
PEERS = {
    "torch": "torch_eager.py",
    "torch_compile": "torch_compiled.py",
    "onnxruntime": "onnx_runtime.py",
    "openvino": "open_vino.py",
    "pillow": "pillow.py",
}
TITLES = {
    "torch": "PyTorch",
    "torch_compile": "torch.compile",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "pillow": "Pillow",
}
#: Architectures and batches of each work, and which peers do it.
DEFAULTS = {
    "image": (("ViT-B-32", "ViT-B-16", "ViT-L-14"), (1, 32), ("torch", "torch_compile", "onnxruntime", "openvino")),
    "text": (("ViT-B-32",), (32,), ("torch", "torch_compile", "onnxruntime", "openvino")),
    "zero_shot_head": (("ViT-B-32",), (1,), ("torch",)),
    "train_step": (("ViT-B-32:64", "ViT-B-16:32"), (32,), ("torch", "torch_compile")),
    "merged": (("ViT-B-32", "ViT-B-16"), (32,), ()),
    "load_image": (("ViT-L-14",), (1,), ("torch",)),
    "load_text": (("ViT-L-14",), (1,), ("torch",)),
    "decode": (("",), (32,), ("pillow",)),
    "resize": (("",), (32,), ("pillow",)),
    "preprocess": (("",), (32,), ("pillow",)),
}
#: Rows that our own worker gives: what ours is compared with besides, as (title, work).
OWN = {
    "merged": ("plain CLIP", "image"),
    "load_image": ("reading the file", "read_file"),
    "load_text": ("reading the file", "read_file"),
}

#: Peers that run on a GPU.
ON_GPU = ("torch", "torch_compile")


#: Works of one size, and works on files of pictures, which have no architecture and have to agree bit for bit.
WITHOUT_BATCH = ("zero_shot_head", "load_image", "load_text")
PICTURES = ("decode", "resize", "preprocess")

#: How far outputs may be apart, normalised. f32: sums of some thousand products in another order, through 12 to 24
#: blocks, are measured within 2e-6; fifty times that is far below any real difference, such as another activation
#: (1e-2). bf16 keeps 8 bits, 2^-9 each time a number is stored, and a block stores the stream of its residuals twice:
#: 24 to 48 roundings add up to some 2 %.
BOUNDS = {"f32": 1e-4, "bf16": 0.05}
#: Losses and norms of the gradients of two steps. In f32 AdamW turns the rounding noise of gradients near 0 into steps
#: of full size; the second step is measured within 5e-6 all the same. In bf16 the logits are cosines times 100, each
#: off by up to 1 %.
TRAIN_BOUNDS = {"f32": 2e-4, "bf16": 0.2}


@dataclasses.dataclass(frozen=True)
class Row:
    work: str
    architecture: str
    batch: int
    precision: str
    classes: int = 0

    @property
    def title(self):
        what = {
            "zero_shot_head": f"zero-shot head, {self.classes} of 1000 classes x 80",
            "train_step": "R-Adapter train step",
            "load_image": "load to features of one image",
            "load_text": "load to features of one caption",
            "merged": "merged R-Adapter, images",
            "decode": "decode JPEG",
            "resize": "resize to 224 x 224",
            "preprocess": "JPEG to pixels of a model",
        }.get(self.work, self.work)
        if self.work in PICTURES:
            return f"{what}, {self.batch} pictures"
        batch = "" if self.work in WITHOUT_BATCH else f", batch {self.batch}"
        return f"{what}, {self.architecture}{batch}, {self.precision}"


def wanted(options):
    """Rows in the order of the works. An architecture with a colon brings its own batch."""
    all_rows = []
    for work in options.works:
        architectures, batches, _ = DEFAULTS[work]
        if work in PICTURES:
            all_rows += [Row(work, "", batch, "f32") for batch in options.batches or batches]
            continue
        for named in options.architectures or architectures:
            architecture, _, own_batch = named.partition(":")
            for batch in (
                (1,) if work in WITHOUT_BATCH else options.batches or ((int(own_batch),) if own_batch else batches)
            ):
                for precision in options.precision:
                    all_rows.append(
                        Row(work, architecture, batch, precision, options.classes if work == "zero_shot_head" else 0)
                    )
    return all_rows


@dataclasses.dataclass
class Side:
    """One library in a row."""

    title: str
    command: list
    work: str
    worker: Worker = None
    why_not: str = ""
    note: str = ""
    times: list = dataclasses.field(default_factory=list)
    flops: float = 0.0
    memory: dict = dataclasses.field(default_factory=dict)
    items: int = 1
    unit: str = ""

    def start(self, row, options, versions):
        try:
            self.worker = Worker(self.command, options.threads)
            hello = self.worker.ask("hello")
            versions.update(hello["versions"])
            at = {name: str(path) for name, path in inputs.paths(options).items()}
            answer = self.worker.ask(
                "prepare",
                work=self.work,
                architecture=row.architecture,
                batch=row.batch,
                precision=row.precision,
                threads=options.threads,
                device=options.device,
                weights=str(inputs.weights(options, row.architecture)),
                **at,
            )
            self.items, self.unit, self.note = answer["items"], answer["unit"], answer.get("note", "")
        except NotRun as reason:
            self.stop(str(reason))

    def stop(self, why_not=""):
        self.why_not = why_not
        if self.worker:
            self.worker.__exit__()
            self.worker = None

    def run(self, options):
        try:
            answer = self.worker.ask("run", least_seconds=options.seconds)
            self.times.append(answer["processor_seconds" if options.busy else "seconds"])
            self.flops += answer.get("flops", 0.0)
        except NotRun as reason:
            self.stop(str(reason))

    def finish(self, outputs):
        try:
            if self.worker:
                self.memory = self.worker.ask("memory")
                outputs[self.title] = self.worker.ask("check")["values"]
        except NotRun as reason:
            self.stop(str(reason))


def sides_of(row, options):
    worker = str(options.worker / inputs.worker_name(options))
    ours = Side("radapt", [worker], row.work)
    others = []
    if row.work in OWN:
        title, work = OWN[row.work]
        others.append(Side(title, [worker], work))
    for peer in options.peers:
        if peer in DEFAULTS[row.work][2]:
            others.append(Side(TITLES[peer], [options.python, str(PEER_FOLDER / PEERS[peer])], row.work))
    return ours, others


def measure(row, options, results):
    """The entries of one row: a time and a memory for every other library, or why there is none."""
    ours, others = sides_of(row, options)
    sides = [ours, *others]
    roofs = []
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [side.stop(side.why_not) for side in sides])
        for side in sides:
            report.progress(f"  {row.title}: preparing {side.title}")
            side.start(row, options, results.versions)
        # On a GPU the roof is the rate of cuBLAS in PyTorch: our own products are part of what is measured.
        on_gpu = options.device == "cuda"
        roof = [options.python, str(PEER_FOLDER / PEERS["torch"])] if on_gpu else ours.command
        roofline = stack.enter_context(Worker(roof, options.threads))
        running = [side for side in sides if side.worker]
        for number in range(options.rounds):
            report.progress(f"  {row.title}: round {number + 1} of {options.rounds}")
            with contextlib.suppress(NotRun):  # a precision that our worker does not know: ours has no share then
                answer = roofline.ask("roofline", threads=options.threads, precision=row.precision, device=options.device)
                roofs.append(answer["processor_flops" if options.busy else "flops"])
            turn = number % max(1, len(running))
            for side in running[turn:] + running[:turn]:
                if side.worker:
                    side.run(options)
        outputs = {}
        for side in sides:
            side.finish(outputs)
    return entries(row, ours, others, outputs, max(roofs, default=0.0))


def entries(row, ours, others, outputs, roofline):
    """Rows of the results: the time against every other library, then the memory. A side that did not run leaves what
    the others took, and the reason."""
    seconds = statistics.median(ours.times) if ours.times else None
    share = ours.flops / len(ours.times) / seconds / roofline if ours.flops and roofline else None
    made = []
    for other in others or [None]:
        entry = {
            "work": row.title,
            "unit": "",
            "ours": None,
            "peer": "",
            "peer_value": None,
            "ratio": None,
            "spread": None,
            "roofline_share": share,
        }
        why_not = [ours.why_not] if ours.why_not else []
        if seconds:
            entry.update(unit=f"{ours.unit}/s", ours=ours.items / seconds)
        if other:
            entry.update(peer=other.title, note=other.note)
            if other.why_not:
                why_not.append(f"{other.title}: {other.why_not}")
            else:
                entry.update(unit=f"{other.unit}/s", peer_value=other.items / statistics.median(other.times))
        if other and not why_not:
            middle, low, high = statistics.ratios(ours.times, other.times)
            entry.update(ratio=middle, spread=[low, high])
            entry.update(agreement(row, outputs[ours.title], outputs[other.title], other.work))
        if why_not:
            entry["not_run"] = "; ".join(why_not)
        made.append(entry)
    for other in others:
        # Beside images of one megabyte, memory would compare programs with an interpreter and its libraries.
        if other.memory and ours.memory and row.work not in PICTURES:
            peaks = [side.memory["running"] for side in (ours, other)]
            made.append(
                {
                    "work": f"{row.title}: peak memory",
                    "unit": "bytes",
                    "ours": peaks[0],
                    "peer": other.title,
                    "peer_value": peaks[1],
                    "ratio": peaks[1] / peaks[0],
                    "spread": None,
                    "roofline_share": None,
                    "whole_process": [side.memory["whole"] for side in (ours, other)],
                }
            )
    return made


def agreement(row, ours, theirs, work):
    if work == "read_file" or (row.work == "merged"):
        return {}  # another thing by intention
    if row.work in PICTURES:
        difference, bound = statistics.distance(ours, theirs), 0.0
    elif row.work == "train_step":
        difference, bound = statistics.largest_difference(ours, theirs), TRAIN_BOUNDS[row.precision]
    else:
        difference, bound = statistics.distance(ours, theirs), BOUNDS[row.precision]
    return {"difference": difference, "bound": bound, "agrees": difference <= bound}
