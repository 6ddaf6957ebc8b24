"""bench/compare with stand-ins for the workers: ratios, agreement, what is kept, and what is said of a library that
cannot run. Run by CTest; by hand: python3 tests/bench/comparison_test.py"""

import contextlib
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # a checkout stays as clean as it was
sys.path.insert(0, str(HERE.parents[1] / "bench"))
import compare  # noqa: E402
from comparison import inputs, report, rows, statistics  # noqa: E402


class Statistics(unittest.TestCase):
    def test_quantiles_are_linear_between_ordered_values(self):
        self.assertEqual(statistics.quantile([4, 1, 3, 2], 0.5), 2.5)
        self.assertEqual(statistics.quantile([4, 1, 3, 2], 0.25), 1.75)
        self.assertEqual(statistics.quantile([7], 0.75), 7)
        self.assertEqual(statistics.quantile([5, 1, 9], 1), 9)
        with self.assertRaisesRegex(ValueError, "at least one value"):
            statistics.quantile([], 0.5)

    def test_a_ratio_is_of_one_round_and_above_1_where_ours_takes_less(self):
        # Both get slower together: the medians of the times would give 3, every round gives 2 but one.
        self.assertEqual(statistics.ratios([1, 2, 4, 8], [2, 4, 8, 24]), (2, 2, 2.25))
        with self.assertRaisesRegex(ValueError, "2 and 1"):
            statistics.ratios([1, 2], [1])

    def test_distances(self):
        self.assertEqual(statistics.distance([3, 4], [3, 4]), 0)
        self.assertAlmostEqual(statistics.distance([3, 5], [3, 4]), 0.2)
        self.assertEqual(statistics.distance([1], [1, 2]), math.inf)
        self.assertEqual(statistics.distance([math.nan], [1]), math.inf)
        self.assertEqual(statistics.distance([1], [0]), math.inf)
        self.assertAlmostEqual(statistics.largest_difference([1, 11], [1, 10]), 0.1)
        self.assertEqual(statistics.largest_difference([], []), math.inf)
        self.assertEqual(statistics.largest_difference([math.inf], [1]), math.inf)


class Inputs(unittest.TestCase):
    def test_prompts_have_the_80_templates_and_share_their_words(self):
        content = json.loads(inputs.prompts(3))
        prompts = content["prompts"]
        self.assertEqual(content["per_class"], [80, 80, 80])
        self.assertEqual(len(prompts), 240)
        self.assertTrue(all(p[0] == inputs.START and p[-1] == inputs.END and len(p) <= 77 for p in prompts))
        self.assertEqual(len({tuple(p) for p in prompts}), 240)
        self.assertEqual(prompts[79][:5], prompts[159][:5])
        self.assertEqual(inputs.prompts(3), inputs.prompts(3))

    def test_captions_groups_and_masks(self):
        content = json.loads(inputs.captions(16))
        self.assertEqual([len(c) for c in content["captions"][:3]], [9, 10, 11])
        self.assertEqual(content["groups"][6:9], [6, 6, 8])
        self.assertEqual(len(content["masks"]), 48)
        kept = sum(map(sum, content["masks"])) / (48 * 16)
        self.assertAlmostEqual(kept, 0.8, delta=0.06)  # four standard deviations of 768 draws: 4 sqrt(0.16 / 768)

    def test_pixels_are_floats_of_the_size_of_an_image(self):
        self.assertEqual(len(inputs.pixels(2)), 2 * 3 * 224 * 224 * 4)


