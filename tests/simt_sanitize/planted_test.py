"""What the sanitizers say about kernels that the executor runs: the lines of planted mistakes, and
nothing about correct kernels. Arguments: the name of the sanitizer and the program built with it."""

import os
import re
import subprocess
import sys
import unittest

SANITIZER, PROGRAM = sys.argv[1], sys.argv[2]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "planted.cpp")


def marked_lines(kernel):
    with open(SOURCE, encoding="utf-8") as source:
        return [
            number
            for number, line in enumerate(source, 1)
            if re.search(r"// LINE " + kernel + r"\b", line)
        ]


def run(kernel):
    done = subprocess.run(
        [PROGRAM, kernel],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    if "unexpected memory mapping" in done.stderr:
        print("skipped: this sanitizer does not run on this kernel's memory layout")
        sys.exit(77)
    return done


class Planted(unittest.TestCase):
    def expect_report(self, kernel, words):
        lines = marked_lines(kernel)
        self.assertTrue(lines, f"no line of planted.cpp is marked for {kernel}")
        done = run(kernel)
        self.assertNotIn(done.returncode, (0, 2, 3), done.stdout + done.stderr)
        self.assertIn(words, done.stderr)
        for line in lines:
            self.assertRegex(done.stderr, rf"{kernel}\b.*planted\.cpp:{line}\b")

    def test_a_correct_kernel_is_quiet(self):
        done = run("correct")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "ok y[3] = 4099\n" * 6)

    def test_a_kernel_that_is_stopped_leaves_nothing_behind(self):
        done = run("divergent")
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertEqual(done.stdout.count("__syncthreads is divergent"), 6)

    if SANITIZER == "thread":

        def test_races_are_reported_with_both_lines(self):
            for kernel in (
                "missing_barrier",
                "missing_second_barrier",
                "shuffle_is_no_barrier",
                "matrix_without_wait",
                "race_in_global_memory",
            ):
                with self.subTest(kernel):
                    self.expect_report(kernel, "ThreadSanitizer: data race")

    if SANITIZER == "address":

        def test_overruns_of_shared_memory_are_reported_with_their_line(self):
            for kernel in ("static_overrun", "dynamic_overrun", "async_overrun", "matrix_overrun"):
                with self.subTest(kernel):
                    self.expect_report(kernel, "AddressSanitizer: use-after-poison")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
