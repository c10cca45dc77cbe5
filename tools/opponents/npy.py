"""Arrays that profile_kernels writes, as tensors of torch."""

import ast
import glob
import os
import struct


def read(path):
    """A little-endian, row-major .npy file of f32 or i64, the dtypes of our arrays."""
    import torch

    with open(path, "rb") as file:
        content = file.read()
    if content[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"{path} is no .npy file of version 1.0")
    (length,) = struct.unpack_from("<H", content, 8)
    header = ast.literal_eval(content[10 : 10 + length].decode())
    dtypes = {"<f4": torch.float32, "<i8": torch.int64}
    if header["descr"] not in dtypes or header["fortran_order"]:
        raise ValueError(f"{path}: the layout {header} is not supported")
    data = bytearray(content[10 + length :])
    return torch.frombuffer(data, dtype=dtypes[header["descr"]]).reshape(header["shape"]).clone()


def read_folder(folder):
    """By name without the ending."""
    return {os.path.basename(path)[: -len(".npy")]: read(path)
            for path in glob.glob(os.path.join(glob.escape(folder), "*.npy"))}
