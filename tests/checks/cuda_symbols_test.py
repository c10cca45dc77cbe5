"""tools/checks/cuda_symbols.py finds a name that nvcc and the C++ compiler both define."""

import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/checks/cuda_symbols.py")
CXX = os.environ.get("CXX", "c++")
# Whichever compiler made them, objects are objects.
HIDDEN = "namespace basin { namespace { void f() {} } void g%d() { f(); } }"
OPEN = "namespace basin { void f() {} }"


class CudaSymbols(unittest.TestCase):
    def check(self, by_nvcc, by_cxx):
        with tempfile.TemporaryDirectory() as build:
            for folder, source in (
                ("kernels/cuda/CMakeFiles/basin_kernels_cuda.dir/__/sums", by_nvcc),
                ("kernels/CMakeFiles/basin_kernels_objects.dir/sums", by_cxx),
            ):
                if source is not None:
                    os.makedirs(os.path.join(build, folder))
                    subprocess.run(
                        [CXX, "-x", "c++", "-c", "-o", os.path.join(build, folder, "sums.cu.o"), "-"],
                        input=source, encoding="utf-8", check=True,
                    )
            run = subprocess.run(
                [sys.executable, CHECK, "--build", build],
                stdout=subprocess.PIPE, encoding="utf-8", check=False,
            )
        return run.returncode, run.stdout

    def test_anonymous_namespaces_do_not_clash(self):
        status, text = self.check(HIDDEN % 1, HIDDEN % 2)
        self.assertEqual(status, 0, text)
        self.assertIn("1 names by nvcc, 1 by the C++ compiler, 0 clashes", text)

    def test_a_clash_is_named(self):
        status, text = self.check(OPEN, OPEN)
        self.assertEqual(status, 1, text)
        self.assertIn("both define basin::f()", text)
        self.assertIn("sums.cu.o", text)

    def test_a_build_without_cuda_is_skipped(self):
        status, text = self.check(None, OPEN)
        self.assertEqual(status, 77, text)


if __name__ == "__main__":
    unittest.main()
