"""A run that is interrupted and continued is, bit for bit, the run that never stopped."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

# Long enough that a signal meets it in the middle.
LONG = {**TINY, "steps": 4000, "log-every": 100, "eval-every": 1000, "checkpoint-every": 0,
        "dropout": 0.1}


class Interrupting(TrainerCase):
    def start(self, settings, out, ready):
        """A run in the background, as soon as its metrics.csv has the text `ready`."""
        process = subprocess.Popen([TRAINER, "train", *options(settings), "--out", out],
                                   cwd=self.folder, env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            if os.path.exists(self.path(out, "metrics.csv")) and re.search(
                    ready, self.read(out, "metrics.csv").decode(), re.M):
                return process
            time.sleep(0.005)
        self.fail(f"the run never wrote {ready}")

    def interrupt(self, settings, out, number):
        process = self.start(settings, out, r"^100,\d+,train")
        process.send_signal(number)
        error = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, error)
        self.assertRegex(error, r"\Atrainer: interrupted at step \d+; continue with: trainer train "
                                r"--resume --out \S+\n\Z")
        step = int(re.search(r"step (\d+)", error).group(1))
        self.assertTrue(100 <= step < settings["steps"], step)
        self.assertFalse(os.path.exists(self.path(out, "summary.json")))

    def test_interrupted_and_continued(self):
        for backbone, number in (("rnn", signal.SIGINT), ("attention", signal.SIGTERM)):
            with self.subTest(backbone):
                settings = {**LONG, "backbone": backbone}
                whole, parts = f"{backbone}-whole", f"{backbone}-parts"
                self.succeed("train", *options(settings), "--out", whole)
                self.interrupt(settings, parts, number)
                self.succeed("train", "--resume", "--out", parts)
                self.assertEqual(self.untimed_metrics(parts), self.untimed_metrics(whole))
                self.assertEqual(self.read(parts, "config.ini"), self.read(whole, "config.ini"))
                summaries = [self.summary(out) for out in (whole, parts)]
                for summary in summaries:
                    for name in ("seconds", "tokens_per_second", "peak_memory_bytes"):
                        del summary[name]
                self.assertEqual(*summaries)

    def test_killed_and_continued(self):
        settings = {**LONG, "backbone": "hopfield", "checkpoint-every": 130}
        self.succeed("train", *options(settings), "--out", "whole")
        process = self.start(settings, "parts", r"^300,\d+,train")
        process.kill()
        process.wait()
        # What was logged beyond the checkpoint is dropped and happens again; half a line as well.
        with open(self.path("parts", "metrics.csv"), "a") as file:
            file.write("39")
        self.succeed("train", "--resume", "--out", "parts")
        self.assertEqual(self.untimed_metrics("parts"), self.untimed_metrics("whole"))
        json_steps = [re.match(rb'\{"step":(\d+),"epoch":\d+,"split":"(\w+)"', line).groups()
                      for line in self.read("parts", "metrics.jsonl").splitlines()]
        self.assertEqual(json_steps, [(row["step"].encode(), row["split"].encode())
                                      for row in self.metrics("whole")])

    def test_the_command_is_quoted_for_a_shell(self):
        settings = {**LONG, "backbone": "attention"}
        process = self.start(settings, "it's here", r"^100,\d+,train")
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1].decode()
        command = error.split("continue with: ")[1].strip()
        settings["steps"] = 4000
        shell = subprocess.run(["bash", "-c", command.replace("trainer", TRAINER, 1)],
                               cwd=self.folder, capture_output=True)
        self.assertEqual(shell.returncode, 0, shell.stderr)
        self.assertEqual(self.summary("it's here")["steps"], 4000)


class Resuming(TrainerCase):
    def unfinished(self, out="run", **changes):
        """A folder as a run leaves it that was killed after its second checkpoint."""
        self.train(out, checkpoint_every=3, **changes)
        os.remove(self.path(out, "summary.json"))

    def resume(self, *words, out="run"):
        return self.run_trainer("train", "--resume", "--out", out, *words)

    def test_only_the_test_is_missing(self):
        self.train("whole", checkpoint_every=3)
        shutil.copytree(self.path("whole"), self.path("run"))
        os.remove(self.path("run", "summary.json"))
        self.assertEqual(self.resume().returncode, 0)
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("whole"))
        self.assertGreater(self.summary("run")["tokens_per_second"], 0)

    def test_nothing_to_resume(self):
        self.assert_complains(self.resume(), 1, "run", "no run to resume")
        self.assertFalse(os.path.exists(self.path("run")))
        self.train("run")
        self.assert_complains(self.resume(), 1, "run", "finished")

    def test_no_checkpoint_yet(self):
        self.unfinished()
        os.remove(self.path("run", "checkpoint.h5"))
        self.assert_complains(self.resume(), 1, "before its first checkpoint", "--overwrite")

    def test_settings_stay(self):
        self.unfinished()
        for name, value, stored in [("width", 16, 8), ("steps", 9, 6), ("seed", 4, 3),
                                    ("learning-rate", 0.1, 0.003), ("backbone", "rnn", "attention"),
                                    ("log-every", 2, 1)]:
            with self.subTest(name):
                self.assert_complains(self.resume(f"--{name}", value), 2, f"--{name} {value}",
                                      "--resume", str(stored))
        self.assert_complains(self.resume("--width", "wide"), 2, "--width", "'wide'")
        # The same command once more with --resume is fine, and so are other threads.
        settings = {**TINY, "backbone": "attention", "checkpoint-every": 3, "threads": 2}
        process = self.resume(*options(settings))
        self.assertEqual(process.returncode, 0, process.err)

    def test_damaged_folders(self):
        self.unfinished()
        good = {name: self.read("run", name)
                for name in ("config.ini", "checkpoint.h5", "metrics.csv")}
        checkpoint = good["checkpoint.h5"]
        for name, content, part in [
            ("config.ini", b"task = copying\n", "--backbone is missing"),
            ("checkpoint.h5", b"", "checkpoint.h5"),
            ("checkpoint.h5", b"no HDF5 at all", "checkpoint.h5"),
            ("checkpoint.h5", checkpoint[:len(checkpoint) // 2], "checkpoint.h5"),
            ("config.ini", good["config.ini"].replace(b"width = 8", b"width = 16"),
             "another model"),
            ("config.ini", re.sub(rb"(?m)^(heads|beta|learned-beta|update-steps|window|top-.*|random-keep|"
                                  rb"weight-dropout|causal) =.*$", b"",
                                  good["config.ini"].replace(b"= attention", b"= rnn")),
             "another model"),
            ("metrics.csv", b"", "metrics.csv"),
            ("metrics.csv", b"a,b\n1,2\n", "metrics.csv"),
            ("metrics.csv", good["metrics.csv"].replace(b"validation,", b"validation,x"), "'x"),
            ("metrics.csv", good["metrics.csv"].split(b"\n")[0] + b"\n1,2\n", "metrics.csv"),
        ]:
            with self.subTest(f"{name}: {content[:20]}"):
                self.write(f"run/{name}", content)
                process = self.resume()
                self.assert_complains(process, 1, part)
                self.write(f"run/{name}", good[name])
        self.assertEqual(self.resume().returncode, 0)


if __name__ == "__main__":
    unittest.main()
