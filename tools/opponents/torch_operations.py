"""The operations of `profile_kernels operation` in PyTorch: `formulas(...)[name]` has ways to compute
one, by the name of the opponent. A way takes the arrays by name and the sizes."""

import torch_mechanisms
import torch_packages

CHUNK = 64
EPS = 1e-6  # of the normaliser of linear attention, as ours


def formulas(torch, place, problem):
    f = torch.nn.functional

    def attention(a, sizes):
        return f.scaled_dot_product_attention(a["q"], a["k"], a["v"],
                                              is_causal=sizes["causal"] == 1)

    def attention_ways():
        if place.torch_device == "cpu":
            return {"": attention}
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def by(backend):
            def call(a, sizes):
                with sdpa_kernel(backend):
                    return attention(a, sizes)
            return call

        return {"cuDNN": by(SDPBackend.CUDNN_ATTENTION), "flash": by(SDPBackend.FLASH_ATTENTION),
                "efficient": by(SDPBackend.EFFICIENT_ATTENTION), "math": by(SDPBackend.MATH)}

    return {
        "attention": attention_ways(),
        "association": {**torch_mechanisms.ways(torch, place, problem),
                        **torch_packages.ways(torch, problem)},
        "linear_attention": {
            "chunks": lambda a, s: linear_attention_chunks(torch, a["q"], a["k"], a["v"]),
            "masked": lambda a, s: linear_attention_masked(torch, a["q"], a["k"], a["v"]),
            **torch_packages.ways(torch, problem),
        },
        "linear": {"": lambda a, s: f.linear(a["x"], a["weight"], a["bias"])},
        "linear_gelu": {"": lambda a, s: f.gelu(f.linear(a["x"], a["weight"], a["bias"]))},
        "add_layer_norm": {
            "": lambda a, s: f.layer_norm(a["x"] + a["residual"], (s["cols"],), a["weight"],
                                          a["bias"])
        },
        "layer_norm": {"": lambda a, s: f.layer_norm(a["x"], (s["cols"],), a["weight"], a["bias"])},
        "softmax": {"": lambda a, s: f.softmax(a["x"], dim=-1)},
        "gelu": {"": lambda a, s: f.gelu(a["x"])},
        "cross_entropy": {"": lambda a, s: f.cross_entropy(a["x"], a["targets"])},
        "linear_cross_entropy": {
            "": lambda a, s: f.cross_entropy(f.linear(a["x"], a["weight"], a["bias"]), a["targets"])
        },
        "embedding": {"": lambda a, s: f.embedding(a["ids"], a["weight"])},
        "rnn": {"": recurrent(torch.nn.RNN)},
        "lstm": {"": recurrent(torch.nn.LSTM)},
        "gru": {"": recurrent(torch.nn.GRU)},
    }


def linear_attention_masked(torch, q, k, v):
    """Every pair of positions, those in the future set to 0."""
    q = torch.nn.functional.elu(q) + 1
    k = torch.nn.functional.elu(k) + 1
    scores = (q @ k.transpose(-1, -2)).tril()
    return (scores @ v) / (scores.sum(-1, keepdim=True) + EPS)


def linear_attention_chunks(torch, q, k, v):
    q = torch.nn.functional.elu(q) + 1
    k = torch.nn.functional.elu(k) + 1
    return linear_attention_features(q, k, v, EPS)


def linear_attention_features(q, k, v, eps, causal=True):
    """phi(q) and phi(k) given. Pairs inside a chunk; what came before it through one state of each
    chunk."""
    if not causal:
        return (q @ (k.transpose(-1, -2) @ v)) / (q @ k.sum(-2).unsqueeze(-1) + eps)
    length = q.shape[-2]
    chunk = min(CHUNK, length)
    q, k, v = (x.unflatten(-2, (length // chunk, chunk)) for x in (q, k, v))
    states = k.transpose(-1, -2) @ v
    sums = k.sum(-2).unsqueeze(-1)
    # What the chunks before this one left.
    states = states.cumsum(-3) - states
    sums = sums.cumsum(-3) - sums
    scores = (q @ k.transpose(-1, -2)).tril()
    out = scores @ v + q @ states
    normaliser = scores.sum(-1, keepdim=True) + q @ sums + eps
    return (out / normaliser).flatten(-3, -2)


def recurrent(kind):
    modules = {}

    def call(a, sizes):
        # The layer is made once; its parameters are the arrays.
        if id(a) not in modules:
            layer = kind(sizes["width"], sizes["width"], batch_first=True)
            for name, _ in list(layer.named_parameters()):
                setattr(layer, name, a[name])
            layer.flatten_parameters()  # or cuDNN would copy them at every call
            modules[id(a)] = layer
        return modules[id(a)](a["x"])[0]

    return call
