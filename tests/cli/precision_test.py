"""--precision: kept with the run, shown, continued to the bit, and changed for an evaluation."""

import json
import os
import unittest

from trainer_case import BACKBONES, TINY, TrainerCase, options


class Precision(TrainerCase):
    def figures(self, *words):
        self.succeed("evaluate", *words, "--out", "figures.json")
        return json.loads(self.read("figures.json"))

    def test_it_is_in_the_configuration_and_the_checkpoint(self):
        for precision in ("f32", "tf32", "bf16"):
            self.train(precision, precision=precision)
            self.assertIn(f"precision = {precision}\n",
                          self.read(precision, "config.ini").decode())
            self.assertEqual(self.summary(precision)["configuration"]["precision"], precision)
            self.assertIn(f", products in {precision}\n",
                          self.succeed("evaluate", "--checkpoint", precision))
            self.assertEqual(self.figures("--checkpoint", precision)["test"],
                             self.summary(precision)["test"])
        self.assertEqual(len({tuple(self.losses(out)) for out in ("f32", "tf32", "bf16")}), 3)
        self.train("plain")
        self.assertEqual(self.read("plain", "config.ini"), self.read("f32", "config.ini"))
        self.assertEqual(self.losses("plain"), self.losses("f32"))
        self.succeed("train", "--config", "bf16/config.ini", "--out", "again")
        self.assertEqual(self.losses("again"), self.losses("bf16"))

    def test_a_checkpoint_is_evaluated_in_another_precision(self):
        self.train("run", precision="bf16", steps=40)
        losses = {}
        for precision in ("f32", "tf32", "bf16"):
            figures = self.figures("--checkpoint", "run", "--precision", precision)
            self.assertEqual(figures["precision"], precision)
            losses[precision] = figures["test"]["loss"]
        self.assertEqual(losses["bf16"], self.summary("run")["test"]["loss"])
        self.assertEqual(len(set(losses.values())), 3)
        # 8 bits are half a percent of a factor, in logits below 2.
        self.assertLess(abs(losses["bf16"] - losses["f32"]), 0.02)
        self.assertLess(abs(losses["tf32"] - losses["f32"]), 0.003)

    def test_a_continued_run_is_the_run_that_never_stopped(self):
        for backbone in BACKBONES:
            for precision in ("tf32", "bf16"):
                with self.subTest(f"{backbone} {precision}"):
                    whole, parts = f"{backbone}-{precision}", f"{backbone}-{precision}-parts"
                    common = {"precision": precision, "dropout": 0.1, "checkpoint_every": 3}
                    self.train(whole, backbone, **common)
                    self.train(parts, backbone, **common, keep_checkpoints=9)
                    os.remove(self.path(parts, "summary.json"))
                    os.replace(self.path(parts, "checkpoint_3.h5"),
                               self.path(parts, "checkpoint.h5"))
                    self.succeed("train", "--resume", "--out", parts)
                    self.assertEqual(self.untimed_metrics(parts), self.untimed_metrics(whole))
                    self.assertEqual(self.summary(parts)["test"], self.summary(whole)["test"])

    def test_the_executor_trains_in_it(self):
        for precision in ("tf32", "bf16"):
            self.train(f"{precision}-cpu", device="cpu", steps=3, precision=precision)
            self.train(f"{precision}-simt", device="simt", steps=3, precision=precision)
            for a, b in zip(self.losses(f"{precision}-cpu"), self.losses(f"{precision}-simt")):
                self.assertAlmostEqual(float(a), float(b), delta=0.02)

    def test_wrong_words(self):
        settings = {**TINY, "backbone": "rnn", "out": "run"}
        self.assert_complains(self.run_trainer("train", *options({**settings, "precision": "f16"})),
                              2, "--precision", "f32, tf32, bf16")
        for precision in ("tf32", "bf16"):
            process = self.run_trainer(
                "train", *options({**settings, "precision": precision, "dtype": "f64"}))
            self.assert_complains(process, 2, "--precision", "products of f64 are not rounded")
        self.assertFalse(os.path.exists(self.path("run")))
        self.train("double", dtype="f64")
        self.assertNotIn("precision", self.read("double", "config.ini").decode())
        self.assertIn(", products in f64\n", self.succeed("evaluate", "--checkpoint", "double"))
        self.assert_complains(self.run_trainer("evaluate", "--checkpoint", "double", "--precision",
                                               "bf16"), 2, "products of f64 are not rounded")


if __name__ == "__main__":
    unittest.main()
