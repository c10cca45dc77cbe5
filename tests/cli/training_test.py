"""Small runs: what they write, that they repeat, and that every setting does something."""

import json
import os
import unittest

from trainer_case import BACKBONES, HAS_GNUPLOT, TINY, TrainerCase, options

METRICS = ["second-half token accuracy", "exact-sequence rate", "accuracy at the first position",
           "accuracy at the last position"]


class Files(TrainerCase):
    def test_every_backbone_trains_and_writes_everything(self):
        for backbone in BACKBONES:
            with self.subTest(backbone):
                out = self.train(backbone, backbone)
                self.assertIn("chance", out)
                for name in ("metrics.csv", "metrics.jsonl", "summary.json", "config.ini",
                             "checkpoint.h5", "curve.gp"):
                    self.assertTrue(os.path.getsize(self.path(backbone, name)) > 0, name)
                summary = self.summary(backbone)
                self.assertEqual(summary["backbone"], backbone)
                self.assertEqual(summary["task"], "copying")
                self.assertEqual(summary["steps"], 6)
                self.assertEqual(summary["seed"], 3)
                self.assertEqual([m["name"] for m in summary["test"]["metrics"]], METRICS)
                self.assertEqual(summary["test"]["examples"], 20)
                # Four symbols of six tokens.
                self.assertEqual(summary["baselines"], [{"name": "chance", "value": 0.25}])
                self.assertGreater(summary["parameters"], 100)
                self.assertGreater(summary["peak_memory_bytes"], 4 * summary["parameters"])
                self.assertGreater(summary["tokens_per_second"], 0)
                self.assertIn(f"{summary['parameters']} parameters", out)

    def test_metrics_by_step(self):
        self.train("run", steps=6, log_every=2, eval_every=3)
        rows = self.metrics("run")
        self.assertEqual(list(rows[0]), ["step", "epoch", "split", "loss", *METRICS, "learning_rate",
                                         "gradient_norm", "tokens_per_second", "seconds"])
        self.assertEqual([(row["step"], row["split"]) for row in rows],
                         [("0", "validation"), ("2", "train"), ("3", "validation"), ("4", "train"),
                          ("6", "train"), ("6", "validation"), ("6", "test")])
        for row in rows:
            evaluated = row["split"] != "train"
            self.assertEqual(all(row[name] for name in METRICS), evaluated)
            self.assertEqual(bool(row["learning_rate"]), not evaluated)
            # Six classes and hardly any training: the loss is near log 6 = 1.79.
            self.assertTrue(1.0 < float(row["loss"]) < 3.0, row["loss"])
        lines = [json.loads(line) for line in self.read("run", "metrics.jsonl").splitlines()]
        self.assertEqual([line["loss"] for line in lines], [float(row["loss"]) for row in rows])
        self.assertEqual(lines[0][METRICS[0]], float(rows[0][METRICS[0]]))
        best = max((row for row in rows if row["split"] == "validation"),
                   key=lambda row: float(row[METRICS[0]]))
        self.assertEqual(self.summary("run")["best_validation"]["value"], float(best[METRICS[0]]))

    def test_no_evaluation_between(self):
        self.train("run", eval_every=0)
        self.assertEqual([row["step"] for row in self.metrics("run") if row["split"] == "validation"],
                         ["0", "6"])

    def test_quiet(self):
        settings = {**TINY, "backbone": "rnn"}
        self.assertEqual(self.succeed("train", *options(settings), "--quiet", "--out", "run"), "")

    def test_a_line_per_interval(self):
        lines = self.train("run", steps=6, log_every=2).splitlines()
        self.assertEqual([line.split("  ")[0] for line in lines if "tokens/s  " in line],
                         ["step 2/6", "step 4/6", "step 6/6"])
        self.assertNotIn("\r", "".join(lines))

    def test_the_plot(self):
        self.environment["PATH"] = self.path_with_gnuplot
        self.train("run")
        script = self.read("run", "curve.gp").decode()
        self.assertIn("metrics.csv", script)
        self.assertIn("second-half token accuracy", script)
        if HAS_GNUPLOT:
            svg = self.read("run", "curve.svg").decode()
            self.assertTrue(svg.startswith("<?xml"))
            self.assertIn("chance", svg)

    def test_without_gnuplot_the_script_and_the_data_stay(self):
        out = self.train("run")
        self.assertIn("gnuplot is not installed", out)
        self.assertIn("curve.gp", out)
        self.assertFalse(os.path.exists(self.path("run", "curve.svg")))
        self.assertTrue(os.path.exists(self.path("run", "summary.json")))

    def test_a_gnuplot_that_fails_is_no_failure(self):
        self.write("gnuplot", "#!/bin/sh\necho first >&2\necho 'no such terminal' >&2\nexit 3\n")
        os.chmod(self.path("gnuplot"), 0o755)
        self.environment["PATH"] = self.folder + ":/usr/bin:/bin"
        self.assertIn("no curve.svg: gnuplot failed: no such terminal", self.train("run"))

    def test_it_learns(self):
        self.train("run", "attention", width=32, layers=2, steps=150, batch=32, test_examples=200)
        # Chance is 0.25; this size reaches 1 well before the last step.
        self.assertGreater(self.summary("run")["test"]["metrics"][0]["value"], 0.9)


class Repeating(TrainerCase):
    def test_the_same_seed_gives_the_same_bits(self):
        for backbone in BACKBONES:
            with self.subTest(backbone):
                self.train(f"{backbone}-1", backbone, dropout=0.1)
                self.train(f"{backbone}-2", backbone, dropout=0.1)
                self.assertEqual(self.untimed_metrics(f"{backbone}-1"),
                                 self.untimed_metrics(f"{backbone}-2"))
                self.train(f"{backbone}-3", backbone, dropout=0.1, seed=4)
                self.assertNotEqual(self.losses(f"{backbone}-1"), self.losses(f"{backbone}-3"))

    def test_threads_change_no_bit(self):
        # Big enough that the work is really divided.
        size = {"length": 64, "width": 32, "batch": 16, "steps": 3}
        for backbone in BACKBONES:
            with self.subTest(backbone):
                self.train(f"{backbone}-1", backbone, **size, threads=1)
                self.train(f"{backbone}-2", backbone, **size, threads=2)
                self.assertEqual(self.untimed_metrics(f"{backbone}-1"),
                                 self.untimed_metrics(f"{backbone}-2"))
                self.assertEqual(self.summary(f"{backbone}-2")["threads"], 2)

    def test_the_written_configuration_repeats_the_run(self):
        settings = {"positions": "sinusoidal", "dropout": 0.25, "schedule": "constant",
                    "learning_rate": 0.00123456789, "dtype": "f64", "warmup": 2}
        for backbone in BACKBONES:
            with self.subTest(backbone):
                first, again = f"{backbone}-1", f"{backbone}-2"
                self.train(first, backbone, **settings)
                self.succeed("train", "--config", f"{first}/config.ini", "--out", again)
                self.assertEqual(self.read(first, "config.ini"), self.read(again, "config.ini"))
                self.assertEqual(self.untimed_metrics(first), self.untimed_metrics(again))


if __name__ == "__main__":
    unittest.main()
