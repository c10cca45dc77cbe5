"""tools/opponents: its arithmetic, its turns, and what it says where something is missing. No speed
is asserted."""

import importlib.util
import json
import os
import subprocess
import sys
import types
import unittest
from unittest import mock

from profile_kernels_case import PROGRAM, ROOT, ProfileKernelsCase

FOLDER = os.path.join(ROOT, "tools", "opponents")
sys.path.insert(0, FOLDER)

# pylint: disable=wrong-import-position
import cpu
import gpu_problems
import growth
import mechanism_page
import mechanisms
import page
import problems
import ratios
import references
import rounds
import tables
from ours import Ours, OursFailed


class OpponentsCase(ProfileKernelsCase):
    def script(self, name, *words, **environment):
        return subprocess.run([sys.executable, "-B", os.path.join(FOLDER, name), *words],
                              cwd=self.folder, env={**os.environ, **environment}, text=True,
                              capture_output=True, timeout=300)


class Ratios(unittest.TestCase):
    def test_quantiles_are_interpolated(self):
        self.assertEqual(ratios.quantile([3, 1, 2], 0.5), 2)
        self.assertEqual(ratios.quantile([1, 2], 0.5), 1.5)
        self.assertAlmostEqual(ratios.quantile(list(range(11)), 0.1), 1)
        self.assertAlmostEqual(ratios.quantile(list(range(11)), 0.9), 9)
        self.assertEqual(ratios.spread([7]), {"median": 7, "p10": 7, "p90": 7})

    def test_the_ratio_is_taken_within_each_round(self):
        # The machine is three times slower in the last rounds: for both.
        found = ratios.ratio([2, 2, 6, 6, 6], [1, 1, 3, 3, 2])
        self.assertEqual(found["median"], 2)
        self.assertAlmostEqual(found["p90"], 2.6)
        # The ratio of the medians would be 6 / 2 = 3.
        self.assertNotEqual(found["median"], ratios.quantile([2, 2, 6, 6, 6], 0.5) /
                            ratios.quantile([1, 1, 3, 3, 2], 0.5))

    def test_rounds_must_belong_together(self):
        with self.assertRaises(ValueError):
            ratios.ratio([1, 2], [1])
        with self.assertRaises(ValueError):
            ratios.ratio([], [])


class Turns(unittest.TestCase):
    def turns(self, number, least, seconds, takes=1.0):
        now = [0.0]
        order = []

        def contestant(name):
            def call():
                order.append(name)
                now[0] += takes
                return takes
            return call

        found = rounds.take_turns({name: contestant(name) for name in "abc"}, number, least, seconds,
                                  clock=lambda: now[0], sleep=lambda _: None)
        return found, "".join(order)

    def test_the_order_changes_and_nobody_is_left_out(self):
        found, order = self.turns(3, 1, 1e9)
        self.assertEqual(order, "abcbcacab")
        self.assertEqual(found, {name: [1.0] * 3 for name in "abc"})

    def test_time_ends_it_after_the_least_rounds(self):
        self.assertEqual(len(self.turns(100, 2, 10)[0]["a"]), 4)
        self.assertEqual(len(self.turns(100, 7, 10)[0]["a"]), 7)
        self.assertEqual(len(self.turns(5, 7, 10)[0]["a"]), 5)

    def test_short_calls_are_repeated(self):
        now, calls = [0.0], [0]

        def call():
            calls[0] += 1
            now[0] += 0.25

        contestant = rounds.repeated(call, 2.0, clock=lambda: now[0])
        before = calls[0]
        self.assertEqual(contestant(), 0.25)
        self.assertGreaterEqual(calls[0] - before, 8)


