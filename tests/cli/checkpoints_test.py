"""Which checkpoints a run keeps, and how they are chosen."""

import json
import os
import re
import shutil
import unittest

from trainer_case import BACKBONES, TINY, TrainerCase, options

# Validated often, at a rate that makes the best validation not the last one.
UNSTEADY = {"steps": 12, "eval_every": 2, "checkpoint_every": 3, "learning_rate": 0.1}


class Checkpoints(TrainerCase):
    def checkpoints(self, out="run"):
        return sorted(name for name in os.listdir(self.path(out)) if name.endswith(".h5"))

    def figures(self, *words, out="run"):
        self.succeed("evaluate", "--checkpoint", out, *words, "--out", "figures.json")
        return json.loads(self.read("figures.json"))

    def unsteady(self, out="run", **changes):
        """A run whose best validation is neither its first nor its last."""
        for seed in range(20):
            self.train(out, seed=seed, **{**UNSTEADY, **changes})
            best = self.summary(out)["best_validation"]["step"]
            if 0 < best < UNSTEADY["steps"]:
                return seed
            shutil.rmtree(self.path(out))
        self.fail("no run was like that")

    def test_how_many_are_kept(self):
        for keep, names in [(1, []), (2, ["checkpoint_6.h5"]),
                            (3, ["checkpoint_4.h5", "checkpoint_6.h5"]),
                            (9, ["checkpoint_2.h5", "checkpoint_4.h5", "checkpoint_6.h5"])]:
            with self.subTest(keep):
                out = f"keep{keep}"
                self.train(out, steps=7, checkpoint_every=2, keep_checkpoints=keep)
                self.assertEqual(self.checkpoints(out), ["best.h5", "checkpoint.h5", *names])
                for name in names:
                    step = int(re.search(r"\d+", name).group())
                    self.succeed("evaluate", "--checkpoint", f"{out}/{name}", "--out", "figures.json")
                    self.assertEqual(json.loads(self.read("figures.json"))["step"], step)
        # By themselves as many as before: one, and the best.
        self.train("default", steps=7, checkpoint_every=2)
        self.assertEqual(self.checkpoints("default"), ["best.h5", "checkpoint.h5"])
        # Their number changes nothing else.
        for which in ("last", "best"):
            figures = [self.figures("--which", which, out=out) for out in ("keep1", "keep9")]
            for each in figures:
                del each["checkpoint"]
            self.assertEqual(*figures)

    def test_best(self):
        self.unsteady()
        summary = self.summary("run")
        best = summary["best_validation"]
        rows = [row for row in self.metrics("run") if row["split"] == "validation"]
        name = summary["test"]["metrics"][0]["name"]
        values = [float(row[name]) for row in rows]
        self.assertEqual(best["value"], max(values))
        self.assertEqual(best["step"], int(rows[values.index(max(values))]["step"]))
        # best.h5 is the model of that validation, and what the summary says of it is so.
        figures = self.figures("--which", "best")
        self.assertEqual(figures["step"], best["step"])
        self.assertEqual(figures["checkpoint"], "run/best.h5")
        for key in ("loss", "metrics"):
            self.assertEqual(figures["test"][key], best["test"][key])
        validation = self.figures("--which", "best", "--split", "validation")["validation"]
        self.assertEqual(validation["metrics"][0]["value"], best["value"])
        # The figures under "test" stay those of the last weights.
        for words in ([], ["--which", "last"]):
            self.assertEqual(self.figures(*words)["step"], UNSTEADY["steps"])
            self.assertEqual(self.figures(*words)["test"], summary["test"])
        self.assertNotEqual(summary["test"]["loss"], best["test"]["loss"])

    def test_every_backbone_saves_its_best(self):
        for backbone in BACKBONES:
            with self.subTest(backbone):
                self.train(backbone, backbone, dropout=0.1, eval_every=1)
                self.assertEqual(self.figures("--which", "best", out=backbone)["step"],
                                 self.summary(backbone)["best_validation"]["step"])

    def test_what_a_run_prints_of_its_best(self):
        seed = self.unsteady("first")
        settings = {**{name.replace("_", "-"): value for name, value in UNSTEADY.items()},
                    "seed": seed}
        out = self.succeed("train", *options({**TINY, "backbone": "attention", **settings}),
                           "--out", "run")
        best = self.summary("run")["best_validation"]
        self.assertIn(f"best validation at step {best['step']}: its checkpoint has second-half token "
                      f"accuracy {best['test']['metrics'][0]['value']:.4f}", out)
        os.remove(self.path("run", "summary.json"))
        os.remove(self.path("run", "best.h5"))
        out = self.succeed("train", "--resume", "--out", "run")
        self.assertIn(f"there is no best.h5 of the best validation, step {best['step']}", out)
        self.assertNotIn("test", self.summary("run")["best_validation"])

    def test_back_to_an_earlier_checkpoint(self):
        self.train("whole", steps=12, checkpoint_every=2, keep_checkpoints=3, eval_every=1)
        shutil.copytree(self.path("whole"), self.path("run"))
        os.remove(self.path("run", "summary.json"))
        os.replace(self.path("run", "checkpoint_8.h5"), self.path("run", "checkpoint.h5"))
        self.write("run/checkpoint_best.h5", "somebody's own")
        self.succeed("train", "--resume", "--out", "run")
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("whole"))
        for name in self.checkpoints("whole"):
            self.assertTrue(self.read("run", name) == self.read("whole", name), name)
        self.assertEqual(self.read("run", "checkpoint_best.h5"), b"somebody's own")

    def test_killed_while_a_file_gets_its_second_name(self):
        settings = {"steps": 12, "checkpoint_every": 2, "keep_checkpoints": 3, "eval_every": 1}
        self.train("whole", **settings)
        shutil.copytree(self.path("whole"), self.path("run"))
        os.remove(self.path("run", "summary.json"))
        os.replace(self.path("run", "checkpoint_8.h5"), self.path("run", "checkpoint.h5"))
        for name in ("best.h5", "checkpoint_8.h5"):
            os.link(self.path("run", "checkpoint.h5"), self.path("run", f"{name}.link"))
        self.succeed("train", "--resume", "--out", "run")
        self.assertEqual(*[sorted(os.listdir(self.path(out))) for out in ("run", "whole")])
        for name in self.checkpoints("whole"):
            self.assertTrue(self.read("run", name) == self.read("whole", name), name)

    def test_a_damaged_best_is_named(self):
        self.unsteady()
        os.remove(self.path("run", "summary.json"))
        self.write("run/best.h5", "no HDF5")
        self.assert_complains(self.run_trainer("train", "--resume", "--out", "run"), 1,
                              "run/best.h5", "remove it")
        os.remove(self.path("run", "best.h5"))
        self.succeed("train", "--resume", "--out", "run")

    def test_overwriting_removes_them(self):
        self.train("run", checkpoint_every=1, keep_checkpoints=4)
        self.train("other")
        self.write("run/checkpoint_007.h5", "not one of ours")
        self.succeed("train", *options({**TINY, "backbone": "attention"}), "--out", "run",
                     "--overwrite")
        self.assertEqual(self.checkpoints(), ["best.h5", "checkpoint.h5", "checkpoint_007.h5"])
        self.assertEqual(self.read("run", "best.h5"), self.read("other", "best.h5"))

    def refuses(self, words, *expected):
        self.assert_complains(self.run_trainer("evaluate", *words), *expected)

    def test_choosing(self):
        self.train("run")
        self.refuses(["--checkpoint", "run", "--which", "first"], 2, "--which", "last, best", "'first'")
        self.refuses(["--checkpoint", "run/best.h5", "--which", "best"], 2, "--which", "run/best.h5")
        os.remove(self.path("run", "best.h5"))
        self.refuses(["--checkpoint", "run", "--which", "best"], 1, "no run/best.h5", "--which last")
        self.assert_complains(
            self.run_trainer("train", *options({**TINY, "backbone": "rnn"}), "--keep-checkpoints", 0,
                             "--out", "x"), 2, "--keep-checkpoints", "between 1")


