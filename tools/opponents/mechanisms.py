#!/usr/bin/env python3
"""The mechanisms of the Hopfield family against dense attention, against PyTorch and against
themselves at other lengths; writes docs/results/mechanisms.md from docs/results/cpu/mechanisms_*.json.
With --measure it measures sections anew first, each some minutes; a run may be cut into sections.
Exit status: 0 done, 1 failed or results differ from float64, 2 wrong usage, 77 no PyTorch."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile

import mechanism_page
from cpu import PROGRAM, ROOT, import_torch, stop, whole, write

FOLDER = os.path.join(ROOT, "docs", "results")
# Largest difference from float64 over the largest number: sums of thousands of f32 products.
TOLERANCE = 2e-4

HEADS = {"B": 1, "H": 4, "D": 64}


class Contestant:
    """`label`; sizes of `operation association`, or the name of a way of PyTorch."""

    def __init__(self, label, theirs=None, **sizes):
        self.label, self.theirs, self.sizes = label, theirs, sizes


DENSE = Contestant("dense")
AGAIN = Contestant("dense again")
SPARSE = [DENSE, AGAIN, Contestant("sparsemax", separation="sparsemax"),
          Contestant("entmax-1.5", separation="entmax15")]
TOP = [DENSE, AGAIN, Contestant("top 20 %", top=20), Contestant("PyTorch masked", theirs="masked"),
       Contestant("PyTorch scattered", theirs="scattered")]
SHARES = [Contestant(f"keep {keep / 100:g}", keep=keep, grain="tile") for keep in (100, 10, 25, 50)]
SHARES.append(Contestant("keep 1 again", keep=100, grain="tile"))
LINEAR = [Contestant("window 64", window=64, causal=1),
          Contestant("linear", separation="linear", causal=1),
          Contestant("random features", separation="random_features", causal=1)]
EVERY = [*SPARSE[:1], *SPARSE[2:], *LINEAR, Contestant("polynomial", separation="polynomial"),
         Contestant("random mask, tile", keep=50, grain="tile"),
         Contestant("random mask, element", keep=50), TOP[2]]


class Section:
    def __init__(self, what, contestants, lengths, directions, threads=1, rounds=None):
        self.what, self.contestants, self.lengths = what, contestants, lengths
        self.directions, self.threads, self.rounds = directions, threads, rounds


SECTIONS = {
    "sparse_forward": Section("sparsemax and entmax, forward", SPARSE, [1024, 2048, 4096, 8192],
                              [False]),
    "sparse_both": Section("sparsemax and entmax, forward and backward", SPARSE,
                           [1024, 2048, 4096, 8192], [True]),
    "top_forward": Section("top 20 %, forward", TOP, [1024, 2048, 4096], [False]),
    "top_both": Section("top 20 %, forward and backward", TOP, [1024, 2048, 4096], [True]),
    "shares": Section("random mask by tile", SHARES, [4096], [False, True]),
    "linear": Section("window, linear, random features", LINEAR, [1024 << n for n in range(7)],
                      [True]),
    "memory": Section("peak memory", EVERY, [2048, 4096], [True], rounds=1),
    "threads_2": Section("two threads", [*SPARSE, TOP[2]], [4096], [True], threads=2),
}


def parser():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--measure", nargs="*", choices=list(SECTIONS), metavar="SECTION",
                   help=f"measure anew: all, or some of {', '.join(SECTIONS)}; needs PyTorch")
    p.add_argument("--program", default=PROGRAM, help="profile_kernels [%(default)s]")
    p.add_argument("--rounds", type=whole, default=15, help="at most [15]")
    p.add_argument("--least-rounds", type=whole, default=3, help="even if it takes long [3]")
    p.add_argument("--seconds", type=float, default=40,
                   help="after which a length gets no more than the least rounds [40]")
    p.add_argument("--quick", action="store_true", help="short texts, to see that it runs")
    p.add_argument("--folder", default=FOLDER, help="of mechanisms.md and cpu/ [%(default)s]")
    return p


def path_of(folder, name):
    return os.path.join(folder, "cpu", f"mechanisms_{name}.json")


def top_formula(torch, way, share):
    """softmax over the largest scores of each row: those below the least of them hidden, or
    the weights of the largest put into a row of zeros."""
    def masked(q, k, v):
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        count = max(1, int(share * k.shape[-2] + 1e-9))
        least = scores.topk(count, dim=-1, sorted=False).values.min(-1, keepdim=True).values
        return torch.softmax(scores.masked_fill(scores < least, -torch.inf), dim=-1) @ v

    def scattered(q, k, v):
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        largest = scores.topk(max(1, int(share * k.shape[-2] + 1e-9)), dim=-1, sorted=False)
        weights = torch.softmax(largest.values, dim=-1)
        return torch.zeros_like(scores).scatter(-1, largest.indices, weights) @ v

    return {"masked": masked, "scattered": scattered}[way]


def untied_rows(torch, q, k, share):
    """Queries whose k-th score is larger than the next one. Of thousands of rows of thousands of f32
    scores one or so has a tie there: all of it stays in for us and where scores are masked, one key
    of it for who scatters exactly k weights."""
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    count = max(1, int(share * k.shape[-2] + 1e-9))
    if count == k.shape[-2]:
        return torch.ones(scores.shape[:-1], dtype=torch.bool)
    largest = scores.topk(count + 1, dim=-1).values
    return largest[..., count - 1] > largest[..., count]


def theirs_round(torch, contestant, arrays, backward):
    from rounds import repeated

    leaves = [torch.nn.Parameter(arrays[name]) for name in ("q", "k", "v")]
    formula = top_formula(torch, contestant.theirs, 0.2)

    def forward():
        with torch.no_grad():
            return formula(*leaves)

    def both():
        for leaf in leaves:
            leaf.grad = None
        out = formula(*leaves)
        out.backward(arrays["dout"])
        return out

    call = both if backward else forward
    exactly = contestant.theirs == "scattered"
    rows = untied_rows(torch, arrays["q"], arrays["k"], 0.2) if exactly else None
    found = {"out": _relative(call().detach(), arrays["out"], rows)}
    if backward:
        found["dq"] = _relative(leaves[0].grad, arrays["dq"], rows)
        if rows is None or rows.all():  # a row with a tie reaches the gradients of all keys
            found.update({f"d{name}": _relative(leaf.grad, arrays["d" + name])
                          for name, leaf in zip("kv", leaves[1:])})
    return repeated(call, 0.02), found


def _relative(found, expected, rows=None):
    """The largest difference, over the largest number; `rows`: the queries that are compared."""
    differences = (found - expected).abs()
    if rows is not None:
        differences = differences[rows]
    return (differences.max() / expected.abs().max().clamp_min(1e-30)).item()


def measure_length(torch, arguments, section, length, backward):
    """Rows of one length: seconds of each round, memory, and how far results are from float64."""
    import npy
    import references
    from ours import Ours
    from rounds import take_turns

    with contextlib.ExitStack() as stack:
        calls, rows, arrays = {}, {}, {}
        for each in section.contestants:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mechanisms-"))
            row = {"label": each.label, "length": length, "backward": backward}
            rows[each.label] = row
            if each.theirs is not None:
                # On the arrays of top-k, which were read before.
                calls[each.label], row["differences"] = theirs_round(torch, each, arrays, backward)
                continue
            sizes = {**HEADS, "L": length, "causal": 0, **each.sizes}
            words = ["operation", "association", "--arrays", folder, "--shape",
                     ",".join(f"{key}={value}" for key, value in sizes.items())]
            ours = stack.enter_context(
                Ours(arguments.program, words + (["--backward"] if backward else []),
                     section.threads))
            arrays = npy.read_folder(folder)
            row["differences"] = references.differences(torch, arrays, sizes, backward)
            row["ours"] = ours
            calls[each.label] = ours.round
        rounds = section.rounds or arguments.rounds
        seconds = take_turns(calls, rounds, min(rounds, arguments.least_rounds), arguments.seconds)
        for label, row in rows.items():
            row["seconds"] = seconds[label]
            ours = row.pop("ours", None)
            if ours is not None:
                row["peak_bytes"] = ours.last["peak_allocated_bytes"]
        return list(rows.values())


def measure(arguments, name):
    torch = import_torch()
    import machine
    from ours import Ours, OursFailed

    section = SECTIONS[name]
    torch.set_num_threads(section.threads)
    try:
        with Ours(arguments.program, ["time", "fill", "--shape", "n=1"], section.threads) as first:
            document = {"format": "basin opponents mechanisms", "version": 1, "section": name,
                        **machine.describe(torch, first.ready, section.threads), "rows": []}
        for length in section.lengths:
            if arguments.quick:
                length = max(64, length // 32)
            for backward in section.directions:
                print(f"{section.what}: {length} tokens", file=sys.stderr, flush=True)
                document["rows"] += measure_length(torch, arguments, section, length, backward)
    except OursFailed as error:
        stop(1, error)
    document["load_after"] = os.getloadavg()
    os.makedirs(os.path.join(arguments.folder, "cpu"), exist_ok=True)
    write(path_of(arguments.folder, name), json.dumps(document) + "\n")
    wrong = [f"{row['label']} at {row['length']}" for row in document["rows"]
             if not all(x <= TOLERANCE for x in row["differences"].values())]
    if wrong:
        stop(1, f"results differ: {', '.join(wrong)}")


def read(folder):
    """The sections that were measured."""
    found = {}
    for name in SECTIONS:
        try:
            with open(path_of(folder, name), encoding="utf-8") as file:
                found[name] = json.load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            stop(1, f"{path_of(folder, name)}: {error}")
    if not found:
        stop(1, f"{folder}: nothing was measured; 'python3 tools/opponents/mechanisms.py --measure' "
             "does it")
    return found


def main():
    p = parser()
    arguments = p.parse_args()
    if arguments.measure is not None:
        if shutil.which(arguments.program) is None:
            p.error(f"--program: {arguments.program} is no program; build it, or say where it is")
        for name in arguments.measure or SECTIONS:
            measure(arguments, name)
    write(os.path.join(arguments.folder, "mechanisms.md"), mechanism_page.page(read(arguments.folder)))


if __name__ == "__main__":
    main()
