"""What is compared on a GPU: shapes and goals. Goals are those of the fastest opponent; where a goal
concerns ours alone, the opponent is ours with other sizes."""

from problems import Problem

STEP_LENGTHS = (1024, 2048, 4096, 8192)
PRECISIONS = ("f32", "tf32", "bf16")  # of products
STEP_KINDS = ("rnn", "lstm", "gru", "attention", "hopfield", "linear-attention",
              "random-feature-attention", "sparse-hopfield", "entmax-hopfield",
              "polynomial-hopfield", "topk-hopfield", "window-hopfield",
              "random-masked-hopfield")
ALL_PRECISIONS = ("rnn", "attention", "hopfield", "linear-attention")  # the others: f32 and bf16
RECURRENT = ("rnn", "lstm", "gru")


def _heads(length, width, quick, **more):
    if quick:
        length, width = length // 64, min(width, 16)
    return {"B": 1 if quick else 4, "H": 1 if quick else 16, "L": length, "D": width, "causal": 1,
            **more}


def _attention(quick):
    # must: forward, backward, by width; f32 has a goal of its own.
    goals = {32: (1.1, 0.7), 64: (0.85, 0.7), 128: (0.8, 0.7), 256: (1.2, 0.7)}
    for precision in PRECISIONS:
        for width, (forward, backward) in goals.items():
            for length in (2048, 8192) if width in (64, 128) else (4096,):
                for is_backward in (False, True):
                    of_bf16 = backward if is_backward else forward
                    must = {"f32": 1.0, "tf32": None, "bf16": of_bf16}[precision]
                    yield Problem("operation", "attention", _heads(length, width, quick),
                                  is_backward, False, must, precision)


def _mechanisms(quick):
    def problem(must, backward=True, compiled=True, length=4096, precision="f32", **more):
        return Problem("operation", "association", _heads(length, 64, quick, **more), backward,
                       compiled, must, precision)

    def against_ours(must, label, changes, calls=1, backward=True, **sizes):
        return Problem("operation", "association", {**_heads(8192, 64, quick), **sizes}, backward, False,
                       must, own=((label, changes, calls),), theirs=False)

    yield problem(10, separation="sparsemax")
    yield against_ours(1.5, "our dense", {"separation": "softmax"}, separation="sparsemax")
    yield problem(1.5, separation="entmax15")
    yield problem(8, top=20)
    for precision in ("f32", "bf16"):
        yield problem(1.2, window=512, precision=precision)
        yield problem(1.2, window=32, precision=precision)
    yield against_ours(5, "ours, keep 1", {"keep": 100}, keep=10, grain="tile", causal=0)
    few = {"L": 16, "D": 16} if quick else {"L": 64}
    yield against_ours(2, "5 calls of ours", {"steps": 1}, 5, False, steps=5, causal=0, **few)
    yield problem(3, separation="random_features", features=256)
    for precision in ("f32", "bf16"):
        for backward in (False, True):
            yield Problem("operation", "linear_attention", _heads(4096, 64, quick), backward,
                          must=2 if precision == "f32" and not backward else None,
                          precision=precision)


def _others(quick):
    less = 64 if quick else 1
    for backward in (False, True):
        for kind in ("rnn", "lstm", "gru"):
            yield Problem("operation", kind,
                          {"B": 4, "L": 32 if quick else 8192, "width": 32 if quick else 256},
                          backward, False, 1.0 if kind == "rnn" else None)
            if not quick:  # cuDNN through our layer, which PyTorch goes through its own
                yield Problem("operation", kind,
                              {"B": 4, "L": 8192, "width": 256, "recurrence": "cudnn"}, backward,
                              False)
        yield Problem("operation", "layer_norm", {"rows": 32768 // less, "cols": 256}, backward,
                      True, 1.5 if backward else None)
        for precision in PRECISIONS:
            yield Problem("operation", "linear_cross_entropy",
                          {"tokens": 4096 // less, "width": 256, "vocabulary": 50257 // less},
                          backward, True, 1.5, precision)
    yield Problem("kernel", "adamw", {"n": 40_000_000 // less}, compiled=False, must=1.2)
    size = 4096 // (less if quick else 1)
    yield Problem("kernel", "gemm", {"m": size, "n": size, "k": size}, compiled=False)


def _steps(quick):
    for length in STEP_LENGTHS:
        for kind in STEP_KINDS:
            sizes = {"layers": 2, "width": 256, "heads": 4, "batch": 4, "length": length,
                     "vocabulary": 50257}
            if quick:
                sizes.update(width=16, heads=2, batch=1, length=length // 128, vocabulary=97)
            for precision in PRECISIONS:
                if precision == "tf32" and kind not in ALL_PRECISIONS:
                    continue
                yield Problem("step", kind, sizes, compiled=kind not in RECURRENT,
                              must=1.5 if precision == "bf16" else None, precision=precision)


def importance(problem):
    """What is measured first, where a card is there for a while only (--minutes): operations with a goal,
    steps of one length with theirs, other operations, other steps. Compiling makes a step the slowest."""
    if problem.kind != "step":
        return 0 if problem.must is not None else 2
    return 1 if problem.must is not None and problem.sizes["length"] == STEP_LENGTHS[1] else 3


def gpu_problems(quick=False):
    """In the order of their importance. `quick`: small ones, for a rehearsal on the executor."""
    everything = [problem for family in (_attention, _mechanisms, _others, _steps)
                  for problem in family(quick)]
    return everything if quick else sorted(everything, key=importance)
