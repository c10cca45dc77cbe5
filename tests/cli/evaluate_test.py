"""`trainer evaluate`: the figures of the run again, and clear words for every wrong file."""

import json
import os
import shutil
import unittest

from trainer_case import BACKBONES, TINY, TrainerCase, sealed


class Evaluating(TrainerCase):
    def evaluate(self, *words):
        return self.succeed("evaluate", *words)

    def figures(self, *words):
        self.evaluate(*words, "--out", "figures.json")
        return json.loads(self.read("figures.json"))

    def test_it_reproduces_the_summary(self):
        for backbone in BACKBONES:
            with self.subTest(backbone):
                # Dropout would show if it were left on.
                self.train(backbone, backbone, dropout=0.5)
                expected = self.summary(backbone)
                for checkpoint in (backbone, f"{backbone}/checkpoint.h5"):
                    figures = self.figures("--checkpoint", checkpoint)
                    self.assertEqual(figures["test"], expected["test"])
                    self.assertEqual(figures["baselines"], expected["baselines"])
                self.assertEqual(figures["step"], 6)
                self.assertEqual(self.figures("--checkpoint", backbone, "--threads", 2)["test"],
                                 expected["test"])

    def test_the_table_shows_the_baselines(self):
        self.train("run")
        out = self.evaluate("--checkpoint", "run")
        value = self.summary("run")["test"]["metrics"][0]["value"]
        self.assertRegex(out, r"test +model +chance\n")
        self.assertRegex(out, rf"second-half token accuracy +{value:.4f} +0.2500\n")

    def test_splits_and_numbers_of_examples(self):
        self.train("run")
        last = [row for row in self.metrics("run") if row["split"] == "validation"][-1]
        validation = self.figures("--checkpoint", "run", "--split", "validation")["validation"]
        self.assertEqual(validation["loss"], float(last["loss"]))
        self.assertEqual(validation["examples"], TINY["eval-examples"])
        self.assertEqual(self.figures("--checkpoint", "run", "--examples", 7)["test"]["examples"], 7)
        self.assertEqual(
            self.figures("--checkpoint", "run", "--examples", 0, "--batch", 500)["test"]["examples"],
            10000)

    def test_a_run_that_goes_on_can_be_looked_at(self):
        self.train("run", steps=6, checkpoint_every=2)
        shutil.copy(self.path("run", "checkpoint.h5"), self.path("elsewhere.h5"))
        self.assertEqual(self.figures("--checkpoint", "elsewhere.h5")["test"],
                         self.summary("run")["test"])


class Refusing(TrainerCase):
    def setUp(self):
        super().setUp()
        self.train("run", "hopfield")

    def fails(self, words, *parts, status=1):
        self.assert_complains(self.run_trainer("evaluate", *words), status, *parts)

    def test_files_that_are_no_checkpoints(self):
        good = self.read("run", "checkpoint.h5")
        self.fails(["--checkpoint", "missing.h5"], "missing.h5")
        os.mkdir(self.path("empty"))
        self.fails(["--checkpoint", "empty"], "empty/checkpoint.h5")
        for name, content in [("empty.h5", b""), ("text.h5", b"no HDF5\n" * 100),
                              ("half.h5", good[:len(good) // 2]), ("head.h5", good[:100]),
                              ("zeros.h5", bytes(len(good)))]:
            with self.subTest(name):
                self.write(name, content)
                self.fails(["--checkpoint", name], name)

    def test_damaged_bytes_are_found(self):
        good = self.read("run", "checkpoint.h5")
        for place in range(0, len(good), max(1, len(good) // 80)):
            damaged = bytearray(good)
            damaged[place:place + 8] = bytes(byte ^ 0xFF for byte in damaged[place:place + 8])
            self.write("damaged.h5", bytes(damaged))
            process = self.run_trainer("evaluate", "--checkpoint", "damaged.h5")
            self.assertEqual(process.returncode, 1, f"byte {place}: {process.err}")
            self.assertRegex(process.err, r"\Atrainer: [^\n]*damaged.h5[^\n]*\n\Z")

    def test_settings_that_do_not_fit_the_weights(self):
        good = self.read("run", "checkpoint.h5")
        self.assertEqual(good.count(b"width = 8\n"), 1)
        for name, width in [("other.h5", b"width = 4\n"), ("unknown.h5", b"witdh = 8\n")]:
            changed = good.replace(b"width = 8\n", width)
            self.write(name, changed)
            self.fails(["--checkpoint", name], name, "checksum of its seal")
            # With a seal that fits, HDF5's own checksum of its structures may be next to refuse it.
            self.write(name, sealed(changed[512:]))
            self.fails(["--checkpoint", name], name)

    def test_another_model_than_asked_for(self):
        self.fails(["--checkpoint", "run", "--backbone", "rnn"], "'hopfield'", "'rnn'")
        self.fails(["--checkpoint", "run", "--task", "text"], "'copying'", "'text'")
        self.fails(["--checkpoint", "run", "--task", "txt"], "'txt'", "'text'", status=2)
        self.succeed("evaluate", "--checkpoint", "run", "--backbone", "hopfield", "--task", "copying")

    def test_wrong_values(self):
        self.fails(["--checkpoint", "run", "--examples", "x"], "--examples", status=2)
        self.fails(["--checkpoint", "run", "--batch", "0"], "--batch", status=2)
        self.fails(["--checkpoint", "run", "--threads", "-2"], "--threads", status=2)
        self.fails(["--checkpoint", "run", "--data", "file"], "--data", "no effect", status=2)
        self.fails(["--checkpoint", "run", "--width", "8"], "'--width'", status=2)

    def test_output_that_cannot_be_written(self):
        self.fails(["--checkpoint", "run", "--out", "no/such/folder.json"], "no/such/folder.json")
        self.fails(["--checkpoint", "run", "--out", "run"], "run")
        self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name], [])


if __name__ == "__main__":
    unittest.main()
