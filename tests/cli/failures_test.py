"""What can go wrong without anybody's mistake in the command: exit status 1 and one line."""

import fcntl
import os
import resource
import subprocess
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

SETTINGS = options({**TINY, "backbone": "attention"})


class OutputFolder(TrainerCase):
    def fails(self, out, *parts, **popen):
        process = self.run_trainer("train", *SETTINGS, "--out", out, **popen)
        self.assert_complains(process, 1, *parts)

    def test_a_file_is_in_the_way(self):
        self.write("file", "precious")
        self.fails("file", "file", "Not a directory")
        self.fails("file/below", "file/below")
        self.assertEqual(self.read("file"), b"precious")

    def test_places_where_nothing_can_be_created(self):
        self.fails("/proc/run", "/proc/run")
        self.fails("/dev/null/run", "/dev/null/run")

    def test_no_permission(self):
        os.mkdir(self.path("locked"), 0o555)
        self.fails("locked", "locked", "ermission denied", **self.without_rights())
        self.assertEqual(os.listdir(self.path("locked")), [])

    def test_a_run_is_never_replaced_without_being_asked(self):
        self.train("run")
        before = self.read("run", "metrics.csv")
        self.fails("run", "already holds a run", "--overwrite", "--resume")
        self.assertEqual(self.read("run", "metrics.csv"), before)
        # Nor by a mistake in the settings or the data.
        for mistake in (["--heads", "3"], ["--length", "7"]):
            settings = {**TINY, "backbone": "attention"}
            settings.pop(mistake[0][2:], None)
            process = self.run_trainer("train", *options(settings), *mistake, "--out", "run",
                                       "--overwrite")
            self.assert_complains(process, 2)
            self.assertEqual(self.read("run", "metrics.csv"), before)
        self.write("run/notes.txt", "mine")
        self.succeed("train", *SETTINGS, "--out", "run", "--overwrite")
        self.assertEqual(self.read("run", "notes.txt"), b"mine")

    def test_an_unfinished_run_counts_as_one(self):
        os.mkdir(self.path("run"))
        self.write("run/config.ini", "task = copying\n")
        self.fails("run", "already holds a run")

    def test_a_folder_with_other_files_is_no_run(self):
        os.mkdir(self.path("run"))
        self.write("run/notes.txt", "mine")
        self.train("run")
        self.assertEqual(self.read("run", "notes.txt"), b"mine")

    def test_two_runs_at_once(self):
        self.train("run")
        with open(self.path("run", ".lock"), "r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = self.run_trainer("train", *SETTINGS, "--out", "run", "--overwrite")
            self.assert_complains(process, 1, "run", "another run")
        self.succeed("train", *SETTINGS, "--out", "run", "--overwrite")

    def test_full_disk(self):
        # A limit on the size of files stands for a disk that is full: checkpoints need 16 kB.
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

        self.fails("run", "run/best.h5", "File too large", preexec_fn=limit)
        self.assertFalse(os.path.exists(self.path("run", "best.h5")))

        def limit_more():
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        self.fails("run2", "run2", preexec_fn=limit_more)

    def test_full_disk_keeps_the_old_checkpoint(self):
        self.train("run", steps=4, checkpoint_every=2)
        os.remove(self.path("run", "summary.json"))
        before = self.read("run", "checkpoint.h5")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

        process = self.run_trainer("train", "--resume", "--out", "run", preexec_fn=limit)
        self.assert_complains(process, 1, "run/")
        self.assertEqual(self.read("run", "checkpoint.h5"), before)


class Training(TrainerCase):
    def test_divergence(self):
        settings = {**TINY, "backbone": "attention", "learning-rate": 1e38, "warmup": 0, "steps": 50}
        process = self.run_trainer("train", *options(settings), "--out", "run")
        self.assert_complains(process, 1, "smaller learning rate")
        self.assertFalse(os.path.exists(self.path("run", "summary.json")))

    def test_more_memory_than_there_is(self):
        settings = {**TINY, "backbone": "attention", "width": 65536, "layers": 1000}
        process = self.run_trainer("train", *options(settings), "--out", "run")
        self.assert_complains(process, 1, "memory", "GB")
        self.assertFalse(os.path.exists(self.path("run")))

    def test_a_reader_that_goes_away_does_not_end_the_training(self):
        settings = {**TINY, "backbone": "attention", "steps": 50, "log-every": 1}
        process = subprocess.Popen([TRAINER, "train", *options(settings), "--out", "run"],
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 1)
        self.assertEqual(error, b"trainer: standard output cannot be written\n")
        self.assertEqual(self.summary("run")["steps"], 50)


class Data(TrainerCase):
    def fails(self, data, *parts, **popen):
        settings = {"task": "text", "backbone": "rnn", "width": 8, "steps": 1, "data": data}
        process = self.run_trainer("train", *options(settings), "--out", "run", **popen)
        self.assert_complains(process, 1, *parts)
        self.assertFalse(os.path.exists(self.path("run")))

    def test_missing(self):
        self.fails("missing.txt", "missing.txt", "BASIN_DATA")
        self.environment["BASIN_DATA"] = self.folder
        self.fails("missing.txt", "missing.txt", self.path("missing.txt"))
        self.fails("/missing.txt", "/missing.txt")

    def test_empty_short_or_a_folder(self):
        self.write("empty", "")
        self.fails("empty", "empty")
        self.write("short", "too short")
        self.fails("short", "short", "9 bytes")
        os.makedirs(self.path("nothing", ".git"))
        self.write("nothing/.git/config", "hidden")
        self.fails("nothing", "the folder", "holds no text")
        self.write("nothing/empty", "")
        self.fails("nothing", "the files in the folder", "are empty")

    def test_damaged_gzip(self):
        self.write("damaged.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 500)
        self.fails("damaged.gz", "damaged.gz", "damaged")

    def test_unreadable(self):
        self.write("secret", "text " * 200)
        os.chmod(self.path("secret"), 0o000)
        self.fails("secret", "secret", "ermission denied", **self.without_rights())


if __name__ == "__main__":
    unittest.main()
