"""profile_kernels: whole steps, operations, and rounds on request. No speed is asserted."""

import json
import math
import os
import subprocess
import unittest

from profile_kernels_case import PROGRAM, ProfileKernelsCase

SMALL = ["--width", "16", "--batch", "2", "--length", "12", "--vocabulary", "50", "--threads", "1"]
BACKBONES = ["rnn", "lstm", "gru", "attention", "hopfield", "linear-attention",
             "random-feature-attention", "sparse-hopfield", "entmax-hopfield", "polynomial-hopfield",
             "topk-hopfield", "window-hopfield", "random-masked-hopfield"]
QUICK = ["--rounds", "2", "--min-time", "0.1", "--threads", "1"]


class OnRequestCase(ProfileKernelsCase):
    def asked(self, words, requests):
        """The lines that come back, and the ended process."""
        process = subprocess.run([PROGRAM, *words, "--on-request"], input=requests, text=True,
                                 cwd=self.folder, capture_output=True, timeout=300)
        return [json.loads(line) for line in process.stdout.splitlines()], process

    def rounds(self, words):
        """The first line and the answers to three requests."""
        lines, process = self.asked(words, "round\n" * 3)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(len(lines), 4)
        for answer in lines[1:]:
            self.assertGreater(answer["seconds"], 0)
            self.assertGreater(answer["peak_resident_bytes"], 1 << 20)
        return lines[0], lines[1:]


