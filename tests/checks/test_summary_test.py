"""tools/test_summary.py on JUnit files as ctest writes them."""

import os
import subprocess
import sys
import tempfile
import unittest

SUMMARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/test_summary.py")

PASSED = '<testcase name="Good" status="run"><system-out>needs BASIN_DATA</system-out></testcase>'
FAILED = '<testcase name="Bad" status="fail"><failure message=""/><system-out/></testcase>'
SKIPPED = (
    '<testcase name="Idle" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
    "<system-out>x_test.cpp:6: Skipped\none core only</system-out></testcase>"
)
NO_DATA = (
    '<testcase name="Hungry" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
    "<system-out>needs BASIN_DATA (mnist)</system-out></testcase>"
)
NO_GPU = (
    '<testcase name="Fast" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
    "<system-out>gpu.h:14: Skipped\nneeds a GPU: no NVIDIA driver was found</system-out></testcase>"
)
NO_PROGRAM = (
    '<testcase name="Absent" status="notrun"><skipped message="Unable to find executable"/>'
    "<system-out>Unable to find executable: bin/test_nn</system-out></testcase>"
)


def group(name, status, *output):
    """What a GoogleTest program with --gtest_brief=1 leaves."""
    return (f'<testcase name="{name}" status="{status}"><system-out>'
            + "\n".join(output) + "\n</system-out></testcase>")


GROUP = group("Every/Layer.Learns", "run", "[==========] 92 tests from 1 test suite ran. (9 ms total)",
              "[  PASSED  ] 92 tests.")


def summary(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "results.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        run = subprocess.run(
            [sys.executable, SUMMARY, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    return run.returncode, run.stdout.splitlines()


def suite(*cases):
    return "<testsuite>" + "".join(cases) + "</testsuite>"


class TestSummary(unittest.TestCase):
    def test_counts_each_kind_once(self):
        status, lines = summary(suite(PASSED, FAILED, SKIPPED, NO_DATA, NO_DATA, PASSED))
        self.assertEqual(status, 1)
        self.assertEqual(
            lines,
            [
                "FAILED  Bad",
                "skipped Idle",
                "2 of the skipped tests had no data: set BASIN_DATA to run them",
                "2 passed, 1 failed, 3 skipped",
            ],
        )

    def test_counts_what_needs_a_gpu(self):
        status, lines = summary(suite(PASSED, NO_GPU, NO_GPU, NO_GPU))
        self.assertEqual(status, 0)
        self.assertEqual(
            lines, ["3 of the skipped tests had no GPU", "1 passed, 0 failed, 3 skipped"])

    def test_skipping_is_no_failure(self):
        self.assertEqual(summary(suite(PASSED, SKIPPED))[0], 0)

    def test_a_test_that_could_not_run_failed(self):
        status, lines = summary(suite(PASSED, NO_PROGRAM))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_cases_of_a_group_are_counted_and_named(self):
        failing = group(
            "Every/Layer.Forgets", "fail", "x_test.cpp:9: Failure", "Expected equality",
            "[  FAILED  ] Every/Layer.Forgets/a, where GetParam() = 8-byte object &lt;07-00&gt; (3 ms)",
            "[  FAILED  ] Every/Layer.Forgets/b (1 ms)", "x_test.cpp:6: Skipped", "one core only",
            "gpu.h:14: Skipped", "needs a GPU: none", "gpu.h:14: Skipped", "needs a GPU: none",
            "[==========] 8 tests from 1 test suite ran. (9 ms total)", "[  PASSED  ] 3 tests.",
            "[  SKIPPED ] 3 tests.", "[  FAILED  ] 2 tests, listed below:",
            "[  FAILED  ] Every/Layer.Forgets/a, where GetParam() = 8-byte object &lt;07-00&gt;",
            "[  FAILED  ] Every/Layer.Forgets/b")
        status, lines = summary(suite(GROUP, failing, PASSED))
        self.assertEqual(status, 1)
        self.assertEqual(
            lines,
            [
                "FAILED  Every/Layer.Forgets/a",
                "FAILED  Every/Layer.Forgets/b",
                "skipped Every/Layer.Forgets: one core only",
                "2 of the skipped tests had no GPU",
                "96 passed, 2 failed, 3 skipped",
            ],
        )

    def test_a_group_that_did_not_end_or_had_no_case_failed(self):
        crashed = group("Layer", "fail", "x_test.cpp:6: Skipped", "one core only")
        empty = group("Layer", "run", "[  PASSED  ] 0 tests.")
        behind = group("Layer", "fail", "[  PASSED  ] 2 tests.", "LeakSanitizer: detected")
        self.assertEqual(summary(suite(GROUP, crashed))[1],
                         ["FAILED  Layer", "92 passed, 1 failed, 0 skipped"])
        self.assertEqual(summary(suite(GROUP, empty))[1][-1], "92 passed, 1 failed, 0 skipped")
        self.assertEqual(summary(suite(GROUP, behind))[1][-1], "94 passed, 1 failed, 0 skipped")

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(summary(suite())[0], 1)
        self.assertEqual(summary(suite(SKIPPED))[0], 1)
        self.assertEqual(summary("<testsuite>")[0], 1)


if __name__ == "__main__":
    unittest.main()
