"""`trainer train --profile` and `--graph`: where the time goes, and what a loss is made of."""

import collections
import json
import os
import re
import unittest

from trainer_case import BACKBONES, TINY, TrainerCase, options


class Profile(TrainerCase):
    def run_with(self, *words, **changes):
        settings = {**TINY, "backbone": "attention",
                    **{name.replace("_", "-"): value for name, value in changes.items()}}
        return self.run_trainer("train", *options(settings), "--out", "run", *words)

    def calls(self):
        """Calls by (operation, phase): of the table, after a comparison with the trace."""
        table = {}
        for line in self.read("run", "profile.txt").decode().splitlines()[3:]:
            name, phase, calls, total, mean, share = line.split()
            table[name, phase] = int(calls)
            self.assertTrue(share.endswith("%"))
        events = json.loads(self.read("run", "profile.json"))["traceEvents"]
        counted = collections.Counter((event["name"], event["cat"]) for event in events)
        self.assertEqual(counted, table)
        for event in events:
            self.assertEqual(event["ph"], "X")
            self.assertGreaterEqual(event["dur"], 0)
        return table

    def test_some_steps_after_the_warm_up(self):
        for words, steps, last in [([], 30, 12), (["--profile-steps", 4], 30, 6), ([], 6, 6)]:
            with self.subTest(words=words, steps=steps):
                # Validations in between are not part of it.
                process = self.run_with("--profile", "--overwrite", *words, steps=steps, eval_every=1)
                self.assertEqual(process.returncode, 0, process.err)
                self.assertIn(f"profile of steps 3 to {last}: run/profile.txt, run/profile.json",
                              process.out)
                self.assertIn(f"steps 3 to {last} of {steps}\n", self.read("run", "profile.txt").decode())
                calls = self.calls()
                for what in [("optimizer", "other"), ("batch", "other"), ("attention", "forward"),
                             ("attention", "backward"), ("linear_cross_entropy", "forward")]:
                    self.assertEqual(calls[what], last - 2, what)

    def test_it_changes_no_result(self):
        self.run_with("--profile", dropout=0.1)
        self.train("plain", dropout=0.1)
        for name in ("checkpoint.h5", "config.ini"):
            self.assertEqual(self.read("run", name), self.read("plain", name))
        self.assertFalse(os.path.exists(self.path("plain", "profile.json")))

    def test_after_resuming(self):
        self.train("run", steps=8, checkpoint_every=2, keep_checkpoints=4)
        os.remove(self.path("run", "summary.json"))
        os.replace(self.path("run", "checkpoint_2.h5"), self.path("run", "checkpoint.h5"))
        out = self.succeed("train", "--resume", "--out", "run", "--profile")
        self.assertIn("profile of steps 5 to 8:", out)
        os.remove(self.path("run", "summary.json"))
        os.replace(self.path("run", "checkpoint_6.h5"), self.path("run", "checkpoint.h5"))
        os.remove(self.path("run", "profile.txt"))
        out = self.succeed("train", "--resume", "--out", "run", "--profile")
        self.assertIn("no profile", out)
        self.assertFalse(os.path.exists(self.path("run", "profile.txt")))

    def test_wrong_usage(self):
        for words, steps, part in [(["--profile-steps", 5], 6, "without --profile"),
                                   (["--profile", "--profile-steps", 0], 6, "between 1 and 1000"),
                                   (["--profile", "--profile-steps", "x"], 6, "'x'"),
                                   (["--profile"], 2, "more than 2 steps")]:
            with self.subTest(words):
                self.assert_complains(self.run_with(*words, steps=steps), 2, "--profile", part)
                self.assertFalse(os.path.exists(self.path("run")))


class Graph(TrainerCase):
    def test_every_backbone(self):
        for backbone in BACKBONES:
            with self.subTest(backbone):
                settings = {**TINY, "backbone": backbone, "dropout": 0.1}
                self.succeed("train", *options(settings), "--graph", "--out", backbone)
                dot = self.read(backbone, "graph.dot").decode()
                self.assertTrue(dot.startswith("digraph ") and dot.endswith("}\n"))
                labels = re.findall(r'label="([^"]*)"', dot)
                self.assertTrue(any(label.startswith("linear_cross_entropy\\n") for label in labels))
                # Every parameter by name, and nothing that is not drawn.
                self.succeed("export", "--checkpoint", backbone, "--format", "npy", "--out",
                             f"{backbone}-weights")
                leaves = {label.split(" ")[0] for label in
                          re.findall(r'leaf\d+ \[shape=ellipse, label="([^"]*)"', dot)}
                self.assertEqual(leaves, {name[:-len(".npy")] for name in
                                          os.listdir(self.path(f"{backbone}-weights"))})
                nodes = set(re.findall(r"^  (\w+) \[shape", dot, re.M))
                for begin, end in re.findall(r"^  (\w+) -> (\w+);", dot, re.M):
                    self.assertTrue({begin, end} <= nodes)
                # Drawing takes no dropout mask from the training.
                self.train("plain", backbone, dropout=0.1)
                self.assertEqual(self.read("plain", "checkpoint.h5"),
                                 self.read(backbone, "checkpoint.h5"))
                os.rename(self.path("plain"), self.path(f"{backbone}-plain"))

    def test_what_cannot_be_drawn(self):
        settings = {**TINY, "backbone": "attention", "layers": 60}
        process = self.run_trainer("train", *options(settings), "--graph", "--out", "run")
        self.assert_complains(process, 2, "--graph", "500", "--layers")
        self.assertFalse(os.path.exists(self.path("run")))
        process = self.run_trainer("train", "--resume", "--graph", "--out", "run")
        self.assert_complains(process, 2, "--graph", "--resume")


if __name__ == "__main__":
    unittest.main()
