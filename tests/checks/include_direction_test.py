"""tools/checks/include_direction.py on small trees with one mistake each."""

import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../tools/checks/include_direction.py"
)


def check(files):
    """(exit status, lines printed) for a tree of these files (path to text)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        run = subprocess.run(
            [sys.executable, CHECK, "--root", root],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    return run.returncode, run.stdout.splitlines()


class IncludeDirection(unittest.TestCase):
    def assert_clean(self, path, text):
        self.assertEqual(check({path: text}), (0, ["include direction: 1 files, 0 violations"]))

    def assert_found(self, path, text, line, words):
        status, lines = check({path: text})
        self.assertEqual(status, 1)
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(lines[0].startswith(f"{path}:{line}: "), lines[0])
        self.assertIn(words, lines[0])

    def test_own_floor_and_floors_below_are_allowed(self):
        below = '#pragma once\n#include <vector>\n#include "nn/a.h"\n#include "kernels/b/c.h"\n'
        self.assert_clean("nn/deep/er/x.h", below)

    def test_each_floor_may_not_include_the_one_above(self):
        floors = ["tools", "tasks", "nn", "autograd", "tensor", "kernels"]
        for above, below in zip(floors, floors[1:]):
            with self.subTest(below=below):
                self.assert_found(
                    f"{below}/x.cpp", f'\n  #  include "{above}/y.h"\n', 2, "is a floor above"
                )
                self.assert_clean(f"{above}/x.cpp", f'#include "{below}/y.h"\n')

    def test_tables_and_device_files_are_read_too(self):
        for path in ("kernels/t.inc", "kernels/t.cu", "kernels/t.cuh"):
            with self.subTest(path=path):
                self.assert_found(path, '#include "tensor/x.h"\n', 1, "is a floor above")

    def test_device_code_includes_only_common_and_its_family(self):
        for path in ("kernels/norm/t.cu", "kernels/norm/t.cuh"):
            with self.subTest(path=path):
                self.assert_clean(path, '#include "kernels/norm/t.h"\n#include <cmath>\n')
                self.assert_clean(path, '#include "kernels/common/launch.h"\n')
                self.assert_found(path, '#include "kernels/simt/engine.h"\n', 1, "device code")
        self.assert_clean("kernels/norm/t.cpp", '#include "kernels/simd/isa.h"\n')

    def test_only_tests_include_tests(self):
        self.assert_found("tools/x.cpp", '#include "tests/y.h"\n', 1, "only tests")
        self.assert_clean("tests/nn/x.cpp", '#include "tests/y.h"\n#include "tools/z.h"\n')

    def test_paths_begin_at_the_root(self):
        for name in ("y.h", "../kernels/y.h", "nn/../tasks/y.h"):
            with self.subTest(name=name):
                self.assert_found("nn/x.h", f'#include "{name}"\n', 1, "repository root")

    def test_neither_brackets_nor_macros_hide_an_include(self):
        self.assert_found("nn/x.h", "#include <tasks/y.h>\n", 1, "is ours")
        self.assert_found("nn/x.h", "#include HEADER\n", 1, "cannot be checked")

    def test_an_include_in_a_comment_or_in_text_is_none(self):
        self.assert_clean(
            "nn/x.cpp",
            '// #include "tasks/a.h"\n'
            "/*\n"
            '#include "tasks/b.h"\n'
            "*/\n"
            "auto million = 1'000'000;\n"
            'auto text = R"x(\n#include "tasks/c.h"\n)x";\n'
            'auto slashes = "//";\n'
            '#include "nn/d.h"  // not "tasks/e.h"\n',
        )

    def test_text_does_not_hide_an_include(self):
        self.assert_found(
            "nn/x.cpp", 'auto a = "/*";\n#include "tasks/b.h"\nauto b = "*/";\n', 2, "above"
        )
        self.assert_found(
            "nn/x.cpp", "auto a = '\"';\n#include \"tasks/b.h\"\nauto b = '\"';\n", 2, "above"
        )

    def test_kernels_do_not_throw(self):
        self.assert_found("kernels/x.cpp", "void f() {\n  throw 1;\n}\n", 2, "throw")
        self.assert_clean(
            "kernels/x.cpp", '// they never throw\nauto a = "throw";\nint throws, x_throw;\n'
        )
        self.assert_clean("tensor/x.cpp", "void f() { throw 1; }\n")

    def test_a_folder_without_sources_is_a_mistake(self):
        status, _ = check({"elsewhere/x.cpp": ""})
        self.assertEqual(status, 1)


if __name__ == "__main__":
    unittest.main()
