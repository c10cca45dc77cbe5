#!/usr/bin/env python3
"""Counts the tests of a JUnit file that ctest wrote: passed, failed, skipped, and how many were
skipped for want of data or of a GPU. Of a group of GoogleTest's, which is one test to ctest, it counts
the cases. Exits with 1 if any failed or none ran."""

import re
import sys
import xml.etree.ElementTree as ElementTree

# A test that finds no real data skips with a message that starts so (tests/README.md).
NO_DATA = "needs BASIN_DATA"
# One that finds no GPU (tests/cuda/gpu.h), or a program that does not.
NO_GPU = "needs a GPU"

# What a GoogleTest program says of its cases with --gtest_brief=1 (tests/discover_groups.cmake).
GROUP = re.compile(r"^\[  PASSED  \] (\d+) tests?\.$", re.MULTILINE)
FAILED_CASE = re.compile(r"^\[  FAILED  \] (\S+?),? [(w]", re.MULTILINE)
SKIPPED_CASE = re.compile(r": Skipped\n(.*)$", re.MULTILINE)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: test_summary.py RESULTS.xml")
    try:
        cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"test_summary.py: no test results in {sys.argv[1]}: {error}")

    total = Counts()
    for case in cases:
        output = case.findtext("system-out") or ""
        group = GROUP.search(output)
        status = case.get("status")
        if group and status in ("run", "fail"):
            total.add_group(case.get("name"), output, int(group.group(1)), status)
        elif status == "run":
            total.passed += 1
        elif status == "disabled" or (status == "notrun" and was_skipped(case)):
            total.add_skipped(case.get("name"), output)
        else:
            total.failed.append(case.get("name"))

    for name in total.failed:
        print(f"FAILED  {name}")
    for name in total.skipped:
        print(f"skipped {name}")
    if total.no_data:
        print(f"{total.no_data} of the skipped tests had no data: set BASIN_DATA to run them")
    if total.no_gpu:
        print(f"{total.no_gpu} of the skipped tests had no GPU")
    skipped = len(total.skipped) + total.no_data + total.no_gpu
    print(f"{total.passed} passed, {len(total.failed)} failed, {skipped} skipped")
    sys.exit(1 if total.failed or not total.passed else 0)


class Counts:
    def __init__(self):
        self.passed, self.no_data, self.no_gpu = 0, 0, 0
        self.failed, self.skipped = [], []  # names

    def add_skipped(self, name, output):
        if NO_DATA in output:
            self.no_data += 1
        elif NO_GPU in output:
            self.no_gpu += 1
        else:
            self.skipped.append(name)

    def add_group(self, name, output, passed, status):
        skipped = SKIPPED_CASE.findall(output)
        failed = list(dict.fromkeys(FAILED_CASE.findall(output)))
        self.passed += passed
        for reason in skipped:
            self.add_skipped(f"{name}: {reason}", reason)
        # The program failed behind its cases, or had none.
        ended_badly = status == "fail" or not (passed or skipped)
        self.failed += failed if failed or not ended_badly else [name]


def was_skipped(case):
    """ctest also calls 'notrun' a test whose program is missing or whose fixture failed."""
    element = case.find("skipped")
    return element is not None and "SKIP" in element.get("message", "")


if __name__ == "__main__":
    main()
