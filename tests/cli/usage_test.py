"""Wrong usage: exit status 2, one line that names the mistake and what may have been meant, and
nothing written."""

import os
import subprocess
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

RNN = {**TINY, "backbone": "rnn"}
ATTENTION = {**TINY, "backbone": "attention"}


class Usage(TrainerCase):
    def refuses(self, words, *parts):
        self.assert_complains(self.run_trainer(*words), 2, *parts)
        self.assertEqual(os.listdir(self.folder), [])

    def refuses_settings(self, settings, *parts):
        self.refuses(["train", *options(settings), "--out", "run"], *parts)

    def test_commands(self):
        self.refuses([], "command", "--help")
        self.refuses(["trian"], "'trian'", "'train'")
        self.refuses(["--hepl"], "'--hepl'", "'--help'")
        self.refuses([""], "''")
        self.refuses(["list", "backbone"], "'backbone'", "'backbones'")
        self.refuses(["list", "tasks", "tasks"], "one topic")

    def test_unknown_options_name_the_nearest(self):
        for command, wrong, nearest in [
            ("train", "--stepz", "--steps"),
            ("train", "--lenght", "--length"),
            ("train", "--learning", "--learning-rate"),
            ("train", "--heds=4", "--heads"),
            ("evaluate", "--checkpiont", "--checkpoint"),
            ("compare", "--nmae", "--name"),
            ("list", "--hlep", "--help"),
        ]:
            with self.subTest(wrong):
                self.refuses([command, wrong, "4"], f"'{wrong.split('=')[0]}'", f"'{nearest}'")

    def test_abbreviations_are_no_options(self):
        self.refuses_settings({**RNN, "step": 3}, "'--step'", "'--steps'")

    def test_incomplete_options(self):
        self.refuses(["train", "--out"], "--out needs a value")
        self.refuses(["train", "--out", "run", "--out", "run"], "--out", "more than once")
        self.refuses(["train", *options(RNN), "--seed", "4", "--out", "run"], "--seed", "once")
        self.refuses(["train", *options(RNN), "--quiet=yes", "--out", "run"], "--quiet", "no value")
        self.refuses(["train", *options(RNN), "--out", ""], "--out")
        self.refuses(["train", *options(RNN), "--out", "run", "more"], "'more'")

    def test_what_is_required(self):
        for name in ("task", "backbone"):
            with self.subTest(name):
                self.refuses_settings({k: v for k, v in RNN.items() if k != name}, f"--{name}")
        self.refuses(["train", *options(RNN)], "--out is missing")
        self.refuses_settings({"task": "text", "backbone": "rnn"}, "--data is missing")
        self.refuses(["evaluate"], "--checkpoint is missing")
        self.refuses(["compare", "run"], "--out is missing")
        self.refuses(["compare", "--out", "table"], "folders of the runs")

    def test_unknown_names(self):
        for name, wrong, nearest in [
            ("task", "copyng", "copying"),
            ("backbone", "hopfeild", "hopfield"),
            ("backbone", "linear_attention", "linear-attention"),
            ("positions", "learnt", "learned"),
            ("learned-beta", "heads", "head"),
            ("schedule", "cosin", "cosine"),
            ("causal", "yess", "yes"),
            ("dtype", "f46", "f64"),
        ]:
            with self.subTest(name):
                self.refuses_settings({**ATTENTION, name: wrong}, f"--{name}", f"'{wrong}'",
                                      f"'{nearest}'")
        self.refuses(["evaluate", "--checkpoint", "x", "--split", "tset"], "'tset'", "'test'")

    def test_numbers(self):
        for name, wrong in [
            ("steps", "many"), ("steps", "1e3"), ("steps", "10x"), ("steps", ""), ("steps", "0"),
            ("steps", "-1"), ("steps", "99999999999999999999"), ("steps", "3.5"), ("seed", "-1"),
            ("seed", "18446744073709551616"), ("width", "0"), ("heads", "0"), ("layers", "0"),
            ("length", "0"), ("batch", "0"), ("threads", "0"), ("threads", "9999"),
            ("log-every", "0"), ("dropout", "1"), ("dropout", "-0.1"), ("dropout", "nan"),
            ("learning-rate", "0"), ("learning-rate", "inf"), ("learning-rate", "1e999"),
            ("learning-rate", "0.1.2"), ("final-fraction", "1.5"), ("weight-decay", "-1"),
            ("clip", "-1"), ("beta1", "1"), ("beta2", "1"), ("beta", "0"), ("beta", "x"),
            ("update-steps", "0"),
        ]:
            with self.subTest(f"{name} {wrong}"):
                self.refuses_settings({**ATTENTION, name: wrong}, f"--{name}", wrong)

    def test_options_without_effect(self):
        for settings, name, reason in [
            ({**RNN, "heads": 2}, "heads", "'rnn'"),
            ({**RNN, "beta": 2}, "beta", "'rnn'"),
            ({**RNN, "learned-beta": "head"}, "learned-beta", "'rnn'"),
            ({**RNN, "update-steps": 1}, "update-steps", "'rnn'"),
            ({**RNN, "causal": "yes"}, "causal", "'rnn'"),
            ({**TINY, "backbone": "linear-attention", "beta": 1}, "beta", "'linear-attention'"),
            ({**RNN, "data": "file"}, "data", "'copying'"),
            ({**RNN, "pairs": 2}, "pairs", "'copying'"),
            ({**RNN, "schedule": "constant", "final-fraction": 0.1}, "final-fraction", "constant"),
            ({**RNN, "momentum": 0.9}, "momentum", "sgd"),
            ({**RNN, "optimizer": "sgd", "beta1": 0.9}, "beta1", "sgd"),
            ({"task": "text", "backbone": "rnn", "data": "f", "vocabulary": 256}, "vocabulary",
             "'text'"),
        ]:
            with self.subTest(f"{name} {reason}"):
                self.refuses_settings(settings, f"--{name} would have no effect", reason)

    def test_contradictions(self):
        self.refuses_settings({**ATTENTION, "warmup": 7}, "--warmup 7", "--steps 6")
        self.refuses_settings({**ATTENTION, "heads": 3}, "heads 3", "width 8")
        self.refuses_settings({**ATTENTION, "length": 7}, "even", "7")
        self.refuses_settings({**ATTENTION, "vocabulary": 3}, "vocabulary", "3")
        self.refuses_settings({**ATTENTION, "task": "recall", "length": 13, "pairs": 5}, "4 pairs", "5")
        self.refuses_settings({**ATTENTION, "batch": 200000}, "batch", "200000", "100000")
        self.refuses_settings({**ATTENTION, "micro-batch": 3}, "3", "4")
        self.refuses_settings({**RNN, "positions": "rotary"}, "rotary", "rnn")
        self.refuses_settings({**ATTENTION, "batch": 1000000, "length": 1000}, "--batch", "--length")
        self.refuses(["train", *options(RNN), "--out", "run", "--resume", "--overwrite"], "--resume",
                     "--overwrite")
        self.refuses(["compare", "run", "--out", "table", "--name", "a/b"], "--name a/b")

    def test_a_text_model_may_not_look_ahead(self):
        data = self.write("data", "abcdefgh" * 100)
        settings = {"task": "text", "data": data, "backbone": "attention", "causal": "no"}
        process = self.run_trainer("train", *options(settings), "--out", "run")
        self.assert_complains(process, 2, "--causal no", "'text'")
        self.assertFalse(os.path.exists(self.path("run")))

    def test_environment(self):
        self.environment["BASIN_THREADS"] = "some"
        self.refuses_settings({k: v for k, v in RNN.items() if k != "threads"}, "BASIN_THREADS",
                              "'some'")


