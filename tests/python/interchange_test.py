#!/usr/bin/env python3
"""h5py reads our checkpoints, NumPy our npy files, and a reader written here from the definition of the
format our safetensors files; and we read theirs. The package `safetensors` reads and writes, too, where
it is installed. The one argument is the program `interchange`. Exits with 77 (skipped) where no
interpreter has NumPy and h5py."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib

try:
    import h5py
    import numpy
except ImportError as error:
    # Another interpreter comes first in PATH than the one that packages of the system are for.
    SYSTEM = "/usr/bin/python3"
    NEEDED = [SYSTEM, "-c", "import h5py, numpy"]
    tried = os.environ.get("BASIN_INTERCHANGE_TRIED") == "yes"
    if not tried and os.path.exists(SYSTEM) and subprocess.run(
            NEEDED, stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["BASIN_INTERCHANGE_TRIED"] = "yes"
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    print(f"skipped: needs the Python packages numpy and h5py: {error}")
    sys.exit(77)
try:
    import safetensors
    import safetensors.numpy
except ImportError:
    safetensors = None

SHAPE = (2, 3, 5)
DTYPES = {
    "f64": numpy.float64,
    "f32": numpy.float32,
    "f16": numpy.float16,
    "i64": numpy.int64,
    "i32": numpy.int32,
    "u8": numpy.uint8,
    "bool": numpy.bool_,
    "bf16": numpy.uint16,  # NumPy has no bfloat16; its bits are looked at
}
# The dtypes by the names of the safetensors format.
NAMES = {"f64": "F64", "f32": "F32", "f16": "F16", "bf16": "BF16", "i64": "I64", "i32": "I32",
         "u8": "U8", "bool": "BOOL"}


def bf16_bits(array):
    """The upper half of each float32, rounded to the nearest, ties to even."""
    bits = array.astype(numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


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
    if dtype == "bf16":
        return bf16_bits(values).reshape(shape)
    return values.astype(DTYPES[dtype]).reshape(shape)


def parse_safetensors(path):
    """By the definition of the format: 8 bytes with the length of the header, lowest first; the
    header, a JSON object padded with blanks; the elements, one tensor after the other without gaps.
    Returns {name: (dtype, shape, bytes)} and the metadata."""
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length]
    assert len(text) == length and text.startswith(b"{"), "the header is all there"
    header = json.loads(text.decode("utf-8"))
    data = content[8 + length :]
    metadata = header.pop("__metadata__", {})
    assert all(isinstance(value, str) for value in metadata.values()), "metadata are texts"
    sizes = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}
    tensors = {}
    reached = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        assert set(entry) == {"dtype", "shape", "data_offsets"}, name
        begin, end = entry["data_offsets"]
        size = sizes[entry["dtype"]]
        count = 1
        for extent in entry["shape"]:
            count *= extent
        assert begin == reached and end - begin == count * size, f"{name} follows without a gap"
        assert (8 + length + begin) % size == 0, f"{name} is aligned"
        tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[begin:end])
        reached = end
    assert reached == len(data), "the tensors fill the file"
    return tensors, metadata


def write_safetensors(path, tensors):
    """By the definition too, in the order given and without padding."""
    header, data = {}, b""
    for name, array in tensors.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": NAMES[name], "shape": array.shape, "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


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

    def test_our_safetensors_is_what_the_format_says(self):
        tensors, metadata = parse_safetensors(self.path("ours.safetensors"))
        self.assertEqual(metadata, {"made by": "basin"})
        expected = self.expected_tensors(but=None)
        self.assertEqual(set(tensors), set(expected))
        for name, array in expected.items():
            dtype = {"scalar": "F64", "empty": "F32"}.get(name) or NAMES[name]
            self.assertEqual(tensors[name], (dtype, array.shape, array.tobytes()), name)

    @unittest.skipIf(safetensors is None, "needs the package safetensors")
    def test_safetensors_reads_ours(self):
        with safetensors.safe_open(self.path("ours.safetensors"), framework="numpy") as file:
            self.assertEqual(file.metadata(), {"made by": "basin"})
            for name, expected in self.expected_tensors(but="bf16").items():
                self.assert_same(file.get_tensor(name), expected, name)

    @unittest.skipIf(safetensors is None, "needs the package safetensors")
    def test_safetensors_writes_what_we_read(self):
        tensors = {name: ramp(SHAPE, name) for name in DTYPES if name != "bf16"}
        os.mkdir(self.path("by_the_package"))
        path = self.path("by_the_package/theirs.safetensors")
        safetensors.numpy.save_file(tensors, path)
        subprocess.run([self.program, "read-safetensors", path], check=True)

    def test_h5py_reads_our_arrays(self):
        with h5py.File(self.path("ours.h5"), "r") as file:
            for name, expected in self.expected_tensors(but="bool").items():
                if name != "bf16":
                    self.assert_same(file["group"][name][()], expected, name)
            # h5py finds the smallest type of NumPy that holds every bf16.
            bf16 = ramp(SHAPE, "f32")
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

    def test_h5py_changes_a_checkpoint_and_it_is_sealed_again(self):
        path = self.path("changed.h5")
        shutil.copy(self.path("checkpoint.h5"), path)
        with h5py.File(path, "r+") as file:
            file["model"]["head.bias"][0] = 0.5
        command = [self.program, "check", path]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, "changed.h5.*(checksum|bytes)")
        with open(path, "r+b") as file:  # as docs/formats.md says
            content = file.read()[512:]
            seal = f"basin sealed file 1\nbytes {512 + len(content)}\ncrc32 {zlib.crc32(content):08x}\n"
            file.seek(0)
            file.write(seal.encode().ljust(512, b"\0"))
        subprocess.run(command, check=True)

    def test_exports_agree(self):
        weights = {
            dtype: parse_safetensors(self.path(f"weights_{dtype}.safetensors"))
            for dtype in ("f32", "f16", "bf16")
        }
        f32 = weights["f32"][0]
        self.assertGreater(len(f32), 10)
        for name, (dtype, shape, content) in f32.items():
            self.assertEqual(dtype, "F32")
            weight = numpy.frombuffer(content, numpy.float32).reshape(shape)
            self.assert_same(numpy.load(self.path(f"weights/{name}.npy")), weight, name)
            self.assertEqual(weights["f16"][0][name][2], weight.astype(numpy.float16).tobytes())
            self.assertEqual(weights["bf16"][0][name][2], bf16_bits(weight).tobytes())
        for tensors, metadata in weights.values():
            self.assertEqual(set(tensors), set(f32))
            self.assertEqual(metadata["step"], "42")

    def test_we_read_theirs(self):
        tensors = {name: ramp(SHAPE, name) for name in DTYPES}
        write_safetensors(self.path("theirs.safetensors"), tensors)
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
