"""The mechanisms of `profile_kernels operation association` in float64, for a few queries of the
first head: from the definitions, every key of a row in memory."""

from torch_operations import EPS

GRAIN_SHIFTS = {"element": (0, 0), "tile": (6, 0), "block": (6, 6)}
RANDOM_KEY = 1


def rows_of(length):
    """Queries from all over the text, the first and the last among them."""
    return sorted({0, 1, length // 7, length // 3, length // 2, length - 65, length - 1} &
                  set(range(length)))


def differences(torch, arrays, sizes, backward):
    """How far the output, and the gradient of the queries, are from float64: the largest difference
    over the largest number."""
    rows = rows_of(sizes["L"])
    q = arrays["q"][0, 0, rows].double().requires_grad_(True)
    k, v = (arrays[name][0, 0].double() for name in ("k", "v"))
    out = weights(torch, q, k, arrays, sizes, rows) @ v
    found = {"out": _relative(arrays["out"][0, 0, rows], out.detach())}
    if backward:
        out.backward(arrays["dout"][0, 0, rows].double())
        found["dq"] = _relative(arrays["dq"][0, 0, rows], q.grad)
    return found


def _relative(found, expected):
    return ((found.double() - expected).abs().max() /
            expected.abs().max().clamp_min(1e-30)).item()


def weights(torch, q, k, arrays, sizes, rows):
    seen = visible(torch, sizes, rows)
    separation = sizes.get("separation", "softmax")
    if separation in ("linear", "random_features"):
        return _kernelised(torch, separation, q, k, arrays, sizes, seen)
    scores = (q @ k.T) * sizes["D"] ** -0.5
    scores = scores.masked_fill(~seen, -torch.inf)
    if sizes.get("top", 0) > 0:
        kept = max(1, int(sizes["top"] / 100 * sizes["L"] + 1e-9))
        least = torch.stack([row[at].sort(descending=True).values[min(kept, int(at.sum())) - 1]
                             for row, at in zip(scores, seen)])
        scores = scores.masked_fill(scores < least[:, None], -torch.inf)
    if separation == "softmax":
        return torch.softmax(scores, dim=-1)
    if separation == "polynomial":
        powers = scores.clamp_min(0) ** 2
        return powers / (powers.sum(-1, keepdim=True) + 1e-12)
    return _sparse(torch, scores, {"sparsemax": 2.0, "entmax15": 1.5}[separation])


def _sparse(torch, scores, alpha):
    z = (alpha - 1) * (scores - scores.max(-1, keepdim=True).values.detach())
    low = torch.full_like(z[:, :1].detach(), -1.0)
    high = torch.zeros_like(low)
    for _ in range(100):
        middle = (low + high) / 2
        above = ((z.detach() - middle).clamp_min(0) ** (1 / (alpha - 1))).sum(-1, keepdim=True) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    x = (z.detach() - low).clamp_min(0)
    # tau moves with z by the shares of u = x^(1 / (alpha - 1) - 1).
    u = torch.where(x > 0, x ** (1 / (alpha - 1) - 1), 0)
    moved = torch.where(x > 0, z - z.detach(), 0)
    tau = low + (u / u.sum(-1, keepdim=True) * moved).sum(-1, keepdim=True)
    return torch.where(x > 0, z - tau, 0) ** (1 / (alpha - 1))


def _kernelised(torch, separation, q, k, arrays, sizes, seen):
    if separation == "linear":
        features = lambda x: torch.nn.functional.elu(x) + 1
        products = (features(q) @ features(k).T) * seen
        return products / (products.sum(-1, keepdim=True) + EPS)
    projection = arrays["projection"].double()
    scale = sizes["D"] ** -0.25

    def logarithms(x):
        x = x * scale
        return x @ projection.T - (x * x).sum(-1, keepdim=True) / 2

    # A common factor of all keys cancels.
    of_keys = logarithms(k)
    of_keys = (of_keys - of_keys.max()).exp()
    of_queries = logarithms(q)
    of_queries = (of_queries - of_queries.max(-1, keepdim=True).values.detach()).exp()
    products = (of_queries @ of_keys.T) * seen
    return products / products.sum(-1, keepdim=True)


def visible(torch, sizes, rows):
    """(rows, L), but for top-k."""
    at = torch.tensor(rows)[:, None]
    keys = torch.arange(sizes["L"])[None, :]
    seen = keys <= at if sizes["causal"] == 1 else torch.ones(len(rows), sizes["L"], dtype=torch.bool)
    if sizes.get("window", 0) > 0:
        seen = seen & ((keys - at).abs() <= sizes["window"])
    if sizes.get("keep", 100) < 100:
        seen = seen & torch.tensor([drawn(sizes, row) for row in rows])
    return seen


def drawn(sizes, row):
    """The random mask of one query of the first head."""
    query_shift, key_shift = GRAIN_SHIFTS[sizes.get("grain", "element")]
    bound = int(sizes["keep"] / 100 * (1 << 32) + 0.5)
    count = ((sizes["L"] - 1) >> key_shift) + 1
    words = [word for block in range((count + 3) // 4)
             for word in philox(RANDOM_KEY, (row >> query_shift) << 32 | block)]
    return [words[key >> key_shift] < bound for key in range(sizes["L"])]


def philox(key, low, high=0):
    """Four words: Philox4x32-10 (J. Salmon et al. 2011). low and high may be tensors of i64, whose
    products wrap around to the same bits."""
    mask = 0xFFFFFFFF
    c = [low & mask, low >> 32 & mask, high & mask, high >> 32 & mask]
    k0, k1 = key & mask, key >> 32 & mask
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32 & mask) ^ c[1] ^ k0, p1 & mask, (p0 >> 32 & mask) ^ c[3] ^ k1, p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c
