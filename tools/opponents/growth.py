"""How our time and memory grow with the length of the text, and what a whole step needs at most."""

import json
import os
import subprocess
import tempfile

from problems import STEP_KINDS

HEADS = {"H": 4, "D": 64, "B": 1, "causal": 1}
LENGTHS = {"linear_attention": [1024 << n for n in range(7)], "attention": [1024 << n for n in range(4)]}
LONG_STEP = {"batch": 1, "length": 8192}
# What a step of LONG_STEP may hold.
MOST_BYTES = 1.2e9


def measure(program, threads, rounds, tell, lengths=None, step=None):
    """Rows of `profile_kernels operation` and `step`, each from a process of its own."""
    lengths, step = lengths or LENGTHS, step or LONG_STEP
    found = {"operations": [], "steps": []}
    for operation, sizes in lengths.items():
        for length in sizes:
            tell(f"{operation}, {length} tokens")
            shape = ",".join(f"{key}={value}" for key, value in {**HEADS, "L": length}.items())
            found["operations"].append(
                {**_document(program, ["operation", operation, "--backward", "--shape", shape,
                                       "--threads", threads, "--rounds", rounds]),
                 "length": length})
    for kind in STEP_KINDS:
        tell(f"step of {kind}, {step['length']} tokens")
        words = ["step", "--backbone", kind, "--threads", threads, "--rounds", 2]
        for key, value in step.items():
            words += [f"--{key}", value]
        found["steps"].append(_document(program, words))
    return found


def _document(program, words):
    with tempfile.TemporaryDirectory(prefix="opponents-") as folder:
        path = os.path.join(folder, "found.json")
        subprocess.run([program, *map(str, words), "--json", path], check=True,
                       stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def operation_lines(found):
    """Time, and time and memory for each token compared with the row before of the same operation."""
    before = None
    for each in found["operations"]:
        if before is not None and before["operation"] != each["operation"]:
            before = None
        allocated = each["peak_allocated_bytes"]
        seconds = each["seconds"]["median"]
        yield [each["operation"], str(each["length"]), f"{1e3 * seconds:.4g}",
               f"{seconds / before['seconds']['median']:.2f}" if before else "",
               f"{allocated / 1e6:.4g}",
               f"{allocated / before['peak_allocated_bytes']:.2f}" if before else "",
               f"{each['peak_resident_bytes'] / 1e6:.4g}"]
        before = each


OPERATION_HEAD = ["fwd+bwd", "tokens", "ms", "x row above", "allocated MB", "x row above",
                  "resident MB"]


def step_lines(found):
    for each in found["steps"]:
        row = each["rows"][0]
        most = row["peak_resident_bytes"]
        yield [row["backbone"], f"{1e3 * row['seconds']['median']:.4g}",
               f"{row['peak_allocated_bytes'] / 1e6:.0f}", f"{most / 1e6:.0f}",
               f"{MOST_BYTES / 1e6:.0f} {'met' if most <= MOST_BYTES else 'MISSED'}"]


STEP_HEAD = ["step", "ms", "allocated MB", "resident MB", "at most MB"]
