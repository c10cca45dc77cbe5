"""tools/checks/cuda_resources.py on what ptxas says, and against a record."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../tools/checks/cuda_resources.py"
)
NAME = "_ZN5basin7kernels43_GLOBAL__N__5cc45ff0_10_softmax_cu_f50e4e6d7forwardI{}EEvPKT_PS3_ll"
OF_KERNEL = """ptxas info    : Compiling entry function '{name}' for 'sm_80'
ptxas info    : Function properties for {name}
    {local} bytes stack frame, {spills} bytes spill stores, 0 bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers, 256 bytes smem, 384 bytes cmem[0]
"""


def told(registers=30, local=0, spills=0, element="f"):
    return OF_KERNEL.format(
        name=NAME.format(element), registers=registers, local=local, spills=spills
    )


class CudaResources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = folder.name
        self.record = os.path.join(folder.name, "record.json")
        self.objects = os.path.join(
            folder.name, "kernels/cuda/CMakeFiles/basin_kernels_cuda.dir/__/softmax"
        )
        os.makedirs(os.path.join(folder.name, "CMakeFiles/3.25.1"))
        self.nvcc("13.0.88")

    def nvcc(self, version):
        path = os.path.join(self.build, "CMakeFiles/3.25.1/CMakeCUDACompiler.cmake")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'set(CMAKE_CUDA_COMPILER_VERSION "{version}")\n')

    def check(self, text, *options):
        os.makedirs(self.objects, exist_ok=True)
        for name, content in (("softmax.cu.o", ""), ("softmax.cu.o.resources", text)):
            with open(os.path.join(self.objects, name), "w", encoding="utf-8") as file:
                file.write("ptxas info    : 0 bytes gmem\n" + content)
        return self.run_check(*options)

    def run_check(self, *options):
        run = subprocess.run(
            [sys.executable, CHECK, "--build", self.build, "--record", self.record, *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False,
        )
        return run.returncode, run.stdout

    def test_record_and_page(self):
        status, text = self.check(told() + told(34, element="d"), "--update")
        self.assertEqual(status, 0, text)
        with open(self.record, encoding="utf-8") as file:
            kernels = json.load(file)["kernels"]["kernels/softmax/softmax.cu"]
        self.assertEqual(kernels, {"forward<float>": {"80": [30, 256, 0, 0]},
                                   "forward<double>": {"80": [34, 256, 0, 0]}})
        with open(self.record.replace(".json", ".md"), encoding="utf-8") as file:
            self.assertIn("| softmax/softmax.cu | `forward` | 2 | 34 | 256 | 0 | 0 |", file.read())
        self.assertEqual(self.check(told())[0], 0)

    def test_registers_may_grow_to_a_multiple_of_eight(self):
        self.check(told(30), "--update")
        self.assertEqual(self.check(told(32))[0], 0)
        status, text = self.check(told(33))
        self.assertEqual(status, 1, text)
        self.assertIn("kernels/softmax/softmax.cu: forward<float> on sm_80 needs 33 registers, "
                      "its limit is 32 (recorded: 30)", text)

    def test_a_new_spill_fails(self):
        self.check(told(), "--update")
        status, text = self.check(told(local=8, spills=8))
        self.assertEqual(status, 1, text)
        self.assertIn("forward<float> on sm_80 spills 8 bytes, recorded are 0", text)
        self.check(told(local=8, spills=8), "--update")
        self.assertEqual(self.check(told(local=8, spills=8))[0], 0)

    def test_local_memory_without_a_spill_fails(self):
        self.check(told(), "--update")
        status, text = self.check(told(local=40))
        self.assertEqual(status, 1, text)
        self.assertIn("has 40 bytes of local memory, recorded are 0", text)

    def test_a_kernel_without_record_fails_only_if_it_spills(self):
        status, text = self.check(told())
        self.assertEqual(status, 0, text)
        self.assertIn("1 of them are not recorded yet", text)
        self.assertEqual(self.check(told(spills=4))[0], 1)

    def test_another_nvcc_counts_otherwise(self):
        self.check(told(), "--update")
        self.nvcc("13.2.10")
        status, text = self.check(told(60))
        self.assertEqual(status, 0, text)
        self.assertIn("recorded with nvcc 13.0, built with 13.2", text)
        self.assertEqual(self.check(told(spills=4))[0], 1)

    def test_a_build_that_was_compiled_fast_says_nothing(self):
        self.check(told(), "--update")
        with open(os.path.join(self.build, "CMakeCache.txt"), "w", encoding="utf-8") as file:
            file.write("//Help\nBASIN_CUDA_FAST_COMPILE:BOOL=ON\n")
        for options in ((), ("--update",)):
            status, text = self.check(told(spills=4), *options)
            self.assertEqual(status, 77, text)
            self.assertIn("BASIN_CUDA_FAST_COMPILE", text)

    def test_a_build_without_cuda_is_skipped(self):
        status, text = self.run_check()
        self.assertEqual(status, 77, text)


if __name__ == "__main__":
    unittest.main()
