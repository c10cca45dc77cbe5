#!/usr/bin/env python3
"""h5py reads our checkpoints, NumPy our npy files and `safetensors` our safetensors files, and we
read theirs. The one argument is the program `interchange`. Exits with 77 (skipped) where one of the
libraries is missing."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import ml_dtypes  # numpy has no bfloat16 of its own
    import numpy
    import safetensors
    import safetensors.numpy
except ImportError as error:
    print(f"skipped: needs the Python packages numpy, h5py, safetensors and ml_dtypes: {error}")
    sys.exit(77)

SHAPE = (2, 3, 5)
DTYPES = {
    "f64": numpy.float64,
    "f32": numpy.float32,
    "f16": numpy.float16,
    "i64": numpy.int64,
    "i32": numpy.int32,
    "u8": numpy.uint8,
    "bool": numpy.bool_,
    "bf16": ml_dtypes.bfloat16,
}


def ramp(shape, dtype):
    """The values of ramp() in tests/tensor/sample_tensors.h."""
    i = numpy.arange(numpy.prod(shape, dtype=numpy.int64))
    if dtype == "bool":
        values = i % 3 == 0
    elif dtype == "u8":
        values = (250 + 3 * i) % 256
    elif dtype in ("i32", "i64"):
        values = 1000003 * i * i - 7
    else:
        values = (i - 2) * 0.375
    return values.astype(DTYPES[dtype]).reshape(shape)


def parse_safetensors(path):
    """The raw content by the definition of the format: {name: (dtype, shape, bytes)}, metadata."""
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[begin:end])
    return tensors, metadata


class Interchange(unittest.TestCase):
    program = None

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        subprocess.run([cls.program, "write", cls.folder], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def assert_same(self, found, expected, name):
        self.assertEqual(found.dtype, expected.dtype, name)
        self.assertEqual(found.shape, expected.shape, name)
        self.assertEqual(found.tobytes(), expected.tobytes(), name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def expected_tensors(self, but):
        """What `interchange write` writes, without one dtype."""
        tensors = {name: ramp(SHAPE, name) for name in DTYPES if name != but}
        tensors["scalar"] = ramp((), "f64")
        tensors["empty"] = ramp((0, 4), "f32")
        return tensors

    def test_numpy_reads_our_npy(self):
        for name, expected in self.expected_tensors(but="bf16").items():
            found = numpy.load(self.path(f"ours_{name}.npy"), allow_pickle=False)
            self.assert_same(found, expected, name)

    # Before 1.23, NumPy left no room in the header for arrays to grow.
    @unittest.skipIf(numpy.lib.NumpyVersion(numpy.__version__) < "1.23.0", "needs NumPy 1.23")
    def test_our_npy_is_the_file_numpy_writes(self):
        for name, expected in self.expected_tensors(but="bf16").items():
            numpy.save(self.path("numpy.npy"), expected)
            self.assertEqual(self.content(f"ours_{name}.npy"), self.content("numpy.npy"), name)

    def test_safetensors_reads_ours(self):
        with safetensors.safe_open(self.path("ours.safetensors"), framework="numpy") as file:
            self.assertEqual(file.metadata(), {"made by": "basin"})
            for name, expected in self.expected_tensors(but="bf16").items():
                self.assert_same(file.get_tensor(name), expected, name)
        # Not every version of the library gives bf16 to NumPy.
        tensors, _ = parse_safetensors(self.path("ours.safetensors"))
        self.assertEqual(tensors["bf16"], ("BF16", SHAPE, ramp(SHAPE, "bf16").tobytes()))

    def test_our_safetensors_is_the_file_python_writes(self):
        tensors = self.expected_tensors(but=None)
        backwards = dict(reversed(tensors.items()))
        theirs = safetensors.numpy.save(backwards, metadata={"made by": "basin"})
        self.assertEqual(self.content("ours.safetensors"), theirs)

    def test_h5py_reads_our_arrays(self):
        with h5py.File(self.path("ours.h5"), "r") as file:
            for name, expected in self.expected_tensors(but="bool").items():
                if name != "bf16":
                    self.assert_same(file["group"][name][()], expected, name)
            # h5py finds the smallest type of NumPy that holds every bf16.
            bf16 = ramp(SHAPE, "bf16").astype(numpy.float32)
            self.assert_same(file["group"]["bf16"][()], bf16, "bf16")
            stored = file["group"]["bf16"].id.get_type()
            self.assertEqual(stored.get_fields(), (15, 7, 8, 0, 7))
            self.assertEqual((stored.get_size(), stored.get_ebias()), (2, 127))

    def test_h5py_reads_our_checkpoint(self):
        exported = {
            os.path.basename(path)[: -len(".npy")]: numpy.load(path)
            for path in glob.glob(self.path("weights/*.npy"))
        }
        self.assertGreater(len(exported), 10)
        with h5py.File(self.path("checkpoint.h5"), "r") as file:
            self.assertEqual(file.attrs["format"].decode(), "basin checkpoint")
            self.assertEqual(file.attrs["step"], 42)
            self.assertEqual(
                file.attrs["configuration"].decode(), "task = copying\n# na\u00efve \u4e2d\n"
            )
            self.assertEqual(set(file["model"]), set(exported))
            for name, weight in exported.items():
                self.assert_same(file["model"][name][()], weight, name)

    def test_exports_agree(self):
        weights = {
            dtype: parse_safetensors(self.path(f"weights_{dtype}.safetensors"))
            for dtype in ("f32", "f16", "bf16")
        }
        loaded = safetensors.numpy.load_file(self.path("weights_f32.safetensors"))
        self.assertGreater(len(loaded), 10)
        for name, weight in loaded.items():
            self.assert_same(numpy.load(self.path(f"weights/{name}.npy")), weight, name)
            self.assertEqual(weights["f16"][0][name][2], weight.astype(numpy.float16).tobytes())
            self.assertEqual(
                weights["bf16"][0][name][2], weight.astype(ml_dtypes.bfloat16).tobytes()
            )
        for tensors, metadata in weights.values():
            self.assertEqual(set(tensors), set(loaded))
            self.assertEqual(metadata["step"], "42")

    def test_we_read_theirs(self):
        tensors = {name: ramp(SHAPE, name) for name in DTYPES}
        safetensors.numpy.save_file(tensors, self.path("theirs.safetensors"))
        del tensors["bf16"]  # unknown to the other two
        with h5py.File(self.path("theirs.h5"), "w") as file:
            for name, array in tensors.items():
                numpy.save(self.path(f"theirs_{name}.npy"), array)
                numpy.save(self.path(f"theirs_fortran_{name}.npy"), numpy.asfortranarray(array))
                file.create_dataset(f"group/{name}", data=array, chunks=True, compression="gzip")
        subprocess.run([self.program, "read", self.folder], check=True)


if __name__ == "__main__":
    Interchange.program = os.path.abspath(sys.argv.pop(1))
    unittest.main()
