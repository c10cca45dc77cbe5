"""`trainer export`: weights for other programs. The formats are read here by their definitions, so that
nothing but Python is needed; tests/python reads them with the libraries people use."""

import ast
import json
import math
import os
import struct
import unittest

from trainer_case import TrainerCase

DTYPES = {"f32": ("F32", 4), "f64": ("F64", 8), "bf16": ("BF16", 2), "f16": ("F16", 2)}


def read_safetensors(content):
    """{name: (dtype, shape, bytes)}, metadata"""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__")
    data = content[8 + length:]
    return {name: (entry["dtype"], entry["shape"],
                   data[entry["data_offsets"][0]:entry["data_offsets"][1]])
            for name, entry in header.items()}, metadata


def read_npy(content):
    """(dtype, shape, bytes)"""
    assert content[:6] == b"\x93NUMPY"
    length = struct.unpack("<H", content[8:10])[0]
    header = ast.literal_eval(content[10:10 + length].decode())
    return header["descr"], list(header["shape"]), content[10 + length:]


class Exporting(TrainerCase):
    def setUp(self):
        super().setUp()
        self.train("run", "hopfield", eval_every=1, learning_rate=0.05)

    def export(self, *words):
        return self.succeed("export", "--checkpoint", "run", *words)

    def weights(self, *words):
        self.export("--format", "safetensors", "--overwrite", "--out", "w.safetensors", *words)
        return read_safetensors(self.read("w.safetensors"))

    def test_both_formats_hold_the_same_weights(self):
        weights, metadata = self.weights()
        self.assertEqual(metadata["step"], "6")
        self.assertEqual(metadata["configuration"].encode(), self.read("run", "config.ini"))
        out = self.export("--format", "npy", "--out", "weights")
        files = os.listdir(self.path("weights"))
        self.assertEqual(sorted(files), sorted(f"{name}.npy" for name in weights))
        for name, (dtype, shape, data) in weights.items():
            self.assertEqual(dtype, "F32")
            self.assertEqual(read_npy(self.read("weights", f"{name}.npy")), ("<f4", shape, data))
        parameters = self.summary("run")["parameters"]
        self.assertEqual(sum(math.prod(shape) for _, shape, _ in weights.values()), parameters)
        self.assertIn(f"{len(weights)} weights, {parameters} numbers, from run/checkpoint.h5", out)

    def test_dtypes(self):
        exact, _ = self.weights()
        for dtype, (name, size) in DTYPES.items():
            weights, _ = self.weights("--dtype", dtype)
            self.assertEqual(set(weights), set(exact))
            for key, (found, shape, data) in weights.items():
                self.assertEqual((found, len(data)), (name, size * math.prod(shape)))
            bits = exact["tokens.weight"][2]
            value = struct.unpack("<f", bits[:4])[0]
            converted = weights["tokens.weight"][2][:size]
            if dtype == "bf16":
                converted = struct.unpack("<f", b"\0\0" + converted)[0]
                self.assertLessEqual(abs(converted - value), abs(value) / 2**8)
            else:
                code = {"f32": "<f", "f64": "<d", "f16": "<e"}[dtype]
                self.assertEqual(struct.unpack(code, converted)[0],
                                 struct.unpack(code, struct.pack(code, value))[0])

    def test_which_checkpoint(self):
        self.succeed("train", "--task", "copying", "--backbone", "rnn", "--length", 8, "--width", 8,
                     "--steps", 6, "--eval-every", 1, "--checkpoint-every", 2, "--keep-checkpoints", 3,
                     "--eval-examples", 10, "--test-examples", 10, "--out", "many")
        best = self.summary("many")["best_validation"]["step"]
        for words, step in [(["many"], 6), (["many", "--which", "last"], 6), (["many/checkpoint_2.h5"], 2),
                            (["many", "--which", "best"], best), (["many/best.h5"], best)]:
            self.succeed("export", "--checkpoint", *words, "--format", "safetensors", "--out", "x",
                         "--overwrite")
            self.assertEqual(read_safetensors(self.read("x"))[1]["step"], str(step))

    def test_nothing_is_replaced_without_being_asked(self):
        for form, name in [("safetensors", "file"), ("npy", "folder")]:
            with self.subTest(form):
                words = ["export", "--checkpoint", "run", "--format", form, "--out", name]
                self.succeed(*words)
                self.assert_complains(self.run_trainer(*words), 1, name, "--overwrite")
                self.succeed(*words, "--dtype", "f64", "--overwrite")
        self.assertEqual(read_safetensors(self.read("file"))[0]["tokens.weight"][0], "F64")
        self.assertEqual(read_npy(self.read("folder", "tokens.weight.npy"))[0], "<f8")
        # A folder with something else in it is not touched at all.
        self.write("folder/notes.txt", "mine")
        process = self.run_trainer("export", "--checkpoint", "run", "--format", "npy", "--out", "folder",
                                   "--overwrite")
        self.assert_complains(process, 1, "folder", "nothing but npy files")
        self.assertEqual(self.read("folder", "notes.txt"), b"mine")
        process = self.run_trainer("export", "--checkpoint", "run", "--format", "safetensors", "--out",
                                   "run/checkpoint.h5", "--overwrite")
        self.assert_complains(process, 1, "is the checkpoint itself")
        self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name], [])

    def test_wrong_usage(self):
        for words, parts in [
            (["--checkpoint", "run", "--out", "x"], ["--format is missing"]),
            (["--format", "npy", "--out", "x"], ["--checkpoint is missing"]),
            (["--checkpoint", "run", "--format", "npy"], ["--out is missing"]),
            (["--checkpoint", "run", "--format", "onnx", "--out", "x"], ["safetensors, npy", "'onnx'"]),
            (["--checkpoint", "run", "--format", "npy", "--dtype", "i8", "--out", "x"], ["--dtype", "'i8'"]),
            (["--checkpoint", "run", "--format", "npy", "--dtype", "bf16", "--out", "x"],
             ["--dtype bf16", "--format safetensors"]),
        ]:
            with self.subTest(words):
                self.assert_complains(self.run_trainer("export", *words), 2, *parts)

    def test_failures(self):
        self.write("text.h5", "no HDF5\n" * 100)
        for words, part in [(["--checkpoint", "missing.h5", "--out", "x"], "missing.h5"),
                            (["--checkpoint", "text.h5", "--out", "x"], "text.h5"),
                            (["--checkpoint", "run", "--out", "no/such/place"], "no/such/place")]:
            for form in ("npy", "safetensors"):
                with self.subTest(words=words, form=form):
                    process = self.run_trainer("export", *words, "--format", form)
                    self.assert_complains(process, 1, part)
                    self.assertFalse(os.path.exists(self.path("x")))
        self.assertIn("--overwrite", self.succeed("export", "--help"))


if __name__ == "__main__":
    unittest.main()
