#!/usr/bin/env python3
"""Writes the files of this folder with the Python libraries whose formats basin reads and writes:
numpy 2.4.6, safetensors 0.8.0, ml_dtypes 0.6.0 (for bf16). The tests compare with them byte for
byte. Run it only to change the files; the result is the same every time."""

import os

import ml_dtypes
import numpy
import safetensors.numpy

FOLDER = os.path.dirname(os.path.abspath(__file__))
DTYPES = {
    "f64": numpy.float64,
    "f32": numpy.float32,
    "f16": numpy.float16,
    "bf16": ml_dtypes.bfloat16,
    "i64": numpy.int64,
    "i32": numpy.int32,
    "u8": numpy.uint8,
    "bool": numpy.bool_,
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


def write_safetensors():
    tensors = {
        "f64": ramp((2, 3), "f64"),
        "f32": ramp((2, 3), "f32"),
        "f16": ramp((3, 2), "f16"),
        "bf16": ramp((6,), "bf16"),
        "i64": ramp((2, 1, 3), "i64"),
        "i32": ramp((5,), "i32"),
        "u8": ramp((3,), "u8"),
        "bool": ramp((4,), "bool"),
        "scalar": ramp((), "f32"),
        "empty": ramp((0, 4), "f32"),
        "also empty": ramp((3, 0), "i64"),
        "blocks.0.mix.query.weight": ramp((1, 1, 2), "f32"),
        "blocks.10.norm": ramp((2,), "f32"),
        "blocks.9.norm": ramp((2,), "f32"),
        'Gr\u00f6\u00dfe "\U0001f600"\n\\/\x01\x7f': ramp((1,), "u8"),
    }
    safetensors.numpy.save_file(
        tensors,
        os.path.join(FOLDER, "every_dtype.safetensors"),
        metadata={"format": 'a "text" \u2014\tof any\nkind'},
    )
    safetensors.numpy.save_file({}, os.path.join(FOLDER, "none.safetensors"))
    # A header of a multiple of 8 bytes needs no spaces.
    safetensors.numpy.save_file(
        {"abcdefghijk": ramp((1,), "f32")}, os.path.join(FOLDER, "unpadded.safetensors")
    )


def write_npy(name, array, version=None):
    with open(os.path.join(FOLDER, name + ".npy"), "wb") as file:
        numpy.lib.format.write_array(file, array, version=version)


def main():
    write_safetensors()
    for dtype in DTYPES:
        if dtype != "bf16":
            write_npy(dtype, ramp((2, 3), dtype))
    write_npy("scalar", ramp((), "f64"))
    write_npy("one", ramp((5,), "f32"))
    write_npy("empty", ramp((0, 4), "f32"))
    write_npy("eight_dimensions", ramp((1, 2, 1, 1, 2, 1, 1, 3), "i32"))
    write_npy("wide", ramp((1,), "u8") * numpy.ones((1000000000000, 0), numpy.uint8))
    for dtype in ("f32", "bool"):
        write_npy(f"fortran_{dtype}", numpy.asfortranarray(ramp((2, 3, 4), dtype)))
    for dtype, stored in (("f64", ">f8"), ("f16", ">f2"), ("i32", ">i4")):
        write_npy(f"big_endian_{dtype}", ramp((2, 3), dtype).astype(stored))
    write_npy("big_endian_fortran_f32", numpy.asfortranarray(ramp((2, 3), "f32").astype(">f4")))
    write_npy("version_2", ramp((2, 3), "f32"), (2, 0))
    write_npy("version_3", ramp((2, 3), "f32"), (3, 0))
    # What is refused.
    write_npy("bf16", ramp((2, 3), "bf16"))
    write_npy("complex", numpy.zeros((2,), numpy.complex64))
    write_npy("records", numpy.zeros((2,), [("a", "<f4"), ("b", "<i4")]))
    write_npy("text", numpy.array(["a", "bc"]))
    write_npy("objects", numpy.array([None, 1], dtype=object))


if __name__ == "__main__":
    main()