class Step(OnRequestCase):
    def steps(self, *words):
        self.succeed("step", *words, *SMALL, "--json", self.path("step.json"))
        with open(self.path("step.json")) as file:
            return json.load(file)

    def test_all_backbones(self):
        document = self.steps("--backbone", "all", "--rounds", "2")
        self.assertEqual(document["format"], "basin profile_kernels step")
        self.assertEqual(document["threads"], 1)
        self.assertTrue(document["machine"]["processor"] and document["build"]["compiler"])
        self.assertEqual([row["backbone"] for row in document["rows"]], BACKBONES)
        for row in document["rows"]:
            self.assertEqual(row["sizes"],
                             "layers=2 width=16 heads=4 batch=2 length=12 vocabulary=50")
            self.assertLess(abs(row["first_loss"] - math.log(50)), 0.5)
            self.assertLess(row["last_loss"], row["first_loss"])
            self.assertGreater(row["peak_allocated_bytes"], 16 * row["parameters"])
            self.assertGreater(row["peak_resident_bytes"], row["peak_allocated_bytes"])
            self.assertLessEqual(row["seconds"]["p10"], row["seconds"]["p90"])

    def test_precision(self):
        losses = set()
        for precision in ("f32", "tf32", "bf16"):
            row, = self.steps("--precision", precision)["rows"]
            self.assertEqual(row["sizes"].endswith(f" precision={precision}"), precision != "f32")
            losses.add(row["last_loss"])
        self.assertEqual(len(losses), 3)
        self.fails(2, ["--precision", "f32, tf32, bf16"], "step", "--precision", "f16")

    def test_parameters_are_counted(self):
        # Embedding, positions, 2 blocks (4 projections, MLP, 2 norms), norm, head.
        block = 4 * (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16) + 4 * 16
        expected = 50 * 16 + 12 * 16 + 2 * block + 2 * 16 + (16 * 50 + 50)
        row, = self.steps("--backbone", "attention", "--rounds", "2")["rows"]
        self.assertEqual(row["parameters"], expected)
        more, = self.steps("--backbone", "attention", "--rounds", "2", "--layers", "3")["rows"]
        self.assertEqual(more["parameters"], expected + block)
        hopfield, = self.steps("--backbone", "hopfield", "--rounds", "2", "--heads", "8")["rows"]
        self.assertEqual(hopfield["parameters"], expected + 2 * 8)

    def test_operations(self):
        self.assertNotIn("operations", self.steps("--rounds", "2")["rows"][0])
        row, = self.steps("--operations", "--rounds", "2")["rows"]
        rows = {(each["operation"], each["phase"]): each for each in row["operations"]}
        self.assertEqual(rows["attention", "forward"]["calls"], 2)
        self.assertEqual(rows["optimizer", "other"]["calls"], 1)
        times = [each["seconds"] for each in row["operations"]]
        self.assertEqual(times, sorted(times, reverse=True))
        text = self.succeed("step", "--operations", "--rounds", "2", *SMALL)
        self.assertIn("linear_cross_entropy", text)
        self.assertIn("tokens/s", text)

    def test_on_the_executor_a_step_is_one_graph(self):
        words = ["--backbone", "attention", "--device", "simt", "--layers", "1", "--rounds", "2"]
        graph, = self.steps(*words)["rows"]
        plain, = self.steps(*words, "--step-graph", "off")["rows"]
        self.assertEqual(graph["run_as"], "one graph")
        self.assertEqual(plain["run_as"], "kernel by kernel: graphs are switched off")
        self.assertEqual(graph["kernels"], plain["kernels"])
        self.assertGreater(plain["kernels"], 50)
        self.assertEqual(plain["starts"], plain["kernels"])
        self.assertEqual(graph["starts"], 2)  # the learning rate, and the graph
        for key in ("first_loss", "second_loss", "last_loss"):
            self.assertEqual(graph[key], plain[key])
        text = self.succeed("step", *words, *SMALL)
        self.assertRegex(text, r"kernels +starts")
        self.assertRegex(text, rf" {graph['kernels']} +2 ")
        here, = self.steps("--backbone", "attention", "--rounds", "2")["rows"]
        self.assertEqual((here["kernels"], here["starts"]), (0, 0))
        self.fails(2, ["--step-graph", "no graphs"], "step", *SMALL, "--step-graph", "on")
        self.fails(2, "--step-graph", "step", *SMALL, "--step-graph", "yes")

    def test_on_request_with_arrays(self):
        ready, answers = self.rounds(["step", "--backbone", "lstm", *SMALL, "--arrays", "made/in"])
        self.assertEqual(ready["backbone"], "lstm")
        self.assertGreater(ready["parameters"], 0)
        losses = [ready["first_loss"]] + [answer["loss"] for answer in answers]
        self.assertEqual(losses, sorted(losses, reverse=True))
        names = os.listdir(self.path("made/in"))
        for name in ["tokens", "targets", "tokens.weight", "blocks.1.mix.lstm.weight_hh_l0",
                     "head.bias"]:
            self.assertIn(name + ".npy", names)
        size = os.path.getsize(self.path("made/in/head.weight.npy"))
        self.assertEqual(size, 128 + 4 * 50 * 16)

    def test_wrong_usage(self):
        self.fails(2, ["--backbone", "attention"], "step", "--backbone", "atention")
        self.fails(2, ["--on-request", "one backbone"], "step", "--backbone", "all", "--on-request")
        self.fails(2, ["--arrays", "one backbone"], "step", "--backbone", "all", "--arrays", "a")
        self.fails(2, ["--rounds", "go together"], "step", "--on-request", "--rounds", "3")
        self.fails(2, "--length", "step", "--length", "0")
        self.fails(1, "multiple of the number of heads", "step", *SMALL, "--heads", "5")
        with open(self.path("file"), "w"):
            pass
        self.fails(1, ["file/in", "cannot be made"], "step", *SMALL, "--rounds", "2", "--arrays",
                   "file/in")
        self.fails(1, "absent/step.json", "step", *SMALL, "--json", "absent/step.json")
        self.assertEqual(self.files(), ["file"])

    def test_other_requests_are_refused(self):
        lines, process = self.asked(["step", *SMALL], "round\nonce more\n")
        self.assertEqual(len(lines), 2)
        self.assertEqual(process.returncode, 1)
        self.assertIn("'once more' is no request", process.stderr)


