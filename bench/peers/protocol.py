"""The protocol of bench/worker.cpp, for workers written in Python.

One JSON object a line on the standard input, one a line as the answer. A peer gives `serve` what it can do:

    class Peer:
        name, versions, works, precisions
        def prepare(self, request) -> Work

    class Work:
        unit, items
        def run(self): ...                 one repetition
        def output(self) -> list of float  numbers of the last output
        note                               what was chosen, such as the faster of two ways
"""

import json
import os
import sys
import time


class Refused(Exception):
    """Why a peer does not do what it was asked, as one sentence."""


class Work:
    """A work with its memory taken. `ran`: whether making it has run it already, kernels chosen and memory touched."""

    ran = False
    unit = "images"
    items = 0
    note = ""

    def run(self):
        raise NotImplementedError

    def output(self):
        raise NotImplementedError

    def device_bytes(self):
        """The peak of a GPU's memory, or None where the work runs on the CPU."""
        return None


def peak_bytes():
    """The peak of resident bytes, by the kernel's account."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024.0 * float(line.split()[1])
    return 0.0


def forget_peak():
    """Lets that peak begin anew. Where the kernel does not allow it, it stays that of the whole process."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5\n")
    except OSError:
        pass


class _Worker:
    def __init__(self, peer):
        self.peer = peer
        self.work = None
        self.before_running = 0.0

    def answer(self, message):
        commands = {
            "hello": self.hello,
            "prepare": self.prepare,
            "run": self.run,
            "check": self.check,
            "memory": self.memory,
            "roofline": self.roofline,
        }
        command = message["command"]
        if command not in commands:
            raise Refused(f"a command of a worker: expected one of {', '.join(commands)}, got '{command}'")
        return commands[command](message)

    def roofline(self, request):
        if not hasattr(self.peer, "roofline"):
            raise Refused(f"a roofline: expected a peer that measures one, got {self.peer.name}")
        rate = self.peer.roofline(request)
        return {"flops": rate, "processor_flops": rate}

    def hello(self, _):
        peer = self.peer
        return {"name": peer.name, "versions": peer.versions, "works": peer.works, "precisions": peer.precisions}

    def prepare(self, request):
        self.work = None
        for what, known in (("work", self.peer.works), ("precision", self.peer.precisions)):
            if request[what] not in known:
                raise Refused(f"{what}: expected one of {', '.join(known)}, got '{request[what]}'")
        self.work = self.peer.prepare(request)
        if not self.work.ran:
            self.work.run()
        self.before_running = peak_bytes()
        forget_peak()
        return {"unit": self.work.unit, "items": self.work.items, "note": self.work.note}

    def run(self, message):
        least = message.get("least_seconds", 0.0)
        begin, processor_begin, repetitions = time.perf_counter(), time.process_time(), 0
        while True:
            self.work.run()
            repetitions += 1
            seconds, processor_seconds = time.perf_counter() - begin, time.process_time() - processor_begin
            if seconds >= least:
                break
        return {
            "seconds": seconds / repetitions,
            "processor_seconds": processor_seconds / repetitions,
            "repetitions": repetitions,
        }

    def check(self, _):
        return {"values": [float(x) for x in self.work.output()]}

    def memory(self, _):
        if (on_device := self.work.device_bytes()) is not None:
            return {"running": on_device, "whole": on_device}
        running = peak_bytes()
        return {"running": running, "whole": max(running, self.before_running)}


def serve(make_peer):
    """Answers until the standard input ends. `make_peer()` imports what the peer needs; where that is missing, every
    answer says so in one sentence."""
    # Libraries print to the standard output now and then; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        worker, missing = _Worker(make_peer()), None
    except ImportError as error:
        worker, missing = None, f"{error.name or error} is not installed for {sys.executable}"
    for line in sys.stdin:
        try:
            answer = {"missing": missing} if missing else worker.answer(json.loads(line))
        except Refused as refusal:
            answer = {"error": str(refusal)}
        except Exception as error:  # whatever a library throws becomes one sentence in the table
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def timed(run, clock=time.process_time):
    """Seconds of one call, by default of the processor."""
    begin = clock()
    run()
    return clock() - begin


def fastest(ways, clock=time.process_time):
    """The way whose work runs fastest, by one call after a warm-up each. `ways`: {name: function that makes a Work}.
    Ways that fail are left out, unless all do."""
    best, failures = None, []
    for name, make in ways.items():
        try:
            work = make()
            if not work.ran:
                work.run()
            seconds = timed(work.run, clock)
        except Exception as error:
            failures.append(error)
            continue
        if best is None or seconds < best[0]:
            best = (seconds, name, work)
        del work
    if best is None:
        raise failures[0]
    best[2].note = best[1]
    return best[2]
