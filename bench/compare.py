#!/usr/bin/env python3
"""Runs our works and those of other libraries alternately on this machine and prints how many times faster ours are.

    bench/compare                                         everything, one thread, f32
    bench/compare --works image --batches 1,32 --architectures ViT-B-32,ViT-B-16 --peers torch,openvino
    bench/compare --works train_step --rounds 5 --precision bf16 --threads 2

Every row has the same weights (written by our initialiser), the same inputs and the same number of threads for all.
Each library runs in a process of its own; in every round each of them runs once, in turning order, and a ratio is taken
within the round. A ratio above 1 means that ours is better: the other's time, or its peak of resident memory while it
runs, over ours. The table shows the median of the rounds and their quartiles. Rows whose outputs differ are marked.

Only the standard library is needed here; the others live in the Python that --python names (pip install torch
open_clip_torch onnx onnxscript onnxruntime openvino). A library that cannot run has a row that says why.
"""

import argparse
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # a checkout stays as clean as it was
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from comparison import inputs, report, rows  # noqa: E402


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="bench/compare", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__
    )
    names = lambda text: [name for name in text.split(",") if name]
    add = parser.add_argument
    add("--works", type=names, help=f"out of {', '.join(rows.DEFAULTS)}; all by default")
    add("--architectures", type=names, help="open_clip's names; by default those that suit each work")
    add(
        "--batches",
        type=lambda text: [int(x) for x in names(text)],
        help="images, captions or pairs; by default what suits each work",
    )
    add("--precision", type=names, default=["f32"], help="f32, bf16 or both with a comma between them; f32 by default")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: bench_worker_cuda against PyTorch on a GPU")
    add("--threads", type=int, default=1, help="of every library; 1 by default")
    add("--rounds", type=int, default=7, help="7 by default")
    add(
        "--seconds",
        type=float,
        default=0.5,
        help="least time of a library in a round, in which short works are repeated; 0.5 by default",
    )
    add(
        "--classes",
        type=int,
        default=2,
        help="of the zero-shot head's 1000: a slice is measured, since others take minutes; 2 by default",
    )
    add(
        "--peers", type=names, default=list(rows.PEERS), help=f"out of {', '.join(rows.PEERS)}, or none; all by default"
    )
    add("--python", default=sys.executable, help="the Python that has the other libraries")
    add("--worker", type=pathlib.Path, default=pathlib.Path("build/release/bench"), help="the folder of bench_worker")
    add(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("build/compare"),
        help="where weights, inputs and exported models are kept",
    )
    add(
        "--pictures",
        type=lambda text: str(pathlib.Path(text).resolve()),
        help="a folder of JPEG files for the works decode, resize and preprocess, which are left out without it",
    )
    add(
        "--busy",
        action="store_true",
        help="times by processor time, for a machine that does other things besides; one thread only",
    )
    add("--note", default="", help="a sentence about the circumstances, kept with the results")
    add("--results", type=pathlib.Path, help="the JSON file; by default bench/results/DEVICE-MODEL.json")
    add("--figure", type=pathlib.Path, help="an SVG picture of all ratios in the JSON file")
    options = parser.parse_args(argv)
    if options.works is None:
        options.works = [work for work in rows.DEFAULTS if options.pictures or work not in rows.PICTURES]
    if not options.pictures and any(work in rows.PICTURES for work in options.works):
        parser.error("--works decode, resize and preprocess: expected a folder of JPEG files in --pictures")
    if options.peers == ["none"]:
        options.peers = []
    if options.device == "cuda":
        if options.busy:
            parser.error("--busy: processor time says nothing of a GPU; leave it out with --device cuda")
        options.peers = [name for name in options.peers if name in rows.ON_GPU]
        options.works = [work for work in options.works if work not in rows.PICTURES]
    for what, given, known in (("--works", options.works, rows.DEFAULTS), ("--peers", options.peers, rows.PEERS)):
        for name in given:
            if name not in known:
                parser.error(f"{what}: expected names out of {', '.join(known)}, got '{name}'")
    if options.busy and options.threads != 1:
        parser.error("--busy: processor time says nothing about several threads; expected --threads 1")
    if min(options.rounds, options.threads, options.classes, *(options.batches or [1])) < 1:
        parser.error("--rounds, --threads, --classes and --batches: expected numbers from 1 on")
    return options


def main(argv):
    options = arguments(argv)
    worker = options.worker / inputs.worker_name(options)
    if not os.access(worker, os.X_OK):
        print(
            f"radapt: '{worker}': expected the program {worker.name}, got nothing (build it: cmake --preset release && "
            f"cmake --build --preset release --target {worker.name})",
            file=sys.stderr,
        )
        return 1
    machine = report.machine(options.device)
    results = (
        options.results
        or pathlib.Path(__file__).resolve().parent / "results" / f"{options.device}-{report.file_name(report.processor(machine))}.json"
    )
    kept = report.Results(results, machine, report.ways(options))
    wanted = rows.wanted(options)
    inputs.write(options, wanted)
    disagree = 0
    for number, row in enumerate(wanted):
        report.progress(f"{number + 1}/{len(wanted)} {row.title}")
        for entry in rows.measure(row, options, kept):
            kept.add(entry)
            disagree += entry.get("agrees") is False
    print(report.table(kept.rows))
    if options.figure:
        report.write_atomically(options.figure, report.figure(kept.earlier + kept.rows, report.processor(machine)))
    print(f"\nkept in {results}")
    if disagree:
        print(f"radapt: {disagree} rows disagree with ours beyond their bounds", file=sys.stderr)
    return 1 if disagree else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nradapt: interrupted; the rows that were done are kept", file=sys.stderr)
        sys.exit(130)
