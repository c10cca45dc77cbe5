"""The language model of nn/language_model.h in PyTorch. Parameters have the same names, so that
weights that we write can be loaded: both then have to find the same loss."""

from torch_mechanisms import RandomMask, random_features, sparsemax, top_masked, window_mask
from torch_operations import linear_attention_chunks

# What the backbones of ours have unless told otherwise.
TOP_SHARE, RADIUS, DEGREE, KEEP = 0.2, 32, 3, 0.5


def separation(torch, kind):
    """weights(scores, alpha) of a backbone that stores its scores, the hidden ones -inf; or None."""
    def polynomial(scores, _):
        powers = scores.clamp_min(0) ** (DEGREE - 1)
        return powers / (powers.sum(-1, keepdim=True) + 1e-12)

    def entmax(scores, alpha):
        from entmax import entmax_bisect  # the package; only it has a learned exponent

        return entmax_bisect(scores.clamp_min(-1e4), alpha.view(-1, 1, 1), n_iter=30)

    return {"sparse-hopfield": lambda scores, _: sparsemax(torch, scores),
            "topk-hopfield": lambda scores, _: top_masked(torch, scores, TOP_SHARE),
            "polynomial-hopfield": polynomial, "entmax-hopfield": entmax}.get(kind)


def make_classes(torch):
    nn = torch.nn
    f = nn.functional

    class Association(nn.Module):
        def __init__(self, kind, width, heads):
            super().__init__()
            self.kind, self.heads = kind, heads
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            self.value = nn.Linear(width, width)
            self.out = nn.Linear(width, width)
            if kind.endswith("hopfield") and kind != "polynomial-hopfield":
                self.log_beta = nn.Parameter(torch.zeros(heads))
            if kind == "entmax-hopfield":
                self.alpha_logit = nn.Parameter(torch.zeros(heads))
            if kind == "random-feature-attention":
                self.register_buffer("projection", torch.zeros(4 * width // heads, width // heads))
            self.weights = separation(torch, kind)

        def look_through(self, mask):
            """A RandomMask, which somebody draws before each call."""
            self.register_buffer("seen", mask.seen, persistent=False)
            self.register_buffer("blind", mask.blind, persistent=False)

        def forward(self, x):
            q, k, v = (m(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                       for m in (self.query, self.key, self.value))
            if self.kind == "linear-attention":
                y = linear_attention_chunks(torch, q, k, v)
            elif self.kind == "random-feature-attention":
                y = random_features(torch, {"q": q, "k": k, "v": v, "projection": self.projection},
                                    {"D": q.shape[-1], "causal": 1})
            elif self.kind == "attention":
                y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            elif self.weights is not None:
                y = self.read(self.with_beta(q), k, v)
            elif self.kind == "window-hopfield":
                seen = window_mask(torch, x.shape[1], RADIUS, x.device)
                y = f.scaled_dot_product_attention(self.with_beta(q), k, v, attn_mask=seen, scale=1.0)
            elif self.kind == "random-masked-hopfield":
                y = f.scaled_dot_product_attention(self.with_beta(q), k, v, attn_mask=self.seen, scale=1.0)
                y = y.masked_fill(self.blind, 0)
            else:
                y = f.scaled_dot_product_attention(self.with_beta(q), k, v, is_causal=True, scale=1.0)
            return self.out(y.transpose(1, 2).flatten(-2))

        def with_beta(self, q):
            if self.kind == "polynomial-hopfield":
                return q * q.shape[-1] ** -0.5
            return q * self.log_beta.exp().view(-1, 1, 1)

        def read(self, q, k, v):
            alpha = None
            if self.kind == "entmax-hopfield":
                alpha = (1 + torch.sigmoid(self.alpha_logit)).clamp_min(1.01)
            scores = q @ k.transpose(-1, -2)
            hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
            return self.weights(scores.masked_fill(hidden, -torch.inf), alpha) @ v

    class Recurrent(nn.Module):
        def __init__(self, kind, width):
            super().__init__()
            layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
            self.kind = kind
            self.add_module(kind, layer(width, width, batch_first=True))

        def forward(self, x):
            return getattr(self, self.kind)(x)[0]

    class Block(nn.Module):
        def __init__(self, kind, width, heads):
            super().__init__()
            self.norm1 = nn.LayerNorm(width)
            self.mix = (Recurrent(kind, width) if kind in ("rnn", "lstm", "gru")
                        else Association(kind, width, heads))
            self.norm2 = nn.LayerNorm(width)
            self.up = nn.Linear(width, 4 * width)
            self.down = nn.Linear(4 * width, width)

        def forward(self, x):
            x = x + self.mix(self.norm1(x))
            return x + self.down(f.gelu(self.up(self.norm2(x))))

    class LanguageModel(nn.Module):
        def __init__(self, kind, layers, width, heads, length, vocabulary):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(length, width)
            self.blocks = nn.ModuleList(Block(kind, width, heads) for _ in range(layers))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary)

        def forward(self, tokens, targets):
            """The mean cross-entropy."""
            x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
            for block in self.blocks:
                x = block(x)
            return f.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())

    return LanguageModel


class TrainingStep:
    """Forward pass, loss, backward pass, clipping and AdamW, each in its fastest form. `arrays`: what
    `profile_kernels step --arrays` wrote. `prepare` makes of the model what is called."""

    def __init__(self, torch, kind, sizes, arrays, prepare):
        self.torch = torch
        with torch.device("meta"):  # the weights are ours
            self.model = make_classes(torch)(kind, sizes["layers"], sizes["width"], sizes["heads"],
                                             sizes["length"], sizes["vocabulary"])
        self.tokens, self.targets = arrays["tokens"], arrays["targets"]
        weights = {name: array.clone() if name.endswith("projection") else torch.nn.Parameter(array.clone())
                   for name, array in arrays.items() if name not in ("tokens", "targets", "mask_keys")}
        self.model.load_state_dict(weights, assign=True)
        self.masks, self.mask_keys = [], arrays.get("mask_keys")
        if self.mask_keys is not None:
            shape = (sizes["batch"], sizes["heads"], sizes["length"])
            for block in self.model.blocks:
                self.masks.append(RandomMask(torch, shape, KEEP, self.tokens.device))
                block.mix.look_through(self.masks[-1])
        for module in self.model.modules():
            if isinstance(module, torch.nn.RNNBase):
                module.flatten_parameters()  # or cuDNN would copy them at every call
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.95),
                                           eps=1e-8, weight_decay=0.01, fused=True)
        self.loss_of = prepare(self.model)
        self.losses = []

    def parameter_count(self):
        return sum(p.numel() for p in self.model.parameters())

    def draw_masks(self):
        """Ours where losses are compared, then new ones in the fastest way."""
        step = len(self.losses)
        for layer, mask in enumerate(self.masks):
            if step < 2:
                mask.draw_as_ours(int(self.mask_keys[step, layer]))
            else:
                mask.draw()

    def __call__(self):
        self.draw_masks()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.tokens, self.targets)
        if len(self.losses) < 2:  # what is compared; later steps need not wait for a GPU
            self.losses.append(loss.item())
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
