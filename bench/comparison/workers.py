"""Processes that do one work when they are told to (the protocol is that of bench/worker.cpp)."""

import contextlib
import json
import os
import subprocess
import tempfile


class NotRun(Exception):
    """Why a worker cannot do what was asked, in one sentence."""


class Worker:
    def __init__(self, command, threads):
        counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {
            **os.environ,
            **{name: str(threads) for name in counts},
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            # What libraries print besides would hide the progress; its last line is for a process that ends.
            self.printed = tempfile.TemporaryFile()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.printed,
                text=True,
                env=environment,
            )
        except OSError as error:
            raise NotRun(f"'{command[0]}' cannot be started: {error.strerror}") from error

    def ask(self, command, **fields):
        try:
            self.process.stdin.write(json.dumps({"command": command, **fields}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            self.printed.seek(0)
            last = self.printed.read().decode(errors="replace").strip().splitlines()[-1:]
            raise NotRun(": ".join([f"the process ended with code {code} at '{command}'", *last]))
        answer = json.loads(line)
        for problem in ("missing", "error"):
            if problem in answer:
                raise NotRun(answer[problem])
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.printed):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
