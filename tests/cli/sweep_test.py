"""`trainer sweep` and `trainer train --seeds`: what is run, what stands in the tables, what is refused,
and that nothing is lost or done twice when it stops."""

import csv
import os
import pty
import re
import shutil
import signal
import statistics
import subprocess
import time
import unittest

from trainer_case import HAS_GNUPLOT, TINY, TRAINER, TrainerCase, options

FIXED = "".join(f"{name} = {value}\n" for name, value in {**TINY, "steps": 5}.items()
                if name != "seed")
GRID = "seeds = 2\n[grid]\nbackbone = rnn, attention\nlearning-rate = 1e-3, 3e-3\n"
METRIC = "second-half token accuracy"
# The first trial of test_draws, calculated by another program from the definition of mt19937_64.
DRAWN = "trial=0,learning-rate=0.00222,dropout=0.0115,layers=3,batch=2,seed=0"


class SweepCase(TrainerCase):
    def rows(self, *names):
        with open(self.path(*names), newline="") as file:
            return list(csv.DictReader(file))

    def sweep(self, out, text, *words):
        self.write("sweep-file.ini", text)
        return self.succeed("sweep", "--config", "sweep-file.ini", "--out", out, *words)

    def checkpoints(self, out):
        return {name: self.read(out, name, "checkpoint.h5") for name in sorted(os.listdir(
            self.path(out))) if os.path.isdir(self.path(out, name))}


