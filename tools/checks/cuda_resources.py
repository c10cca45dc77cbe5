#!/usr/bin/env python3
"""What each CUDA kernel needs of a multiprocessor: registers, static shared memory, local memory. The build
keeps what ptxas tells (kernels/cuda/keep_resources.sh); this compares it with the record.

    cuda_resources.py --build DIR             compares; exits with 1 if a recorded kernel needs more
    cuda_resources.py --build DIR --update    writes the record and its table anew

A kernel fails if it spills more or has more local memory than recorded (a kernel that is not recorded: if
it spills at all), or if its registers pass the next multiple of 8 from the recorded count: a GPU hands
registers out by eights, so below that nothing changes. Another release of nvcc has other counts; then only
new spills fail. DIR without CUDA, or compiled fast instead of well (BASIN_CUDA_FAST_COMPILE): skipped (77)."""

import argparse
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
FIELDS = ("registers", "shared", "local", "spills")
ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)' for 'sm_(?P<architecture>\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")
PAGE_HEAD = """# Registers and memory of the CUDA kernels

Written by `tools/checks/cuda_resources.py --update` from what ptxas (nvcc {nvcc}) says; no GPU is needed for
that, and none was used. [cuda_resources.json](cuda_resources.json) has each instance of a template; here
stands the largest. Shared memory is the static part, in bytes; local memory holds what has no register:
arrays indexed by a variable, and spills. A test fails when a kernel passes its record.

"""


class Failure(Exception):
    pass


def kernel_name(demangled):
    """basin::kernels::(anonymous namespace)::f<int>(long) -> f<int>"""
    text = demangled.replace("(anonymous namespace)::", "").replace("basin::kernels::", "")
    depth = 0
    for position, character in enumerate(text):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            text = text[:position]
            break
    return text.removeprefix("void ")


def demangle(names):
    run = subprocess.run(
        ["c++filt"], input="\n".join(names), stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return run.stdout.splitlines()


def parse(text):
    """{(mangled name, architecture): [registers, shared, local, spills]} of ptxas's lines."""
    found = {}
    current = None
    for line in text.splitlines():
        if entry := ENTRY.search(line):
            current = found.setdefault((entry["name"], entry["architecture"]), [0, 0, 0, 0])
        elif current is None:
            continue
        elif stack := STACK.search(line):
            current[2] = int(stack[1])
            current[3] = int(stack[2]) + int(stack[3])
        elif registers := REGISTERS.search(line):
            current[0] = int(registers[1])
            shared = SHARED.search(line)
            current[1] = int(shared[1]) if shared else 0
            current = None
    return found


def built(build):
    """{file: {kernel: {architecture: [...]}}} of a build folder."""
    objects = os.path.join(build, "kernels", "cuda", "CMakeFiles", "basin_kernels_cuda.dir")
    kernels = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(objects), "**", "*.o.resources"),
                                 recursive=True)):
        if not os.path.exists(path.removesuffix(".resources")):
            continue  # of a file that is no longer there
        source = os.path.relpath(path, objects).replace("__/", "kernels/").removesuffix(".o.resources")
        with open(path, encoding="utf-8") as file:
            found = parse(file.read())
        names = demangle([name for name, _ in found])
        for (_, architecture), name, values in zip(found, names, found.values()):
            of_kernel = kernels.setdefault(source, {}).setdefault(kernel_name(name), {})
            known = of_kernel.get(architecture, values)
            of_kernel[architecture] = [max(pair) for pair in zip(known, values)]
    return kernels


def release_of_nvcc(build):
    for path in glob.glob(os.path.join(glob.escape(build), "CMakeFiles/*/CMakeCUDACompiler.cmake")):
        with open(path, encoding="utf-8") as file:
            if match := re.search(r'CMAKE_CUDA_COMPILER_VERSION "(\d+\.\d+)', file.read()):
                return match[1]
    raise Failure(f"{build} does not say which nvcc it uses")


def compiled_fast(build):
    path = os.path.join(build, "CMakeCache.txt")
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        return re.search(r"^BASIN_CUDA_FAST_COMPILE:BOOL=(ON|TRUE|YES|1)$", file.read(), re.MULTILINE) is not None


