"""Settings of the task `text`: tokenizers, folders, other texts to evaluate, strides; data that
change, and data that cannot be read."""

import fcntl
import gzip
import math
import os
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

PREPARE_DATA = os.environ.get("PREPARE_DATA", "")
DATA = os.environ.get("BASIN_DATA", "")
WORDS = ["memory", "pattern", "query", "état", "energy", "retrieval", "of", "the", "a", "and"]


def some_text(words, seed=5):
    source = random.Random(seed)
    return " ".join(source.choice(WORDS) for _ in range(words))


class TextCase(TrainerCase):
    def settings(self, **changes):
        settings = {**TINY, "task": "text", "backbone": "rnn", "data": "data.txt"}
        del settings["vocabulary"]
        for name, value in changes.items():
            settings[name.replace("_", "-")] = value
        return settings

    def train_text(self, out, **changes):
        return self.succeed("train", *options(self.settings(**changes)), "--out", out)

    def fails(self, status, *parts, popen=None, **changes):
        process = self.run_trainer("train", *options(self.settings(**changes)), "--out", "failed",
                                   **(popen or {}))
        self.assert_complains(process, status, *parts)
        self.assertFalse(os.path.exists(self.path("failed")))

    def make_tokenizer(self, kind, text, out):
        subprocess.run([PREPARE_DATA, "tokenizer", "train", "--kind", kind, "--input",
                        self.path(text), "--out", self.path(out)] +
                       (["--vocabulary", "300"] if kind == "gpt2" else []), check=True,
                       capture_output=True)

    def setUp(self):
        super().setUp()
        self.write("data.txt", some_text(600))


class Settings(TextCase):
    def test_every_setting_has_an_effect(self):
        self.write("other.txt", some_text(100, 6))
        self.make_tokenizer("gpt2", "data.txt", "pairs")
        self.make_tokenizer("characters", "data.txt", "letters")
        self.train_text("base")
        outs = ["base"]
        for name, value in {"tokenizer": "characters", "stride": 3, "eval_stride": 3,
                            "validation_data": "other.txt", "test_data": "other.txt"}.items():
            self.train_text(name, **{name: value})
            outs.append(name)
        for tokenizer in ("pairs", "letters"):
            self.train_text(tokenizer, tokenizer=tokenizer)
            outs.append(tokenizer)
        losses = [self.losses(out) for out in outs]
        for n, one in enumerate(losses):
            for m in range(n):
                # The characters of the text and of its file are the same unless one is held back.
                if {outs[n], outs[m]} != {"tokenizer", "letters"}:
                    self.assertNotEqual(one, losses[m], f"{outs[n]} {outs[m]}")
        for out in outs:
            again = out + "-again"
            self.succeed("train", "--config", f"{out}/config.ini", "--out", again, "--quiet")
            self.assertEqual(self.untimed_metrics(again), self.untimed_metrics(out))
            self.assertEqual(self.read(again, "config.ini"), self.read(out, "config.ini"))

    def test_evaluation_with_context(self):
        self.train_text("run")
        whole = self.succeed("evaluate", "--checkpoint", "run", "--examples", 0)
        slid = self.succeed("evaluate", "--checkpoint", "run", "--examples", 0, "--eval-stride", 1)
        self.assertNotEqual(whole, slid)
        held_back = len(some_text(600).encode()) // 10
        self.assertIn(f", {math.ceil((held_back - 1) / 8)} examples", whole)
        self.assertIn(f", {held_back - 8} examples", slid)

    def test_metrics_of_a_tokenizer(self):
        self.make_tokenizer("gpt2", "data.txt", "pairs")
        out = self.train_text("run", tokenizer="pairs")
        self.assertIn("token frequencies", out)
        summary = self.summary("run")
        metrics = {m["name"]: m["value"] for m in summary["test"]["metrics"]}
        self.assertAlmostEqual(metrics["bits per token"], summary["test"]["loss"] / math.log(2), 4)
        self.assertGreater(metrics["bits per token"], 1.5 * metrics["bits per byte"])
        self.assertLess(summary["baselines"][0]["value"], 8.0)
        rows = [row for row in self.metrics("run") if row["split"] == "validation"]
        self.assertTrue(all(0 <= float(row["token accuracy"]) <= 1 for row in rows))

    def test_runs_with_different_tokenizers_compare(self):
        self.make_tokenizer("gpt2", "data.txt", "pairs")
        for tokenizer in ("bytes", "characters", "pairs"):
            self.train_text(tokenizer, tokenizer=tokenizer)
        table = self.succeed("compare", "bytes", "characters", "pairs", "--out", "table")
        for line in ("rnn, tokenizer bytes", "rnn, tokenizer characters", "chance (bytes)",
                     "chance (pairs)", "byte frequencies", "token frequencies (pairs)"):
            self.assertIn(line, table)
        self.write("other.txt", some_text(600, 9))
        self.train_text("other", data="other.txt")
        self.assert_complains(self.run_trainer("compare", "bytes", "other", "--out", "table"), 1,
                              "their data differ")

    @unittest.skipUnless(os.path.isdir(os.path.join(DATA, "gpt2-bpe")), "needs BASIN_DATA")
    def test_gpt2(self):
        self.environment["BASIN_DATA"] = DATA
        self.train_text("run", tokenizer="gpt2", width=4, batch=2, steps=2)
        summary = self.summary("run")
        self.assertEqual(summary["configuration"]["tokenizer"], "gpt2")
        self.assertTrue(summary["configuration"]["data-digest"].startswith("50257-"))
        self.environment["BASIN_DATA"] = self.folder
        self.assert_complains(self.run_trainer("evaluate", "--checkpoint", "run"), 1, "gpt2-bpe")

    def test_help_and_list(self):
        text = self.succeed("train", "--help")
        for name in ("--tokenizer", "--validation-data", "--test-data", "--stride", "--eval-stride",
                     "--data-digest"):
            self.assertIn(name, text)
        self.assertIn("FOLDER", self.succeed("list", "tasks"))
        for name in ("bytes", "characters", "gpt2", "merges.txt"):
            self.assertIn(name, self.succeed("list", "tokenizers"))

    def test_mistakes(self):
        self.fails(2, "--stride 9", "--length 8", stride=9)
        self.fails(2, "--eval-stride 9", "--length 8", eval_stride=9)
        self.fails(2, "--stride", stride=0)
        self.fails(2, "--data-digest", "'yes'", data_digest="yes")
        self.fails(1, "'gtp2'", "gpt2", "characters", tokenizer="gtp2")
        self.fails(1, "BASIN_DATA", "vocab.json", tokenizer="gpt2")
        self.fails(1, "nothing.txt", validation_data="nothing.txt")
        for name in ("tokenizer", "stride", "eval-stride", "validation-data", "test-data",
                     "data-digest"):
            process = self.run_trainer("train", "--task", "copying", "--backbone", "rnn",
                                       f"--{name}", "1", "--out", "failed")
            self.assert_complains(process, 2, f"--{name}", "copying")

    def test_a_tokenizer_with_a_missing_or_damaged_file(self):
        self.make_tokenizer("gpt2", "data.txt", "pairs")
        os.remove(self.path("pairs", "vocab.json"))
        self.fails(1, "vocab.json", "no such file", tokenizer="pairs")
        self.write("pairs/vocab.json", "{}")
        self.fails(1, "pairs", tokenizer="pairs")
        os.mkdir(self.path("empty"))
        self.fails(1, "empty", "no tokenizer", tokenizer="empty")