class Problems(unittest.TestCase):
    def test_names_differ_and_choose(self):
        everything = problems.all_problems()
        names = [p.name for p in everything]
        self.assertEqual(len(names), len(set(names)))
        for subject in ["attention", "linear_attention", "layer_norm", "softmax", "gelu", "gemm",
                        "cross_entropy", "linear_cross_entropy", "adamw", "embedding", "rnn", "lstm",
                        "gru", "linear", "linear_gelu", "add_layer_norm", "step hopfield"]:
            self.assertTrue(problems.chosen(everything, [subject], []), subject)
        steps = problems.chosen(everything, ["step"], ["length=2048"])
        self.assertEqual(len(steps), 4)
        self.assertEqual(len(problems.all_problems(quick=True)), len(names))


    def test_problems_of_a_gpu(self):
        everything = gpu_problems.gpu_problems()
        names = [p.name for p in everything]
        self.assertEqual(len(names), len(set(names)))
        # The executor stands in for all but cuDNN's recurrences.
        rehearsed = [name for name in names if "recurrence=cudnn" not in name]
        self.assertEqual(len(gpu_problems.gpu_problems(quick=True)), len(rehearsed))
        self.assertLess(len(rehearsed), len(names))
        for subject in ["attention fwd+bwd bf16", "attention fwd tf32", "window=512", "top=20",
                        "separation=sparsemax", "separation=random_features", "rnn fwd", "linear_cross_entropy", "adamw",
                        "separation=entmax15", "steps=5", "keep=10", "linear_attention fwd",
                        "step hopfield bf16", "step attention tf32"]:
            self.assertTrue(problems.chosen(everything, [subject], []), subject)
        # Goals come first, and of steps one length.
        self.assertIsNotNone(everything[0].must)
        ranks = [gpu_problems.importance(p) for p in everything]
        self.assertEqual(ranks, sorted(ranks))
        self.assertEqual({p.sizes["length"] for p in everything
                          if p.kind == "step" and gpu_problems.importance(p) == 1}, {2048})
        bf16 = problems.chosen(everything, ["step attention bf16"], [])[0]
        self.assertEqual(bf16.command()[-2:], ["--precision", "bf16"])


class OurProgram(OpponentsCase):
    def test_rounds_until_it_is_closed(self):
        with Ours(PROGRAM, ["time", "fill", "--shape", "n=10", "--min-time", "0.1"], 1) as ours:
            self.assertEqual(ours.ready["kernel"], "fill")
            self.assertGreater(ours.round(), 0)
            self.assertEqual(ours.last["seconds"] > 0, True)
        self.assertEqual(ours.process.returncode, 0)

    def test_what_it_complains_about_is_told(self):
        with self.assertRaisesRegex(OursFailed, "exit status 2: .*no kernel 'fil'"):
            Ours(PROGRAM, ["time", "fil"], 1)

    def test_every_problem_is_one_it_knows(self):
        for problem in problems.all_problems(quick=True):
            words = [] if problem.kind == "step" else ["--min-time", "0.01"]
            with Ours(PROGRAM, problem.command() + words, 1) as ours:
                self.assertGreater(ours.round(), 0, problem.name)

    def test_every_problem_of_a_gpu_is_one_it_knows(self):
        for problem in gpu_problems.gpu_problems(quick=True):
            if problem.kind != "step":
                with Ours(PROGRAM, problem.command() + ["--min-time", "0.01"], 1, "simt") as ours:
                    self.assertGreater(ours.round(), 0, problem.name)

    def test_growth(self):
        found = growth.measure(PROGRAM, 1, 2, lambda _: None, {"attention": [16, 32]},
                               {"batch": 1, "length": 16, "vocabulary": 20, "width": 8})
        rows = list(growth.operation_lines(found))
        self.assertEqual([row[:2] for row in rows], [["attention", "16"], ["attention", "32"]])
        self.assertEqual(rows[0][3], "")
        self.assertGreater(float(rows[1][5]), 1)
        self.assertEqual([row[0] for row in growth.step_lines(found)], problems.STEP_KINDS)
        self.assertTrue(all(row[-1] == "1200 met" for row in growth.step_lines(found)))
        found["steps"][0]["rows"][0]["peak_resident_bytes"] = 1.3e9
        self.assertIn("1200 MISSED", next(growth.step_lines(found)))


