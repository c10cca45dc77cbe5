"""profile_kernels: list, check, time and compare as people meet them. No speed is asserted."""

import csv
import json
import os
import signal
import subprocess
import time
import unittest

from profile_kernels_case import PROGRAM, QUICK, ProfileKernelsCase


class List(ProfileKernelsCase):
    def test_shows_every_kernel_with_its_variants_and_sizes(self):
        text = self.succeed("list")
        for part in ["attention_forward", "  variant 1 queries: ", "L=1024: queries",
                     " cases in f32 and f64"]:
            self.assertIn(part, text)

    def test_one_kernel_with_its_cases(self):
        text = self.succeed("list", "gemm")
        self.assertTrue(text.startswith("gemm\n"))
        self.assertIn("13x29x31_ta_tb_gap3", text)
        self.assertNotIn("adamw", text)

    def test_json(self):
        entries = json.loads(self.succeed("list", "--json"))
        by_name = {entry["name"]: entry for entry in entries}
        gemm = by_name["gemm"]
        self.assertEqual(gemm["dtypes"], ["f32", "f64"])
        self.assertEqual([v["number"] for v in gemm["variants"]][0], 1)
        self.assertIn("1x1x1", gemm["cases"])
        sizes = {size["name"]: size for size in gemm["sizes"]}
        self.assertEqual(sizes["m"]["default"], "1024")
        self.assertEqual(sizes["ta"]["choices"], ["0", "1"])
        for entry in entries:
            self.assertTrue(entry["sizes"] and entry["cases"], entry["name"])
            self.assertEqual(bool(entry["variants"]), entry["cpu"], entry["name"])
        self.assertEqual(by_name["tensor_attention_forward"]["dtypes"], ["bf16"])
        self.assertFalse(by_name["tensor_attention_forward"]["cpu"])

    def test_every_kernel_that_is_listed_can_be_timed(self):
        # The default sizes are too large for a test.
        for entry in json.loads(self.succeed("list", "--json")):
            if not entry["cpu"]:
                continue
            shape = ",".join(
                f"{s['name']}={max(1, min(int(s['default']), 16))}"
                for s in entry["sizes"] if "choices" not in s and s["default"] != "0")
            words = ["--shape", shape] if shape else []
            rows = self.timed(entry["name"], *words)["rows"]
            self.assertEqual([row["kernel"] for row in rows], [entry["name"]])
            self.assertEqual(rows[0]["checked_on"], "same")


class Check(ProfileKernelsCase):
    def test_passes_on_all_kernels(self):
        # The table's own test runs them in f64, too.
        text = self.succeed("check", "--dtype", "f32")
        self.assertIn("all within their tolerances", text)
        self.assertNotIn("WRONG", text)
        self.assertIn("attention_backward", text)

    def test_bf16_by_the_executor(self):
        for kernel in ("tensor_attention_forward", "tensor_attention_backward",
                       "retrieval_tensor_forward"):
            text = self.succeed("check", kernel, "--device", "simt")
            self.assertIn("bf16", text)
            self.assertNotIn("f64", text)
        self.fails(1, "exists for GPUs (--device cuda or simt) only", "check",
                   "tensor_attention_forward")
        self.fails(1, "exists in bf16, not in f32", "check", "tensor_attention_forward",
                   "--device", "simt", "--dtype", "f32")
        self.fails(1, "exists in f32 and f64, not in bf16", "check", "adamw", "--dtype", "bf16")
        rows = self.timed("tensor_attention_forward", "--shape", "B=1,H=1,L=32,D=16", "--device",
                          "simt", "--dtype", "bf16")["rows"]
        self.assertEqual([row["dtype"] for row in rows], ["bf16"])
        self.assertLessEqual(rows[0]["error"], 2)

    def test_options_choose(self):
        text = self.succeed("check", "gemm", "--variant", "2", "--dtype", "f64", "--threads", "1",
                            "--device", "cpu")
        self.assertIn("2 tiles", text)
        for absent in ["1 loops", "0 best", "f32", "adamw"]:
            self.assertNotIn(absent, text)
        self.assertIn("\n1 rows", text)


