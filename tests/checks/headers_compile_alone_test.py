"""tools/checks/headers_compile_alone.sh on a small tree."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools")

GOOD = '#pragma once\n#include <vector>\n#include "kernels/other.h"\nstd::vector<Other> all();\n'
OTHER = "#pragma once\nstruct Other {};\n"


def check(headers, built=()):
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
        command = [os.path.join(root, "tools/checks/headers_compile_alone.sh"), "--jobs", "1"]
        if built:
            database = os.path.join(root, "compile_commands.json")
            with open(database, "w", encoding="utf-8") as file:
                json.dump([{"directory": root, "file": name} for name in built], file)
            command += ["--built", database]
        run = subprocess.run(
            command,
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

    def test_what_the_build_has_shown_is_not_compiled_again(self):
        lacking = "#pragma once\ninline Other other() { return {}; }\n"
        files = {
            "kernels/first.h": OTHER,
            "kernels/first.cpp": '// A comment.\n#include "kernels/first.h"\n\n#include <vector>\n',
            "kernels/second.h": lacking,
            "kernels/second.cpp": '#include "kernels/first.h"\n#include "kernels/second.h"\n',
            "kernels/open.h": "struct Open {};\n",
            "kernels/open.cpp": '#include "kernels/open.h"\n',
            "kernels/unbuilt.h": lacking,
            "kernels/unbuilt.cpp": '#include "kernels/unbuilt.h"\n',
        }
        built = ["kernels/first.cpp", "kernels/second.cpp", "kernels/open.cpp"]
        status, text = check(files, built)
        self.assertEqual(status, 1)
        for name in ("second", "open", "unbuilt"):
            self.assertIn(f"kernels/{name}.h: does not compile alone", text)
        self.assertNotIn("kernels/first.h", text)
        self.assertIn("3 compiled alone, 1 more by the build, 3 failed", text)


if __name__ == "__main__":
    unittest.main()
