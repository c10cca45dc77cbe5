"""profile_kernels as a contestant: a process that measures a round when it is asked to."""

import json
import subprocess
import tempfile


class OursFailed(Exception):
    """The program ended instead of answering; the message is what it said."""


class Ours:
    """`ready` is the line it prints when set up, `first` and `last` those of rounds."""

    def __init__(self, program, words, threads, device="cpu"):
        self.words = [program, *words, "--on-request", "--threads", str(threads), "--device", device]
        # A file, because a pipe that nobody reads would block it.
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        self.first = self.last = None
        try:
            self.ready = self._answer()
        except BaseException:
            self.close()
            raise

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip()
            raise OursFailed(f"{' '.join(self.words)}: exit status {self.process.returncode}: {said}")
        return json.loads(line)

    def round(self):
        """Seconds."""
        try:
            self.process.stdin.write("round\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer says why
        self.last = self._answer()
        self.first = self.first or self.last
        return self.last["seconds"]

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
