"""The rows of a document as tables."""

HEAD = ["problem", "opponent", "ours ms", "theirs ms", "theirs / ours", "p10-p90",
        "ours / ours p10-p90", "goal", "rounds"]


def _ms(seconds):
    return f"{1e3 * seconds['median']:.4g}"


def _range(spread):
    return f"{spread['p10']:.2f}-{spread['p90']:.2f}"


def goal_text(row):
    """Whether the fastest opponent is beaten by as much as it must be."""
    if "must" not in row or not row["opponents"]:
        return ""
    best = min(them["ratio"]["median"] for them in row["opponents"])
    return f"{row['must']:g} {'met' if best >= row['must'] else 'MISSED'}"


def lines(document):
    """A line for each opponent, as lists of texts."""
    for row in document["rows"]:
        for them in row["opponents"]:
            ratio = f"{them['ratio']['median']:.2f}" if them["agrees"] else "DIFFERENT RESULTS"
            yield [row["name"], them["label"], _ms(row["ours"]["seconds"]), _ms(them["seconds"]),
                   ratio, _range(them["ratio"]), _range(row["ours"]["self_ratio"]), goal_text(row),
                   str(row["rounds"])]


def skipped_lines(document):
    for row in document["rows"]:
        for label, why in row["skipped"].items():
            yield f"{row['name']}: {label} skipped: {why}"
    for name, why in document.get("failed", {}).items():
        yield f"{name}: ours failed: {why}"
    for name in document.get("left_out", []):
        yield f"{name}: not measured, the time was up"


def step_lines(document):
    """Parameters, losses and memory of whole steps."""
    def mega(value):
        return f"{value / 1e6:.0f}" if value is not None else ""

    for row in document["rows"]:
        if row["kind"] != "step":
            continue
        ours = row["ours"]
        for them in row["opponents"]:
            yield [row["name"], them["label"], f"{ours['parameters']} / {them['parameters']}",
                   f"{ours['first_loss']:.5f} / {them['first_loss']:.5f}",
                   f"{row['log_vocabulary']:.3f}", mega(ours["peak_resident_bytes"]),
                   mega(them.get("peak_bytes"))]


STEP_HEAD = ["step", "opponent", "parameters ours / theirs", "first loss ours / theirs",
             "ln V", "peak MB ours", "peak MB theirs"]


def text(head, rows):
    rows = [head, *rows]
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n"
                   for row in rows)


def markdown(head, rows):
    rows = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def circumstances(document):
    machine, build = document["machine"], document["build"]
    before, after = document["load_before"], document["load_after"]
    card = [f"{document['card']}; theirs: CUDA {document['torch_cuda']}, cuDNN {document['cudnn']}"
            ] if "card" in document else []
    return [*card, f"{machine['processor']}, {machine['cores']} cores, {machine['isa']}; "
            f"{document['threads']} thread{'s' if document['threads'] != 1 else ''} each; "
            f"{document['date']}",
            f"ours: basin {build['version']} {build['commit']}, {build['compiler']} "
            f"{build['flags']}, kernels for {document['isa']}",
            f"theirs: PyTorch {document['torch']} ({document['torch_isa']}), "
            f"Python {document['python']}",
            f"load of the machine (1, 5, 15 minutes): before {load_text(before)}, after {load_text(after)}"]


def busy_warning(document):
    """What to think of numbers from a machine that had other work, or ""."""
    cores = document["machine"]["cores"]
    load = max(document["load_before"][0], document["load_after"][0])
    # Neither side runs more threads than there are cores, and they take turns.
    if load <= cores + 0.5:
        return ""
    return (f"The machine was busy with other work (load {load:.1f} on {cores} cores): these numbers "
            "are preliminary. Both sides lost time to it, but not equally: with several threads, "
            "whoever waits for its threads by spinning loses far more.")


def load_text(averages):
    """1, 5 and 15 minutes."""
    return ", ".join(f"{value:.2f}" for value in averages)