class Time(ProfileKernelsCase):
    SHAPE = "m=32,n=24,k=16"

    def test_document(self):
        document = self.timed("gemm", "--shape", self.SHAPE, "--variant", "all", ceilings=True)
        self.assertEqual(document["format"], "basin profile_kernels time")
        self.assertEqual(document["version"], 1)
        self.assertRegex(document["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(document["device"], "cpu")
        self.assertEqual(document["threads"], 1)
        self.assertGreaterEqual(document["machine"]["cores"], 1)
        self.assertTrue(document["machine"]["processor"] and document["machine"]["isa"])
        self.assertTrue(document["build"]["compiler"])
        self.assertIn(document["isa"], ["baseline", "avx2", "avx512"])
        self.assertEqual(document["settings"]["shape"], self.SHAPE)
        for rate in ["flops_per_second", "exps_per_second", "bytes_per_second"]:
            self.assertGreater(document["ceilings"]["f32"][rate], 0)
        rows = document["rows"]
        self.assertEqual([row["variant"] for row in rows], [0] + self.variants("gemm"))
        for row in rows:
            self.assertEqual(row["sizes"], "m=32 n=24 k=16 batch=1 ta=0 tb=0 precision=f32")
            self.assertEqual(row["flops"], 2 * 32 * 24 * 16)
            self.assertEqual(row["bytes"], 4 * (32 * 16 + 16 * 24 + 32 * 24))
            self.assertEqual(row["array_bytes"], row["bytes"])
            self.assertLessEqual(row["seconds"]["p10"], row["seconds"]["median"])
            self.assertLessEqual(row["seconds"]["median"], row["seconds"]["p90"])
            self.assertAlmostEqual(row["flops_per_second"],
                                   row["flops"] / row["seconds"]["median"], delta=1)
            self.assertIn(row["ceiling"], ["fma", "exp", "copy"])
            self.assertGreater(row["share_of_ceiling"], 0)
            self.assertLessEqual(row["error"], row["tolerance"])
            self.assertEqual(row["arrays"], "hot")
            self.assertGreater(row["peak_resident_bytes"], 0)

    def test_environment_keeps_the_kernels_to_an_instruction_set(self):
        os.environ["BASIN_ISA"] = "baseline"
        self.addCleanup(os.environ.pop, "BASIN_ISA")
        self.assertEqual(self.timed("fill", "--shape", "n=10")["isa"], "baseline")
        os.environ["BASIN_ISA"] = "sse9"
        self.fails(1, "BASIN_ISA", "time", "fill", *QUICK)

    def test_ceiling_is_the_slowest_need(self):
        gemm = self.timed("gemm", "--shape", "m=512,n=512,k=512", ceilings=True)["rows"][0]
        self.assertEqual(gemm["ceiling"], "fma")
        fill = self.timed("fill", "--shape", "n=1000", ceilings=True)["rows"][0]
        self.assertEqual(fill["ceiling"], "copy")

    def test_without_ceilings(self):
        document = self.timed("fill", "--shape", "n=1000")
        self.assertEqual(document["ceilings"]["f32"]["flops_per_second"], 0)
        self.assertEqual(document["rows"][0]["ceiling"], "-")
        self.assertEqual(document["settings"]["no-ceilings"], "true")
        text = self.succeed("time", "fill", "--shape", "n=1000", "--no-ceilings", *QUICK)
        self.assertIn("no ceilings: not measured", text)
        self.assertNotIn("executor", text)
        self.fails(2, "--on-request", "time", "fill", "--on-request", "--no-ceilings")

    def test_options_change_something(self):
        f64 = self.timed("gemm", "--shape", self.SHAPE, "--dtype", "f64")
        self.assertEqual(f64["rows"][0]["dtype"], "f64")
        self.assertEqual(f64["rows"][0]["bytes"], 8 * (32 * 16 + 16 * 24 + 32 * 24))
        self.assertIn("f64", f64["ceilings"])
        one = self.timed("gemm", "--shape", self.SHAPE, "--variant", "1")
        self.assertEqual([row["variant_name"] for row in one["rows"]], ["loops"])
        cold = self.timed("fill", "--shape", "n=1000000", "--cold")
        self.assertEqual(cold["rows"][0]["arrays"], "cold")
        self.assertGreater(cold["rows"][0]["copies_of_arrays"], 1)
        self.assertEqual(cold["settings"]["cold"], "true")
        self.succeed("time", "fill", "--shape", "n=10", "--rounds", "4", "--min-time", "0.5",
                     "--threads", "2", "--json", self.path("more.json"))
        with open(self.path("more.json")) as file:
            more = json.load(file)
        self.assertEqual(more["threads"], 2)
        self.assertEqual(more["settings"]["rounds"], "4")
        self.assertEqual(more["settings"]["min-time"], "0.5")

    def test_choices_by_name(self):
        row = self.timed("unary_forward", "--shape", "n=100,op=tanh")["rows"][0]
        self.assertEqual(row["sizes"], "n=100 op=tanh")
        self.assertEqual(row["exps"], 100)
        causal = self.timed("attention_forward", "--shape", "L=16,H=1,D=8,causal=1")["rows"][0]
        self.assertEqual(causal["exps"], 16 * 17 / 2)

    def test_large_problem_is_checked_on_a_smaller_one(self):
        row = self.timed("gemm", "--shape", "m=600,n=600,k=600")["rows"][0]
        self.assertIn("m=", row["checked_on"])
        self.assertNotEqual(row["checked_on"], row["sizes"])

    def test_text_csv_and_markdown(self):
        text = self.succeed("time", "gemm", "--shape", self.SHAPE, *QUICK, "--csv", "t.csv",
                            "--markdown", "t.md")
        for part in ["ceilings f32: fma", "noise: ours against itself", "% of", "GFLOP/s", "gemm"]:
            self.assertIn(part, text)
        with open(self.path("t.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(rows[0]["kernel"], "gemm")
        self.assertGreater(float(rows[0]["seconds"]), 0)
        with open(self.path("t.md")) as file:
            self.assertIn("| gemm | 0 best | m=32 n=24", file.read().replace("  ", " "))
        self.assertEqual(self.files(), ["t.csv", "t.md"])

    def test_compare_with_a_file(self):
        self.timed("gemm", "--shape", self.SHAPE)
        text = self.succeed("time", "gemm", "--shape", self.SHAPE, *QUICK, "--compare",
                            "timed.json")
        self.assertIn("verdict", text)
        self.assertNotIn("note:", text)

    def test_ctrl_c_leaves_nothing(self):
        process = subprocess.Popen(
            [PROGRAM, "time", "gemm", "--rounds", "100000", "--json", "t.json"], cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 1, err)
        self.assertIn(b"interrupted", err)
        self.assertEqual(self.files(), [])

    def test_ladder(self):
        text = self.succeed("time", "attention", "--ladder", *QUICK, "--shape", "B=1,H=1,L=64,D=16")
        rungs = text.split("rung ")[1].splitlines()[2:]
        self.assertEqual([rung.split()[:2] for rung in rungs],
                         [["attention_forward", str(variant)] for variant in (1, 2, 3)])
        self.assertTrue(all(rung.endswith("x") for rung in rungs[1:]), text)


class Compare(ProfileKernelsCase):
    def documents(self):
        old = self.timed("fill", "--shape", "n=1000")
        new = json.loads(json.dumps(old))
        return old, new

    def compared(self, old, new):
        for name, document in (("old.json", old), ("new.json", new)):
            with open(self.path(name), "w") as file:
                json.dump(document, file)
        return self.succeed("compare", "old.json", "new.json")

    def test_ratio_and_verdict(self):
        old, new = self.documents()
        for document in (old, new):
            row = document["rows"][0]
            row["seconds"] = {"median": 1e-3, "p10": 0.99e-3, "p90": 1.01e-3}
            row["self_ratio"] = {"median": 1.0, "p10": 0.99, "p90": 1.01}
        self.assertIn("same", self.compared(old, new))
        new["rows"][0]["seconds"] = {"median": 0.5e-3, "p10": 0.499e-3, "p90": 0.501e-3}
        text = self.compared(old, new)
        self.assertIn("0.500", text)
        self.assertIn("faster", text)
        self.assertIn("slower", self.compared(new, old))
        # The same change within the noise of the kernel against itself.
        new["rows"][0]["self_ratio"] = {"median": 1.0, "p10": 0.4, "p90": 1.6}
        self.assertIn("same", self.compared(old, new))

    def test_says_what_differs(self):
        old, new = self.documents()
        self.assertNotIn("note", self.compared(old, new))
        new["machine"]["processor"] = "another one"
        new["build"]["commit"] = "0123456"
        new["threads"] = 7
        new["isa"] = "none"
        new["settings"]["rounds"] = "99"
        new["rows"][0]["sizes"] = "n=5"
        text = self.compared(old, new)
        for part in ["machines differ", "commits differ", "of the kernels differ", "numbers of threads differ: 1 and 7",
                     "--rounds differ: 3 and 99", "only in the old one: fill 0 n=1000",
                     "only in the new one: fill 0 n=5", "no row in common"]:
            self.assertIn(part, text)

    def test_bad_files(self):
        old, _ = self.documents()
        self.fails(1, ["absent.json", "cannot be read"], "compare", "timed.json", "absent.json")
        for text, part in [("{", "parse error"), ("{}", "format"), ("[1]", "timed.json"),
                           (json.dumps({**old, "format": "x"}), "another one"),
                           (json.dumps({**old, "version": 9}), "version is 9"),
                           (json.dumps({**old, "rows": [{}]}), "kernel")]:
            with open(self.path("bad.json"), "w") as file:
                file.write(text)
            wanted = ["bad.json is no result of"] + ([part] if part != "timed.json" else [])
            self.fails(1, wanted, "compare", "timed.json", "bad.json")
        self.fails(2, "needs two files", "compare", "timed.json")


class Usage(ProfileKernelsCase):
    def test_help(self):
        self.assertIn("Commands:", self.succeed("--help"))
        self.assertIn("profile_kernels of basin", self.succeed("--version"))
        for command in ["list", "check", "time", "compare", "run"]:
            text = self.succeed(command, "--help")
            self.assertIn(f"usage: profile_kernels {command}", text)
            self.assertIn("Examples:", text)

    def test_wrong_usage(self):
        for part, *words in [
                ("a command is missing",),
                ("did you mean 'check'", "chek"),
                ("did you mean 'gemm'", "time", "gem"),
                ("named twice", "check", "gemm", "gemm"),
                ("no option '--dtyp'", "time", "--dtyp", "f32"),
                ("--dtype", "time", "--dtype", "f16"),
                ("--dtype", "time", "--dtype", "all"),
                ("'gemm' has the variants 0, 1, ", "time", "gemm", "--variant", "99"),
                ("--variant", "check", "gemm", "--variant", "x"),
                ("has no size 'q'; it has m, n, k", "time", "gemm", "--shape", "q=1"),
                ("name=value", "time", "gemm", "--shape", "m"),
                ("given more than once", "time", "gemm", "--shape", "m=1,m=2"),
                ("whole number", "time", "gemm", "--shape", "m=x"),
                ("between 1 and", "time", "gemm", "--shape", "m=0"),
                ("op", "time", "unary_forward", "--shape", "op=gelo"),
                ("--rounds", "time", "--rounds", "2"),
                ("--min-time", "time", "--min-time", "0"),
                ("--threads", "time", "--threads", "0"),
                ("no device 'tpu'", "check", "--device", "tpu"),
                ("another option", "time", "fill", "--json", "x", "--csv", "x"),
                ("takes no value", "list", "--json=1")]:
            with self.subTest(words=words):
                self.fails(2, part, *words)

    def test_failures(self):
        self.fails(1, "available", "time", "fill", "--shape", "n=1000000000000", *QUICK)
        self.fails(1, "cannot be written", "time", "fill", *QUICK, "--json", "absent/t.json")
        self.fails(1, "absent.json", "time", "fill", *QUICK, "--compare", "absent.json")
        self.fails(1, "must be even", "time", "rotary", "--shape", "L=4,D=5", *QUICK)
        self.assertEqual(self.files(), [])


if __name__ == "__main__":
    unittest.main()
