"""Contestants take turns: whatever slows the machine down for a while slows down all of them."""

import time

# Worker threads of another library spin for a moment after their work; nobody shall be measured
# beside them.
PAUSE = 0.01


def take_turns(contestants, rounds, least_rounds, seconds, clock=time.monotonic, sleep=time.sleep):
    """Calls every contestant once a round, in an order that changes, until there are so many rounds,
    or after `least_rounds` as soon as `seconds` have passed. `contestants`: functions by name that
    return the seconds they measured. Returns lists of these by name."""
    names = list(contestants)
    found = {name: [] for name in names}
    begin = clock()
    for number in range(rounds):
        if number >= least_rounds and clock() - begin >= seconds:
            break
        for turn in range(len(names)):
            name = names[(turn + number) % len(names)]
            sleep(PAUSE)
            found[name].append(contestants[name]())
    return found


def repeated(call, min_seconds, clock=time.perf_counter, sample=None):
    """A contestant: the mean seconds of as many calls as take at least min_seconds. What the first
    call of all has to set up must have been set up. `sample`: the seconds of a number of calls, if
    the clock does not tell them."""

    def by_clock(calls):
        begin = clock()
        for _ in range(calls):
            call()
        return clock() - begin

    sample = sample or by_clock

    calls = 1
    while (seconds := sample(calls)) < min_seconds:
        calls = max(calls + 1, int(calls * min(10.0, 1.1 * min_seconds / max(seconds, 1e-9))))
    return lambda: sample(calls) / calls
