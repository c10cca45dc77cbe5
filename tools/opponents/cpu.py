#!/usr/bin/env python3
"""Ours against PyTorch on the CPU: the same problems, the same numbers, the same number of threads,
in turn within every round. What is told is how many times longer PyTorch takes: the median over the
rounds of the ratio within a round, with its 10th and 90th percentile, beside ours against itself.
Exit status: 0 done, 1 failed or results differ, 2 wrong usage, 77 no PyTorch."""

import argparse
import importlib
import json
import os
import shutil
import sys
import time

import tables
from ours import OursFailed
from problems import all_problems, chosen

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build", "release", "bin", "profile_kernels")


def whole(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def parser(description=__doc__):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--program", default=PROGRAM, help="profile_kernels [%(default)s]")
    p.add_argument("--threads", type=whole, default=1, help="of both [1]")
    p.add_argument("--only", action="append", default=[], metavar="TEXT",
                   help="problems with this in their name; may be repeated")
    p.add_argument("--without", action="append", default=[], metavar="TEXT",
                   help="not these; may be repeated")
    p.add_argument("--list", action="store_true", help="show the names of the problems")
    p.add_argument("--rounds", type=whole, default=15, help="at most [15]")
    p.add_argument("--least-rounds", type=whole, default=3, help="even if it takes long [3]")
    p.add_argument("--seconds", type=float, default=5.0,
                   help="after which a problem gets no more than the least rounds [5]")
    p.add_argument("--min-time", type=float, default=20.0, metavar="MS",
                   help="length of a sample in milliseconds, at least [20]")
    p.add_argument("--no-compile", dest="compile", action="store_false",
                   help="without torch.compile, which needs a C++ compiler and time")
    p.add_argument("--quick", action="store_true", help="small problems, to see that it runs")
    p.add_argument("--json", metavar="FILE", help="write everything, after each problem")
    p.add_argument("--minutes", type=float, metavar="N",
                   help="begin no problem after so many minutes; --json has the others")
    p.add_argument("--more", action="store_true",
                   help="go on with --json FILE: what is in it is not measured again")
    p.add_argument("--markdown", metavar="FILE", help="write what is printed, as Markdown")
    return p


def stop(status, message):
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    sys.exit(status)


def import_torch():
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        stop(77, f"skipped: needs PyTorch: {error}; run it with a Python that has torch")


def rows_so_far(arguments, document):
    """Those of the file that --more goes on with."""
    if not arguments.more or not os.path.exists(arguments.json):
        return []
    with open(arguments.json, encoding="utf-8") as file:
        before = json.load(file)
    # A card that is lent once more may stand in another machine.
    place = ("card",) if "card" in document else ("machine", "isa")
    other = [key for key in ("format", "version", "build", "threads", "torch", *place)
             if before.get(key) != document.get(key)]
    if other:
        stop(1, f"{arguments.json} was measured under other circumstances: {', '.join(other)}")
    return before["rows"]


def run(torch, arguments, problems, place=None, kind="cpu"):
    # After the argument checks, because they import torch.
    import machine
    from comparison import compare
    from ours import Ours
    from place import Cpu

    place = place or Cpu()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    tell = lambda what: print(what, file=sys.stderr, flush=True)
    with Ours(arguments.program, ["time", "fill", "--shape", "n=1"], arguments.threads) as first:
        document = {"format": f"basin opponents {kind}", "version": 1,
                    **machine.describe(torch, first.ready, arguments.threads), **place.describe()}
    document["rows"], document["failed"], document["left_out"] = rows_so_far(arguments, document), {}, []
    known = {row["name"] for row in document["rows"]}
    begin = time.monotonic()
    for problem in problems:
        if problem.name in known:
            continue
        if arguments.minutes is not None and time.monotonic() - begin >= 60 * arguments.minutes:
            document["left_out"].append(problem.name)
            continue
        tell(problem.name)
        try:
            document["rows"].append(
                compare(torch, place, arguments.program, problem, arguments, tell))
        except OursFailed as error:  # the others are still worth their time
            document["failed"][problem.name] = str(error)
            tell(f"{problem.name}: {error}")
        if arguments.json:  # a card may be ours for a while only
            write(arguments.json, json.dumps(document, indent=1) + "\n")
        # What was compiled for a problem is of no use to the next.
        torch.compiler.reset()
        place.free()
    document["load_after"] = os.getloadavg()
    return document


def notes_of(document):
    warning = tables.busy_warning(document)
    return [*tables.skipped_lines(document), *([warning] if warning else [])]


def as_text(document):
    parts = ["\n".join(tables.circumstances(document)) + "\n",
             tables.text(tables.HEAD, tables.lines(document))]
    if any(row["kind"] == "step" for row in document["rows"]):
        parts.append(tables.text(tables.STEP_HEAD, tables.step_lines(document)))
    notes = "".join(f"{line}\n" for line in notes_of(document))
    return "\n".join(parts + ([notes] if notes else []))


def as_markdown(document):
    parts = ["".join(f"- {line}\n" for line in tables.circumstances(document)),
             tables.markdown(tables.HEAD, tables.lines(document))]
    if any(row["kind"] == "step" for row in document["rows"]):
        parts.append(tables.markdown(tables.STEP_HEAD, tables.step_lines(document)))
    notes = "".join(f"- {line}\n" for line in notes_of(document))
    return "\n".join(parts + ([notes] if notes else []))


def write(path, content):
    """`path` is the old file or the whole new one."""
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(path + ".partial", path)


def check(p, arguments, problems):
    """Ends the program for wrong usage, or after the list of names that was asked for."""
    arguments.min_seconds = arguments.min_time / 1e3
    arguments.least_rounds = min(arguments.least_rounds, arguments.rounds)
    if not problems:
        p.error("no problem has such a name; --list shows them")
    if arguments.list:
        print("\n".join(problem.name for problem in problems))
        sys.exit(0)
    if arguments.more and not arguments.json:
        p.error("--more goes on with a file: --json says which")
    if shutil.which(arguments.program) is None:
        p.error(f"--program: {arguments.program} is no program; build it, or say where it is")


def compete(measure, arguments):
    """Tells and writes what measure() finds."""
    try:
        document = measure()
    except OursFailed as error:
        stop(1, error)
    except KeyboardInterrupt:
        stop(1, "interrupted; nothing was written")
    print(as_text(document), end="")
    try:
        if arguments.json:
            write(arguments.json, json.dumps(document, indent=1) + "\n")
        if arguments.markdown:
            write(arguments.markdown, as_markdown(document))
    except OSError as error:
        stop(1, error)
    different = [row["name"] for row in document["rows"]
                 if not all(them["agrees"] for them in row["opponents"])]
    if different:
        stop(1, f"results differ from PyTorch's: {', '.join(different)}")
    if document["failed"]:
        stop(1, f"ours failed: {', '.join(document['failed'])}")


def main():
    p = parser()
    arguments = p.parse_args()
    problems = chosen(all_problems(arguments.quick), arguments.only, arguments.without)
    check(p, arguments, problems)
    torch = import_torch()
    compete(lambda: run(torch, arguments, problems), arguments)


if __name__ == "__main__":
    main()
