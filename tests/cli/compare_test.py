"""`trainer compare`: tables and a plot of several runs."""

import csv
import os
import re
import shutil
import statistics
import unittest

from trainer_case import BACKBONES, HAS_GNUPLOT, TrainerCase


class Comparing(TrainerCase):
    def test_four_backbones(self):
        for backbone in BACKBONES:
            self.train(backbone, backbone)
        self.environment["PATH"] = self.path_with_gnuplot
        out = self.succeed("compare", *BACKBONES, "--out", "table/deep")
        with open(self.path("table/deep/copying.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["backbone"] for row in rows], [*BACKBONES, "chance"])
        for row in rows[:-1]:
            summary = self.summary(row["backbone"])
            self.assertEqual(int(row["parameters"]), summary["parameters"])
            for metric in summary["test"]["metrics"]:
                self.assertEqual(float(row[metric["name"]]), metric["value"])
            self.assertEqual(float(row["loss (nats)"]), summary["test"]["loss"])
            shown = f"{summary['test']['metrics'][0]['value']:.4f}"
            self.assertRegex(out, rf"(?m)^{row['backbone']} +{summary['parameters']} +{shown} ")
        self.assertEqual(float(rows[-1]["second-half token accuracy"]), 0.25)
        markdown = self.read("table/deep/copying.md").decode().splitlines()
        self.assertEqual(len(markdown), 2 + 5)
        self.assertEqual(len({line.count("|") for line in markdown}), 1)
        script = self.read("table/deep/copying.gp").decode()
        for title in (*BACKBONES, "chance: 25.0 %", "second-half token accuracy (%)",
                      "training step"):
            self.assertIn(title, script)
        # The data are in the script: every validation of every run.
        for backbone in BACKBONES:
            points = [f"{row['step']} {100 * float(row['second-half token accuracy']):.6g}"
                      for row in self.metrics(backbone) if row["split"] == "validation"]
            numbers = [f"{float(x):.6g} {float(y):.6g}"
                       for x, y in re.findall(r"^(\d+) ([\d.]+)$", script, re.M)]
            self.assertTrue(set(points) <= set(numbers), backbone)
        if HAS_GNUPLOT:
            self.assertIn("hopfield", self.read("table/deep/copying.svg").decode())

    def test_into_the_folder_above_the_runs_and_again(self):
        self.train("all/rnn", "rnn")
        first = self.succeed("compare", "all/rnn", "--out", "all", "--name", "a-b")
        self.assertEqual(self.succeed("compare", "all/rnn", "--out", "all", "--name", "a-b"), first)
        self.assertTrue({"a-b.csv", "a-b.md", "a-b.gp"} <= set(os.listdir(self.path("all"))))

    def test_runs_of_one_backbone_are_told_apart(self):
        self.train("a", "rnn", seed=1)
        self.train("b", "rnn", seed=2)
        self.train("c", "rnn", seed=2)
        out = self.succeed("compare", "a", "b", "--out", "table")
        self.assertIn("rnn, seed 1 ", out)
        self.assertIn("rnn, seed 2 ", out)
        out = self.succeed("compare", "a", "b", "c", "--out", "table")
        self.assertIn("rnn, seed 2 (c) ", out)

    def test_seeds_of_one_configuration_are_put_together(self):
        for seed in (1, 2, 3):
            self.train(f"rnn{seed}", "rnn", seed=seed)
            self.train(f"wide{seed}", "rnn", seed=seed, width=16, log_every=seed, threads=seed)
        self.train("hopfield", "hopfield")
        shutil.copytree(self.path("rnn1"), self.path("again"))  # says nothing new
        folders = [f"{name}{seed}" for name in ("rnn", "wide") for seed in (1, 2, 3)]
        out = self.succeed("compare", *folders, "hopfield", "again", "--out", "table")
        with open(self.path("table/copying_seeds.csv"), newline="") as file:
            rows = {row["backbone"]: row for row in csv.DictReader(file)}
        self.assertEqual(list(rows), ["rnn, width 8", "rnn, width 16", "hopfield"])
        metric = "second-half token accuracy"
        for label, name in (("rnn, width 8", "rnn"), ("rnn, width 16", "wide")):
            tests = [self.summary(f"{name}{seed}")["test"] for seed in (1, 2, 3)]
            for column, values in ((metric, [test["metrics"][0]["value"] for test in tests]),
                                   ("loss (nats)", [test["loss"] for test in tests])):
                mean, sd = statistics.mean(values), statistics.stdev(values)
                row = rows[label]
                self.assertEqual(row["seeds"], "3")
                self.assertAlmostEqual(float(row[f"{column} mean"]), mean, places=12)
                self.assertAlmostEqual(float(row[f"{column} sd"]), sd, places=12)
                half = 4.30265273 * sd / 3 ** 0.5  # Student's t with two degrees of freedom
                self.assertAlmostEqual(float(row[f"{column} 95 % low"]), mean - half, places=7)
                self.assertAlmostEqual(float(row[f"{column} 95 % high"]), mean + half, places=7)
                shown = f"{mean:.4f} ± {sd:.4f}  [{mean - half:.4f}, {mean + half:.4f}]"
                self.assertIn(shown, re.sub(r"  +", "  ", out))
                self.assertIn(shown.replace("  ", " | "), self.read("table/copying.md").decode())
        self.assertEqual(rows["hopfield"]["seeds"], "1")
        self.assertEqual(rows["hopfield"][f"{metric} sd"], "")
        # Without several seeds there is no such table, nor one of an earlier comparison.
        out = self.succeed("compare", "rnn1", "hopfield", "--out", "table")
        self.assertNotIn("±", out)
        self.assertFalse(os.path.exists(self.path("table/copying_seeds.csv")))

    def test_without_gnuplot(self):
        self.train("rnn", "rnn")
        self.assertIn("no copying.svg: gnuplot is not installed",
                      self.succeed("compare", "rnn", "--out", "table"))


class Refusing(TrainerCase):
    def fails(self, words, *parts):
        self.assert_complains(self.run_trainer("compare", *words, "--out", "table"), 1, *parts)
        self.assertFalse(os.path.exists(self.path("table")))

    def test_what_cannot_be_compared(self):
        self.train("copying", "rnn")
        self.write("data", "some text " * 100)
        self.train("text", "rnn", task="text", data="data", without=["vocabulary"])
        self.fails(["copying", "text"], "different tasks", "'copying'", "'text'")
        self.train("other", "rnn", vocabulary=10)
        self.fails(["copying", "other"], "copying", "other", "data differ")

    def test_folders_without_a_finished_run(self):
        self.fails(["missing"], "missing")
        os.mkdir(self.path("empty"))
        self.fails(["empty"], "empty", "no finished run")
        self.train("run", "rnn")
        for content in (b"", b"{}", b"[1, 2]", b'{"version": 3}', b"\xff\xfe", b"{" * 5000):
            self.write("run/summary.json", content)
            self.fails(["run"], "run/summary.json")

    def test_output_that_cannot_be_written(self):
        self.train("run", "rnn")
        self.write("file", "")
        for out in ("file", "file/below", "/proc/table"):
            process = self.run_trainer("compare", "run", "--out", out)
            self.assert_complains(process, 1, out)


if __name__ == "__main__":
    unittest.main()
