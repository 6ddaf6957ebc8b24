"""Writes a tower as ONNX, for a fixed batch: what ONNX Runtime and OpenVINO read. Run as a program, so that the process
that is measured never holds PyTorch."""

import json
import os
import pathlib
import subprocess
import sys


def path(request):
    """Where the tower of a request lies, beside the weights."""
    return pathlib.Path(request["weights"]).with_name(f"{request['work']}-{request['batch']}.onnx")


def exported(request):
    """The path, after exporting where that has not been done yet."""
    at = path(request)
    if not at.exists():
        done = subprocess.run(
            [sys.executable, __file__, json.dumps(request)], stdout=sys.stderr, stderr=subprocess.PIPE, text=True
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(f"exporting to ONNX: {reason}")
    return at


def main(request):
    import torch
    import towers

    module, values = towers.tower(request)
    at = path(request)
    beside = at.with_suffix(".partial.onnx")
    with torch.inference_mode():
        torch.onnx.export(
            module,
            (torch.from_numpy(values),),
            str(beside),
            input_names=["input"],
            output_names=["features"],
            dynamo=True,
            external_data=False,
            optimize=True,
        )
    os.replace(beside, at)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