class Folders(TextCase):
    def test_order_and_borders(self):
        text = some_text(600)
        for folder, names in {"one": ["a", "b", "c"], "two": ["x", "y/1", "z.gz"],
                              "other": ["c", "b", "a"]}.items():
            for number, name in enumerate(names):
                part = text[1000 * number:1000 * (number + 1)].encode()
                os.makedirs(os.path.dirname(self.path(folder, name)), exist_ok=True)
                self.write(os.path.join(folder, name),
                           gzip.compress(part) if name.endswith(".gz") else part)
        self.write("one/.hidden", "not seen")
        for folder in ("one", "two", "other"):
            self.train_text("run-" + folder, data=folder)
        self.assertEqual(self.untimed_metrics("run-one"), self.untimed_metrics("run-two"))
        self.assertNotEqual(self.untimed_metrics("run-one"), self.untimed_metrics("run-other"))
        self.write("whole.txt", text[:3000].encode())
        self.train_text("run-whole", data="whole.txt")
        self.assertNotEqual(self.untimed_metrics("run-one"), self.untimed_metrics("run-whole"))

    def test_what_cannot_be_read(self):
        os.mkdir(self.path("texts"))
        self.fails(1, "texts", "holds no text", data="texts")
        self.write("texts/a", some_text(600))
        packed = gzip.compress(random.Random(1).randbytes(3 << 20))
        self.write("texts/b.gz", packed[:len(packed) // 2])
        self.fails(1, "b.gz", "damaged", data="texts")
        damaged = bytearray(packed)
        damaged[len(packed) // 2:len(packed) // 2 + 100] = bytes(100)
        self.write("texts/b.gz", bytes(damaged))
        self.fails(1, "b.gz", "damaged", data="texts")

    def test_without_permission(self):
        os.mkdir(self.path("texts"))
        self.write("texts/a", some_text(600))
        self.write("texts/secret", "text " * 200)
        os.chmod(self.path("texts/secret"), 0o000)
        nobody = self.without_rights()
        self.fails(1, "secret", "ermission denied", data="texts", popen=nobody)
        os.mkdir(self.path("texts/closed"), 0o000)
        self.addCleanup(os.chmod, self.path("texts/closed"), 0o700)
        self.fails(1, "texts", "ermission denied", data="texts", popen=nobody)


class Changes(TextCase):
    def unfinished(self, **changes):
        """A run that has a checkpoint at step 3 and no summary."""
        self.train_text("run", checkpoint_every=3, **changes)
        os.remove(self.path("run", "summary.json"))

    def test_resuming_with_other_data(self):
        text = some_text(600)
        self.unfinished()
        for changed in (text + "!", text[:-1], text[:-1] + "!"):
            self.write("data.txt", changed)
            process = self.run_trainer("train", "--resume", "--out", "run")
            self.assert_complains(process, 1, "data.txt has changed", "bytes")
        self.assert_complains(self.run_trainer("evaluate", "--checkpoint", "run"), 1,
                              "data.txt has changed")
        self.write("data.txt", text)
        self.succeed("train", "--resume", "--out", "run")

    def test_resuming_with_another_tokenizer(self):
        self.make_tokenizer("characters", "data.txt", "letters")
        self.unfinished(tokenizer="letters")
        lines = self.read("letters", "characters.txt").decode().splitlines()
        kept = lines[0].split(", ")[0]
        self.write("letters/characters.txt",
                   "\n".join([f"{kept}, {len(lines) - 2} characters", *lines[1:-1]]) + "\n")
        process = self.run_trainer("train", "--resume", "--out", "run")
        self.assert_complains(process, 1, "another vocabulary")

    def test_a_configuration_goes_with_its_data(self):
        self.train_text("run")
        self.write("other.txt", some_text(600, 7))
        words = ["train", "--config", "run/config.ini", "--data", "other.txt", "--out", "next"]
        self.assert_complains(self.run_trainer(*words), 1, "other.txt has changed",
                              "--data-digest any")
        self.succeed(*words, "--data-digest", "any")
        self.assertNotEqual(self.losses("next"), self.losses("run"))

    def test_evaluating_characters_on_another_text(self):
        self.train_text("run", tokenizer="characters")
        self.write("other.txt", "entirely different! " * 100)
        process = self.run_trainer("evaluate", "--checkpoint", "run", "--data", "other.txt")
        self.assert_complains(process, 1, "another vocabulary", "--validation-data")
        own = self.succeed("evaluate", "--checkpoint", "run")
        other = self.succeed("evaluate", "--checkpoint", "run", "--validation-data", "other.txt")
        self.assertNotEqual(own, other)
        self.train_text("with", validation_data="other.txt")
        process = self.run_trainer("evaluate", "--checkpoint", "with", "--data", "other.txt")
        self.assert_complains(process, 2, "--data would not change")

    def test_data_that_change_during_the_training(self):
        text = some_text(5000)
        self.write("data.txt", text)
        process = subprocess.Popen(
            [TRAINER, "train", *options(self.settings(steps=10**6, eval_every=0)), "--out", "run"],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        process.stdout.readline()
        # Less than a page less: no read fails, and what is missing would read as zeros.
        os.truncate(self.path("data.txt"), len(text.encode()) - 10)
        error = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, error)
        self.assertIn("was changed while it was being read", error)


class Preparation(TextCase):
    def test_ctrl_c(self):
        # A hole of a file: there is always more to read than there is patience.
        with open(self.path("data.txt"), "wb") as file:
            file.truncate(1 << 40)
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [TRAINER, "train", *options(self.settings(tokenizer="characters")), "--out", "run"],
                cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.stderr.close)
            self.addCleanup(process.kill)
            self.assertRegex(process.stdout.readline().decode(),
                             r"collecting the characters of .*data\.txt: 0 %")
            process.send_signal(number)
            before = time.monotonic()
            error = process.communicate(timeout=60)[1].decode()
            self.assertLess(time.monotonic() - before, 30)
            self.assertEqual(process.returncode, 1, error)
            self.assertRegex(error, r"\Atrainer: interrupted while collecting the characters of "
                                    r"[^\n]*; nothing was written\n\Z")
            self.assertFalse(os.path.exists(self.path("run")))

    def test_on_a_terminal(self):
        with open(self.path("data.txt"), "wb") as file:
            file.truncate(1 << 40)
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        process = subprocess.Popen([TRAINER, "train", *options(self.settings()), "--out", "run"],
                                   cwd=self.folder, stdout=slave, stderr=subprocess.PIPE,
                                   env={**self.environment, "TERM": "xterm"})
        os.close(slave)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        text = b""
        while text.count(b"\x1b[K") < 2:
            text += os.read(master, 1000)
        process.send_signal(signal.SIGINT)
        self.assertIn(b"interrupted while reading", process.communicate(timeout=60)[1])
        for line in re.findall(r"\r([^\x1b]*)\x1b\[K", text.decode()):
            self.assertRegex(line, r"\Areading data")
            self.assertLess(len(line), 30)

    def test_full_disk(self):
        self.write("data.txt.gz", gzip.compress(bytes(8 << 20)))
        limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))}
        self.fails(1, "temporary file", "cannot be written", "TMPDIR", data="data.txt.gz",
                   popen=limit)

    def test_the_folder_of_temporary_files(self):
        self.write("data.txt.gz", gzip.compress(some_text(600).encode()))
        self.environment["TMPDIR"] = self.path("missing")
        self.fails(1, "missing", "TMPDIR", data="data.txt.gz")
        os.mkdir(self.path("missing"))
        self.train_text("run", data="data.txt.gz")
        self.assertEqual(os.listdir(self.path("missing")), [])
        shutil.rmtree(self.path("missing"))
        # A plain file of bytes needs none.
        self.train_text("plain")


if __name__ == "__main__":
    unittest.main()