class ConfigurationFiles(TrainerCase):
    def refuses(self, text, *parts):
        self.write("a.ini", text)
        process = self.run_trainer("train", "--config", "a.ini", "--out", "run")
        self.assert_complains(process, 2, *parts)
        self.assertEqual(os.listdir(self.folder), ["a.ini"])

    def test_unknown_and_repeated_names(self):
        self.refuses("task = copying\n\nwidht = 8\n", "a.ini:3", "'widht'", "'width'")
        self.refuses("out = run\n", "a.ini:1", "'out'")
        self.refuses("width = 8\n# again\nwidth = 8\n", "a.ini:3: width", "second time")

    def test_values_name_the_file(self):
        good = "task = copying\nbackbone = rnn\n"
        self.refuses(good + "width = wide\n", "a.ini:3: width", "'wide'")
        self.refuses(good + "heads = 4\n", "a.ini:3: heads", "no effect")
        self.refuses("task = copy\nbackbone = rnn\n", "a.ini:1: task", "'copying'")

    def test_lines_that_say_nothing(self):
        self.refuses("[model]\n", "a.ini:1", "name = value")
        self.refuses('data = "abc\n', "a.ini:1", "quote")
        self.refuses('data = "a" b\n', "a.ini:1", "quote")
        self.refuses('data = "a\\q"\n', "a.ini:1", "backslash")
        self.refuses("task\0 = copying\n", "a.ini:1")

    def test_a_file_that_is_not_there(self):
        process = self.run_trainer("train", "--config", "b.ini", "--out", "run")
        self.assert_complains(process, 1, "b.ini")
        self.assert_complains(self.run_trainer("train", "--config", ".", "--out", "run"), 1, "--config")

    def test_the_command_line_goes_first(self):
        self.write("a.ini", "; a comment\n  task=copying \n backbone = rnn\nsteps = 2\nlength = 8\n"
                            "width = 8\neval-examples = 4\ntest-examples = 4\nseed = 7\n")
        self.succeed("train", "--config", "a.ini", "--steps", 1, "--out", "run")
        self.assertEqual(self.summary("run")["steps"], 1)
        self.assertEqual(self.summary("run")["seed"], 7)


class Help(TrainerCase):
    def test_help_lists_every_command_and_option(self):
        overview = self.succeed("--help")
        for command in ("train", "evaluate", "compare", "sweep", "list"):
            self.assertIn(command, overview)
            self.assertIn("--help", self.succeed(command, "--help"))
            self.assertEqual(self.succeed(command, "-h"), self.succeed(command, "--help"))
        text = self.succeed("train", "--help")
        for name in (*TINY, "backbone", "data", "beta", "update-steps", "out", "resume", "overwrite",
                     "config"):
            self.assertIn(f"--{name} ", text)

    def test_version(self):
        self.assertRegex(self.succeed("--version"), r"\d+\.\d+\.\d+")

    def test_list(self):
        everything = self.succeed("list")
        for name in ("copying", "recall", "text", "rnn", "attention", "hopfield",
                     "linear-attention", "cpu", "cuda"):
            self.assertIn(name, everything)
        self.assertIn("simt", self.succeed("list", "devices"))
        mechanisms = self.succeed("list", "mechanisms")
        for name in ("sparsemax", "entmax", "top-k", "window", "random mask", "L M D"):
            self.assertIn(name, mechanisms)
        self.assertNotIn("copying", self.succeed("list", "backbones"))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            process = subprocess.run([TRAINER, "list"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(process.stderr, b"trainer: standard output cannot be written\n")


if __name__ == "__main__":
    unittest.main()