class Results(SweepCase):
    def test_grid_with_seeds(self):
        self.environment["PATH"] = self.path_with_gnuplot
        text = self.sweep("out", FIXED + GRID)
        rows = self.rows("out", "sweep.csv")
        names = [f"backbone={backbone},learning-rate={rate},seed={seed}"
                 for backbone in ("rnn", "attention") for rate in ("0.001", "0.003")
                 for seed in (0, 1)]
        self.assertEqual([row["run"] for row in rows], names)
        for number, (row, name) in enumerate(zip(rows, names)):
            summary = self.summary(f"out/{name}")
            self.assertEqual([row["backbone"], row["learning-rate"], row["seed"]],
                             re.findall(r"=([^,]+)", name))
            self.assertEqual(row["status"], "finished")
            self.assertEqual(float(row[f"test {METRIC}"]), summary["test"]["metrics"][0]["value"])
            self.assertEqual(float(row["test loss (nats)"]), summary["test"]["loss"])
            self.assertEqual(float(row[f"best validation {METRIC}"]),
                             summary["best_validation"]["value"])
            last = [line for line in self.metrics(f"out/{name}") if line["split"] == "validation"]
            self.assertEqual(row[f"validation {METRIC}"], last[-1][METRIC])
            self.assertEqual(int(row["parameters"]), summary["parameters"])
            self.assertRegex(text, rf"{number + 1}/8 finished  \S+: {METRIC} \d\.\d+")
        summaries = self.rows("out", "sweep_summary.csv")
        self.assertEqual(len(summaries), 4)
        validations = [float(row["validation mean"]) for row in summaries]
        self.assertEqual(validations, sorted(validations, reverse=True))
        for row in summaries:
            of = [run for run in rows if all(run[name] == row[name]
                                             for name in ("backbone", "learning-rate"))]
            values = [float(run[f"test {METRIC}"]) for run in of]
            self.assertAlmostEqual(float(row["test mean"]), statistics.mean(values), places=12)
            self.assertAlmostEqual(float(row["test sd"]), statistics.stdev(values), places=12)
            # Two values: t = 12.7062, and sd / sqrt(2) is half their distance.
            half = 12.7062047 * abs(values[0] - values[1]) / 2
            self.assertAlmostEqual(float(row["test 95 % high"]) - float(row["test mean"]), half,
                                   places=6)
            self.assertEqual(float(row["chance"]), 0.25)
            shown = f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
            for report in (text, self.read("out", "sweep.md").decode()):
                self.assertIn(shown, report)
        script = self.read("out", "sweep.gp").decode()
        self.assertIn("'backbone=rnn,learning-rate=0.001'", script)
        self.assertIn("chance: 25.0 %", script)
        if HAS_GNUPLOT:
            self.assertIn("attention", self.read("out", "sweep.svg").decode())
        log = self.read("out", names[0], "train.log").decode()
        self.assertRegex(log, r"\A\$ trainer train --backbone=rnn .*--seed=0 ")

    def test_jobs_and_a_second_time_give_the_same(self):
        self.sweep("one", FIXED + GRID, "--jobs", "1")
        self.sweep("two", FIXED + GRID, "--jobs", "2", "--quiet")
        self.succeed("sweep", "--config", "one/sweep.ini", "--out", "three", "--quiet")
        for other in ("two", "three"):
            self.assertEqual(self.checkpoints("one"), self.checkpoints(other))
            self.assertEqual(self.read("one", "sweep.md"), self.read(other, "sweep.md"))
            self.assertEqual(self.read("one", "sweep.ini"), self.read(other, "sweep.ini"))

    def test_draws(self):
        text = (FIXED.replace("layers = 1\n", "").replace("batch = 4\n", "") +
                "backbone = rnn\n[random]\nlearning-rate = log-uniform 1e-4 1e-2\n"
                "dropout = uniform 0 0.3\nlayers = integer 1 3\nbatch = choice 2, 4\ntrials = 4\n"
                "sweep-seed = 5\n")
        self.sweep("a", text)
        self.sweep("b", text)
        self.sweep("c", text.replace("sweep-seed = 5", "sweep-seed = 6"))
        runs = [[row["run"] for row in self.rows(out, "sweep.csv")] for out in "abc"]
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])
        for number, row in enumerate(self.rows("a", "sweep.csv")):
            self.assertEqual(int(row["trial"]), number)
            self.assertTrue(1e-4 <= float(row["learning-rate"]) <= 1e-2, row)
            self.assertTrue(0 <= float(row["dropout"]) <= 0.3, row)
            self.assertIn(int(row["layers"]), (1, 2, 3))
            self.assertIn(int(row["batch"]), (2, 4))
            settings = self.summary(f"a/{row['run']}")["configuration"]
            for name in ("learning-rate", "dropout", "layers", "batch"):
                self.assertEqual(settings[name], row[name])
        self.assertEqual(len({row["learning-rate"] for row in self.rows("a", "sweep.csv")}), 4)
        self.assertEqual(runs[0][0], DRAWN)

    def test_trials_are_the_same_for_every_point_of_the_grid(self):
        self.sweep("out", FIXED + "[grid]\nbackbone = rnn, attention\n"
                   "[random]\nlearning-rate = log-uniform 1e-4 1e-2\ntrials = 3\n")
        rows = self.rows("out", "sweep.csv")
        rates = {backbone: [row["learning-rate"] for row in rows if row["backbone"] == backbone]
                 for backbone in ("rnn", "attention")}
        self.assertEqual(rates["rnn"], rates["attention"])
        self.assertEqual(len(rates["rnn"]), 3)

    def test_settings_on_the_command_line(self):
        settings = options({**TINY, "backbone": "hopfield", "steps": 2})
        position = settings.index("--seed")
        del settings[position:position + 2]
        self.succeed("sweep", *settings, "--seeds", "4,7", "--out", "out")
        self.assertEqual([row["run"] for row in self.rows("out", "sweep.csv")],
                         ["seed=4", "seed=7"])
        self.write("file.ini", FIXED + "backbone = rnn\nseeds = 3\n")
        self.succeed("sweep", "--config", "file.ini", "--steps", "3", "--seeds", "1", "--out", "two")
        self.assertEqual(os.path.isdir(self.path("two", "seed=0")), True)
        self.assertEqual(self.summary("two/seed=0")["steps"], 3)
        self.assertEqual(len(self.rows("two", "sweep.csv")), 1)

    def test_every_setting_can_vary(self):
        help_text = self.succeed("train", "--help")
        names = set(re.findall(r"^  --([a-z0-9-]+) ", help_text.split("Task:")[1], re.M))
        values = {"backbone": "attention, rnn", "length": "6, 8", "vocabulary": "6, 7",
                  "heads": "2, 4", "learned-beta": "layer, head", "positions": "rotary, none",
                  "causal": "yes, no", "nesterov": "yes, no", "tie-weights": "yes, no",
                  "recompute": "yes, no", "schedule": "linear, cosine", "dtype": "f32, f64",
                  "optimizer": "sgd, adam", "beta": "auto, 2", "threads": "1, auto",
                  "warmup": "0, 1", "width": "8, 16"}
        values.update({"alpha": "1.2, 2", "learned-alpha": "yes, no", "degree": "2, 5",
                       "window": "none, 2", "top-k": "all, 2", "top-fraction": "all, 0.5",
                       "random-keep": "0.5, 1", "random-grain": "tile, block",
                       "random-draw": "fixed, training", "normalise": "support, all",
                       "orthogonal": "yes, no", "feature-map": "positive, relu",
                       "device": "cpu, simt", "precision": "f32, bf16",
                       "step-graph": "off, auto"})
        for name in ("dropout", "momentum", "final-fraction", "label-smoothing", "beta1", "beta2",
                     "weight-decay", "clip", "learning-rate", "tolerance", "weight-dropout"):
            values[name] = "0.1, 0.2"
        # What has an effect with these settings only.
        needs = {"momentum": {"optimizer": "sgd"}, "nesterov": {"optimizer": "sgd"},
                 "alpha": {"backbone": "entmax-hopfield", "learned-alpha": "no"},
                 "learned-alpha": {"backbone": "entmax-hopfield"},
                 "degree": {"backbone": "polynomial-hopfield"}, "tolerance": {"update-steps": 3},
                 "dilation": {"window": 2}, "global-tokens": {"window": 2},
                 "random-grain": {"random-keep": 0.5}, "random-draw": {"random-keep": 0.5},
                 "normalise": {"causal": "no", "window": 2}, "pairs": {"task": "recall"}}
        for name in ("features", "orthogonal", "redraw-every", "feature-map"):
            needs[name] = {"backbone": "random-feature-attention"}
        base = {"task": "copying", "backbone": "attention", "length": 8, "vocabulary": 6, "width": 8,
                "layers": 1, "batch": 4, "steps": 1, "eval-examples": 4, "test-examples": 4}
        self.assertLessEqual(set(values), names)
        self.write("some text", "some text of twenty-one\n" * 100)
        text_base = {**base, "task": "text", "data": "some text"}
        del text_base["vocabulary"]
        values.update({"tokenizer": "bytes, characters"})
        of_text = {"stride", "eval-stride", "tokenizer"}
        # Paths vary in the next test; a digest belongs to one text; cuDNN needs a GPU.
        elsewhere = {"task", "data", "validation-data", "test-data", "data-digest", "seed",
                     "recurrence"}
        for name in sorted(names - elsewhere):
            with self.subTest(name):
                fixed = {**(text_base if name in of_text else base)}
                fixed.pop(name, None)
                fixed.update(needs.get(name, {}))
                text = "".join(f"{key} = {value}\n" for key, value in fixed.items())
                self.sweep(name, f"{text}[grid]\n{name} = {values.get(name, '1, 2')}\n", "--quiet")
                rows = self.rows(name, "sweep.csv")
                self.assertEqual([row["status"] for row in rows], ["finished"] * 2)

    def test_data_can_vary(self):
        for name in ("a file", "b/file"):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            self.write(name, f"some text of {name} " * 100)
        self.sweep("out", "task = text\nbackbone = rnn\nwidth = 8\nlayers = 1\nsteps = 1\n"
                   "batch = 4\nlength = 8\n[grid]\ndata = a file, b/file\n")
        rows = self.rows("out", "sweep.csv")
        self.assertEqual([row["run"] for row in rows], ["data=a_file,seed=0", "data=b_file,seed=0"])
        self.assertEqual([row["data"] for row in rows], ["a file", "b/file"])
        self.assertEqual(self.summary("out/data=b_file,seed=0")["configuration"]["data"],
                         self.path("b/file"))

    def test_a_failing_run_stops_no_other(self):
        self.write("file.ini", FIXED + "warmup = 0\nbackbone = attention\nseeds = 2\n[grid]\n"
                   "learning-rate = 1e38, 1e-3\n")
        process = self.run_trainer("sweep", "--config", "file.ini", "--out", "out")
        self.assert_complains(process, 1, "2 of 4 runs failed", "trainer sweep --resume --out out")
        rows = self.rows("out", "sweep.csv")
        self.assertEqual([row["status"] for row in rows], ["failed"] * 2 + ["finished"] * 2)
        for row in rows[:2]:
            self.assertIn("smaller learning rate", row["reason"])
            self.assertEqual(row["test loss (nats)"], "")
        self.assertRegex(process.out, r"\d/4 FAILED    learning-rate=1e\+38,seed=0: .*learning rate")
        self.assertRegex(process.out, r"(?m)^1e\+38 +0 of 2 +- ")
        # They are tried again, the others are not.
        finished = self.path("out", rows[2]["run"], "summary.json")
        before = os.stat(finished).st_mtime_ns
        process = self.run_trainer("sweep", "--resume", "--out", "out")
        self.assert_complains(process, 1, "2 of 4 runs failed")
        self.assertEqual(os.stat(finished).st_mtime_ns, before)

    def test_on_a_terminal(self):
        self.write("file.ini", FIXED.replace("steps = 5", "steps = 1000") + GRID)
        master, slave = pty.openpty()
        process = subprocess.Popen([TRAINER, "sweep", "--config", "file.ini", "--out", "out"],
                                   cwd=self.folder, stdout=slave, stderr=subprocess.DEVNULL,
                                   env={**self.environment, "TERM": "xterm"})
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
            text += piece
        os.close(master)
        self.assertEqual(process.wait(), 0)
        self.assertRegex(text.decode(), r"\r(\[[#.]*\] )?\d/8 runs  \d running  0 failed")
        self.assertNotIn("finished  ", text.decode())

    def test_quiet_and_help(self):
        self.assertEqual(self.sweep("out", FIXED + "backbone = rnn\n", "--quiet"), "")
        text = self.succeed("sweep", "--help")
        for part in ("[grid]", "[random]", "log-uniform", "--jobs N", "--seeds N|A,B", "--resume",
                     "--overwrite", "--learning-rate X", "--config FILE"):
            self.assertIn(part, text)
        self.assertIn("sweep ", self.succeed("--help"))


