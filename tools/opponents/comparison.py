"""One problem, ours and theirs in turn."""

import contextlib
import math
import tempfile

import npy
import ratios
from ours import Ours
from rounds import take_turns
from torch_opponents import opponents_of, tolerance_of

# Of the loss of the first step, f32 sums in another order, and of the second, after clipping and
# AdamW, which turns the sign of a rounding error into a whole step of a weight.
LOSS_TOLERANCES = {"f32": (1e-5, 1e-4), "tf32": (1e-3, 2e-3), "bf16": (5e-3, 1e-2)}


def compare(torch, place, program, problem, settings, tell):
    """A row of the document. Throws OursFailed."""
    with tempfile.TemporaryDirectory(prefix="opponents-") as folder:
        arrays = [] if problem.kind == "kernel" else ["--arrays", folder]
        sample = [] if problem.kind == "step" else ["--min-time", str(1e3 * settings.min_seconds)]
        with Ours(program, problem.command() + arrays + sample, settings.threads,
                  place.device) as ours:
            found = {name: place.to(array) for name, array in npy.read_folder(folder).items()}
            opponents, skipped = _set_up(torch, place, problem, found, settings, tell)
            with contextlib.ExitStack() as others:
                opponents.update(_own(problem, others, lambda words: Ours(
                    program, words + sample, settings.threads, place.device)))
                contestants = {"ours": ours.round, "ours again": ours.round}
                contestants.update({label: each["round"] for label, each in opponents.items()})
                seconds = take_turns(contestants, settings.rounds, settings.least_rounds,
                                     settings.seconds)
            return _row(problem, ours, opponents, skipped, seconds)


def _own(problem, stack, start):
    """Opponents of our own: the same operation with other sizes, called as often as it takes to do
    the same."""
    def contestant(changes, calls):
        other = stack.enter_context(start(problem.with_sizes(changes).command()))
        return {"round": lambda: calls * other.round(), "difference": None}

    return {label: contestant(changes, calls) for label, changes, calls in problem.own}


def _set_up(torch, place, problem, arrays, settings, tell):
    opponents, skipped = {}, {}
    for label, make in opponents_of(torch, place, problem, arrays, settings.compile):
        tell(f"{problem.name}: {label}")
        before = place.start_peak() if problem.kind == "step" else None
        try:
            call, difference = make()
            each = {"call": call, "difference": difference}
            each["round"] = place.repeated(call, settings.min_seconds)
        except Exception as error:  # whatever another library throws
            skipped[label] = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0][:200]
            continue
        if before is not None:
            each["peak_bytes"] = place.peak() - before
        opponents[label] = each
    return opponents, skipped


def _row(problem, ours, opponents, skipped, seconds):
    row = {"name": problem.name, "kind": problem.kind, "subject": problem.subject,
           "sizes": problem.sizes, "backward": problem.backward, "rounds": len(seconds["ours"]),
           "ours": {"seconds": ratios.spread(seconds["ours"]),
                    "self_ratio": ratios.ratio(seconds["ours again"], seconds["ours"])},
           "opponents": [], "skipped": skipped}
    if problem.must is not None:
        row["must"] = problem.must
    for key in ("peak_allocated_bytes", "peak_resident_bytes"):
        if key in ours.last:
            row["ours"][key] = ours.last[key]
    if problem.kind == "step":
        row["ours"]["parameters"] = ours.ready["parameters"]
        row["ours"]["first_loss"] = ours.ready["first_loss"]
        row["ours"]["second_loss"] = _second_loss(ours)
        row["log_vocabulary"] = math.log(problem.sizes["vocabulary"])
    for label, each in opponents.items():
        them = {"label": label, "seconds": ratios.spread(seconds[label]),
                "ratio": ratios.ratio(seconds[label], seconds["ours"])}
        _judge(problem, ours, each, them)
        if "peak_bytes" in each:
            them["peak_bytes"] = each["peak_bytes"]
        row["opponents"].append(them)
    return row


def _second_loss(ours):
    """Of a step that takes several steps to warm up, told with the first; else that of the first round."""
    return ours.ready.get("second_loss", ours.first["loss"])


def _judge(problem, ours, each, them):
    """Whether both did the same work."""
    them["agrees"] = True
    if each["difference"] is not None:
        them["difference"] = each["difference"]
        them["agrees"] = each["difference"] <= tolerance_of(problem)
    if problem.kind == "step":
        step = each["call"]
        them["parameters"] = step.parameter_count()
        them["first_loss"], them["second_loss"] = step.losses[:2]
        them["agrees"] = them["parameters"] == ours.ready["parameters"] and all(
            abs(found - expected) <= tolerance * expected for found, expected, tolerance in
            zip(step.losses, (ours.ready["first_loss"], _second_loss(ours)),
                LOSS_TOLERANCES[problem.precision]))
