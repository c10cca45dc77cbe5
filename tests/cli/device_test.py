"""--device: the executor trains, evaluates and resumes like the CPU; a device that cannot be used is
refused with a reason. Nothing here needs a GPU, or that there is none."""

import json
import os
import subprocess
import unittest

from profile_kernels_case import PROGRAM, REFERENCE
from trainer_case import TINY, TrainerCase, options

# What a build without CUDA says, one without a driver, and one that is shown no GPU.
NO_GPU = r"built without CUDA|no NVIDIA driver|shows no GPU|driver is too old"


class TrainerDevice(TrainerCase):
    def setUp(self):
        super().setUp()
        self.environment["CUDA_VISIBLE_DEVICES"] = ""

    def losses(self, out):
        return [float(row["loss"]) for row in self.metrics(out) if row["loss"]]

    def test_training_on_the_executor_follows_the_cpu(self):
        for backbone in ("rnn", "attention", "hopfield", "linear-attention"):
            with self.subTest(backbone):
                self.train(f"{backbone}-cpu", backbone, device="cpu", steps=3)
                self.train(f"{backbone}-simt", backbone, device="simt", steps=3)
                here, there = self.losses(f"{backbone}-cpu"), self.losses(f"{backbone}-simt")
                self.assertEqual(len(here), len(there))
                for a, b in zip(here, there):
                    self.assertAlmostEqual(a, b, delta=1e-3 * (1 + a))  # f32, summed in other orders
                self.assertEqual(self.summary(f"{backbone}-simt")["configuration"]["device"], "simt")
                # Otherwise both could have run on the CPU.
                self.assertGreater(self.summary(f"{backbone}-simt")["peak_memory_bytes"], 0)

    def test_automatic_choice_without_a_gpu_is_the_cpu(self):
        self.train("run", device="auto", steps=2)
        self.assertEqual(self.summary("run")["configuration"]["device"], "cpu")

    def test_a_checkpoint_goes_from_device_to_device(self):
        self.train("run", device="simt", steps=4)
        on_cpu = self.succeed("evaluate", "--checkpoint", "run", "--device", "cpu", "--out", "a.json")
        on_simt = self.succeed("evaluate", "--checkpoint", "run", "--device", "simt", "--out",
                               "b.json")
        self.assertTrue(on_cpu and on_simt)
        with open(self.path("a.json")) as a, open(self.path("b.json")) as b:
            first, second = json.load(a), json.load(b)
        self.assertAlmostEqual(first["test"]["loss"], second["test"]["loss"], places=4)

    def test_wrong_devices(self):
        settings = {**TINY, "backbone": "rnn", "out": "run"}
        process = self.run_trainer("train", *options({**settings, "device": "cuda"}))
        self.assert_complains(process, 1, "'cuda' cannot be used")
        self.assertRegex(process.err, NO_GPU)
        self.assertFalse(os.path.exists(self.path("run")))
        process = self.run_trainer("train", *options({**settings, "device": "gpu"}))
        self.assert_complains(process, 2, "--device", "auto, cpu, cuda or simt")

    def test_list_of_devices(self):
        text = self.succeed("list", "devices")
        for name in ("cpu", "cuda", "simt"):
            self.assertIn(f"  {name} ", text)
        self.assertRegex(text, r"cuda +not available: ")
        self.assertRegex(text, NO_GPU)
        if "built without CUDA" not in text:
            # A version and a path, or where it was looked for.
            for name, file in (("cuBLAS", "libcublasLt.so"), ("cuDNN", "libcudnn_adv.so.9")):
                self.assertRegex(text, rf"\n  {name} +(\d+\.\d+\.\d+, /.*{file}|not available.*{file})")


class ProfilerDevice(TrainerCase):
    def setUp(self):
        super().setUp()
        self.environment["CUDA_VISIBLE_DEVICES"] = ""

    def profile(self, *words):
        process = subprocess.run([PROGRAM, *words], cwd=self.folder, env=self.environment,
                                 capture_output=True, text=True, timeout=300)
        return process

    def test_check_and_time_on_the_executor(self):
        process = self.profile("check", "softmax_forward", "--device", "simt")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("softmax_forward", process.stdout)
        process = self.profile("time", "softmax_forward", "--device", "simt", "--shape",
                               "rows=8,cols=64", "--rounds", "3", "--min-time", "0.1", "--json",
                               "t.json")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("say nothing about a GPU", process.stdout)
        with open(self.path("t.json")) as file:
            document = json.load(file)
        self.assertEqual(document["device"], "simt")
        self.assertEqual(document["rows"][0]["ceiling"], "-")

    def test_variants_are_those_of_the_device(self):
        process = self.profile("time", "gemm", "--device", "simt", "--variant", "99")
        self.assertEqual(process.returncode, 2)
        self.assertIn("on simt", process.stderr)

    def test_run_on_the_executor(self):
        words = ("run", "attention", "--input", f"{REFERENCE}:/attention/softmax_causal", "--output")
        for device in ("cpu", "simt"):
            process = self.profile(*words, f"{device}.h5", "--device", device, "--backward")
            self.assertEqual(process.returncode, 0, process.stderr)
        h5diff = subprocess.run(["h5diff", "--version"], capture_output=True) \
            if os.path.exists("/usr/bin/h5diff") else None
        if h5diff is not None:
            same = subprocess.run(["h5diff", "--relative=1e-9", "cpu.h5", "simt.h5", "/out"],
                                  cwd=self.folder, capture_output=True, text=True)
            self.assertEqual(same.returncode, 0, same.stdout)

    def test_step_and_operation(self):
        process = self.profile("operation", "softmax", "--shape", "rows=4,cols=8", "--backward",
                               "--device", "simt", "--rounds", "2", "--min-time", "0.1")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("simt", process.stdout)
        process = self.profile("step", "--backbone", "rnn", "--device", "simt", "--layers", "1",
                               "--width", "8", "--heads", "1", "--batch", "2", "--length", "8",
                               "--vocabulary", "16", "--rounds", "2")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("simt", process.stdout)

    def test_no_gpu(self):
        for words in (("time", "gemm"), ("check", "gemm"), ("operation", "gelu"), ("step",)):
            process = self.profile(*words, "--device", "cuda")
            self.assertEqual(process.returncode, 1)
            self.assertRegex(process.stderr, r"\Aprofile_kernels: [^\n]*'cuda' cannot be used")
            self.assertRegex(process.stderr, NO_GPU)


if __name__ == "__main__":
    unittest.main()
