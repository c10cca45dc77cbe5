"""docs/results/mechanisms.md from what mechanisms.py measured."""

import ratios
import tables

COMMAND = "python3 tools/opponents/mechanisms.py --measure"
NEXT_IDEAS = {
    "sparse": "next: dense products of a block are most of what is left; skipping blocks of keys "
              "whose largest possible score |q| |k| lies below the bound would save some of them",
    "shares": "next: tiles of more queries where draws allow it, so that gathering and packing "
              "keys and values is shared by more rows",
    "top": "next: products with zeros instead of lists where about half of the keys or more are "
           "kept, and fewer passes over short blocks",
    "linear": "next: blocks that stay in the second-level cache for the longest texts",
    "memory": "next: see which array grows, with `profile_kernels operation --backward`",
}


def rows_at(document, label=None, length=None, backward=None):
    return [row for row in document["rows"] if label in (None, row["label"])
            and length in (None, row["length"]) and backward in (None, row["backward"])]


def pick(document, label, length, backward):
    found = rows_at(document, label, length, backward)
    return found[0] if found else None


def values_of(document, key):
    """In the order of the rows, each once."""
    return list(dict.fromkeys(row[key] for row in document["rows"]))


def direction(backward):
    return "fwd+bwd" if backward else "fwd"


def milliseconds(row):
    return f"{1e3 * ratios.spread(row['seconds'])['median']:.4g}"


def ratio_text(above, below):
    found = ratios.ratio(above["seconds"], below["seconds"])
    return f"{found['median']:.2f}", f"{found['p10']:.2f}-{found['p90']:.2f}"


def largest_difference(row):
    return f"{max(row['differences'].values()):.1e}"


HEAD = ["", "tokens", "what", "ms", "{} / this", "p10-p90", "off by", "rounds"]


def comparison(document, base):
    """Every contestant against `base` of the same length and direction."""
    rows = []
    for length in values_of(document, "length"):
        for backward in values_of(document, "backward"):
            reference = pick(document, base, length, backward)
            for row in rows_at(document, None, length, backward):
                ratio, spread = ratio_text(reference, row)
                rows.append([direction(backward), str(length), row["label"], milliseconds(row),
                             "" if row is reference else ratio,
                             "" if row is reference else spread, largest_difference(row),
                             str(len(row["seconds"]))])
    return tables.markdown([cell.format(base) for cell in HEAD], rows)


def shares(document):
    rows = []
    for backward in values_of(document, "backward"):
        whole = rows_at(document, "keep 1", None, backward)[0]
        for row in rows_at(document, None, None, backward):
            ratio, spread = ratio_text(row, whole)
            rows.append([direction(backward), row["label"], milliseconds(row), ratio, spread,
                         largest_difference(row), str(len(row["seconds"]))])
    return tables.markdown(["", "share of keys", "ms", "of the time at keep 1", "p10-p90", "off by",
                            "rounds"], rows)


def growth(document):
    rows = []
    for label in values_of(document, "label"):
        before = None
        for row in rows_at(document, label):
            line = [label, str(row["length"]), milliseconds(row), "",
                    f"{row['peak_bytes'] / 1e6:.4g}", "", largest_difference(row),
                    str(len(row["seconds"]))]
            if before is not None:
                line[3] = f"{median(row) / median(before):.2f}"
                line[5] = f"{row['peak_bytes'] / before['peak_bytes']:.2f}"
            rows.append(line)
            before = row
    return tables.markdown(["fwd+bwd", "tokens", "ms", "x row above", "MB", "x row above", "off by",
                            "rounds"], rows)


def median(row):
    return ratios.quantile(row["seconds"], 0.5)


class Goals:
    """Lines (what, found, must, verdict); `missed` tells what to do about it."""

    def __init__(self):
        self.lines = []

    def least(self, what, found, must, idea):
        self.add(what, f"{found:.2f}", f"at least {must:g}", found >= must, idea)

    def most(self, what, found, must, idea):
        self.add(what, f"{found:.2f}", f"at most {must:g}", found <= must, idea)

    def add(self, what, found, must, met, idea):
        self.lines.append([what, found, must, "met" if met else f"MISSED; {NEXT_IDEAS[idea]}"])


