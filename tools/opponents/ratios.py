"""Medians, spreads and ratios of rounds."""


def quantile(values, share):
    """Between two values it is interpolated; of at least one value."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def spread(values):
    return {"median": quantile(values, 0.5), "p10": quantile(values, 0.1),
            "p90": quantile(values, 0.9)}


def ratio(theirs, ours):
    """How many times longer they took: the spread over the rounds of their time over ours in the
    same round, which is not the ratio of the medians."""
    if not ours or len(theirs) != len(ours):
        raise ValueError(f"{len(theirs)} rounds cannot be compared with {len(ours)}")
    return spread([t / o for t, o in zip(theirs, ours)])
