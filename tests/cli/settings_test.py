"""Every setting does what it says, and says what it does: in the losses and in config.ini."""

import re
import unittest

from trainer_case import TINY, TrainerCase, options


class Effects(TrainerCase):
    def test_every_setting_changes_the_losses(self):
        changes = {
            "attention": {"length": 10, "vocabulary": 8, "width": 16, "layers": 2, "heads": 2,
                          "mlp_ratio": 2, "positions": "none", "dropout": 0.5, "beta": 3,
                          "learned_beta": "layer", "update_steps": 2, "causal": "no", "batch": 5,
                          "learning_rate": 0.01, "schedule": "constant", "warmup": 3,
                          "final_fraction": 0.9, "weight_decay": 0.5, "clip": 0.01, "beta1": 0.5,
                          "beta2": 0.5, "seed": 4, "dtype": "f64", "tie_weights": "yes",
                          "label_smoothing": 0.2, "optimizer": "adam",
                          "embedding_deviation": 0.3, "precision": "bf16"},
            "hopfield": {"learned_beta": "none", "beta": 3, "update_steps": 3, "heads": 1},
            "sparse-hopfield": {"window": 2, "top_k": 2, "top_fraction": 0.3, "random_keep": 0.5,
                                "weight_dropout": 0.3, "beta": 3, "update_steps": 2},
            "entmax-hopfield": {"alpha": 1.2, "learned_alpha": "no"},
            "polynomial-hopfield": {"degree": 4},
            "window-hopfield --window 1": {"dilation": 2, "global_tokens": 1},
            "window-hopfield --causal no": {"window": 1},
            "topk-hopfield --causal no": {"normalise": "all", "top_fraction": 0.5},
            "hopfield --update_steps 5": {"tolerance": 0.3},
            "random-masked-hopfield": {"random_keep": 0.7, "random_grain": "tile",
                                       "random_draw": "fixed"},
            "random-feature-attention": {"features": 5, "orthogonal": "no", "redraw_every": 2,
                                         "feature_map": "relu", "beta": 2},
            "attention --precision bf16": {"precision": "tf32"},
            "linear-attention": {"precision": "tf32", "heads": 1, "causal": "no", "positions": "sinusoidal"},
            "attention --optimizer sgd": {"momentum": 0.5, "nesterov": "yes", "weight_decay": 0.9},
            "attention --positions rotary": {"heads": 2},
            "rnn": {"precision": "bf16", "width": 16, "layers": 2, "mlp_ratio": 2, "positions": "none"},
        }
        for backbone, settings in changes.items():
            common = {"dropout": 0.1}
            if " --" in backbone:
                backbone, name, value = backbone.replace("--", "").split()
                common[name] = value
            base = "-".join([backbone, *map(str, common.values()), "base"])
            self.train(base, backbone, **common)
            for name, value in settings.items():
                with self.subTest(f"{backbone} {common} {name}"):
                    out = base.replace("base", name)
                    self.train(out, backbone, **{**common, name: value})
                    self.assertNotEqual(self.losses(out), self.losses(base))
        # These change the number of parameters before they change a loss.
        self.assertGreater(self.summary("attention-0.1-learned_beta")["parameters"],
                           self.summary("attention-0.1-base")["parameters"])
        self.assertLess(self.summary("hopfield-0.1-learned_beta")["parameters"],
                        self.summary("hopfield-0.1-base")["parameters"])

    def test_pairs_change_the_losses_of_recall(self):
        self.train("all", task="recall", length=13, vocabulary=12)
        self.train("two", task="recall", length=13, vocabulary=12, pairs=2)
        self.assertNotEqual(self.losses("two"), self.losses("all"))
        self.assertIn("pairs = 2\n", self.read("two", "config.ini").decode())

    def test_intervals_change_no_loss(self):
        self.train("a", log_every=1, eval_every=1, checkpoint_every=1)
        self.train("b", log_every=3, eval_every=0, checkpoint_every=0)
        every = {(row["step"], row["split"]): row["loss"] for row in self.metrics("a")}
        for row in self.metrics("b"):
            self.assertEqual(row["loss"], every[row["step"], row["split"]])

    def test_what_saves_memory_changes_no_loss(self):
        self.train("run", dropout=0.1)
        self.train("recomputed", dropout=0.1, recompute="yes")
        self.assertEqual(self.losses("recomputed"), self.losses("run"))

    def test_recurrences_of_cudnn_need_a_gpu_and_a_recurrence(self):
        self.train("own", "rnn", recurrence="own")
        self.assertIn("recurrence = own\n", self.read("own", "config.ini").decode())
        words = {**TINY, "backbone": "gru", "recurrence": "cudnn"}
        self.assert_complains(
            self.run_trainer("train", *options(words), "--device", "cpu", "--out", "gpu"), 2,
            "--recurrence cudnn computes on a GPU (--device cuda)", "cpu")
        words["backbone"] = "attention"
        self.assert_complains(
            self.run_trainer("train", *options(words), "--out", "none"), 2,
            "--recurrence", "the backbone 'attention' has no recurrence")


class Configurations(TrainerCase):
    def test_strings_round_trip_through_the_configuration(self):
        for name in ("plain.txt", " blanks ", "a#b;c=d", 'quo"te\\s', "line\nend", "ünïcode"):
            with self.subTest(name):
                self.write(name, "some text " * 100)
                self.environment["BASIN_DATA"] = self.folder
                settings = {**TINY, "task": "text", "data": name, "backbone": "rnn"}
                del settings["vocabulary"]
                self.succeed("train", *options(settings), "--out", "a", "--overwrite")
                self.succeed("train", "--config", "a/config.ini", "--out", "b", "--overwrite")
                self.assertEqual(self.read("a", "config.ini"), self.read("b", "config.ini"))
                self.assertTrue(self.summary("b")["configuration"]["data"].endswith(name))

    def test_configuration_holds_every_setting_that_has_an_effect(self):
        self.train("hopfield", "hopfield")
        self.train("rnn", "rnn")
        names = {out: set(re.findall(r"^([\w-]+) =", self.read(out, "config.ini").decode(), re.M))
                 for out in ("hopfield", "rnn")}
        self.assertEqual(names["hopfield"] - names["rnn"],
                         {"heads", "beta", "learned-beta", "update-steps", "window", "top-k",
                          "top-fraction", "random-keep", "weight-dropout", "causal"})
        self.assertEqual(names["hopfield"] & {"out", "data", "overwrite", "resume", "quiet", "config"},
                         set())
        text = self.read("hopfield", "config.ini").decode()
        self.assertIn("learned-beta = head\n", text)
        self.assertIn("beta = auto\n", text)
        self.assertEqual(set(self.summary("rnn")["configuration"]), names["rnn"])


if __name__ == "__main__":
    unittest.main()
