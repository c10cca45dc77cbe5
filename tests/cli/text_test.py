"""The task `text` through the trainer, on small generated files."""

import gzip
import math
import os
import random
import unittest

from trainer_case import BACKBONES, TINY, TrainerCase, options

WORDS = ["memory", "pattern", "query", "state", "energy", "retrieval", "of", "the", "a", "and"]


def some_text(words):
    source = random.Random(5)
    return " ".join(source.choice(WORDS) for _ in range(words))


class Text(TrainerCase):
    def train_text(self, out, data, backbone="rnn", **changes):
        return self.train(out, backbone, task="text", data=data, without=["vocabulary"], **changes)

    def test_every_backbone(self):
        data = self.write("data.txt", some_text(300))
        for backbone in BACKBONES:
            with self.subTest(backbone):
                self.assertIn("byte frequencies", self.train_text(backbone, data, backbone))
                summary = self.summary(backbone)
                self.assertEqual([m["name"] for m in summary["test"]["metrics"]],
                                 ["bits per byte", "bits per token", "token accuracy"])
                self.assertEqual(summary["baselines"][0], {"name": "chance", "value": 8.0})
                self.assertLess(summary["baselines"][1]["value"], 5.0)
                # Bits per byte are the loss in other units, up to how sums are rounded in f32.
                self.assertAlmostEqual(summary["test"]["metrics"][0]["value"],
                                       summary["test"]["loss"] / math.log(2), places=5)
        out = self.succeed("compare", *BACKBONES, "--out", "table")
        self.assertRegex(out, r"(?m)^byte frequencies ")
        self.assertIn("bits per byte", self.read("table/text.gp").decode())

    def test_plain_and_compressed_files_are_the_same(self):
        text = some_text(300).encode()
        self.write("data.txt", text)
        self.write("data.txt.gz", gzip.compress(text))
        self.train_text("plain", "data.txt")
        self.train_text("compressed", "data.txt.gz")
        self.assertEqual(self.untimed_metrics("plain"), self.untimed_metrics("compressed"))

    def test_it_learns(self):
        self.write("data.txt", "abcdefgh" * 300)
        self.train_text("run", "data.txt", "attention", width=16, steps=150, learning_rate=0.01)
        self.assertLess(self.summary("run")["test"]["metrics"][0]["value"], 1.0)

    def test_the_data_folder(self):
        os.makedirs(self.path("data/books"))
        self.write("data/books/a.txt", some_text(300))
        self.environment["BASIN_DATA"] = self.path("data")
        self.train_text("run", "books/a.txt")
        # The name stays relative, so that the folder may lie elsewhere next time.
        self.assertEqual(self.summary("run")["configuration"]["data"], "books/a.txt")
        os.rename(self.path("data"), self.path("moved"))
        self.environment["BASIN_DATA"] = self.path("moved")
        self.succeed("train", "--config", "run/config.ini", "--out", "again")
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("again"))

    def test_a_relative_path_stays_valid_in_other_folders(self):
        self.write("data.txt", some_text(300))
        self.train_text("run", "data.txt")
        self.succeed("evaluate", "--checkpoint", self.path("run"), "--examples", 3)
        os.mkdir(self.path("other"))
        process = self.run_trainer("evaluate", "--checkpoint", "../run")
        self.assertEqual(process.returncode, 1)
        self.folder, folder = self.path("other"), self.folder
        process = self.run_trainer("evaluate", "--checkpoint", "../run")
        self.folder = folder
        self.assertEqual(process.returncode, 0, process.err)

    def test_evaluating_on_another_file(self):
        self.write("a.txt", some_text(300))
        self.write("b.txt", "entirely different! " * 100)
        self.train_text("run", "a.txt")
        own = self.succeed("evaluate", "--checkpoint", "run")
        other = self.succeed("evaluate", "--checkpoint", "run", "--data", "b.txt")
        self.assertNotEqual(own, other)
        os.remove(self.path("a.txt"))
        self.assert_complains(self.run_trainer("evaluate", "--checkpoint", "run"), 1, "a.txt")
        self.assertEqual(self.succeed("evaluate", "--checkpoint", "run", "--data", "b.txt"), other)


if __name__ == "__main__":
    unittest.main()
