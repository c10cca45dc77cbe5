"""What is compared: the shapes, and the goals."""

from dataclasses import dataclass, replace

STEP_KINDS = ["rnn", "attention", "hopfield", "linear-attention"]


@dataclass
class Problem:
    kind: str  # "operation", "kernel" or "step": a command of profile_kernels
    subject: str  # the operation, kernel or backbone
    sizes: dict
    backward: bool = False
    compiled: bool = True  # whether torch.compile has something to do
    must: float = None  # how many times faster than PyTorch ours has to be
    precision: str = "f32"  # of products: f32, tf32 or bf16
    own: tuple = ()  # opponents of our own: (label, sizes that differ, how many calls of it)
    theirs: bool = True  # whether PyTorch takes part

    @property
    def name(self):
        what = {"kernel": "", "step": "", "operation": " fwd+bwd" if self.backward else " fwd"}
        start = "step " if self.kind == "step" else ""
        precision = "" if self.precision == "f32" else f" {self.precision}"
        return f"{start}{self.subject}{what[self.kind]}{precision} {self.sizes_text()}"

    def sizes_text(self):
        return ",".join(f"{key}={value}" for key, value in self.sizes.items())

    def with_sizes(self, changes):
        return replace(self, sizes={**self.sizes, **changes})

    def command(self):
        """The words for profile_kernels."""
        return self._words() + ([] if self.precision == "f32" else ["--precision", self.precision])

    def _words(self):
        if self.kind == "step":
            words = ["step", "--backbone", self.subject]
            for key, value in self.sizes.items():
                words += [f"--{key}", str(value)]
            return words
        words = ["time" if self.kind == "kernel" else "operation", self.subject,
                 "--shape", self.sizes_text()]
        return words + (["--backward"] if self.backward else [])


def _heads(length, width, causal, quick):
    if quick:
        length = length // 32
    return {"B": 1, "H": 4, "L": length, "D": width, "causal": causal}


def _attention(quick):
    for length in (1024, 2048, 4096):
        for causal in (1, 0):
            # The goal of the CPU forward pass is for 2048 tokens and more.
            must = 1.2 if length >= 2048 else None
            yield Problem("operation", "attention", _heads(length, 64, causal, quick),
                          compiled=False, must=must)
    for width in (32, 128):
        yield Problem("operation", "attention", _heads(2048, width, 1, quick), compiled=False)
    for length in (1024, 2048, 4096):
        yield Problem("operation", "attention", _heads(length, 64, 1, quick), True, compiled=False)
    yield Problem("operation", "attention", _heads(2048, 64, 0, quick), True, compiled=False)
    for width in (32, 128):
        yield Problem("operation", "attention", _heads(2048, width, 1, quick), True, compiled=False)


def _linear_attention(quick):
    for length in (1024, 4096):
        for backward in (False, True):
            yield Problem("operation", "linear_attention", _heads(length, 64, 1, quick), backward)


def _small(quick):
    less = 64 if quick else 1
    for backward in (False, True):
        for name, sizes in (("layer_norm", {"rows": 4096 // less, "cols": 256}),
                            ("softmax", {"rows": 4096 // less, "cols": 1024}),
                            ("gelu", {"n": (1 << 22) // less}),
                            ("cross_entropy", {"tokens": 1024 // less, "vocabulary": 50257 // less}),
                            ("linear_cross_entropy", {"tokens": 1024 // less, "width": 256,
                                                      "vocabulary": 50257 // less})):
            yield Problem("operation", name, sizes, backward)
        yield Problem("operation", "embedding",
                      {"tokens": 4096 // less, "vocabulary": 50257 // less, "width": 256}, backward,
                      compiled=False)
        yield Problem("operation", "linear", {"rows": 4096 // less, "in": 256, "out": 256}, backward,
                      compiled=False)
        yield Problem("operation", "linear_gelu", {"rows": 4096 // less, "in": 256, "out": 1024},
                      backward)
        yield Problem("operation", "add_layer_norm", {"rows": 4096 // less, "cols": 256}, backward)
    size = 1024 // min(less, 16)
    yield Problem("kernel", "gemm", {"m": size, "n": size, "k": size}, compiled=False)
    yield Problem("kernel", "adamw", {"n": 10_000_000 // less}, compiled=False)


def _recurrent(quick):
    for name in ("rnn", "lstm", "gru"):
        for backward in (False, True):
            yield Problem("operation", name,
                          {"B": 4, "L": 32 if quick else 1024, "width": 32 if quick else 256},
                          backward, compiled=False)


def _steps(quick):
    for length in (1024, 2048):
        for kind in STEP_KINDS:
            sizes = {"layers": 2, "width": 256, "heads": 4, "batch": 4, "length": length,
                     "vocabulary": 50257}
            if quick:
                sizes.update(width=32, length=length // 32, vocabulary=300)
            # The compiler unrolls a recurrence into thousands of steps and takes minutes.
            yield Problem("step", kind, sizes, compiled=kind != "rnn",
                          must=1.3 if length == 1024 else None)


def all_problems(quick=False):
    """`quick`: small ones, for tests."""
    return [problem for family in (_attention, _linear_attention, _small, _recurrent, _steps)
            for problem in family(quick)]


def chosen(problems, only, without):
    """Those whose name contains one of `only` (all if it is empty) and none of `without`."""
    return [p for p in problems if (not only or any(text in p.name for text in only))
            and not any(text in p.name for text in without)]