class LentCard(OpponentsCase):
    """What is measured when time is short, with a PyTorch and measurements that only pretend."""

    def measured(self, *words):
        """The names in the file after a run of three problems, and those that were measured in it."""
        arguments = cpu.parser().parse_args(["--program", PROGRAM, "--json", self.path("all.json"), *words])
        nothing = lambda *_: None
        torch = types.SimpleNamespace(
            __version__="t", set_num_threads=nothing, manual_seed=nothing,
            compiler=types.SimpleNamespace(reset=nothing),
            backends=types.SimpleNamespace(cpu=types.SimpleNamespace(get_cpu_capability=lambda: "i")))
        chosen = problems.chosen(problems.all_problems(quick=True),
                                 ["layer_norm fwd rows", "softmax fwd rows", "embedding fwd tokens"],
                                 ["add"])
        now = []

        def compare(_torch, _place, _program, problem, _arguments, _tell):
            now.append(problem.name)
            return {"name": problem.name}

        with mock.patch("comparison.compare", compare), mock.patch("sys.stderr"):
            document = cpu.run(torch, arguments, chosen)
        with open(self.path("all.json"), encoding="utf-8") as file:
            written = json.load(file)
        self.assertEqual(written["rows"], document["rows"])
        return [row["name"] for row in document["rows"]], now, document["left_out"]

    def test_more_goes_on_where_the_time_was_up(self):
        rows, now, left_out = self.measured()
        self.assertEqual((len(rows), rows, left_out), (3, now, []))
        with open(self.path("all.json"), encoding="utf-8") as file:
            document = json.load(file)
        document["rows"] = document["rows"][:1]
        with open(self.path("all.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        self.assertEqual(self.measured("--more", "--minutes", "0"), (rows[:1], [], rows[1:]))
        self.assertEqual(self.measured("--more"), (rows, rows[1:], []))

    def test_rows_of_other_circumstances_are_refused(self):
        self.measured()
        with self.assertRaises(SystemExit):
            self.measured("--more", "--threads", "2")


class Usage(OpponentsCase):
    def absent_torch(self):
        os.mkdir(self.path("absent"))
        with open(self.path("absent/torch.py"), "w") as file:
            file.write("raise ImportError('no torch here')\n")
        return self.path("absent")

    def test_help(self):
        for name in ["cpu.py", "gpu.py", "page.py", "mechanisms.py"]:
            process = self.script(name, "--help")
            self.assertEqual(process.returncode, 0)
            self.assertIn("--rounds", process.stdout)

    def test_without_torch_it_is_skipped(self):
        process = self.script("cpu.py", "--program", PROGRAM, PYTHONPATH=self.absent_torch())
        self.assertEqual(process.returncode, 77, process.stderr)
        self.assertEqual(process.stderr.count("\n"), 1)
        self.assertIn("needs PyTorch: no torch here", process.stderr)
        self.assertEqual(process.stdout, "")
        process = self.script("gpu.py", "--program", PROGRAM, PYTHONPATH=self.path("absent"))
        self.assertEqual(process.returncode, 77, process.stderr)
        self.assertTrue(process.stderr.startswith("gpu.py: skipped"), process.stderr)
        process = self.script("page.py", "--measure", "--program", PROGRAM, "--folder",
                              self.path("page"), PYTHONPATH=self.path("absent"))
        self.assertEqual(process.returncode, 77, process.stderr)

    def test_wrong_usage(self):
        for words, part in [(["--program", "absent"], "absent is no program"),
                            (["--only", "nothing like it"], "--list shows them"),
                            (["--more"], "--json says which"),
                            (["--threads", "0"], "0 is not at least 1")]:
            process = self.script("cpu.py", *words)
            self.assertEqual(process.returncode, 2, process.stderr)
            self.assertIn(part, process.stderr)

    def test_a_problem_that_ours_cannot_do_spoils_no_other(self):
        document = {"rows": [], "failed": {"p": "exit status 1: no memory"}, "left_out": ["q"]}
        self.assertEqual(list(tables.skipped_lines(document)),
                         ["p: ours failed: exit status 1: no memory",
                          "q: not measured, the time was up"])

    def test_list(self):
        process = self.script("cpu.py", "--list", "--only", "gemm")
        self.assertEqual(process.stdout, "gemm m=1024,n=1024,k=1024\n")

    def test_page_without_measurements(self):
        process = self.script("page.py", "--folder", self.folder)
        self.assertEqual(process.returncode, 1)
        self.assertIn("threads_1.json", process.stderr)
        self.assertIn("--measure", process.stderr)

    def test_the_page_is_the_one_of_its_measurements(self):
        with open(os.path.join(page.FOLDER, "cpu.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), page.page(page.FOLDER))


def spread(value):
    return {"median": value, "p10": value, "p90": value}


class Tables(unittest.TestCase):
    def row(self, theirs, must=1.2, agrees=True):
        return {"name": "p", "rounds": 3, "must": must, "skipped": {"compiled": "no compiler"},
                "ours": {"seconds": spread(1e-3), "self_ratio": spread(1)},
                "opponents": [{"label": str(n), "seconds": spread(ratio * 1e-3),
                               "ratio": spread(ratio), "agrees": agrees}
                              for n, ratio in enumerate(theirs)]}

    def test_the_fastest_opponent_decides_about_the_goal(self):
        self.assertEqual(tables.goal_text(self.row([1.5, 3])), "1.2 met")
        self.assertEqual(tables.goal_text(self.row([1.1, 3])), "1.2 MISSED")
        self.assertEqual(tables.goal_text(self.row([])), "")

    def test_lines(self):
        line, = tables.lines({"rows": [self.row([1.5])]})
        self.assertEqual(line, ["p", "0", "1", "1.5", "1.50", "1.50-1.50", "1.00-1.00", "1.2 met",
                                "3"])
        line, = tables.lines({"rows": [self.row([1.5], agrees=False)]})
        self.assertEqual(line[4], "DIFFERENT RESULTS")
        self.assertEqual(list(tables.skipped_lines({"rows": [self.row([])]})),
                         ["p: compiled skipped: no compiler"])

    def test_a_busy_machine_is_told(self):
        document = {"machine": {"cores": 2}, "load_before": [0.3, 9, 9], "load_after": [2.1, 9, 9]}
        self.assertEqual(tables.busy_warning(document), "")
        document["load_after"] = [4.0, 0, 0]
        self.assertIn("load 4.0 on 2 cores", tables.busy_warning(document))

    def test_verdicts_name_what_is_missed(self):
        text = page.verdicts({"rows": [self.row([1.5]), self.row([0.8])]})
        self.assertIn("1 of 2 goals are met. Missed: p.", text)
        self.assertIn("Slower than PyTorch: p (0: 0.80).", text)

    def test_files_are_whole(self):
        self.assertEqual(tables.markdown(["a", "b"], [["1", "2"]]),
                         "| a | b |\n| --- | --- |\n| 1 | 2 |\n")


def mechanism_document(section, rows):
    circumstances = {"date": "2026-01-02T03:04:05Z", "machine": {"processor": "p", "cores": 2,
                                                                 "isa": "avx2"},
                     "build": {"version": "1", "commit": "abc", "compiler": "c", "flags": "f"},
                     "isa": "avx2", "threads": 1, "torch": "t", "python": "3", "torch_isa": "i",
                     "load_before": [0, 0, 0], "load_after": [0, 0, 0]}
    return {**circumstances, "section": section, "rows": rows}


def mechanism_row(label, seconds, length=64, backward=False, peak=100):
    return {"label": label, "length": length, "backward": backward, "seconds": seconds,
            "peak_bytes": peak, "differences": {"out": 1e-7}}


class MechanismPage(OpponentsCase):
    def test_goals_are_judged_by_ratios_within_rounds(self):
        found = {"sparse_forward": mechanism_document("sparse_forward", [
            mechanism_row("dense", [2, 4, 2]), mechanism_row("dense again", [2, 4, 2]),
            mechanism_row("sparsemax", [1, 2, 1]), mechanism_row("entmax-1.5", [2, 4, 2])])}
        lines = mechanism_page.goals_of(found).lines
        self.assertEqual([line[1] for line in lines], ["2.00", "1.00"])
        self.assertEqual(lines[0][3], "met")
        self.assertTrue(lines[1][3].startswith("MISSED; next: "))
        text = mechanism_page.page(found)
        self.assertIn("1 of 2 goals are met.", text)
        self.assertIn("| fwd | 64 | sparsemax | 1000 | 2.00 | 2.00-2.00 | 1.0e-07 | 3 |", text)

    def test_growth_is_that_of_a_doubling(self):
        rows = [mechanism_row("linear", [seconds], length, True, peak)
                for seconds, length, peak in [(1, 64, 10), (2, 128, 20), (9, 256, 40)]]
        lines = mechanism_page.goals_of({"linear": mechanism_document("linear", rows)}).lines
        self.assertEqual([line[1] for line in lines], ["3.00", "2.00"])
        self.assertTrue(lines[0][3].startswith("MISSED"))
        self.assertIn("| linear | 256 | 9000 | 4.50 | 4e-05 | 2.00 |",
                      mechanism_page.growth(mechanism_document("linear", rows)))

    def test_shares_and_the_fastest_opponent(self):
        found = {"shares": mechanism_document("shares", [mechanism_row("keep 1", [10]),
                                                         mechanism_row("keep 0.1", [3])]),
                 "top_forward": mechanism_document("top_forward", [
                     mechanism_row("dense", [2]), mechanism_row("top 20 %", [1]),
                     mechanism_row("PyTorch masked", [9]), mechanism_row("PyTorch scattered", [5])])}
        lines = mechanism_page.goals_of(found).lines
        self.assertEqual(sorted(line[1] for line in lines), ["2.00", "3.00", "5.00"])

    def test_philox_is_ours(self):
        # The first words of the known answers of the authors, for a counter and key of ones or 0.
        self.assertEqual(references.philox(0, 0)[0], 0x6627E8D5)
        ones = (1 << 64) - 1
        self.assertEqual(references.philox(ones, ones, ones)[0], 0x408F276D)

    def test_wrong_usage_and_missing_measurements(self):
        process = self.script("mechanisms.py", "--measure", "shares", "--program", "absent")
        self.assertEqual(process.returncode, 2)
        self.assertIn("absent is no program", process.stderr)
        process = self.script("mechanisms.py", "--measure", "nothing")
        self.assertEqual(process.returncode, 2)
        process = self.script("mechanisms.py", "--folder", self.path("empty"))
        self.assertEqual(process.returncode, 1)
        self.assertIn("nothing was measured", process.stderr)

    def test_the_page_is_the_one_of_its_measurements(self):
        with open(os.path.join(mechanisms.FOLDER, "mechanisms.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(),
                             mechanism_page.page(mechanisms.read(mechanisms.FOLDER)))


@unittest.skipUnless(importlib.util.find_spec("torch"), "needs PyTorch")
class WithTorch(OpponentsCase):
    def test_mechanisms_are_measured(self):
        # Exit status 0 says that all agree with float64, and PyTorch with ours.
        process = self.script("mechanisms.py", "--measure", "--quick", "--rounds", "2", "--seconds",
                              "0", "--program", PROGRAM, "--folder", self.folder)
        self.assertEqual(process.returncode, 0, process.stderr)
        with open(self.path("mechanisms.md")) as file:
            text = file.read()
        for title, _ in mechanism_page.TITLES.values():
            self.assertIn(f"## {title}\n", text)

    def test_a_comparison_on_a_gpu_is_rehearsed(self):
        words = ["--device", "simt", "--no-compile", "--rounds", "1", "--min-time", "0.1", "--seconds",
                 "0", "--program", PROGRAM, "--json", self.path("found.json")]
        for name in ["attention fwd+bwd", "association", "rnn fwd+bwd", "linear_cross_entropy",
                     "adamw", "step attention", "step hopfield", "step random-masked-hopfield"]:
            words += ["--only", name]
        process = self.script("gpu.py", *words, "--without", "length=2048", "--without", "L=8192",
                              "--without", "length=4096", "--without", "length=8192")
        self.assertEqual(process.returncode, 0, process.stderr)
        with open(self.path("found.json")) as file:
            document = json.load(file)
        self.assertEqual(document["format"], "basin opponents gpu rehearsal")
        self.assertEqual(document["failed"], {})
        labels = {them["label"] for row in document["rows"] for them in row["opponents"]}
        self.assertLessEqual({"eager stored", "eager masked", "eager scattered", "eager chunks",
                              "eager fused"}, labels)

    def test_page_is_measured(self):
        process = self.script("page.py", "--measure", "--quick", "--rounds", "2", "--seconds", "0",
                              "--without", "fwd", "--program", PROGRAM, "--folder", self.folder)
        self.assertEqual(process.returncode, 0, process.stderr)
        with open(self.path("cpu.md")) as file:
            text = file.read()
        for part in ["## 1 thread\n", "## 2 threads\n", "## Growth", "| linear_attention | 128 |",
                     "goals are met", "| step rnn ", "--without fwd --quick"]:
            self.assertIn(part, text)
        self.assertNotIn("attention fwd", text.split("## Growth")[0])

    def test_results_agree_on_small_problems(self):
        process = self.script("cpu.py", "--program", PROGRAM, "--quick", "--no-compile", "--rounds",
                              "2", "--min-time", "0.1", "--seconds", "0", "--json",
                              self.path("found.json"), "--markdown", self.path("found.md"))
        self.assertEqual(process.returncode, 0, process.stderr)
        with open(self.path("found.json")) as file:
            document = json.load(file)
        self.assertEqual([row["name"] for row in document["rows"]],
                         [p.name for p in problems.all_problems(quick=True)])
        for row in document["rows"]:
            # flash-linear-attention, where it is installed, has kernels for GPUs only.
            skipped = [label for label in row["skipped"] if "fla" not in label.split()]
            self.assertEqual(skipped, [], (row["name"], row["skipped"]))
            for them in row["opponents"]:
                self.assertTrue(them["agrees"], (row["name"], them))
                self.assertGreater(them["ratio"]["median"], 0)
            if row["kind"] == "step":
                self.assertEqual(row["opponents"][0]["parameters"], row["ours"]["parameters"])
        with open(self.path("found.md")) as file:
            self.assertEqual(file.read(), cpu.as_markdown(document))


if __name__ == "__main__":
    unittest.main()
