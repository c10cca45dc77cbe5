"""PyTorch on one problem: what is called, and how far it is from ours."""

import torch_model
import torch_operations
import torch_packages

# Largest difference from ours, over the largest number of the array: sums over up to 50 000 f32
# products in another order. bf16 has 8 bits, tf32 has 11, and either side rounds where it likes.
TOLERANCES = {"f32": 5e-4, "tf32": 5e-3, "bf16": 4e-2}
# Autocast rounds what is divided by the normaliser, too: of 64 tokens dq is 4.5e-2 from float64 there,
# and 0.9e-2 with ours.
TOLERANCE_OF_LINEAR_ATTENTION_IN_BF16 = 0.1


def tolerance_of(problem):
    if problem.subject == "linear_attention" and problem.precision == "bf16":
        return TOLERANCE_OF_LINEAR_ATTENTION_IN_BF16
    return TOLERANCES[problem.precision]


def opponents_of(torch, place, problem, arrays, compile_too):
    """(label, make) for each: "eager" or "compiled", with the way where there are several. make()
    gives what is called, once called already, and the largest difference from ours or None. It may
    take long, and throw what the library throws."""
    if not problem.theirs:
        return iter(())
    makers = {"operation": _operations, "kernel": _kernels, "step": _steps}
    return makers[problem.kind](torch, place, problem, arrays, compile_too and problem.compiled)


def _relative(found, expected):
    return ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()


def _operations(torch, place, problem, arrays, compile_too):
    inputs = {}
    for name, array in arrays.items():
        if name not in ("out", "dout") and not (name[0] == "d" and name[1:] in arrays):
            # A projection of random features is drawn once and learns nothing.
            learns = array.is_floating_point() and name != "projection"
            inputs[name] = torch.nn.Parameter(array) if learns else array
    leaves = {name: x for name, x in inputs.items() if x.requires_grad}

    def maker(formula, compiled):
        def make():
            function = in_precision(torch, place, problem.precision,
                                    torch.compile(formula, dynamic=False) if compiled else formula)

            def forward():
                with torch.no_grad():
                    return function(inputs, problem.sizes)

            def both():
                for leaf in leaves.values():
                    leaf.grad = None
                out = function(inputs, problem.sizes)
                out.backward(arrays["dout"])
                return out

            call = both if problem.backward else forward
            differences = [_relative(call().detach(), arrays["out"])]
            if problem.backward:
                differences += [_relative(leaf.grad, arrays["d" + name])
                                for name, leaf in leaves.items()]
            return call, max(differences)

        return make

    packages = torch_packages.ways(torch, problem)
    for way, formula in torch_operations.formulas(torch, place, problem)[problem.subject].items():
        yield f"eager {way}".strip(), maker(formula, False)
        # The compiler helps the form with chunks; pairs in memory stay pairs in memory, and packages
        # bring kernels of their own.
        if compile_too and way != "masked" and way not in packages:
            yield f"compiled {way}".strip(), maker(formula, True)


def in_precision(torch, place, precision, function):
    """The function with its products in f32, tf32 or bf16."""
    def call(*arguments):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        with torch.autocast(place.torch_device, torch.bfloat16, enabled=precision == "bf16"):
            return function(*arguments)

    return call


def _kernels(torch, place, problem, _arrays, _compile_too):
    s = problem.sizes
    torch.backends.cuda.matmul.allow_tf32 = problem.precision == "tf32"

    def warm(call):
        call()
        return call, None

    def gemm():
        a, b = (place.to(torch.randn(shape)) for shape in ((s["m"], s["k"]), (s["k"], s["n"])))
        c = place.to(torch.empty(s["m"], s["n"]))
        return warm(lambda: torch.mm(a, b, out=c))

    def adamw(**form):
        def make():
            p = torch.nn.Parameter(place.to(torch.randn(s["n"])))
            p.grad = place.to(torch.randn(s["n"]))
            return warm(torch.optim.AdamW([p], lr=1e-3, **form).step)

        return make

    yield from {"gemm": [("eager", gemm)],
                "adamw": [("eager fused", adamw(fused=True)),
                          ("eager foreach", adamw(foreach=True))]}[problem.subject]


def _steps(torch, place, problem, arrays, compile_too):
    def maker(**compile_options):
        def make():
            step = torch_model.TrainingStep(
                torch, problem.subject, problem.sizes, arrays,
                lambda model: in_precision(
                    torch, place, problem.precision,
                    torch.compile(model, **compile_options) if compile_options else model))
            step()
            return step, None

        return make

    yield "eager", maker()
    if compile_too:
        yield "compiled", maker(dynamic=False)
        if place.torch_device == "cuda":
            yield "compiled, graphs", maker(dynamic=False, mode="reduce-overhead")
