"""--step-graph: on the executor a training step becomes one graph. The files are the same without."""

import json
import re
import signal
import subprocess
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options


class StepGraph(TrainerCase):
    def checkpoint(self, out):
        """The weights of the last step, without the settings that stand beside them."""
        self.succeed("export", "--checkpoint", out, "--format", "safetensors", "--out",
                     f"{out}.safetensors")
        content = self.read(f"{out}.safetensors")
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        del header["__metadata__"]
        return header, content[end:]

    def test_a_graph_changes_nothing(self):
        for backbone, more in (("rnn", {}), ("attention", {"dropout": 0.2, "recompute": "yes"}),
                               ("random-feature-attention", {"redraw_every": 2, "heads": 1})):
            with self.subTest(backbone):
                runs = {}
                for graph in ("off", "auto", "on"):
                    out = f"{backbone}-{graph}"
                    text = self.train(out, backbone, device="simt", log_every=1, eval_every=3,
                                      step_graph=graph, **more)
                    self.assertIn("device     simt", text)
                    runs[graph] = (self.untimed_metrics(out), self.checkpoint(out))
                    how = self.summary(out)["steps_run"]
                    self.assertIn(f"steps ran as {how}", text)
                    if graph == "off":
                        self.assertEqual(how, "kernel by kernel: graphs are switched off")
                    else:
                        self.assertRegex(how, r"\Aone graph of \d\d+ kernels\Z")
                self.assertEqual(runs["auto"], runs["off"])
                self.assertEqual(runs["on"], runs["off"])
                # A line for every step, in its place between the validations.
                steps = [(int(row["step"]), row["split"]) for row in runs["auto"][0]]
                self.assertEqual(steps[:6], [(0, "validation"), (1, "train"), (2, "train"),
                                             (3, "train"), (3, "validation"), (4, "train")])

    def test_it_is_a_setting_and_resumes(self):
        settings = {"device": "simt", "dropout": 0.1, "checkpoint_every": 2, "steps": 8,
                    "log_every": 1, "eval_every": 4}
        self.train("straight", **settings)
        self.assertIn("step-graph = auto\n", self.read("straight", "config.ini").decode())
        # Ended by a signal, at whatever step; then as plain steps, with the same results.
        words = options({**TINY, "backbone": "attention",
                         **{name.replace("_", "-"): value for name, value in settings.items()},
                         "out": "run"})
        process = subprocess.Popen([TRAINER, "train", *words, "--step-graph", "on"],
                                   cwd=self.folder, env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stdout:
            if re.match(r"step [2-9]/", line):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=300)
        if process.returncode != 0:
            self.assertIn("interrupted at step", err)
            text = self.succeed("train", "--resume", "--out", "run", "--step-graph", "off")
            self.assertIn("kernel by kernel", text)
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("straight"))
        self.assertEqual(self.checkpoint("run"), self.checkpoint("straight"))

    def test_a_run_that_diverges_keeps_its_last_good_checkpoint(self):
        for graph in ("off", "auto"):
            settings = {**TINY, "backbone": "attention", "device": "simt", "steps": 20, "warmup": 0,
                        "learning-rate": 1e20, "checkpoint-every": 1, "out": graph,
                        "step-graph": graph, "schedule": "constant", "eval-every": 0}
            process = self.run_trainer("train", *options(settings))
            self.assert_complains(process, 1, "became", "smaller learning rate than 1e+20")
        words = [re.search(r"at step (\d+)", self.run_trainer(
            "train", *options({**settings, "step-graph": graph, "out": graph + "2"})).err).group(1)
            for graph in ("off", "auto")]
        self.assertEqual(words[0], words[1])

    def test_reasons_for_plain_steps(self):
        self.train("parts", device="simt", micro_batch=2)
        self.assertIn("a batch in parts", self.summary("parts")["steps_run"])
        self.train("cpu", device="cpu")
        self.assertIn("the CPU has no graphs", self.summary("cpu")["steps_run"])
        self.succeed("train", *options({**TINY, "backbone": "rnn", "device": "simt",
                                        "out": "anomaly"}), "--anomaly")
        self.assertIn("not finite", self.summary("anomaly")["steps_run"])
        # Timed steps are plain ones; those behind them are graphs again.
        self.succeed("train", *options({**TINY, "backbone": "rnn", "device": "simt", "steps": 8,
                                        "out": "profile"}), "--profile", "--profile-steps", "2")
        self.assertIn("one graph", self.summary("profile")["steps_run"])
        self.assertIn(b"linear_cross_entropy", self.read("profile", "profile.txt"))
        self.train("plain", "rnn", device="simt", steps=8, step_graph="off")
        self.assertEqual(self.untimed_metrics("profile"), self.untimed_metrics("plain"))

    def test_wrong_usage(self):
        settings = {**TINY, "backbone": "rnn", "out": "run", "step-graph": "on"}
        process = self.run_trainer("train", *options({**settings, "device": "cpu"}))
        self.assert_complains(process, 2, "one graph", "CPU")
        process = self.run_trainer("train", *options({**settings, "device": "simt",
                                                      "micro-batch": 2}))
        self.assert_complains(process, 2, "one graph", "micro batches")
        process = self.run_trainer("train", *options({**settings, "device": "simt"}), "--anomaly")
        self.assert_complains(process, 2, "--anomaly", "--step-graph on")
        process = self.run_trainer("train", *options({**settings, "step-graph": "maybe"}))
        self.assert_complains(process, 2, "--step-graph", "one of auto, on, off")
        self.assertIn("--step-graph", self.succeed("train", "--help"))


if __name__ == "__main__":
    unittest.main()
