#!/usr/bin/env python3
"""Ours against PyTorch on a GPU: the same problems and numbers, in turn within every round: attention
by every back end of PyTorch, FlexAttention, cuDNN's recurrences, compiled steps with and without a
graph, in f32, tf32 and bf16. With --device simt, a rehearsal without a GPU: ours runs on the executor,
theirs on the CPU, problems are small and times mean nothing.
Exit status: 0 done, 1 failed or results differ, 2 wrong usage, 77 no PyTorch or no GPU."""

import cpu
from gpu_problems import gpu_problems
from problems import chosen

def parser():
    p = cpu.parser(__doc__.split("\nWith --device", maxsplit=1)[0].replace("\n", " "))
    p.add_argument("--device", choices=["cuda", "simt"], default="cuda",
                   help="of ours; simt rehearses on the executor [cuda]")
    return p


def place_of(torch, device):
    import place

    if device == "simt":
        return place.Cpu("simt")
    if not torch.cuda.is_available():
        cpu.stop(77, "skipped: PyTorch finds no GPU; --device simt rehearses without one")
    return place.Gpu(torch)


def main():
    p = parser()
    arguments = p.parse_args()
    problems = chosen(gpu_problems(arguments.quick or arguments.device == "simt"), arguments.only,
                      arguments.without)
    cpu.check(p, arguments, problems)
    torch = cpu.import_torch()
    where = place_of(torch, arguments.device)
    kind = "gpu" if arguments.device == "cuda" else "gpu rehearsal"
    cpu.compete(lambda: cpu.run(torch, arguments, problems, where, kind), arguments)


if __name__ == "__main__":
    main()
