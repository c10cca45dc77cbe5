"""BASIN_CUDA: what the configuration does without nvcc, and what it says."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


class CudaOption(unittest.TestCase):
    def configure(self, *options):
        with tempfile.TemporaryDirectory() as build:
            run = subprocess.run(
                ["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                 "-DBASIN_BUILD_TESTS=OFF", "-DBASIN_NVCC=", *options],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False,
            )
            commands = os.path.join(build, "compile_commands.json")
            if run.returncode == 0:
                with open(commands, encoding="utf-8") as file:
                    self.assertNotIn("BASIN_WITH_CUDA", file.read())
        # CMake breaks the lines of an error.
        return run.returncode, " ".join(run.stdout.split())

    def test_auto_goes_on_without_nvcc(self):
        status, text = self.configure("-DBASIN_CUDA=AUTO")
        self.assertEqual(status, 0, text)
        self.assertIn("Building for the CPU: there is no nvcc in PATH or /usr/local/cuda", text)

    def test_on_without_nvcc_is_an_error(self):
        status, text = self.configure("-DBASIN_CUDA=ON")
        self.assertNotEqual(status, 0, text)
        self.assertIn("BASIN_CUDA is ON, but there is no nvcc", text)

    def test_the_architecture_of_this_machine_is_refused(self):
        status, text = self.configure("-DBASIN_CUDA_ARCHITECTURES=native")
        self.assertNotEqual(status, 0, text)
        self.assertIn("must be a list of architectures such as 80;90a-real", text)


if __name__ == "__main__":
    unittest.main()
