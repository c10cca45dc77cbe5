"""profile_kernels run: the reference vectors through the real kernels, and bad inputs."""

import sys
import unittest

try:
    import h5py
    import numpy
except ImportError as error:
    print(f"skipped: needs the Python packages numpy and h5py: {error}")
    sys.exit(77)

from profile_kernels_case import REFERENCE, ProfileKernelsCase

# Both sides were computed with about 16 digits in another order; in f32 a few dozen roundings.
TOLERANCE = {"f64": 1e-9, "f32": 2e-5}
GRADIENTS = ["dq", "dk", "dv"]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def groups(above):
    with h5py.File(REFERENCE) as file:
        return [f"/{above}/{name}" for name in file[above]]


class Reference(ProfileKernelsCase):
    def agrees(self, kernel, group, dtype, variant, device="cpu"):
        output = self.path("out.h5")
        self.succeed("run", kernel, "--input", f"{REFERENCE}:{group}", "--output", output,
                     "--overwrite", "--backward", "--dtype", dtype, "--variant", variant,
                     "--device", device)
        with h5py.File(REFERENCE) as file, h5py.File(output) as found:
            expected = file[group]
            names = ["out"] + GRADIENTS
            names += [name for name in ("dbeta", "dalpha") if name in expected]
            for name in names:
                self.assertEqual(found[name].dtype, {"f64": "f8", "f32": "f4"}[dtype])
                self.assertEqual(found[name].shape, expected[name].shape)
                error = numpy.abs(found[name][()] - expected[name][()])
                worst = numpy.max(error / (1 + numpy.abs(expected[name][()])))
                self.assertTrue(worst <= TOLERANCE[dtype], f"{group}/{name} {dtype}: {worst}")
            for name in ("dbeta", "dalpha"):
                self.assertEqual(name in found, name in expected)
            for name in ("alpha", "beta", "degree", "dilation", "eps", "global_tokens", "normalise",
                         "top_k", "top_k_fraction", "update_steps", "window_radius"):
                self.assertEqual(name in found.attrs or name not in expected.attrs
                                 or kernel == "kernel_attention", True, name)
                if name in expected.attrs and name in found.attrs:
                    self.assertEqual(text(found.attrs[name]), text(expected.attrs[name]))
            self.assertEqual(bool(found.attrs["causal"]), bool(expected.attrs.get("causal", False)))
            self.assertEqual(found.attrs["kernel"].decode(), kernel)
            self.assertEqual(found.attrs["variant"], variant)

    def test_attention(self):
        names = groups("attention")
        self.assertGreaterEqual(len(names), 55)
        for group in names:
            plain = group.startswith("/attention/softmax")
            entry = "attention_forward" if plain else "retrieval_forward"
            for dtype in TOLERANCE:
                for variant in [0] + self.variants(entry):
                    with self.subTest(group=group, dtype=dtype, variant=variant):
                        self.agrees("attention", group, dtype, variant)

    def test_linear(self):
        names = groups("kernel_attention")
        self.assertGreaterEqual(len(names), 6)
        for group in names:
            entry = ("linear" if "/elu1" in group else "random_feature") + "_attention_forward"
            for dtype in TOLERANCE:
                for variant in [0] + self.variants(entry):
                    with self.subTest(group=group, dtype=dtype, variant=variant):
                        self.agrees("kernel_attention", group, dtype, variant)


    def test_on_the_executor(self):
        for kernel in ("attention", "kernel_attention"):
            for group in groups(kernel):
                with self.subTest(group=group):
                    self.agrees(kernel, group, "f64", 0, "simt")


