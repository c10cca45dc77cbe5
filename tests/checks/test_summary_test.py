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

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(summary(suite())[0], 1)
        self.assertEqual(summary(suite(SKIPPED))[0], 1)
        self.assertEqual(summary("<testsuite>")[0], 1)


if __name__ == "__main__":
    unittest.main()
