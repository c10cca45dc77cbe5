"""Checkpoints that cannot be written: a clear error, the checkpoint before them intact, and a run that
goes on once the reason is gone."""

import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

# Long enough to be met in the middle.
SETTINGS = {**TINY, "backbone": "attention", "steps": 2000, "log-every": 100, "eval-every": 400,
            "checkpoint-every": 100, "keep-checkpoints": 2, "dropout": 0.1}

# A file system of its own that is full after some checkpoints, and then has room again.
FULL_DISK = r"""
set -eu
mount -t tmpfs -o size=400k none disk
status=0
"$@" --out disk/run 2> error.txt || status=$?
echo "$status" > status.txt
ls disk/run > files.txt
"$TRAINER" evaluate --checkpoint disk/run > /dev/null
mount -o remount,size=8m disk
"$TRAINER" train --quiet --resume --out disk/run
cp -r disk/run run
"""


def can_mount():
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True).returncode == 0


class Saving(TrainerCase):
    def setUp(self):
        super().setUp()
        self.settings = dict(SETTINGS)

    def stopped_after_a_checkpoint(self, **popen):
        """A run in the background that stands still between its first checkpoint and its end."""
        for _ in range(20):
            shutil.rmtree(self.path("run"), ignore_errors=True)
            process = subprocess.Popen(
                [TRAINER, "train", *options(self.settings), "--out", "run"],
                cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, **popen)
            self.addCleanup(process.stderr.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            while not os.path.exists(self.path("run", "checkpoint.h5")):
                self.assertIsNone(process.poll())
                time.sleep(0.001)
            process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                return process
            process.returncode = os.waitstatus_to_exitcode(status)
        self.fail("the run was always faster than this test")

    def assert_it_stops(self, process, pattern):
        """It goes on until it cannot save, and says so; the checkpoint is what it was."""
        before = self.read("run", "checkpoint.h5")
        process.send_signal(signal.SIGCONT)
        error = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, error)
        self.assertRegex(error, rf"\Atrainer: {pattern}\n\Z")
        self.assertEqual(self.read("run", "checkpoint.h5"), before)
        self.succeed("evaluate", "--checkpoint", "run")

    def assert_it_ended_like_a_run_without_trouble(self):
        self.succeed("train", *options(self.settings), "--out", "whole")
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("whole"))
        names = sorted(os.listdir(self.path("whole")))
        self.assertEqual(sorted(os.listdir(self.path("run"))), names)
        self.assertIn("checkpoint_1900.h5", names)
        for name in names:
            if name.endswith(".h5"):
                self.assertTrue(self.read("run", name) == self.read("whole", name), name)

    def test_limit_on_the_size_of_files(self):
        process = self.stopped_after_a_checkpoint()
        # Checkpoints are larger, everything else is smaller.
        self.assertGreater(len(self.read("run", "checkpoint.h5")), 20000)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (20000, 20000))
        self.assert_it_stops(process, r"run/(checkpoint|best)\.h5: \d+ bytes cannot be written to "
                                      r"run/\1\.h5\.partial: File too large; what was at this path "
                                      r"before is untouched")
        self.assertEqual([name for name in os.listdir(self.path("run")) if "partial" in name], [])
        self.succeed("train", "--resume", "--out", "run")
        self.assert_it_ended_like_a_run_without_trouble()

    def test_folder_that_becomes_read_only(self):
        nobody = self.without_rights()
        for keep in (1, 2):
            with self.subTest(keep=keep):
                self.settings["keep-checkpoints"] = keep
                process = self.stopped_after_a_checkpoint(**nobody)
                os.chmod(self.path("run"), 0o555)
                self.assert_it_stops(process, r"run/(checkpoint|best)\.h5\S* cannot be .*: "
                                              r"Permission denied")
                resumed = self.run_trainer("train", "--resume", "--out", "run", **nobody)
                self.assert_complains(resumed, 1, "run cannot be used", "Permission denied")
                os.chmod(self.path("run"), 0o777)
                self.succeed("train", "--resume", "--out", "run", **nobody)
        self.assert_it_ended_like_a_run_without_trouble()

    @unittest.skipUnless(os.geteuid() == 0 and can_mount(), "needs the right to mount")
    def test_full_disk(self):
        os.mkdir(self.path("disk"))
        self.settings["keep-checkpoints"] = 20
        process = subprocess.run(
            ["unshare", "--mount", "bash", "-c", FULL_DISK, "bash", TRAINER, "train", "--quiet",
             *options(self.settings)],
            cwd=self.folder, env={**os.environ, "TRAINER": TRAINER, "BASIN_DATA": ""},
            capture_output=True, timeout=300)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(self.read("status.txt"), b"1\n")
        self.assertRegex(self.read("error.txt"),
                         rb"\Atrainer: disk/run/\S+ [^\n]*No space left on device[^\n]*\n\Z")
        self.assertIn(b"checkpoint_100.h5", self.read("files.txt"))
        self.assertNotIn(b"checkpoint_1900.h5", self.read("files.txt"))
        # Commands of the script could be found, so gnuplot, too.
        if os.path.exists(self.path("run", "curve.svg")):
            os.remove(self.path("run", "curve.svg"))
        self.assert_it_ended_like_a_run_without_trouble()


if __name__ == "__main__":
    unittest.main()
