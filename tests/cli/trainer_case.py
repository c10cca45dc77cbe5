"""What the tests of the trainer share: running it in a folder of its own, and reading what it wrote.
The program is the one that the variable TRAINER names."""

import csv
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import zlib

TRAINER = os.path.abspath(os.environ.get("TRAINER", "build/release/bin/trainer"))
HAS_GNUPLOT = shutil.which("gnuplot") is not None
BACKBONES = ["rnn", "attention", "hopfield", "linear-attention"]

# A run of a fraction of a second.
TINY = {
    "task": "copying",
    "length": 8,
    "vocabulary": 6,
    "width": 8,
    "layers": 1,
    "batch": 4,
    "steps": 6,
    "eval-examples": 12,
    "test-examples": 20,
    "seed": 3,
    "threads": 1,
}
# Columns of metrics.csv that depend on the clock.
TIMINGS = ("tokens_per_second", "seconds")


def options(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def sealed(content):
    """What follows a seal, with one that fits: see docs/formats.md."""
    text = f"basin sealed file 1\nbytes {512 + len(content)}\ncrc32 {zlib.crc32(content):08x}\n"
    return text.encode().ljust(512, b"\0") + content


class TrainerCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="trainer-test-")
        # The program runs as somebody without special rights where that is tested.
        os.chmod(self.folder, 0o777)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {
            name: value for name, value in os.environ.items()
            if name not in ("BASIN_DATA", "BASIN_THREADS")
        }
        # Without gnuplot a run is done in half the time; tests of plots put this back.
        self.path_with_gnuplot = self.environment["PATH"]
        self.environment["PATH"] = self.folder

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        mode = "wb" if isinstance(content, bytes) else "w"
        with open(self.path(name), mode) as file:
            file.write(content)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def without_rights(self):
        """Options of subprocess for a user without special rights."""
        if os.geteuid() != 0:
            return {}
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            subprocess.run([TRAINER, "--version"], capture_output=True, check=True, **nobody)
        except PermissionError:
            self.skipTest(f"other users than root cannot reach {TRAINER}")
        return nobody

    def run_trainer(self, *words, **popen):
        """The finished process, run in the folder of the test."""
        popen.setdefault("env", self.environment)
        process = subprocess.run([TRAINER, *map(str, words)], cwd=self.folder, capture_output=True,
                                 timeout=600, **popen)
        process.out = process.stdout.decode(errors="replace")
        process.err = process.stderr.decode(errors="replace")
        return process

    def succeed(self, *words, **popen):
        process = self.run_trainer(*words, **popen)
        self.assertEqual(process.returncode, 0, process.err)
        self.assertEqual(process.err, "")
        return process.out

    def assert_complains(self, process, status, *parts):
        """It ended with this status and one line on standard error with these parts in it."""
        self.assertEqual(process.returncode, status, process.err)
        self.assertRegex(process.err, r"\Atrainer: [^\n]*\n\Z")
        for part in parts:
            self.assertIn(part, process.err)

    def train(self, out, backbone="attention", without=(), **changes):
        """A tiny run, which must work; `changes` by the names of settings with _ for -."""
        settings = {**TINY, "backbone": backbone}
        for name, value in changes.items():
            settings[name.replace("_", "-")] = value
        for name in without:
            del settings[name]
        return self.succeed("train", *options(settings), "--out", out)

    def metrics(self, out):
        with open(self.path(out, "metrics.csv"), newline="") as file:
            return list(csv.DictReader(file))

    def untimed_metrics(self, out):
        return [{name: value for name, value in row.items() if name not in TIMINGS}
                for row in self.metrics(out)]

    def losses(self, out):
        return [row["loss"] for row in self.metrics(out)]

    def summary(self, out):
        with open(self.path(out, "summary.json")) as file:
            return json.load(file)