class Operation(OnRequestCase):
    SHAPES = {"attention": "L=8,D=4", "linear_attention": "L=8,D=4", "linear": "rows=3,in=4,out=5",
              "layer_norm": "rows=3,cols=4", "linear_gelu": "rows=3,in=4,out=5",
              "add_layer_norm": "rows=3,cols=4", "softmax": "rows=3,cols=4", "gelu": "n=7",
              "cross_entropy": "tokens=3,vocabulary=9", "embedding": "tokens=3,vocabulary=9,width=4",
              "linear_cross_entropy": "tokens=3,width=4,vocabulary=9", "rnn": "B=2,L=3,width=4",
              "lstm": "B=2,L=3,width=4", "gru": "B=2,L=3,width=4"}

    def test_precision_changes_products(self):
        shape = ["--shape", "rows=3,in=40,out=5"]
        found = set()
        for precision in ["f32", "tf32", "bf16"]:
            folder = self.path(precision)
            text = self.succeed("operation", "linear", *shape, *QUICK, "--precision", precision,
                                "--arrays", folder)
            self.assertEqual(f"products in {precision}" in text, precision != "f32")
            with open(os.path.join(folder, "out.npy"), "rb") as file:
                found.add(file.read())
        self.assertEqual(len(found), 3)
        self.fails(2, ["--precision", "f32, tf32, bf16"], "operation", "linear", "--precision", "f16")
        self.fails(2, "--precision bf16: nothing in this operation", "operation", "softmax", "--shape",
                   "rows=3,cols=4", "--precision", "bf16")

    def test_every_operation_with_its_arrays(self):
        for name, shape in self.SHAPES.items():
            for more in ([], ["--backward"]):
                folder = self.path(name + "".join(more))
                text = self.succeed("operation", name, "--shape", shape, *QUICK, *more, "--arrays",
                                    folder)
                self.assertIn("forward and backward; cpu" if more else "forward; cpu", text)
                names = {file[:-4] for file in os.listdir(folder)}
                self.assertIn("out", names)
                gradients = {n for n in names if n[0] == "d" and n[1:] in names}
                self.assertEqual("dout" in names, bool(more), name)
                # Every input that is no whole number has a gradient.
                ids = {"ids", "targets"} & names
                inputs = names - gradients - {"out"} - ids
                self.assertEqual(gradients, {"d" + n for n in inputs | {"out"}} if more else set())
        self.assertIn("linear_cross_entropy", self.succeed("operation", "--help"))

    def test_document(self):
        self.succeed("operation", "softmax", "--shape", "rows=3,cols=4", *QUICK, "--json", "o.json")
        with open(self.path("o.json")) as file:
            document = json.load(file)
        self.assertEqual(document["format"], "basin profile_kernels operation")
        self.assertEqual(document["sizes"], "rows=3 cols=4")
        self.assertGreater(document["peak_allocated_bytes"], 2 * 12 * 4)
        self.assertGreater(document["seconds"]["median"], 0)

    def test_on_request(self):
        ready, _ = self.rounds(["operation", "gelu", "--shape", "n=100", "--min-time", "0.1"])
        self.assertEqual(ready["operation"], "gelu")
        self.assertGreaterEqual(ready["calls_per_sample"], 1)

    def test_wrong_usage(self):
        self.fails(2, ["gellu", "gelu"], "operation", "gellu")
        self.fails(2, "needs one name", "operation")
        self.fails(2, ["'gelu' has no size 'm'", "n"], "operation", "gelu", "--shape", "m=3")
        self.fails(2, "go together", "operation", "gelu", "--on-request", "--json", "a.json")


class TimeOnRequest(OnRequestCase):
    def test_rounds(self):
        ready, _ = self.rounds(["time", "gemm", "--shape", "m=16,n=16,k=16", "--variant", "1",
                                "--min-time", "0.1", "--threads", "1"])
        self.assertEqual(ready["kernel"], "gemm")
        self.assertEqual(ready["variant"], 1)
        self.assertLessEqual(ready["error"], ready["tolerance"])
        cold, _ = self.rounds(["time", "fill", "--shape", "n=1000000", "--min-time", "0.1",
                               "--cold"])
        self.assertGreater(cold["copies_of_arrays"], 1)

    def test_wrong_usage(self):
        for words in (["gemm", "fill"], ["gemm", "--variant", "all"], []):
            self.fails(2, "one kernel in one variant", "time", *words, "--on-request")
        self.fails(2, "go together", "time", "gemm", "--on-request", "--csv", "a.csv")


if __name__ == "__main__":
    unittest.main()
