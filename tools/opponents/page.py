#!/usr/bin/env python3
"""Writes docs/results/cpu.md from the measurements in docs/results/cpu/; with --measure it measures
first, which takes some minutes and should have the machine for itself. Nothing on the page is
written by hand."""

import argparse
import json
import os
import subprocess
import sys

import growth
import tables
from cpu import PROGRAM, ROOT, stop, whole, write

FOLDER = os.path.join(ROOT, "docs", "results")
COMMAND = "python3 tools/opponents/page.py --measure"
# With one thread, the longest steps would take as long as all the rest.
RUNS = {"threads_1": (1, ["--without", "length=2048"]), "threads_2": (2, [])}
PARTS = [*RUNS, "growth"]


def parser():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--measure", nargs="*", choices=PARTS, metavar="PART",
                   help=f"measure anew: all, or some of {', '.join(PARTS)}; needs PyTorch")
    p.add_argument("--program", default=PROGRAM, help="profile_kernels [%(default)s]")
    p.add_argument("--rounds", type=whole, default=15, help="of a comparison, at most [15]")
    p.add_argument("--seconds", type=float, default=5.0,
                   help="after which a problem gets no more than 3 rounds [5]")
    p.add_argument("--without", action="append", default=[], metavar="TEXT",
                   help="leave out problems with this in their name; may be repeated")
    p.add_argument("--quick", action="store_true", help="small problems, to see that it runs")
    p.add_argument("--folder", default=FOLDER, help="of cpu.md and cpu/ [%(default)s]")
    return p


def path_of(folder, name):
    return os.path.join(folder, "cpu", name + ".json")


def words_of(threads, more, arguments):
    words = ["--threads", str(threads), "--rounds", str(arguments.rounds), "--seconds",
             f"{arguments.seconds:g}", *more]
    for text in arguments.without:
        words += ["--without", text]
    return words + (["--quick", "--no-compile"] if arguments.quick else [])


def measure_comparisons(arguments, part):
    here = os.path.dirname(os.path.abspath(__file__))
    words = words_of(*RUNS[part], arguments)
    path = path_of(arguments.folder, part)
    done = subprocess.run([sys.executable, os.path.join(here, "cpu.py"), *words, "--program",
                           arguments.program, "--json", path], check=False)
    if done.returncode != 0:
        stop(done.returncode, "nothing but the measurements so far was written")
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    document["command"] = " ".join(["python3 tools/opponents/cpu.py", *words])
    write(path, json.dumps(document, indent=1) + "\n")


def measure_growth(arguments):
    small = {"lengths": {"linear_attention": [64, 128], "attention": [64, 128]},
             "step": {"batch": 1, "length": 64, "vocabulary": 300, "width": 32}}
    load = os.getloadavg()
    try:
        found = growth.measure(arguments.program, 2, 3,
                               lambda what: print(what, file=sys.stderr, flush=True),
                               **(small if arguments.quick else {}))
    except (OSError, subprocess.CalledProcessError) as error:
        stop(1, error)
    write(path_of(arguments.folder, "growth"),
          json.dumps({"load_before": load, **found}, indent=1) + "\n")


def measure(arguments):
    os.makedirs(os.path.join(arguments.folder, "cpu"), exist_ok=True)
    for part in arguments.measure or PARTS:
        if part in RUNS:
            measure_comparisons(arguments, part)
        else:
            measure_growth(arguments)


def read(folder, name):
    path = path_of(folder, name)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        stop(1, f"{path}: {error}; '{COMMAND}' makes it")


def verdicts(document):
    """What the goals say, with the numbers of the slowest comparison."""
    missed = [row["name"] for row in document["rows"] if tables.goal_text(row).endswith("MISSED")]
    goals = [row for row in document["rows"] if tables.goal_text(row)]
    slower = [(them["ratio"]["median"], row["name"], them["label"]) for row in document["rows"]
              for them in row["opponents"] if them["ratio"]["median"] < 1]
    text = f"{len(goals) - len(missed)} of {len(goals)} goals are met."
    if missed:
        text += " Missed: " + "; ".join(missed) + "."
    if slower:
        text += " Slower than PyTorch: " + "; ".join(
            f"{name} ({label}: {ratio:.2f})" for ratio, name, label in sorted(slower)) + "."
    return text + "\n"


def page(folder):
    parts = [
        "# The CPU against PyTorch\n",
        f"Written by `tools/opponents/page.py` from the files in [cpu/](cpu/); `{COMMAND}` measures "
        "anew. How it is\nmeasured, and what the columns mean, stands in "
        "[tools/opponents](../../tools/opponents/README.md).\n"]
    for part, (threads, _) in RUNS.items():
        document = read(folder, part)
        parts += [f"## {threads} thread{'s' if threads > 1 else ''}\n",
                  "".join(f"- {line}\n" for line in tables.circumstances(document))
                  + f"- `{document['command']}`\n",
                  *([warning + "\n"] if (warning := tables.busy_warning(document)) else []),
                  verdicts(document),
                  tables.markdown(tables.HEAD, tables.lines(document)),
                  "Whole steps: the same architecture with the same initial weights.\n",
                  tables.markdown(tables.STEP_HEAD, tables.step_lines(document))]
        skipped = "".join(f"- {line}\n" for line in tables.skipped_lines(document))
        parts += [skipped] if skipped else []
    found = read(folder, "growth")
    first = found["operations"][0]
    step = found["steps"][0]
    parts += [
        "## Growth with the length\n",
        f"Ours alone, {first['threads']} threads, {first['date']}, basin {first['build']['version']} "
        f"{first['build']['commit']}; causal, {growth.HEADS['H']} heads of width "
        f"{growth.HEADS['D']}, batch {growth.HEADS['B']}; load before "
        f"{tables.load_text(found['load_before'])}. Where\ntime or memory grow linearly, twice "
        "the tokens give 2.00.\n",
        tables.markdown(growth.OPERATION_HEAD, growth.operation_lines(found)),
        f"Whole training steps, {step['rows'][0]['sizes']}:\n",
        tables.markdown(growth.STEP_HEAD, growth.step_lines(found))]
    return "\n".join(parts)


def main():
    arguments = parser().parse_args()
    if arguments.measure is not None:
        measure(arguments)
    write(os.path.join(arguments.folder, "cpu.md"), page(arguments.folder))


if __name__ == "__main__":
    main()
