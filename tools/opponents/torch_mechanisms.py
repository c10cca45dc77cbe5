"""The mechanisms of `profile_kernels operation association` in PyTorch."""


def ways(torch, place, problem):
    """By the name of the opponent, for the sizes of a problem; none for another operation."""
    s = problem.sizes
    if problem.subject != "association":
        return {}
    if s.get("window", 0) > 0:
        return windows(torch, s, problem.precision == "bf16")
    if s.get("top", 0) > 0:
        share = s["top"] / 100
        return {"masked": lambda a, _: read(torch, a, s, lambda z: top_masked(torch, z, share)),
                "scattered": lambda a, _: read(torch, a, s, lambda z: top_scattered(torch, z, share))}
    if s.get("separation") == "entmax15":
        return {}  # the package of that name has it: torch_packages.py
    if s.get("separation") == "sparsemax":
        return {"stored": lambda a, _: read(torch, a, s, lambda z: sparsemax(torch, z))}
    if s.get("separation") == "random_features":
        return {"chunks": lambda a, _: random_features(torch, a, s)}
    raise ValueError(f"no form of {problem.name} in PyTorch")


def read(torch, a, sizes, weights):
    """The read-out by weights of scores that are stored. Hidden scores are -inf."""
    scores = (a["q"] @ a["k"].transpose(-1, -2)) * sizes["D"] ** -0.5
    if sizes["causal"] == 1:
        length = sizes["L"]
        hidden = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return weights(scores) @ a["v"]


def sparsemax(torch, scores):
    """A. Martins, R. Astudillo (2016): the root from sorted scores. Only the support takes part in
    the gradient, which that of this form is too."""
    ordered = scores.sort(-1, descending=True).values
    # What is hidden comes last and would make sums infinite.
    finite = ordered.masked_fill(ordered == -torch.inf, -1e9)
    ranks = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    sums = finite.cumsum(-1) - 1
    support = (ranks * finite > sums).sum(-1, keepdim=True)
    tau = sums.gather(-1, support - 1) / support
    return (scores - tau).clamp_min(0)


def top_count(scores, share):
    return max(1, int(share * scores.shape[-1] + 1e-9))


def top_masked(torch, scores, share):
    """Softmax with what lies below the k-th largest hidden."""
    least = scores.topk(top_count(scores, share), dim=-1, sorted=False).values.amin(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(scores < least, -torch.inf), dim=-1)


def top_scattered(torch, scores, share):
    """The weights of the largest, put into rows of zeros."""
    largest = scores.topk(top_count(scores, share), dim=-1, sorted=False)
    weights = torch.softmax(largest.values, dim=-1)
    return torch.zeros_like(scores).scatter(-1, largest.indices, weights)


def windows(torch, sizes, in_bf16):
    """FlexAttention with a mask for its blocks, and masked attention. FlexAttention exists compiled
    only; without a compiler it would store all scores. It is given what it is to multiply: autocast
    does not round for it."""
    radius, causal = sizes["window"], sizes["causal"] == 1

    def seen(_b, _h, i, j):
        near = (j - i <= radius) & (i - j <= radius)
        return near & (j <= i) if causal else near

    made = {}

    def flex(a, _):
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        if not made:
            length = sizes["L"]
            made["mask"] = create_block_mask(seen, None, None, length, length,
                                             device=a["q"].device.type)
            made["call"] = torch.compile(flex_attention, dynamic=False)
        rounded = [a[name].bfloat16() if in_bf16 else a[name] for name in ("q", "k", "v")]
        return made["call"](*rounded, block_mask=made["mask"]).to(a["q"].dtype)

    def masked(a, _):
        visible = window_mask(torch, sizes["L"], radius, a["q"].device, causal)
        return torch.nn.functional.scaled_dot_product_attention(a["q"], a["k"], a["v"],
                                                                attn_mask=visible)

    return {"flex": flex, "masked": masked}


def window_mask(torch, length, radius, device, causal=True):
    place = torch.arange(length, device=device)
    distance = place[:, None] - place[None, :]  # how far a key lies behind
    return (distance <= radius) & (distance >= (0 if causal else -radius))


def random_features(torch, a, sizes):
    """Positive features, exp(w x' - |x'|^2 / 2) with x' = x D^(-1/4): K. Choromanski et al. (2021).
    Constants are subtracted before the exponential that the quotient does not know: of each query
    its largest, of keys the largest of all, as the published code does."""
    from torch_operations import linear_attention_features

    def scores(x):
        x = x * sizes["D"] ** -0.25
        return x @ a["projection"].T - 0.5 * x.square().sum(-1, keepdim=True)

    q, k = scores(a["q"]), scores(a["k"])
    q = (q - q.amax(-1, keepdim=True).detach()).exp()
    k = (k - k.amax((-1, -2), keepdim=True).detach()).exp()
    return linear_attention_features(q, k, a["v"], 0.0, sizes["causal"] == 1)


class RandomMask:
    """The keys that queries see under causality and a mask that is drawn anew for each call: `seen`
    (batch, heads, length, length), and `blind` (batch, heads, length, 1), queries without keys, whose
    row of `seen` is full so that no weight is 0 / 0. Both change in place: a compiled step finds them
    where they were."""

    def __init__(self, torch, shape, keep, device):
        batch, heads, length = shape
        self.torch, self.keep = torch, keep
        self.seen = torch.empty(batch, heads, length, length, dtype=torch.bool, device=device)
        self.blind = torch.empty(batch, heads, length, 1, dtype=torch.bool, device=device)
        self.past = torch.ones(length, length, dtype=torch.bool, device=device).tril()

    def draw(self):
        self.seen.bernoulli_(self.keep)
        self._finish()

    def draw_as_ours(self, key):
        """The mask that kernels/association/visibility.h draws from this key, element by element."""
        from references import philox

        torch, (batch, heads, length, _) = self.torch, self.seen.shape
        place = torch.arange(length, device=self.seen.device)
        low = place[:, None] << 32 | place[None, : (length + 3) // 4]
        for b in range(batch):
            for h in range(heads):
                words = torch.stack(philox(key, low, b << 32 | h), -1)
                self.seen[b, h] = words.flatten(-2)[:, :length] < int(self.keep * (1 << 32) + 0.5)
        self._finish()

    def _finish(self):
        self.seen &= self.past
        self.torch.any(self.seen, -1, keepdim=True, out=self.blind)
        self.torch.logical_not(self.blind, out=self.blind)
        self.seen |= self.blind
