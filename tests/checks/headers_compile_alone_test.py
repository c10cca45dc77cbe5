"""tools/checks/headers_compile_alone.sh on a small tree."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools")

GOOD = '#pragma once\n#include <vector>\n#include "kernels/other.h"\nstd::vector<Other> all();\n'
OTHER = "#pragma once\nstruct Other {};\n"


def check(headers):
    with tempfile.TemporaryDirectory() as root:
        # The script looks for the headers beside the folder it lies in.
        os.makedirs(os.path.join(root, "tools/checks"))
        for name in ("common.sh", "checks/headers_compile_alone.sh"):
            shutil.copy(os.path.join(TOOLS, name), os.path.join(root, "tools", name))
        for floor in ("kernels", "tensor", "autograd", "nn", "tasks", "tests"):
            os.makedirs(os.path.join(root, floor))
        for name, text in headers.items():
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        run = subprocess.run(
            [os.path.join(root, "tools/checks/headers_compile_alone.sh"), "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
    return run.returncode, run.stdout


class HeadersCompileAlone(unittest.TestCase):
    def test_headers_that_include_what_they_need_pass(self):
        status, text = check({"kernels/good.h": GOOD, "kernels/other.h": OTHER})
        self.assertEqual((status, text), (0, "headers: 2 compiled alone, 0 failed\n"))

    def test_a_header_that_needs_another_first_is_named(self):
        lacking = "#pragma once\ninline Other other() { return {}; }\n"
        status, text = check({"kernels/other.h": OTHER, "nn/lacking.h": lacking})
        self.assertEqual(status, 1)
        self.assertIn("nn/lacking.h: does not compile alone", text)
        self.assertIn("2 compiled alone, 1 failed", text)

    def test_a_header_without_a_guard_is_named(self):
        status, text = check({"nn/open.h": "struct Open {};\n"})
        self.assertEqual(status, 1)
        self.assertIn("nn/open.h: does not compile alone", text)


if __name__ == "__main__":
    unittest.main()
