"""A worker without a library, for the tests of bench/compare: it speaks the protocol of bench/peers/protocol.py and
makes up its numbers. STAND_IN in the environment says, for each name, which ones, and what goes wrong."""

import json
import os
import sys

behaviour = json.loads(os.environ["STAND_IN"])[sys.argv[1] if len(sys.argv) > 1 else "radapt"]
runs = 0
for line in sys.stdin:
    message = json.loads(line)
    command = message["command"]
    if command == behaviour.get("dies_at"):
        print("out of memory", file=sys.stderr)
        sys.exit(3)
    answers = {
        "hello": {"name": "x", "versions": {behaviour["title"]: "1.0"}, "works": ["image"], "precisions": ["f32"]},
        "export": {},
        "prepare": {"unit": "images", "items": message.get("batch"), "note": behaviour.get("note", "")},
        "check": {"values": behaviour["output"]},
        "memory": {"running": behaviour["bytes"], "whole": 2 * behaviour["bytes"]},
        "roofline": {"flops": 8e9, "processor_flops": 4e9},
    }
    if command == "run":
        seconds = behaviour["seconds"][runs % len(behaviour["seconds"])]
        runs += 1
        answers["run"] = {"seconds": seconds, "processor_seconds": 2 * seconds, "flops": 1e9, "repetitions": 1}
        if "log" in behaviour:
            with open(behaviour["log"], "a") as log:
                log.write(behaviour["title"] + "\n")
    answer = answers[command]
    if command == "prepare" and message["precision"] != "f32":
        answer = {"error": "radapt: precision of a work: expected f32"}
    if command == "hello" and "missing" in behaviour:
        answer = {"missing": behaviour["missing"]}
    print(json.dumps(answer), flush=True)
