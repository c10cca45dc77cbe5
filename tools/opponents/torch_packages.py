"""Mechanisms of packages that build on PyTorch, where they are installed: entmax, adasplash,
flash-linear-attention. Each way imports its package when it is first called, so that one that is
missing, or refuses this machine, is skipped with the reason."""


def ways(torch, problem):
    """By the name of the opponent; none where no package does the same work."""
    s = problem.sizes
    if problem.subject == "linear_attention" and s["causal"] == 1:
        return {"fla chunk": fla(torch, problem, "chunk_linear_attn"),
                "fla fused chunk": fla(torch, problem, "fused_chunk_linear_attn")}
    separation = s.get("separation")
    if problem.subject != "association" or separation not in ("sparsemax", "entmax15"):
        return {}
    found = {"entmax": entmax(torch, separation, None), "entmax k=512": entmax(torch, separation, 512)}
    if separation == "entmax15":
        found["adasplash"] = adasplash(torch)
    return found


def entmax(torch, separation, largest):
    """Over stored scores. `largest`: how many of a row are sorted before the package looks whether
    these were enough; None: all."""
    from torch_mechanisms import read

    def call(a, sizes):
        import entmax as package

        function = {"sparsemax": package.sparsemax, "entmax15": package.entmax15}[separation]
        k = None if largest is None else min(largest, sizes["L"])
        # The package sorts, and the infinite would spoil its sums.
        return read(torch, a, sizes, lambda scores: function(scores.clamp_min(-1e4), dim=-1, k=k))

    return call


def adasplash(_torch):
    """N. Goncalves et al. (2025): the threshold by Halley's method, blocks without weight skipped.
    Scores are divided by sqrt(D) inside."""
    def call(a, sizes):
        import adasplash as package

        return package.adasplash(a["q"], a["k"], a["v"], alpha=1.5, is_causal=sizes["causal"] == 1)

    return call


def fla(torch, problem, name):
    """flash-linear-attention with its normaliser. Its tensors are (B, L, H, D); phi is ours to apply,
    and in bf16 so is rounding, because autocast knows nothing of kernels in Triton."""
    dtype = torch.bfloat16 if problem.precision == "bf16" else None

    def call(a, _):
        import fla.ops.linear_attn as package

        f = torch.nn.functional
        q, k, v = f.elu(a["q"]) + 1, f.elu(a["k"]) + 1, a["v"]
        q, k, v = (x.to(dtype or x.dtype).transpose(1, 2).contiguous() for x in (q, k, v))
        out, _ = getattr(package, name)(q, k, v, scale=1.0, normalize=True)
        return out.transpose(1, 2).to(a["q"].dtype)

    return call