class TrainSeeds(SweepCase):
    def test_train_with_seeds(self):
        self.train("single", seed=1)
        text = self.succeed("train", "--config", "single/config.ini", "--seeds", "2", "--out", "out")
        self.assertRegex(text, r"(?m)^attention +2 +\d\.\d+ ± \d\.\d+ ")
        self.assertEqual(self.read("out", "seed=1", "checkpoint.h5"),
                         self.read("single", "checkpoint.h5"))
        words = ["train", "--config", "single/config.ini", "--seeds", "2", "--out", "out"]
        self.assert_complains(self.run_trainer(*words), 1, "already holds a sweep", "--overwrite")
        self.succeed(*words, "--overwrite")
        shutil.rmtree(self.path("out", "seed=1"))
        self.succeed("train", "--resume", "--seeds", "2", "--out", "out", "--quiet")
        self.assertEqual(self.read("out", "seed=1", "checkpoint.h5"),
                         self.read("single", "checkpoint.h5"))
        process = self.run_trainer(*words, "--seed", "4")
        self.assert_complains(process, 2, "--seed and --seeds")


class Stopping(SweepCase):
    TEXT = (FIXED.replace("steps = 5", "steps = 2400") + "log-every = 100\neval-every = 600\n"
            "checkpoint-every = 200\ndropout = 0.1\nseeds = 2\n[grid]\nbackbone = rnn, attention\n")

    def start(self, out, *words):
        """A sweep in the background, as soon as the first run and the second have saved."""
        process = subprocess.Popen([TRAINER, "sweep", "--out", out, *words], cwd=self.folder,
                                   env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            if all(self.has_saved(out, f"backbone=rnn,seed={seed}") for seed in (0, 1)):
                return process
            time.sleep(0.005)
        self.fail("the first two runs never saved")

    def has_saved(self, out, run):
        return os.path.exists(self.path(out, run, "checkpoint.h5"))

    def finish(self, out):
        self.succeed("sweep", "--resume", "--out", out, "--jobs", "2")
        self.assertEqual([row["status"] for row in self.rows(out, "sweep.csv")], ["finished"] * 4)
        self.assertEqual(self.checkpoints(out), self.checkpoints("whole"))
        self.assertEqual(self.read(out, "sweep.md"), self.read("whole", "sweep.md"))

    def test_interrupted_or_killed_and_continued(self):
        self.sweep("whole", self.TEXT, "--quiet")
        words = ["--config", "sweep-file.ini", "--jobs", "2"]
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                process = self.start("out", *words)
                process.send_signal(number)
                error = process.communicate(timeout=60)[1].decode()
                self.assertEqual(process.returncode, 1)
                self.assertRegex(error, r"\Atrainer: interrupted; \d of 4 runs are finished; continue "
                                        r"with: trainer sweep --resume --out out\n\Z")
                rows = self.rows("out", "sweep.csv")
                self.assertIn("interrupted", [row["status"] for row in rows])
                for row in rows:
                    self.assertIn(row["status"], ("finished", "interrupted", "waiting"))
                    # One that has just been started may not hear the signal yet.
                    if row["status"] == "interrupted" and self.has_saved("out", row["run"]):
                        log = self.read("out", row["run"], "train.log").decode()
                        self.assertRegex(log, r"trainer: interrupted at step \d+;")
                self.finish("out")
        shutil.rmtree(self.path("out"))
        process = self.start("out", *words)
        process.kill()
        process.wait()
        # The runs were told that they are alone; the next sweep waits until they have saved.
        self.finish("out")

    def test_what_resume_refuses(self):
        self.sweep("out", FIXED + GRID, "--quiet")
        plan = self.read("out", "sweep.ini")

        def refuses(status, text, *parts, words=()):
            self.write("other.ini", text)
            process = self.run_trainer("sweep", "--resume", "--config", "other.ini", "--out", "out",
                                       *words)
            self.assert_complains(process, status, *parts)
            self.assertEqual(self.read("out", "sweep.ini"), plan)

        refuses(2, FIXED + GRID.replace("seeds = 2", "seeds = 3"), "12 runs", "out/sweep.ini has 8")
        refuses(2, FIXED + GRID.replace("3e-3", "4e-3"), "learning-rate=0.004", "=0.003")
        refuses(2, FIXED + GRID, "width = 16", "has 8", words=["--width", "16"])
        self.succeed("sweep", "--resume", "--config", "sweep-file.ini", "--threads", "2", "--out",
                     "out")
        process = self.run_trainer("sweep", "--config", "sweep-file.ini", "--out", "out")
        self.assert_complains(process, 1, "already holds a sweep")
        self.assert_complains(self.run_trainer("sweep", "--resume", "--out", "no"), 1, "no sweep")
        self.assertFalse(os.path.exists(self.path("no")))
        run = "backbone=rnn,learning-rate=0.001,seed=0"
        summary = self.read("out", run, "summary.json")
        self.write(f"out/{run}/summary.json", summary.replace(b'"width": "8"', b'"width": "9"'))
        process = self.run_trainer("sweep", "--resume", "--out", "out")
        self.assert_complains(process, 1, run, "width is 9, not 8")
        self.write("out/sweep.ini", b"[nonsense]\n")
        process = self.run_trainer("sweep", "--resume", "--out", "out")
        self.assert_complains(process, 1, "sweep.ini is damaged", "[nonsense]")

    def test_folders_of_others(self):
        self.train("run", "rnn")
        self.write("file.ini", FIXED + "backbone = rnn\n")
        process = self.run_trainer("sweep", "--config", "file.ini", "--out", "run")
        self.assert_complains(process, 1, "run", "single run")
        os.mkdir(self.path("out"))
        shutil.copytree(self.path("run"), self.path("out", "seed=0"))
        process = self.run_trainer("sweep", "--config", "file.ini", "--out", "out")
        self.assert_complains(process, 1, "out/seed=0", "already holds a run")
        self.assertFalse(os.path.exists(self.path("out", "sweep.ini")))


class Refusing(SweepCase):
    def refuses(self, text, *parts, words=(), status=2):
        """A mistake that is found before a folder is made."""
        with self.subTest(text[-40:]):
            self.write("file.ini", text)
            process = self.run_trainer("sweep", "--config", "file.ini", "--out", "out", *words)
            self.assert_complains(process, status, *parts)
            self.assertFalse(os.path.exists(self.path("out")))

    def test_mistakes_in_the_file(self):
        start = "task = copying\nbackbone = rnn\n"
        for text, line, *parts in [
            ("[gird]\n", 3, "[gird]", "[grid]"),
            ("[grid\n", 3, "[grid"),
            ("[]\n", 3, "[]"),
            ("[grid]\nwidth = 8\n[grid]\n", 5, "second time"),
            ("widht = 8\n", 3, "'widht'", "'width'"),
            ("[grid]\nwidht = 8\n", 4, "'widht'", "'width'"),
            ("[grid]\nwidth\n", 4, "name = value"),
            ("[grid]\nwidth = 8, x\n", 4, "width", "'x'"),
            ("[grid]\nwidth = 8,,9\n", 4, "width", "commas"),
            ("[grid]\nwidth =\n", 4, "width", "commas"),
            ("[grid]\nlearning-rate = 1e-3, 0.001\n", 4, "0.001 twice"),
            ("[grid]\nwidth = 8, 0\n", 4, "width", "between 1"),
            ("[grid]\nheads = 2, 4\n", 4, "heads would have no effect", "combination heads=2"),
            ("[grid]\nseed = 1, 2\n", 4, "seeds"),
            ("[grid]\nbackbone = rnn\n", 4, "second time, after line 2"),
            ("[grid]\nwidth = 8\n[random]\nwidth = integer 2 4\ntrials = 2\n", 6, "after line 4"),
            ("seed = 1\nseeds = 2\n", 4, "seed in line 3"),
            ("seeds = some\n", 3, "seeds", "'some'"),
            ("seeds = 0\n", 3, "seeds", "between 1"),
            ("seeds = 1, 1\n", 3, "seeds", "1 twice"),
            ("seeds = 1, -1\n", 3, "seeds", "'-1'"),
            ("width = eight\n", 3, "width", "'eight'"),
            ("[random]\nwidth = integer 8 16\n", 4, "trials = N"),
            ("[random]\ntrials = 2\n", 4, "no setting"),
            ("[random]\nwidth = integer 8 16\ntrials = none\n", 5, "trials", "'none'"),
            ("[random]\nwidth = integer 8 16\ntrails = 2\n", 5, "'trails'", "'trials'"),
            ("[random]\nwidth = integer 16 8\ntrials = 2\n", 4, "begin below its end"),
            ("[random]\nwidth = integer 8\ntrials = 2\n", 4, "two ends"),
            ("[random]\nwidth = integer 0 8\ntrials = 2\n", 4, "between 1"),
            ("[random]\nwidth = uniform 8 16\ntrials = 2\n", 4, "whole number", "integer A B"),
            ("[random]\nclip = unifrom 0 1\ntrials = 2\n", 4, "'uniform'"),
            ("[random]\nclip = uniform 0 inf\ntrials = 2\n", 4, "'inf'"),
            ("[random]\nclip = log-uniform 0 1\ntrials = 2\n", 4, "above 0"),
            ("[random]\nlearning-rate = uniform 0 1\ntrials = 2\n", 4, "above 0, not 0"),
            ("[random]\nwidth = choice 8, x\ntrials = 2\n", 4, "'x'"),
            ("[random]\nlayers = integer 1 2\ntrials = 3\n", 4, "no 3 different"),
        ]:
            self.refuses(start + text, f"file.ini:{line}: ", *parts)

    def test_what_shows_only_in_combination(self):
        self.refuses("task = copying\n[grid]\nbackbone = rnn, attention\nheads = 2\n",
                     "file.ini:4: heads", "combination backbone=rnn,heads=2")
        self.refuses("task = copying\nbackbone = attention\n[grid]\nwidth = 8\nheads = 2, 3\n",
                     "file.ini: ", "multiple of", "combination width=8,heads=3")
        self.refuses("task = copying\n", "--backbone is missing")
        self.refuses("task = text\nbackbone = rnn\n", "--data is missing")
        self.refuses("task = text\nbackbone = rnn\ndata = missing\n", "missing", status=1)
        self.refuses("task = copying\nbackbone = rnn\nseeds = 10000\n[grid]\nwidth = 8, 16\n",
                     "20000 runs", "at most 10000")

    def test_command_line(self):
        grid = FIXED.replace("width = 8\n", "") + "backbone = rnn\n[grid]\nwidth = 8, 16\n"
        self.refuses(grid, "--width", "file.ini:12: width varies it", words=["--width", "8"])
        self.refuses(grid, "--seed and --seeds", words=["--seed", "1", "--seeds", "2"])
        self.refuses(grid, "--jobs", "between 1", words=["--jobs", "0"])
        self.refuses(grid, "--seeds", "'x'", words=["--seeds", "x"])
        self.refuses(grid, "exclude", words=["--resume", "--overwrite"])
        self.assert_complains(self.run_trainer("sweep"), 2, "--out is missing")
        self.assert_complains(self.run_trainer("sweep", "--config", "no", "--out", "out"), 1,
                              "--config no")
        self.assert_complains(self.run_trainer("sweep", "--jbos", "2"), 2, "'--jbos'", "'--jobs'")
        threads = FIXED.replace("threads = 1\n", "") + "backbone = rnn\n[grid]\nthreads = 1, 1000\n"
        self.refuses(threads, "--jobs 2", "1000 threads", words=["--jobs", "2"])


if __name__ == "__main__":
    unittest.main()
