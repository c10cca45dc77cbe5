"""tools/bundle/run_gpu_tests.sh with programs that only pretend to use a GPU."""

import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

BUNDLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/bundle")

TRAINER = """
if [ "$1" = list ]; then
  printf 'Devices\\n  cpu               2 threads\\n  cuda              %s\\n' "$DEVICE"
  printf '\\nLibraries\\n  cuBLAS            13.1.0, /opt/libcublasLt.so.13\\n'
  printf '  cuDNN             not available: no "libcudnn_adv.so.9"\\n'
else
  echo "step 200/200  test loss 0.5  accuracy 0.9"
  echo "200 steps in 0:02, 132.2k tokens/s while training, at most 59.4 MB of tensors"
  exit "${TRAINING:-0}"
fi
"""
# What it was started for is written down. $SECOND: how the second test ends; $CALLS: where to write.
TESTS = """
case "$*" in
  *--gtest_list_tests*)
    printf 'Running main()\\nTable/Kernel.\\n  Agrees/0  # GetParam() = 1\\n  Agrees/1\\nTensor.\\n  Moves\\n'
    exit ;;
esac
filter="${1#--gtest_filter=}"
echo "$filter" >>calls
for test in ${filter//:/ }; do
  case "$test" in
    *Agrees/1)
      echo 'kernel.cpp:7: Failure "quoted" \\ and	tab'
      [ "$SECOND" != crash ] || kill -SEGV $$
      if [ "$SECOND" != 0 ]; then
        echo "[  FAILED  ] $test, where GetParam() = 2 (7 ms)"; status="$SECOND"
      else
        echo "[       OK ] $test (8 ms)"
      fi ;;
    *) echo "[       OK ] $test (12 ms)" ;;
  esac
done
exit "${status:-0}"
"""
PROFILER = """
if [ -n "$PROFILE_FAILS" ]; then echo "no such kernel" >&2; exit 1; fi
while [ "$#" -gt 0 ]; do
  case "$1" in
    --json) echo '{"rows": [1]}' >"$2" ;;
    --markdown) echo '| gemm | 1 ms |' >"$2" ;;
  esac
  shift
done
"""


class RunGpuTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("run_gpu_tests.sh", "report.sh"):
            shutil.copy(os.path.join(BUNDLE, name), self.folder)
        os.mkdir(os.path.join(self.folder, "bin"))
        for name, text in (("trainer", TRAINER), ("test_cuda", TESTS), ("profile_kernels", PROFILER)):
            path = os.path.join(self.folder, "bin", name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/usr/bin/env bash\n" + text)
            os.chmod(path, 0o755)
        with open(os.path.join(self.folder, "build.txt"), "w", encoding="utf-8") as file:
            file.write("version 0.1.0\ncommit 1234abcd\n")

    def run_script(self, *options, device="NVIDIA H100 (compute capability 9.0)", **variables):
        run = subprocess.run(
            ["bash", os.path.join(self.folder, "run_gpu_tests.sh"), *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False,
            env={**os.environ, "DEVICE": device, "SECOND": "0", **variables},
        )
        return run.returncode, run.stdout

    def calls(self):
        with open(os.path.join(self.folder, "calls"), encoding="utf-8") as file:
            return file.read().splitlines()

    def results(self):
        files = sorted(glob.glob(os.path.join(self.folder, "results", "*")))
        self.assertEqual([os.path.splitext(path)[1] for path in files], [".json", ".md"])
        with open(files[0], encoding="utf-8") as file:
            record = json.load(file)
        with open(files[1], encoding="utf-8") as file:
            return record, file.read()

    def test_everything_passes(self):
        status, text = self.run_script()
        self.assertEqual(status, 0, text)
        record, page = self.results()
        self.assertEqual(record["device"], "NVIDIA H100 (compute capability 9.0)")
        self.assertEqual((record["version"], record["commit"]), ("0.1.0", "1234abcd"))
        self.assertEqual(record["cublas"], "13.1.0, /opt/libcublasLt.so.13")
        self.assertEqual(record["cudnn"], 'not available: no "libcudnn_adv.so.9"')
        self.assertIn("cuDNN: not available", text)
        self.assertEqual(
            [(test["name"], test["result"]) for test in record["tests"]],
            [("Table/Kernel.Agrees/0", "passed"), ("Table/Kernel.Agrees/1", "passed"),
             ("Tensor.Moves", "passed")],
        )
        self.assertEqual([test["milliseconds"] for test in record["tests"]], [12, 8, 12])
        # A suite is one process.
        self.assertEqual(self.calls(), ["Table/Kernel.Agrees/0:Table/Kernel.Agrees/1", "Tensor.Moves"])
        self.assertNotIn("left out", record)
        self.assertEqual(len(record["trainings"]), 7)
        self.assertIn("copying, attention, bf16", [run["name"] for run in record["trainings"]])
        self.assertEqual(record["trainings"][0]["speed"], "132.2k tokens/s")
        self.assertEqual(record["trainings"][0]["reached"], "test loss 0.5  accuracy 0.9")
        self.assertEqual(record["profile"], {"rows": [1]})
        self.assertEqual(record["failures"], "")
        self.assertIn("| Table/Kernel | 2 | 2 | 0 | 0 | 0.02 |", page)
        self.assertIn("| gemm | 1 ms |", page)
        self.assertIn("| commit | 1234abcd |", page)
        self.assertIn("| cublas | 13.1.0, /opt/libcublasLt.so.13 |", page)

    def test_a_failure_is_told_with_its_last_lines(self):
        status, text = self.run_script(SECOND="1")
        self.assertEqual(status, 1, text)
        record, page = self.results()
        self.assertEqual(record["tests"][1]["result"], "failed")
        self.assertIn('kernel.cpp:7: Failure "quoted" \\ and\ttab', record["failures"])
        self.assertIn("### Table/Kernel.Agrees/1: failed", page)
        self.assertIn("| Table/Kernel | 2 | 1 | 1 | 0 |", page)
        # Once more, alone.
        self.assertEqual(self.calls()[2:], ["Table/Kernel.Agrees/1"])

    def test_a_crash_does_not_end_the_others(self):
        status, text = self.run_script(SECOND="crash")
        self.assertEqual(status, 1, text)
        record, _ = self.results()
        self.assertEqual([test["result"] for test in record["tests"]],
                         ["passed", "crashed", "passed"])
        self.assertIsNone(record["tests"][1]["milliseconds"])
        self.assertEqual(self.calls()[2:], ["Table/Kernel.Agrees/1"])

    def test_failing_programs_are_told(self):
        status, text = self.run_script(TRAINING="1", PROFILE_FAILS="1")
        self.assertEqual(status, 1, text)
        record, page = self.results()
        self.assertEqual({run["result"] for run in record["trainings"]}, {"failed"})
        self.assertIsNone(record["profile"])
        self.assertIn("no such kernel", page)

    def test_what_a_tool_finds_belongs_to_one_of_the_tests(self):
        with open(os.path.join(self.folder, "bin", "compute-sanitizer"), "w", encoding="utf-8") as file:
            file.write('#!/usr/bin/env bash\nshift 4\n"$@"\n'
                       '[[ "$*" != *Agrees/1* ]] || { echo "an error"; exit 99; }\n')
        os.chmod(file.name, 0o755)
        path = os.path.join(self.folder, "bin") + os.pathsep + os.environ["PATH"]
        status, text = self.run_script("--tool", "memcheck", PATH=path)
        self.assertEqual(status, 1, text)
        record, _ = self.results()
        self.assertEqual([test["result"] for test in record["tests"]], ["passed", "failed", "passed"])
        self.assertEqual(self.calls()[2:], ["Table/Kernel.Agrees/0", "Table/Kernel.Agrees/1"])

    def test_time_that_is_up_ends_it_with_what_is_there(self):
        # A minute that has passed when the tests begin.
        with open(os.path.join(self.folder, "run_gpu_tests.sh"), encoding="utf-8") as file:
            script = file.read()
        with open(file.name, "w", encoding="utf-8") as file:
            file.write(script.replace("set -euo pipefail", "set -euo pipefail\nSECONDS=60", 1))
        status, text = self.run_script("--minutes", "1")
        self.assertEqual(status, 0, text)
        record, page = self.results()
        self.assertEqual((record["tests"], record["trainings"], record["profile"]), ([], [], None))
        self.assertEqual(record["left out"],
                         "11 tests, trainings and profiles were not begun within 1 minutes")
        self.assertIn("| left out | 11 tests", page)

    def test_a_part(self):
        status, text = self.run_script("--filter", "Table*", "--limit", "5")
        self.assertEqual(status, 0, text)
        record, _ = self.results()
        self.assertEqual((record["trainings"], record["profile"]), ([], None))

    def test_without_a_gpu_nothing_is_written(self):
        for device, reason in (("not available: no NVIDIA driver was found", "no NVIDIA driver"),
                               ("", "there is no GPU")):
            status, text = self.run_script(device=device)
            self.assertEqual(status, 77, text)
            self.assertIn(reason, text)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "results")))

    def test_wrong_usage(self):
        for options in (["--limit", "x"], ["--minutes", "0"], ["--out"], ["--fast"]):
            status, text = self.run_script(*options)
            self.assertEqual(status, 2, text)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "results")))


if __name__ == "__main__":
    unittest.main()