class Device(unittest.TestCase):
    def test_on_a_gpu_the_peers_are_those_that_run_there(self):
        options = compare.arguments(["--device", "cuda"])
        self.assertEqual(options.peers, ["torch", "torch_compile"])
        self.assertEqual(inputs.worker_name(options), "bench_worker_cuda")
        self.assertFalse(set(options.works) & set(rows.PICTURES))
        ours, others = rows.sides_of(rows.Row("train_step", "ViT-B-16", 512, "bf16"), options)
        self.assertTrue(ours.command[0].endswith("bench_worker_cuda"))
        self.assertEqual([side.title for side in others], ["PyTorch", "torch.compile"])
        self.assertEqual(inputs.worker_name(compare.arguments([])), "bench_worker")

    def test_processor_time_says_nothing_of_a_gpu(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
            compare.arguments(["--device", "cuda", "--busy"])
        self.assertIn("processor time says nothing of a GPU", said.getvalue())

    def test_results_of_a_gpu_are_kept_under_its_name(self):
        self.assertEqual(report.processor({"cpu": "a", "gpu": "b"}), "b")
        self.assertEqual(report.processor({"cpu": "a"}), "a")


class Peers(unittest.TestCase):
    """The side of the protocol that is written in Python."""

    def answers(self, program, *messages):
        # -S leaves out everything that is installed: no library is there, whatever the machine has.
        command = [sys.executable, "-S", "-c", program]
        text = "".join(json.dumps(message) + "\n" for message in messages)
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "bench" / "peers")}
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_every_peer_says_which_library_is_missing(self):
        for script in rows.PEERS.values():
            module = script.removesuffix(".py")
            program = f"import protocol, {module}; protocol.serve({module}.Peer)"
            (answer,) = self.answers(program, {"command": "hello"})
            self.assertRegex(answer["missing"], "^(open_clip|torch|numpy) is not installed for ")

    def test_a_peer_runs_what_it_is_told(self):
        program = """
import protocol, time
class Counted(protocol.Work):
    items, unit, runs = 3, "images", 0
    def run(self):
        self.runs += 1
        print("what libraries print does not reach the answers")
    def output(self):
        return [self.runs]
class Peer:
    name, versions, works, precisions = "x", {}, ["image"], ["f32"]
    def prepare(self, request):
        self.work = Counted()
        # A repetition takes 0.25 s, half of them at work.
        time.perf_counter = lambda: self.work.runs / 4
        time.process_time = lambda: self.work.runs / 8
        return self.work
protocol.serve(Peer)
"""
        prepare = {"command": "prepare", "work": "image", "precision": "f32"}
        prepared, run, check, memory, wrong_work, wrong_command = self.answers(
            program,
            prepare,
            {"command": "run", "least_seconds": 0.6},
            {"command": "check"},
            {"command": "memory"},
            {**prepare, "work": "video"},
            {"command": "dance"},
        )
        self.assertEqual(prepared, {"unit": "images", "items": 3, "note": ""})
        self.assertEqual(run, {"seconds": 0.25, "processor_seconds": 0.125, "repetitions": 3})
        self.assertEqual(check["values"], [4])  # one run was the preparation
        self.assertGreater(memory["running"], 0)
        self.assertGreaterEqual(memory["whole"], memory["running"])
        self.assertIn("work: expected one of image, got 'video'", wrong_work["error"])
        self.assertIn("got 'dance'", wrong_command["error"])

    def test_the_fastest_way_is_taken_and_ways_that_fail_are_left_out(self):
        program = """
import json, protocol, sys
class Spins(protocol.Work):
    def __init__(self, count):
        self.count = count
    def run(self):
        for _ in range(self.count): pass
def fails(): raise RuntimeError("no")
ways = {"slow": lambda: Spins(10**6), "none": fails, "quick": lambda: Spins(1)}
print(json.dumps([protocol.fastest(ways).note]))
try:
    protocol.fastest({"none": fails})
except RuntimeError as error:
    print(json.dumps([str(error)]))
"""
        self.assertEqual(self.answers(program), [["quick"], ["no"]])


