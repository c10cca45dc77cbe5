"""What is compared on a GPU: shapes and goals. Goals are those of the fastest opponent."""

from problems import Problem

STEP_LENGTHS = (1024, 2048, 4096, 8192)
PRECISIONS = ("f32", "tf32", "bf16")  # of products


def _heads(length, width, quick, **more):
    if quick:
        length, width = length // 64, min(width, 16)
    return {"B": 1 if quick else 4, "H": 1 if quick else 16, "L": length, "D": width, "causal": 1,
            **more}


def _attention(quick):
    # must: forward, backward, by width; f32 has a goal of its own.
    goals = {32: (1.1, 0.7), 64: (0.85, 0.7), 128: (0.8, 0.7), 256: (1.2, 0.7)}
    for precision in ("f32", "bf16"):
        for width, (forward, backward) in goals.items():
            for length in (2048, 8192) if width in (64, 128) else (4096,):
                for is_backward in (False, True):
                    must = 1.0 if precision == "f32" else backward if is_backward else forward
                    yield Problem("operation", "attention", _heads(length, width, quick),
                                  is_backward, False, must, precision)


def _mechanisms(quick):
    def problem(must, backward=True, compiled=True, length=4096, **more):
        return Problem("operation", "association", _heads(length, 64, quick, **more), backward,
                       compiled, must)

    yield problem(10, separation="sparsemax")
    yield problem(8, top=20)
    yield problem(1.2, window=512)
    yield problem(1.2, window=32)
    yield problem(3, separation="random_features", features=256)
    for backward in (False, True):
        yield Problem("operation", "linear_attention", _heads(4096, 64, quick), backward)


def _others(quick):
    less = 64 if quick else 1
    for backward in (False, True):
        for kind in ("rnn", "lstm", "gru"):
            yield Problem("operation", kind,
                          {"B": 4, "L": 32 if quick else 8192, "width": 32 if quick else 256},
                          backward, False, 1.0 if kind == "rnn" else None)
        yield Problem("operation", "layer_norm", {"rows": 32768 // less, "cols": 256}, backward,
                      True, 1.5 if backward else None)
        for precision in PRECISIONS:
            yield Problem("operation", "linear_cross_entropy",
                          {"tokens": 4096 // less, "width": 256, "vocabulary": 50257 // less},
                          backward, True, 1.5, precision)
    yield Problem("kernel", "adamw", {"n": 40_000_000 // less}, compiled=False, must=1.2)
    size = 4096 // (less if quick else 1)
    yield Problem("kernel", "gemm", {"m": size, "n": size, "k": size}, compiled=False)


def _steps(quick, kinds):
    for length in STEP_LENGTHS:
        for kind in kinds:
            sizes = {"layers": 2, "width": 256, "heads": 4, "batch": 4, "length": length,
                     "vocabulary": 50257}
            if quick:
                sizes.update(width=16, heads=2, batch=1, length=length // 128, vocabulary=97)
            for precision in PRECISIONS:
                yield Problem("step", kind, sizes, compiled=kind != "rnn",
                              must=1.5 if precision == "bf16" else None, precision=precision)


def gpu_problems(quick=False):
    """`quick`: small ones, for a rehearsal on the executor."""
    kinds = ["rnn", "attention", "hopfield", "linear-attention"]
    return [problem for family in (_attention(quick), _mechanisms(quick), _others(quick),
                                   _steps(quick, kinds)) for problem in family]
