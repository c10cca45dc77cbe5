"""profile_kernels count: what CUDA kernels read and write."""

import json
import os
import shutil
import subprocess
import unittest

from profile_kernels_case import PROGRAM, ProfileKernelsCase

SMALL = ["--shape", "m=64,n=64,k=64"]


class Count(ProfileKernelsCase):
    def counts(self, *words):
        self.succeed("count", *words, "--json", self.path("counts.json"))
        with open(self.path("counts.json")) as file:
            return json.load(file)["cases"]

    def test_table_and_arrays(self):
        text = self.succeed("count", "gemm", "--variant", "2", *SMALL, "--arrays")
        self.assertIn("gemm_shared_tiles", text)
        self.assertIn("passes", text)
        self.assertRegex(text, r"\na +16.4 kB +4\.00 +0\.00\n")

    def test_json_of_all_variants(self):
        cases = self.counts("gemm", "--variant", "all", *SMALL)
        self.assertEqual([case["variant"] for case in cases], [0, 1, 2, 3])
        self.assertEqual(cases[0]["launches"], [])  # a library's
        sectors = [case["launches"][0]["global_reads"]["sectors"] for case in cases[1:]]
        self.assertEqual(sectors, sorted(sectors, reverse=True))
        self.assertEqual(cases[1]["least_bytes"], 3 * 64 * 64 * 4)

    def test_a_ladder_moves_less_and_less(self):
        shape = ["--shape", "B=1,H=1,L=64,D=32"]
        text = self.succeed("count", "attention", "--ladder", *shape, "--json",
                            self.path("counts.json"))
        self.assertIn("a thread for a query", text.split("rung ")[-1])
        with open(self.path("counts.json")) as file:
            cases = json.load(file)["cases"]
        self.assertEqual([(case["kernel"], case["variant"], case["dtype"]) for case in cases],
                         [("attention_forward", 1, "f32"), ("attention_forward", 2, "f32"),
                          ("split_attention_forward", 1, "f32"),
                          ("tf32_attention_forward", 1, "f32"),
                          ("tensor_attention_forward", 1, "bf16"),
                          ("tensor_attention_forward", 2, "bf16")])
        read = [case["launches"][0]["global_reads"]["sectors"] for case in cases]
        self.assertEqual(read, sorted(read, reverse=True))
        # On the executor the time of a rung means nothing.
        self.assertEqual(self.succeed("time", "attention", "--ladder", "--device", "simt", *shape),
                         self.succeed("count", "attention", "--ladder", *shape))

    def test_options_change_something(self):
        shape = ["softmax_forward", "--shape", "rows=8,cols=100"]
        one, = self.counts(*shape)
        double, = self.counts(*shape, "--dtype", "f64")
        more, = self.counts("softmax_forward", "--shape", "rows=16,cols=100")

        def read(case):
            return sum(launch["global_reads"]["requested_bytes"] for launch in case["launches"])

        self.assertEqual(read(double), 2 * read(one))
        self.assertEqual(read(more), 2 * read(one))

    def test_wrong_usage(self):
        self.fails(2, "needs the name of a kernel", "count")
        self.fails(2, ["no kernel 'gem'", "gemm"], "count", "gem")
        self.fails(2, "has no size 'rows'", "count", "gemm", "--shape", "rows=3")
        self.fails(2, "--dtype", "count", "gemm", "--dtype", "f16")
        self.fails(1, "exists in f32 and f64, not in bf16", "count", "gemm", "--dtype", "bf16")
        self.fails(2, "no ladder 'softmax'", "count", "softmax", "--ladder")
        self.fails(2, "needs one name", "count", "--ladder")
        self.fails(2, "--variant do not go together", "count", "gemm", "--ladder", "--variant", "1")
        self.fails(2, "--rounds has no meaning", "time", "gemm", "--ladder", "--device", "simt",
                   "--rounds", "5")
        self.fails(1, "cannot be written", "count", "gemm", *SMALL, "--json", "/no/folder/x.json")
        self.assertIn("sectors", self.succeed("count", "--help"))

    def test_without_the_other_program(self):
        alone = self.path("profile_kernels")
        shutil.copy(PROGRAM, alone)
        process = subprocess.run([alone, "count", "gemm"], capture_output=True, encoding="utf-8",
                                 env={**os.environ})
        self.assertEqual(process.returncode, 1)
        self.assertIn("needs the program profile_kernels_counting beside this one", process.stderr)


if __name__ == "__main__":
    unittest.main()
