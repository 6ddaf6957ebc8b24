#!/usr/bin/env python3
"""What the sources beside this script cost to compile, against their budgets.

usage: budget.py COMPILER [--flags FILE] [--runs N] [--top] [SOURCE...]

A budget is for -O0, as in the middle of work, in seconds of processor time and megabytes at the peak. -O1 and -O2 are
shown beside it. The best of N runs counts, since a machine does other things besides. With --top: what the compiler says its
time goes to. The exit code is 0 whatever is found, and 2 when something does not compile: a budget is a goal, not a test.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
BUDGETS = {"umbrella.cpp": (2.0, 500), "train.cpp": (5.0, 500)}  # g++ or clang++, -O0
LEVELS = ("-O0", "-O1", "-O2")


def compile_once(command):
    """Seconds of processor time in user mode, and megabytes at the peak, of one compiler."""
    read, write = os.pipe()
    child = os.fork()  # rusage of children is a maximum over all of them; a fresh child has had one only
    if child == 0:
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = {"seconds": usage.ru_utime, "megabytes": usage.ru_maxrss / 1024, "error": done.stderr if done.returncode else ""}
        with os.fdopen(write, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        result = json.load(pipe)
    os.waitpid(child, 0)
    return result


def measure(compiler, flags, source, level, runs, scratch):
    command = [compiler, *flags, level, "-c", str(source), "-o", str(scratch / "out.o")]
    best = None
    for _ in range(runs):
        one = compile_once(command)
        if one["error"]:
            sys.exit(f"{source} does not compile:\n{one['error']}")
        if best is None or one["seconds"] < best["seconds"]:
            best = one
    return best


def show_top_of_clang(compiler, flags, source, scratch):
    """Inclusive times by template, so that a walk and what it walks over both show."""
    trace = scratch / "top.json"
    subprocess.run([compiler, *flags, "-O0", "-ftime-trace", "-ftime-trace-granularity=100", "-c", str(source), "-o",
                    str(trace.with_suffix(".o"))], check=True)
    totals, outermost = collections.Counter(), collections.defaultdict(list)
    events = [e for e in json.loads(trace.read_text())["traceEvents"] if "args" in e and "detail" in e["args"]]
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        what = event["name"] + " " + re.sub(r"<.*", "", event["args"]["detail"]).replace(str(FOLDER.parent.parent) + "/", "")
        begin, end = event["ts"], event["ts"] + event["dur"]
        if outermost[what] and begin < outermost[what][-1]:
            continue  # inside another of the same kind
        outermost[what].append(end)
        totals[what] += event["dur"]
    for what, microseconds in totals.most_common(25):
        print(f"    {microseconds / 1e6:7.2f} s  {what}")


def show_top_of_gcc(compiler, flags, source, scratch):
    report = subprocess.run([compiler, *flags, "-O0", "-ftime-report", "-c", str(source), "-o", str(scratch / "top.o")],
                            stderr=subprocess.PIPE, text=True, check=True).stderr
    rows = re.findall(r"^ (.+?) +: +([0-9.]+) \(", report, re.MULTILINE)
    for what, seconds in sorted(rows, key=lambda row: -float(row[1]))[:12]:
        print(f"    {float(seconds):7.2f} s  {what}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("compiler")
    arguments.add_argument("--flags", help="a file with one flag a line")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--top", action="store_true")
    arguments.add_argument("sources", nargs="*", default=sorted(BUDGETS))
    options = arguments.parse_args()
    flags = pathlib.Path(options.flags).read_text().split("\n") if options.flags else []
    flags = [flag for flag in flags if flag]

    version = subprocess.run([options.compiler, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    print(version.splitlines()[0])
    print(f"{'source':<16}{'level':<8}{'user s':>8}{'budget':>8}{'MB':>8}{'budget':>8}")
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for name in options.sources:
            budget = BUDGETS.get(pathlib.Path(name).name)
            for level in LEVELS:
                found = measure(options.compiler, flags, FOLDER / name, level, options.runs, scratch)
                row = f"{name:<16}{level:<8}{found['seconds']:8.2f}"
                if budget and level == "-O0":
                    over = found["seconds"] > budget[0] or found["megabytes"] > budget[1]
                    row += f"{budget[0]:8.1f}{found['megabytes']:8.0f}{budget[1]:8.0f}  {'over' if over else 'within'}"
                else:
                    row += f"{'':8}{found['megabytes']:8.0f}"
                print(row, flush=True)
            if options.top:
                show = show_top_of_clang if "clang" in version else show_top_of_gcc
                show(options.compiler, flags, FOLDER / name, scratch)


if __name__ == "__main__":
    main()