def goals_of(found):
    goals = Goals()
    for name in ("sparse_forward", "sparse_both"):
        document = found.get(name)
        for label in ("sparsemax", "entmax-1.5") if document else ():
            for length in values_of(document, "length"):
                backward = document["rows"][0]["backward"]
                ratio = ratios.ratio(pick(document, "dense", length, backward)["seconds"],
                                     pick(document, label, length, backward)["seconds"])
                goals.least(f"{label} {direction(backward)}, {length} tokens: our dense / it",
                            ratio["median"], 1.3, "sparse")
    for name in ("top_forward", "top_both"):
        document = found.get(name)
        for length in values_of(document, "length") if document else ():
            backward = document["rows"][0]["backward"]
            ours = pick(document, "top 20 %", length, backward)
            fastest = min(ratios.ratio(row["seconds"], ours["seconds"])["median"]
                          for row in rows_at(document, None, length, backward)
                          if row["label"].startswith("PyTorch"))
            what = f"top 20 % {direction(backward)}, {length} tokens"
            goals.least(f"{what}: PyTorch's fastest / ours", fastest, 2, "top")
            dense = ratios.ratio(pick(document, "dense", length, backward)["seconds"],
                                 ours["seconds"])
            goals.least(f"{what}: our dense / it", dense["median"], 1, "top")
    if (document := found.get("shares")) is not None:
        for backward in values_of(document, "backward"):
            whole = rows_at(document, "keep 1", None, backward)[0]
            for row in rows_at(document, None, None, backward):
                share = float(row["label"].split()[1])
                if share < 1:
                    ratio = ratios.ratio(row["seconds"], whole["seconds"])["median"]
                    goals.most(f"random mask by tile {direction(backward)}, {row['label']}: share "
                               "of the time / share of the keys", ratio / share, 2, "shares")
    if (document := found.get("linear")) is not None:
        for label in values_of(document, "label"):
            rows = rows_at(document, label)
            doublings = len(rows) - 1
            for what, value in (("time", median), ("memory", lambda row: row["peak_bytes"])):
                each = (value(rows[-1]) / value(rows[0])) ** (1 / doublings)
                goals.most(f"{label}: {what} for twice the tokens, from {rows[0]['length']} to "
                           f"{rows[-1]['length']}", each, 2.2, "linear")
    if (document := found.get("memory")) is not None:
        for label in values_of(document, "label"):
            rows = rows_at(document, label)
            goals.most(f"{label}: memory of {rows[1]['length']} over {rows[0]['length']} tokens",
                       rows[1]["peak_bytes"] / rows[0]["peak_bytes"], 2.2, "memory")
    return goals


TITLES = {
    "sparse_forward": ("Sparsemax and entmax-1.5, forward", lambda d: comparison(d, "dense")),
    "sparse_both": ("Sparsemax and entmax-1.5, forward and backward",
                    lambda d: comparison(d, "dense")),
    "top_forward": ("Top 20 %, forward", lambda d: comparison(d, "top 20 %")),
    "top_both": ("Top 20 %, forward and backward", lambda d: comparison(d, "top 20 %")),
    "shares": ("Random mask, drawn for tiles of 64 queries", shares),
    "linear": ("Growth: window of radius 64, linear, 256 random features; causal", growth),
    "memory": ("Memory of every mechanism", growth),
    "threads_2": ("Two threads", lambda d: comparison(d, "dense")),
}

INTRODUCTION = """\
# The mechanisms on the CPU

Written by `tools/opponents/mechanisms.py` from `cpu/mechanisms_*.json`; `{command}`
measures anew, as a whole or by sections, which may have been measured at different times. One item, four
heads of width 64, f32, random numbers; no causality except where it is said. All contestants of a section take
turns within each round, in an order that changes; a ratio is the median over the rounds of the ratio within
the round, with its 10th and 90th percentile. `off by` is the largest difference, over the largest number, from
the definition in float64 on queries all over the text (output and, backward, the gradient of these queries; for
PyTorch: from ours, all gradients), found in the same run. `dense` is our softmax attention; `dense again` is
the same a second time, which shows the noise. Times and memory are those of the operation with its output,
statistics, workspace and gradients. How turns are taken stands in [tools/opponents](../../tools/opponents/README.md).
"""


def page(found):
    first = next(iter(found.values()))
    goals = goals_of(found)
    missed = sum(1 for line in goals.lines if line[3] != "met")
    parts = [INTRODUCTION.format(command=COMMAND),
             "".join(f"- {line}\n" for line in tables.circumstances(first)[1:3]),
             "## Goals\n",
             f"{len(goals.lines) - missed} of {len(goals.lines)} goals are met.\n",
             tables.markdown(["goal", "found", "must", ""], goals.lines)]
    for name, document in found.items():
        title, table = TITLES[name]
        parts += [f"## {title}\n",
                  f"{tables.circumstances(document)[0]}; basin {document['build']['commit']}; load "
                  f"before {tables.load_text(document['load_before'])}, after "
                  f"{tables.load_text(document['load_after'])}.\n",
                  *([warning + "\n"] if (warning := tables.busy_warning(document)) else []),
                  table(document)]
    return "\n".join(parts)
