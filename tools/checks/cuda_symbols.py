#!/usr/bin/env python3
"""No function has two bodies in a build with CUDA. Every .cu file is compiled twice: by the C++ compiler
for the executor and by nvcc. A kernel outside of an anonymous namespace is in both object files under
one name, once as its body and once as the code that launches it, and the linker would silently keep one.

    cuda_symbols.py --build DIR     looks at what nvcc and the C++ compiler made in DIR/kernels

Prints each name of ours that both define; exits with 1 if there is one, with 77 if DIR is a build
without CUDA."""

import argparse
import glob
import os
import subprocess
import sys

# Names that both may define, with the reason. They must mean the same to both compilers.
ALLOWED = ()


def defined_names(objects):
    """Mangled names of ours, seen by the linker, with one of the files that define them."""
    names = {}
    run = subprocess.run(
        ["nm", "--print-file-name", "--defined-only", "--extern-only", *objects],
        stdout=subprocess.PIPE, encoding="utf-8", check=True,
    )
    for line in run.stdout.splitlines():
        path, _, symbol = line.rpartition(":")
        name = symbol.split()[-1]
        if "5basin" in name:
            names[name] = path
    return names


def demangled(names):
    run = subprocess.run(
        ["c++filt"], input="\n".join(names), stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return run.stdout.splitlines()


def objects_below(folder):
    return sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*.o"), recursive=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, help="the build folder")
    build = parser.parse_args().build
    by_nvcc = objects_below(
        os.path.join(build, "kernels", "cuda", "CMakeFiles", "basin_kernels_cuda.dir"))
    by_nvcc = [path for path in by_nvcc if path.endswith(".cu.o")]
    by_cxx = objects_below(os.path.join(build, "kernels", "CMakeFiles", "basin_kernels_objects.dir"))
    if not by_nvcc:
        print(f"cuda symbols: skipped, {build} holds nothing that nvcc has compiled")
        sys.exit(77)
    if not by_cxx:
        sys.exit(f"cuda_symbols.py: {build} holds no objects of the C++ compiler")

    of_nvcc = defined_names(by_nvcc)
    of_cxx = defined_names(by_cxx)
    both = sorted(set(of_nvcc) & set(of_cxx))
    clashes = [(name, text) for name, text in zip(both, demangled(both)) if text not in ALLOWED]
    for name, text in clashes:
        print(f"{os.path.relpath(of_nvcc[name], build)} and {os.path.relpath(of_cxx[name], build)}: "
              f"both define {text}; put it into an anonymous namespace")
    print(f"cuda symbols: {len(of_nvcc)} names by nvcc, {len(of_cxx)} by the C++ compiler, "
          f"{len(clashes)} clashes")
    sys.exit(1 if clashes else 0)


if __name__ == "__main__":
    main()
