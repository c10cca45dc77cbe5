#!/usr/bin/env python3
"""Counts the tests of a JUnit file that ctest wrote: passed, failed, skipped, and how many were
skipped for want of data or of a GPU. Exits with 1 if any failed or none ran."""

import re
import sys
import xml.etree.ElementTree as ElementTree

# A test that finds no real data skips with a message that starts so (tests/README.md).
NO_DATA = "needs BASIN_DATA"
# One that finds no GPU (tests/cuda/gpu.h), or a program that does not.
NO_GPU = "needs a GPU"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: test_summary.py RESULTS.xml")
    try:
        cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"test_summary.py: no test results in {sys.argv[1]}: {error}")

    passed, failed, skipped, no_data, no_gpu = [], [], [], [], []
    for case in cases:
        status = case.get("status")
        if status == "run":
            passed.append(case)
        elif status == "disabled" or (status == "notrun" and was_skipped(case)):
            skipped.append(case)
            if NO_DATA in (case.findtext("system-out") or ""):
                no_data.append(case)
            elif NO_GPU in (case.findtext("system-out") or ""):
                no_gpu.append(case)
        else:
            failed.append(case)

    for case in failed:
        print(f"FAILED  {name_of(case)}")
    for case in skipped:
        if case not in no_data and case not in no_gpu:
            print(f"skipped {name_of(case)}")
    if no_data:
        print(f"{len(no_data)} of the skipped tests had no data: set BASIN_DATA to run them")
    if no_gpu:
        print(f"{len(no_gpu)} of the skipped tests had no GPU")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    sys.exit(1 if failed or not passed else 0)


def name_of(case):
    """Without the dump of a test's parameter that GoogleTest appends."""
    return re.sub(r"\s+# GetParam\(\) = .*", "", case.get("name"), flags=re.DOTALL)


def was_skipped(case):
    """ctest also calls 'notrun' a test whose program is missing or whose fixture failed."""
    element = case.find("skipped")
    return element is not None and "SKIP" in element.get("message", "")


if __name__ == "__main__":
    main()
