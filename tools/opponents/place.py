"""Where both sides compute, and how theirs is timed there."""

import memory
from rounds import repeated


class Cpu:
    """Ours on `device` of profile_kernels, theirs on the CPU. With device "simt", the executor, the
    numbers mean nothing: it rehearses a comparison on a GPU where there is none."""

    torch_device = "cpu"

    def __init__(self, device="cpu"):
        self.device = device

    def to(self, array):
        return array

    def repeated(self, call, min_seconds):
        return repeated(call, min_seconds)

    def start_peak(self):
        return memory.start_peak()

    def peak(self):
        return memory.peak()

    def free(self):
        pass

    def describe(self):
        return {}


class Gpu:
    """Both on the first GPU. Times are those between two events of the stream, as ours are; a sample
    waits for the GPU at its end only."""

    torch_device = "cuda"
    device = "cuda"

    def __init__(self, torch):
        self.torch = torch

    def to(self, array):
        return array.cuda()

    def repeated(self, call, min_seconds):
        events = [self.torch.cuda.Event(enable_timing=True) for _ in range(2)]

        def sample(calls):
            events[0].record()
            for _ in range(calls):
                call()
            events[1].record()
            self.torch.cuda.synchronize()
            return 1e-3 * events[0].elapsed_time(events[1])

        return repeated(call, min_seconds, sample=sample)

    def start_peak(self):
        self.free()
        self.torch.cuda.reset_peak_memory_stats()
        return self.torch.cuda.memory_allocated()

    def peak(self):
        self.torch.cuda.synchronize()
        return self.torch.cuda.max_memory_allocated()

    def free(self):
        """Memory that the library keeps for itself is taken from nobody."""
        self.torch.cuda.synchronize()
        self.torch.cuda.empty_cache()

    def describe(self):
        cuda = self.torch.cuda
        major, minor = cuda.get_device_capability()
        return {"card": f"{cuda.get_device_name()} (compute capability {major}.{minor})",
                "torch_cuda": self.torch.version.cuda,
                "cudnn": self.torch.backends.cudnn.version()}
