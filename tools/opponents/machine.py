"""What a comparison depends on besides the programs."""

import datetime
import os
import platform


def describe(torch, program_ready, threads):
    """`program_ready`: the line that profile_kernels prints first."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "machine": program_ready["machine"], "build": program_ready["build"],
            "isa": program_ready["isa"], "threads": threads,
            "torch": torch.__version__, "python": platform.python_version(),
            "torch_isa": torch.backends.cpu.get_cpu_capability(),
            "load_before": os.getloadavg()}