def limit_of(registers):
    return -(-registers // 8) * 8


def excesses(recorded, kernels, same_nvcc):
    """A line for each kernel that needs more than it may."""
    for source, by_name in sorted(kernels.items()):
        for name, by_architecture in sorted(by_name.items()):
            for architecture, now in sorted(by_architecture.items()):
                before = recorded.get(source, {}).get(name, {}).get(architecture)
                where = f"{source}: {name} on sm_{architecture}"
                registers, _, local, spills = before or (0, 0, 0, 0)
                if spills < now[3] and (same_nvcc or spills == 0):
                    yield f"{where} spills {now[3]} bytes, recorded are {spills}"
                elif not same_nvcc or before is None:
                    continue
                elif local < now[2]:
                    yield f"{where} has {now[2]} bytes of local memory, recorded are {local}"
                if same_nvcc and before and limit_of(registers) < now[0]:
                    yield (f"{where} needs {now[0]} registers, its limit is {limit_of(registers)} "
                           f"(recorded: {registers})")


def merged(recorded, kernels):
    """The new record: architectures that were not built now keep what they had."""
    result = {}
    for source, by_name in kernels.items():
        for name, by_architecture in by_name.items():
            known = recorded.get(source, {}).get(name, {})
            result.setdefault(source, {})[name] = {**known, **by_architecture}
    return result


def record_text(nvcc, kernels):
    """JSON with a line for each kernel."""
    files = []
    for source, by_name in sorted(kernels.items()):
        lines = [
            f"      {json.dumps(name)}: {json.dumps(by_name[name], sort_keys=True)}"
            for name in sorted(by_name)
        ]
        files.append(f"    {json.dumps(source)}: {{\n" + ",\n".join(lines) + "\n    }")
    head = f'{{\n  "nvcc": {json.dumps(nvcc)},\n  "fields": {json.dumps(FIELDS)},\n'
    return head + '  "kernels": {\n' + ",\n".join(files) + "\n  }\n}\n"


def page_text(nvcc, kernels):
    architectures = sorted({a for k in kernels.values() for n in k.values() for a in n})
    rows = [["file", "kernel", "instances"]
            + [f"registers sm_{a}" for a in architectures] + ["shared", "local", "spills"]]
    rows.append(["---", "---"] + ["---:"] * (len(rows[0]) - 2))
    for source, by_name in sorted(kernels.items()):
        templates = {}
        for name, by_architecture in by_name.items():
            templates.setdefault(name.split("<")[0], []).append(by_architecture)
        for template, instances in sorted(templates.items()):
            row = [source.removeprefix("kernels/"), f"`{template}`", str(len(instances))]
            for architecture in architectures:
                counts = [i[architecture][0] for i in instances if architecture in i]
                row.append(str(max(counts)) if counts else "")
            for field in (1, 2, 3):
                row.append(str(max(v[field] for i in instances for v in i.values())))
            rows.append(row)
    return PAGE_HEAD.format(nvcc=nvcc) + "".join("| " + " | ".join(row) + " |\n" for row in rows)


def run(arguments):
    kernels = built(arguments.build)
    if not kernels:
        print(f"cuda resources: skipped, {arguments.build} holds nothing that nvcc has compiled")
        return 77
    if compiled_fast(arguments.build):
        print(f"cuda resources: skipped, {arguments.build} has BASIN_CUDA_FAST_COMPILE")
        return 77
    nvcc = release_of_nvcc(arguments.build)
    record = {"nvcc": nvcc, "kernels": {}}
    if os.path.exists(arguments.record):
        with open(arguments.record, encoding="utf-8") as file:
            record = json.load(file)
    recorded = record["kernels"]

    if arguments.update:
        kernels = merged(recorded if record["nvcc"] == nvcc else {}, kernels)
        for path, text in (
            (arguments.record, record_text(nvcc, kernels)),
            (os.path.splitext(arguments.record)[0] + ".md", page_text(nvcc, kernels)),
        ):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            print(f"written: {path}")
        return 0

    same_nvcc = record["nvcc"] == nvcc
    lines = list(excesses(recorded, kernels, same_nvcc))
    for line in lines:
        print(line)
    count = sum(len(by_name) for by_name in kernels.values())
    unknown = sum(name not in recorded.get(source, {})
                  for source, by_name in kernels.items() for name in by_name)
    print(f"cuda resources: {count} kernels, {len(lines)} need more than recorded")
    if not same_nvcc:
        print(f"  recorded with nvcc {record['nvcc']}, built with {nvcc}: only new spills count")
    if unknown:
        print(f"  {unknown} of them are not recorded yet")
    if lines or unknown:
        print(f"  tools/checks/cuda_resources.py --build {arguments.build} --update records them")
    return 1 if lines else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--record", default=os.path.join(ROOT, "docs/results/cuda_resources.json"))
    parser.add_argument("--update", action="store_true", help="write the record and the table")
    try:
        sys.exit(run(parser.parse_args()))
    except Failure as failure:
        sys.exit(f"cuda_resources.py: {failure}")


if __name__ == "__main__":
    main()