class NotFinite(TrainerCase):
    def diverge(self, *words, **changes):
        settings = {**TINY, "backbone": "attention", "steps": 50, "eval-every": 0, "warmup": 0,
                    **{name.replace("_", "-"): value for name, value in changes.items()}}
        return self.run_trainer("train", *options(settings), "--quiet", "--out", "run", *words)

    def test_the_last_good_checkpoint_is_named_and_stays(self):
        process = self.diverge(learning_rate=1e20, checkpoint_every=1)
        self.assert_complains(process, 1, "at step", "smaller learning rate",
                              "the last good checkpoint is run/checkpoint.h5 of step ")
        step = int(re.search(r"of step (\d+)", process.err).group(1))
        self.assertGreaterEqual(step, 1)
        self.succeed("export", "--checkpoint", "run", "--format", "npy", "--out", "weights")
        self.assertEqual(sorted(os.listdir(self.path("run"))).count("summary.json"), 0)

    def test_without_a_checkpoint(self):
        for checkpoint_every in (0, 1):
            # Weights of 1e38 overflow in the update already and are not saved.
            process = self.diverge("--overwrite", learning_rate=1e38, checkpoint_every=checkpoint_every)
            self.assert_complains(process, 1, "step", "there is no checkpoint yet")
            self.assertFalse(os.path.exists(self.path("run", "checkpoint.h5")))

    def test_anomaly_names_the_operation_and_where_it_is(self):
        plain = self.diverge(learning_rate=1e20, checkpoint_every=1)
        self.assertNotIn("operation", plain.err)
        process = self.diverge("--anomaly", "--overwrite", learning_rate=1e20, checkpoint_every=1)
        self.assert_complains(process, 1, "after step 1 the operation 'linear' made the first value that "
                              "is not finite", "nearest parameters: blocks.0.", "run/checkpoint.h5")

    def test_anomaly_changes_nothing_else(self):
        self.train("plain", dropout=0.1)
        self.succeed("train", *options({**TINY, "backbone": "attention", "dropout": 0.1}), "--anomaly",
                     "--out", "watched")
        self.assertEqual(self.read("plain", "checkpoint.h5"), self.read("watched", "checkpoint.h5"))


if __name__ == "__main__":
    unittest.main()
