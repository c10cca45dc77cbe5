"""tools/checks/format.sh on a small tree."""

import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


class Format(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        # The script looks for the sources beside the folder it lies in.
        for folder in ("tools/checks", "kernels", "tensor", "autograd", "nn", "tasks", "tests"):
            os.makedirs(os.path.join(self.root, folder))
        for name in (".clang-format", "tools/common.sh", "tools/checks/format.sh"):
            shutil.copy(os.path.join(ROOT, name), os.path.join(self.root, name))
        with open(os.path.join(self.root, "nn/x.cpp"), "w", encoding="utf-8") as file:
            file.write("// A comment.\nint  f( ) ;\nint  g( ) ;\n")

    def format(self, *arguments):
        run = subprocess.run(
            [os.path.join(self.root, "tools/checks/format.sh"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        if run.returncode == 77:
            self.skipTest(run.stdout.strip())
        return run.returncode, run.stdout

    def test_names_the_first_line_of_each_file_and_mends_it(self):
        status, text = self.format()
        self.assertEqual(status, 1)
        self.assertIn("nn/x.cpp:2: laid out differently\n", text)
        self.assertNotIn("nn/x.cpp:3", text)
        self.assertEqual(self.format("--fix")[0], 0)
        with open(os.path.join(self.root, "nn/x.cpp"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "// A comment.\nint f();\nint g();\n")
        self.assertEqual(self.format()[0], 0)

    def test_what_is_no_source_stays_as_it_is(self):
        path = os.path.join(self.root, "tools/common.sh")
        with open(path, encoding="utf-8") as file:
            before = file.read()
        status, text = self.format("--fix", "nn/x.cpp", "tools/common.sh")
        self.assertEqual(status, 2)
        self.assertIn("tools/common.sh is no source", text)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_a_file_that_is_not_there_is_a_failure(self):
        self.assertEqual(self.format("nn/absent.cpp")[0], 1)


if __name__ == "__main__":
    unittest.main()