class Comparison(unittest.TestCase):
    """Whole runs: `bench_worker` and the scripts of the peers are stand-ins."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        program = self.folder / "bench_worker"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "stand_in_worker.py"}" radapt\n')
        program.chmod(0o755)
        (self.folder / "kept" / "ViT-B-32").mkdir(parents=True)
        for name in ("torch", "openvino"):
            # A script of its own for each, as the real peers have: the stand-in is told who it is by an argument.
            (self.folder / f"{name}.py").write_text(
                f"import runpy, sys\nsys.argv = ['', '{name}']\nrunpy.run_path({str(HERE / 'stand_in_worker.py')!r})\n"
            )
        self.stand_ins = {
            "radapt": {"title": "radapt", "seconds": [0.1, 0.2, 0.4], "output": [1.0, 2.0], "bytes": 100},
            "torch": {
                "title": "torch",
                "seconds": [0.3, 0.6, 1.2],
                "output": [1.0, 2.0],
                "bytes": 250,
                "note": "autocast",
            },
            "openvino": {"title": "openvino", "seconds": [0.05], "output": [1.0, 2.0], "bytes": 50},
        }

    def compare(self, *more, works="image", peers="torch"):
        argv = [
            "--works",
            works,
            "--architectures",
            "ViT-B-32",
            "--batches",
            "2",
            "--rounds",
            "3",
            "--peers",
            peers,
            "--worker",
            str(self.folder),
            "--folder",
            str(self.folder / "kept"),
            "--results",
            str(self.folder / "r.json"),
        ]
        scripts = {"torch": "torch.py", "openvino": "openvino.py"}
        out = io.StringIO()
        with mock.patch.object(rows, "PEER_FOLDER", self.folder), mock.patch.dict(rows.PEERS, scripts), mock.patch.dict(
            os.environ, {"STAND_IN": json.dumps(self.stand_ins)}
        ), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as self.progress:
            self.code = compare.main([*argv, *more])
        self.printed = out.getvalue()
        with open(self.folder / "r.json") as file:
            return json.load(file)

    def test_a_row_of_time_and_a_row_of_memory(self):
        content = self.compare()
        self.assertEqual(self.code, 0)
        self.assertEqual(content["versions"], {"radapt": "1.0", "torch": "1.0"})
        time, memory = content["rows"]
        self.assertEqual(time["work"], "image, ViT-B-32, batch 2, f32")
        self.assertEqual((time["peer"], time["unit"], time["note"]), ("PyTorch", "images/s", "autocast"))
        self.assertAlmostEqual(time["ours"], 10)  # 2 images in the median of 0.1, 0.2 and 0.4 s
        self.assertAlmostEqual(time["peer_value"], 2 / 0.6)
        self.assertAlmostEqual(time["ratio"], 3)
        self.assertEqual([round(x, 9) for x in time["spread"]], [3, 3])
        self.assertAlmostEqual(time["roofline_share"], 1e9 / 0.2 / 8e9)
        self.assertEqual((time["agrees"], time["threads"], time["time"]), (True, 1, "wall clock"))
        self.assertEqual(
            (memory["unit"], memory["ours"], memory["peer_value"], memory["ratio"]), ("bytes", 100, 250, 2.5)
        )
        self.assertEqual(memory["whole_process"], [200, 500])
        self.assertRegex(self.printed, r"image, ViT-B-32, batch 2, f32 +10 images/s PyTorch +3.333 images/s +3.00")
        self.assertIn("round 3 of 3", self.progress.getvalue())

    def test_busy_machines_are_timed_by_processor_time(self):
        time = self.compare("--busy")["rows"][0]
        self.assertAlmostEqual(time["ours"], 5)
        self.assertAlmostEqual(time["roofline_share"], 1e9 / 0.4 / 4e9)
        self.assertEqual(time["time"], "processor")

    def test_workers_take_turns(self):
        log = self.folder / "log"
        for stand_in in self.stand_ins.values():
            stand_in["log"] = str(log)
        self.compare(peers="torch,openvino")
        order = log.read_text().split()
        self.assertEqual(
            order, ["radapt", "torch", "openvino", "torch", "openvino", "radapt", "openvino", "radapt", "torch"]
        )

    def test_outputs_that_differ_are_marked_and_end_with_an_error(self):
        self.stand_ins["torch"]["output"] = [1.0, 2.1]
        time = self.compare()["rows"][0]
        self.assertEqual(self.code, 1)
        self.assertFalse(time["agrees"])
        self.assertIn("WRONG: outputs differ by", self.printed)

    def test_a_missing_library_is_said_and_the_others_run(self):
        self.stand_ins["torch"]["missing"] = "torch is not installed for python"
        content = self.compare(peers="torch,openvino")
        self.assertEqual(self.code, 0)
        by_peer = {row["peer"]: row for row in content["rows"] if row["unit"] != "bytes"}
        self.assertEqual(by_peer["PyTorch"]["not_run"], "PyTorch: torch is not installed for python")
        self.assertIsNone(by_peer["PyTorch"]["ratio"])
        self.assertAlmostEqual(by_peer["OpenVINO"]["ratio"], 0.25)
        self.assertIn("not run: PyTorch: torch is not installed", self.printed)

    def test_a_process_that_dies_is_said(self):
        self.stand_ins["torch"]["dies_at"] = "run"
        time = self.compare()["rows"][0]
        self.assertRegex(time["not_run"], "PyTorch: the process ended with code 3 at 'run': out of memory$")
        self.assertAlmostEqual(time["ours"], 10)

    def test_a_precision_that_is_not_known_is_said(self):
        time = self.compare("--precision", "bf16", peers="torch")["rows"][0]
        self.assertRegex(time["not_run"], "radapt: precision of a work: expected f32")
        self.assertEqual(self.code, 0)

    def test_without_peers_ours_is_measured_alone(self):
        content = self.compare(peers="none")
        self.assertEqual(len(content["rows"]), 1)
        self.assertAlmostEqual(content["rows"][0]["ours"], 10)
        self.assertIsNone(content["rows"][0]["ratio"])

    def test_rows_of_earlier_runs_stay_until_they_are_measured_again(self):
        self.compare(peers="openvino")
        self.stand_ins["torch"]["seconds"] = [0.2, 0.4, 0.8]
        self.compare(peers="torch")
        self.stand_ins["torch"]["seconds"] = [0.5, 1.0, 2.0]
        content = self.compare(peers="torch")
        times = {row["peer"]: row["ratio"] for row in content["rows"] if row["unit"] != "bytes"}
        self.assertEqual({peer: round(ratio, 9) for peer, ratio in times.items()}, {"OpenVINO": 0.25, "PyTorch": 5})
        self.assertEqual(len(content["rows"]), 4)

    def test_an_interrupted_run_keeps_its_rows(self):
        measure, calls = rows.measure, []

        def second_one_is_interrupted(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return measure(*arguments)

        with mock.patch.object(rows, "measure", second_one_is_interrupted), self.assertRaises(KeyboardInterrupt):
            self.compare("--batches", "2,4")
        content = json.loads((self.folder / "r.json").read_text())
        self.assertEqual([row["unit"] for row in content["rows"]], ["images/s", "bytes"])

    def test_the_figure_is_xml_with_a_bar_for_every_ratio(self):
        self.compare("--figure", str(self.folder / "figure.svg"))
        figure = xml.etree.ElementTree.parse(self.folder / "figure.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        bars = figure.findall(f"{space}rect")[1:]
        self.assertEqual(len(bars), 2)
        self.assertGreater(float(bars[0].get("width")), float(bars[1].get("width")))  # 3 and 2.5
        self.assertEqual(bars[0].get("x"), bars[1].get("x"))  # both to the right of 1
        self.assertIn("3.00", [text.text for text in figure.iter(f"{space}text")])

    def test_bars_of_ratios_below_1_end_at_the_line_at_1(self):
        rows_ = [
            {"work": "a", "peer": "b", "unit": "x/s", "ratio": r, "spread": [r, r], "threads": 1} for r in (0.5, 2)
        ]
        figure = xml.etree.ElementTree.fromstring(report.figure(rows_, "cpu"))
        slower, faster = [
            (float(bar.get("x")), float(bar.get("width")))
            for bar in figure.findall("{http://www.w3.org/2000/svg}rect")[1:]
        ]
        self.assertAlmostEqual(slower[0] + slower[1], faster[0], delta=0.11)  # coordinates have one decimal
        self.assertAlmostEqual(slower[1], faster[1], delta=0.11)

    def test_options_that_make_no_sense(self):
        for argv in (["--works", "video"], ["--peers", "caffe"], ["--rounds", "0"], ["--busy", "--threads", "2"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                compare.arguments(argv)

    def test_a_worker_that_was_not_built_is_said(self):
        with contextlib.redirect_stderr(io.StringIO()) as error:
            code = compare.main(["--worker", str(self.folder / "none")])
        self.assertEqual(code, 1)
        self.assertIn("expected the program bench_worker", error.getvalue())


if __name__ == "__main__":
    unittest.main()
