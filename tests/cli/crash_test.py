"""A run that is killed at any moment, while it saves above all, goes on and ends as if nothing had
happened: the same losses, and the same files to the byte. The variable CRASH_SEED repeats a test."""

import os
import random
import shutil
import signal
import subprocess
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

KILLS = 30
# Best checkpoints are both written (odd steps) and linked to checkpoint.h5 (even steps).
SETTINGS = {**TINY, "backbone": "hopfield", "steps": 20, "dropout": 0.1, "learning-rate": 0.01,
            "eval-every": 3, "checkpoint-every": 2, "keep-checkpoints": 3}
SAVED = ["best.h5", "checkpoint.h5", "checkpoint_16.h5", "checkpoint_18.h5"]


class Crashing(TrainerCase):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("CRASH_SEED") or random.randrange(2**32))
        self.random = random.Random(self.seed)
        print(f"CRASH_SEED={self.seed}", flush=True)
        start = time.monotonic()
        self.succeed("train", *options(SETTINGS), "--quiet", "--out", "whole")
        self.duration = time.monotonic() - start
        self.saved = {name: self.read("whole", name) for name in SAVED}

    def start(self, *words):
        return subprocess.Popen([TRAINER, "train", *words, "--quiet", "--out", "run"],
                                cwd=self.folder, env=self.environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def names_of_unfinished_files(self):
        folder = self.path("run")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return [name for name in names if name.endswith((".h5.partial", ".h5.link"))]

    def kill(self, process):
        """Whether it still ran."""
        process.kill()
        return process.wait() == -signal.SIGKILL

    def kill_while_saving(self, process):
        """Stops the program as soon as it is in the middle of writing a checkpoint, makes sure that
        it still is, and kills it. Whether it was met there before the end."""
        while process.poll() is None:
            if not self.names_of_unfinished_files():
                continue
            time.sleep(self.random.choice([0, 0, 0.0002, 0.0005]))
            process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                return False
            if self.names_of_unfinished_files():
                return self.kill(process)
            process.send_signal(signal.SIGCONT)
        return False

    def run_and_kill(self, words, saving):
        """Whether the program was killed before its end."""
        had_checkpoint = os.path.exists(self.path("run", "checkpoint.h5"))
        process = self.start(*words)
        # Few before the first checkpoint, from which there is nothing to resume.
        if not had_checkpoint and self.random.random() < 0.9:
            while process.poll() is None and not os.path.exists(self.path("run", "checkpoint.h5")):
                pass
            time.sleep(self.random.uniform(0, 0.5 * self.duration))
        else:
            time.sleep(self.random.uniform(0, 0.9 * self.duration))
        return self.kill_while_saving(process) if saving else self.kill(process)

    def words_to_go_on(self):
        """What the user is told after a crash: --resume, or that there is nothing to resume yet."""
        process = self.run_trainer("train", "--resume", "--quiet", "--out", "run")
        if process.returncode == 0:
            return None
        if os.path.exists(self.path("run", "summary.json")):
            self.assert_complains(process, 1, "finished")
            return None
        if os.path.exists(self.path("run", "config.ini")):
            self.assertFalse(os.path.exists(self.path("run", "checkpoint.h5")), process.err)
            self.assert_complains(process, 1, "before its first checkpoint")
        else:
            self.assert_complains(process, 1, "no run to resume")
        return [*options(SETTINGS), "--overwrite"]

    def check_it_ended_like_the_whole_run(self):
        self.assertEqual(self.untimed_metrics("run"), self.untimed_metrics("whole"))
        for name, content in self.saved.items():
            self.assertTrue(self.read("run", name) == content, f"{name} differs")
        self.assertEqual(*[sorted(os.listdir(self.path(out))) for out in ("run", "whole")])
        figures = [self.summary(out) for out in ("run", "whole")]
        for name in ("test", "best_validation"):
            self.assertEqual(figures[0][name], figures[1][name])

    def test_what_a_killed_run_left_of_its_probe_goes(self):
        os.makedirs(self.path("run"))
        with open(self.path("run", ".probe"), "w") as file:
            file.write("pro")
        self.succeed("train", *options(SETTINGS), "--out", "run", "--quiet")
        self.assertEqual(*[sorted(os.listdir(self.path(out))) for out in ("run", "whole")])

    def test_killed_at_random_moments(self):
        self.assertEqual(sorted(name for name in os.listdir(self.path("whole")) if ".h5" in name),
                         SAVED)
        kills = {True: 0, False: 0}
        went_on = 0
        while sum(kills.values()) < KILLS:
            saving = kills[True] <= kills[False]
            over_another = self.random.random() < 0.1
            if not over_another:
                shutil.rmtree(self.path("run"), ignore_errors=True)
            if not self.run_and_kill([*options(SETTINGS), "--overwrite"], saving):
                continue
            kills[saving] += 1
            with self.subTest(seed=self.seed, kill=sum(kills.values()), saving=saving):
                # A third is killed once more on its way.
                if self.random.random() < 1 / 3 and os.path.exists(self.path("run", "checkpoint.h5")):
                    saving = not saving
                    kills[saving] += self.run_and_kill(["--resume"], saving)
                words = self.words_to_go_on()
                if words is None:
                    went_on += 1
                else:
                    self.succeed("train", *words, "--out", "run", "--quiet")
                self.check_it_ended_like_the_whole_run()
        print(f"{kills[True]} kills while saving, {kills[False]} at other moments, {went_on} resumed")
        self.assertGreaterEqual(kills[True], KILLS // 2)
        # Most; the others were killed before their first checkpoint.
        self.assertGreater(went_on, KILLS // 3)


if __name__ == "__main__":
    unittest.main()