class Run(ProfileKernelsCase):
    """On a small file of its own, which a test may spoil."""

    def setUp(self):
        super().setUp()
        numbers = numpy.random.default_rng(1)
        self.arrays = {name: numbers.normal(size=shape) for name, shape in {
            "q": (2, 3, 5, 4), "k": (2, 3, 6, 4), "v": (2, 3, 6, 2), "dout": (2, 3, 5, 2)}.items()}
        self.attributes = {"mechanism": "softmax"}

    def write(self, group="/a", **changes):
        arrays = {**self.arrays, **changes}
        with h5py.File(self.path("in.h5"), "w") as file:
            to = file.require_group(group)
            for name, array in arrays.items():
                if array is not None:
                    to[name] = array
            for name, value in self.attributes.items():
                to.attrs[name] = value

    def words(self, *more, kernel="attention", group="/a"):
        return ["run", kernel, "--input", f"in.h5:{group}", "--output", "out.h5", *more]

    def out(self, name="out"):
        with h5py.File(self.path("out.h5")) as file:
            return file[name][()]

    def softmax(self, q, k, v, beta, hidden=0):
        scores = beta * numpy.einsum("bhic,bhjc->bhij", q, k) + hidden
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        return numpy.einsum("bhij,bhjc->bhic", weights / weights.sum(-1, keepdims=True), v)

    def test_forward_only_and_defaults(self):
        self.write()
        self.succeed(*self.words())
        with h5py.File(self.path("out.h5")) as file:
            self.assertEqual(sorted(file), ["out"])
            self.assertEqual(file["out"].dtype, "f8")
            self.assertEqual(file.attrs["beta"], 0.5)
            self.assertEqual(file.attrs["dtype"].decode(), "f64")
        a = self.arrays
        expected = self.softmax(a["q"], a["k"], a["v"], 0.5)
        self.assertLess(numpy.abs(self.out() - expected).max(), 1e-12)

    def test_bf16_on_tensor_cores(self):
        self.write()
        self.succeed(*self.words("--dtype", "bf16", "--device", "simt", "--backward"))
        a = self.arrays
        expected = self.softmax(a["q"], a["k"], a["v"], 0.5)
        error = numpy.abs(self.out().astype("f8") - expected).max()
        # Numbers up to 3 with 8 bits, through a mean over 6 keys.
        self.assertTrue(0 < error < 0.05, error)
        with h5py.File(self.path("out.h5")) as file:
            self.assertEqual(file.attrs["dtype"].decode(), "bf16")
            self.assertEqual(sorted(file), ["dk", "dq", "dv", "out"])
        self.fails(1, "exists for GPUs", *self.words("--dtype", "bf16", "--overwrite"))
        self.attributes["window_radius"] = 1
        self.write()
        self.succeed(*self.words("--dtype", "bf16", "--device", "simt", "--backward",
                                 "--overwrite"))
        # Query i stands at position i + 1 of the 6.
        distance = numpy.abs(numpy.arange(6)[None, :] - numpy.arange(1, 6)[:, None])
        expected = self.softmax(a["q"], a["k"], a["v"], 0.5, numpy.where(distance > 1, -1e9, 0))
        error = numpy.abs(self.out().astype("f8") - expected).max()
        self.assertTrue(0 < error < 0.05, error)
        del self.attributes["window_radius"]
        self.attributes["update_steps"] = 2
        self.write()
        self.fails(1, "bf16 runs one step", *self.words("--dtype", "bf16", "--device", "simt",
                                                         "--overwrite"))
        self.attributes = {"mechanism": "sparsemax"}
        self.write()
        self.fails(1, "exists in f32 and f64, not in bf16",
                   *self.words("--dtype", "bf16", "--device", "simt", "--overwrite"))

    def test_root_group_16_bits_and_threads(self):
        self.write(group="/", **{n: a.astype("f2") for n, a in self.arrays.items()})
        self.succeed(*self.words("--threads", "2", "--device", "cpu", group="/"))
        self.assertEqual(self.out().dtype, "f4")

    def test_padding_is_not_read(self):
        k = self.arrays["k"].copy()
        k[1, :, 4:] = numpy.nan
        self.write(k=k, key_lengths=numpy.array([6, 4]))
        self.succeed(*self.words("--backward"))
        self.assertTrue(numpy.isfinite(self.out()).all())
        self.assertEqual(numpy.abs(self.out("dk")[1, :, 4:]).max(), 0)

    def test_output_is_not_replaced_unless_asked(self):
        self.write()
        with open(self.path("out.h5"), "w") as file:
            file.write("mine")
        self.fails(1, ["out.h5 exists", "--overwrite"], *self.words())
        with open(self.path("out.h5")) as file:
            self.assertEqual(file.read(), "mine")
        self.succeed(*self.words("--overwrite"))
        self.assertEqual(self.out().shape, (2, 3, 5, 2))
        self.assertEqual(self.files(), ["in.h5", "out.h5"])

    def test_bad_arrays(self):
        a = self.arrays
        nan = a["q"].copy()
        nan[1, 2, 3, 0] = numpy.nan
        for changes, parts in [
                ({"v": None}, ["in.h5", "'/a/v'", "holds dout, k, q"]),
                ({"q": a["q"][0]}, ["/a/q", "(3, 5, 4)", "(B, H, L, D)"]),
                ({"k": a["k"][:, :2]}, ["/a/k", "(2, 2, 6, 4)", "(2, 3, any, 4)"]),
                ({"v": a["v"][:, :, :5]}, ["/a/v", "(B, H, M, Dv)"]),
                ({"dout": a["dout"][..., :1]}, ["/a/dout"]),
                ({"q": a["q"].astype("i8")}, ["/a/q", "i64, not floating"]),
                ({"q": nan}, ["/a/q", "nan at [1, 2, 3, 0]"]),
                ({"q": a["q"] * 1e300}, ["/a/q", "inf", "f32"]),
                ({"key_lengths": numpy.array([6, 7])}, ["key_lengths", "7 at [1]", "6 keys"]),
                ({"key_lengths": numpy.array([6])}, ["key_lengths", "(2) i64"]),
                ({"beta_per_head": numpy.ones(2)}, ["beta_per_head", "(3)"]),
                ({"mask": numpy.ones((2, 3, 5, 6))}, ["/a/mask", "u8 or bool"]),
                ({"mask": numpy.ones((2, 2, 5, 6), "u1")}, ["/a/mask", "(2, 3, 5, 6)"]),
                ({"projection": numpy.ones(2)}, ["'projection' is for features"])]:
            with self.subTest(changes=list(changes), parts=parts):
                self.write(**changes)
                more = ["--backward"] + (["--dtype", "f32"] if "inf" in parts else [])
                self.fails(1, parts, *self.words(*more))
                self.assertEqual(self.files(), ["in.h5"])

    def test_what_the_library_does_not_have_yet(self):
        for attributes, parts in [
                ({"mechanism": "dense"}, ["mechanism 'dense' is not supported"]),
                ({"mechanism": "softmax", "alpha": 1.2}, ["alpha belongs to entmax"]),
                ({"mechanism": "entmax", "alpha": 1.0}, ["alpha must be at least 1.01"]),
                ({"mechanism": "softmax", "top_k": 3, "top_k_fraction": 0.5}, ["set one of them"]),
                ({"mechanism": "softmax", "dilation": 2}, ["belong to a window"]),
                ({"mechanism": "softmax", "keep": 0.5}, ["there is no dataset 'mask'"]),
                ({"features": "prf"}, ["need a dataset 'projection'"]),
                ({"features": "sigmoid"}, ["features 'sigmoid' is not supported"]),
                ({"mechanism": "softmax", "window": 3}, ["'window' is not supported"]),
                ({"mechanism": "softmax", "normalise": "some"}, ["normalise 'some'"]),
                ({"mechanism": "softmax", "eps": 0.1}, ["eps"]),
                ({"mechanism": "softmax", "update_steps": 0}, ["update_steps"]),
                ({"mechanism": "softmax", "beta": -1.0}, ["beta"]),
                ({"features": "elu1", "update_steps": 2}, ["one update step"]),
                ({}, ["neither an attribute 'mechanism' nor 'features'"])]:
            with self.subTest(attributes=attributes):
                self.attributes = attributes
                self.write()
                self.fails(1, parts, *self.words())

    def test_wrong_kernel(self):
        self.write()
        self.fails(1, ["softmax separation", "'run attention'"], *self.words(kernel="kernel_attention"))
        self.fails(2, "did you mean 'attention'", *self.words(kernel="atention"))
        self.fails(2, "needs one kernel", *self.words("gemm"))

    def test_missing_files_and_groups(self):
        self.fails(1, "in.h5", *self.words())
        self.write()
        self.fails(1, ["'/b'", "holds a"], *self.words(group="/b"))
        self.fails(1, "is a dataset", *self.words(group="/a/q"))
        with open(self.path("in.h5"), "w") as file:
            file.write("text")
        self.fails(1, "no HDF5 file", *self.words())

    def test_usage(self):
        self.write()
        self.fails(2, "--input is missing", "run", "attention", "--output", "out.h5")
        self.fails(2, "--output is missing", "run", "attention", "--input", "in.h5:/a")
        self.fails(2, "has the variants", *self.words("--variant", "7"))
        self.fails(2, "one variant", *self.words("--variant", "all"))
        self.fails(2, "--dtype", *self.words("--dtype", "f16"))
        self.fails(2, "is the input", "run", "attention", "--input", "in.h5:/a", "--output",
                   "in.h5", "--overwrite")
        self.fails(1, "cannot be written", "run", "attention", "--input", "in.h5:/a", "--output",
                   "absent/out.h5")
        self.assertEqual(self.files(), ["in.h5"])

    def test_variant_and_dtype_change_the_bits(self):
        self.write()
        results = []
        for more in (["--variant", "1"], ["--variant", "2"], ["--dtype", "f32"]):
            self.succeed(*self.words(*more, "--overwrite"))
            results.append(self.out())
        self.assertFalse(numpy.array_equal(results[0], results[1]))
        self.assertLess(numpy.abs(results[0] - results[1]).max(), 1e-12)
        self.assertEqual(results[2].dtype, "f4")


if __name__ == "__main__":
    unittest.main()
