"""What the tests of profile_kernels share. The program is the one that the variable PROFILE_KERNELS
names."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

PROGRAM = os.path.abspath(os.environ.get("PROFILE_KERNELS", "build/release/bin/profile_kernels"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REFERENCE = os.path.join(ROOT, "tests", "golden", "reference.h5")
# A measurement of a few milliseconds; what it measures is not looked at.
QUICK = ["--rounds", "3", "--min-time", "0.1", "--threads", "1"]


class ProfileKernelsCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="profile-kernels-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_program(self, *words):
        process = subprocess.run([PROGRAM, *map(str, words)], cwd=self.folder, capture_output=True,
                                 timeout=300)
        process.out = process.stdout.decode(errors="replace")
        process.err = process.stderr.decode(errors="replace")
        return process

    def succeed(self, *words):
        process = self.run_program(*words)
        self.assertEqual(process.returncode, 0, process.err)
        return process.out

    def fails(self, status, parts, *words):
        """Ends with this status and one line with these parts in it."""
        process = self.run_program(*words)
        self.assertEqual(process.returncode, status, process.out + process.err)
        self.assertRegex(process.err, r"\Aprofile_kernels: [^\n]*\n\Z")
        for part in [parts] if isinstance(parts, str) else parts:
            self.assertIn(part, process.err)

    def timed(self, *words, ceilings=False):
        """The document of a quick measurement. Ceilings take seconds."""
        more = [] if ceilings else ["--no-ceilings"]
        self.succeed("time", *words, *QUICK, *more, "--json", self.path("timed.json"))
        with open(self.path("timed.json")) as file:
            return json.load(file)

    def variants(self, kernel):
        """The numbers that 'list' shows."""
        entry, = json.loads(self.succeed("list", kernel, "--json"))
        return [variant["number"] for variant in entry["variants"]]

    def files(self):
        return sorted(os.listdir(self.folder))
