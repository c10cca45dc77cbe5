"""tools/checks/readme_code.py on small documents."""

import os
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../tools/checks/readme_code.py"
)
PROGRAM = "```cpp run\nint main() {}\n```\n"


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        **options,
    )


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.out = os.path.join(self.root, "out")

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text, executable=False):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        if executable:
            os.chmod(self.path(name), stat.S_IRWXU)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()


class Extract(Folder):
    def extract(self, text, name="docs/a b.md"):
        self.write(name, text)
        return run("extract", "--root", self.root, "--out", self.out, name)

    def assert_refused(self, text, where, words):
        result = self.extract(text)
        self.assertEqual(result.returncode, 1)
        self.assertIn(where, result.stdout)
        self.assertIn(words, result.stdout)

    def test_only_marked_blocks_are_taken(self):
        self.assertEqual(
            self.extract("```cpp\nint x;\n```\n```sh\nrm\n```\n" + PROGRAM).returncode, 0
        )
        self.assertEqual(self.read("out/doc_a_b_1.cpp"), '#line 8 "docs/a b.md"\nint main() {}\n')
        self.assertEqual(sorted(os.listdir(self.out)), ["doc_a_b_1.cpp", "documentation.cmake"])

    def test_output_belongs_to_the_program_before(self):
        self.extract(PROGRAM + PROGRAM + "text between\n```text output\n7\n```\n")
        self.assertEqual(self.read("out/doc_a_b_2.expected"), "7\n")
        calls = self.read("out/documentation.cmake").splitlines()
        self.assertEqual(len(calls), 2)
        self.assertNotIn("expected", calls[0])
        self.assertIn("doc_a_b_2.expected", calls[1])

    def test_commands_keep_their_continuation_and_lose_the_output(self):
        self.extract("```console check slow\n$ one \\\n    two\nprinted\n$ three\n```\n", "README.md")
        self.assertEqual(
            self.read("out/doc_readme_1.sh"), "# README.md:2\none \\\n    two\nthree\n"
        )
        self.assertIn('"slow")', self.read("out/documentation.cmake"))

    def test_an_indented_block_loses_its_indentation(self):
        self.extract("1. item\n\n   ```cpp run\n   int main() {\n     return 0;\n   }\n   ```\n")
        self.assertIn("\nint main() {\n  return 0;\n}\n", self.read("out/doc_a_b_1.cpp"))

    def test_a_longer_fence_may_show_a_shorter_one(self):
        self.extract("````text\n" + PROGRAM + "````\n")
        self.assertEqual(self.read("out/documentation.cmake"), "")

    def test_mistakes_are_named_with_their_line(self):
        self.assert_refused("\n```cpp run\nint x;\n```\n", "docs/a b.md:2:", "no main")
        self.assert_refused("```cpp run fast\nint main() {}\n```\n", "docs/a b.md:1:", "no further")
        self.assert_refused("```text output\n7\n```\n", "docs/a b.md:1:", "follows no")
        self.assert_refused("```console check\nls\n```\n", "docs/a b.md:1:", "begins with")
        self.assert_refused("```console check fast\n$ ls\n```\n", "docs/a b.md:1:", "'fast'")
        self.assert_refused("text\n```cpp run\nint main() {}\n", "docs/a b.md:2:", "not closed")


class RunProgram(Folder):
    def test_status_and_output_are_compared(self):
        self.write("prints", "#!/bin/sh\necho 7\n", executable=True)
        self.write("fails", "#!/bin/sh\nexit 3\n", executable=True)
        self.write("same", "7\n")
        self.write("other", "8\n")
        prints = self.path("prints")
        self.assertEqual(run("run-program", prints).returncode, 0)
        self.assertEqual(run("run-program", "--expect", self.path("same"), prints).returncode, 0)
        result = run("run-program", "--expect", self.path("other"), prints)
        self.assertEqual(result.returncode, 1)
        self.assertIn("-8\n+7", result.stdout)
        self.assertEqual(run("run-program", self.path("fails")).returncode, 1)


class RunConsole(Folder):
    def console(self, script, **options):
        self.write("root/README.md", "here\n")
        self.write("build/bin/greet", "#!/bin/sh\necho hello\n", executable=True)
        self.write("script.sh", script)
        return run(
            "run-console", "--root", self.path("root"), "--build", self.path("build"),
            self.path("script.sh"), **options
        )

    def test_commands_find_the_repository_and_the_programs(self):
        result = self.console("cat README.md\ngreet\nbuild/release/bin/greet\n")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertEqual(result.stdout.count("hello"), 2)

    def test_what_they_write_stays_out_of_the_repository(self):
        self.assertEqual(self.console("mkdir -p runs/x\necho 1 > new\n").returncode, 0)
        self.assertEqual(os.listdir(self.path("root")), ["README.md"])

    def test_each_command_must_succeed(self):
        result = self.console("false\ngreet\n")
        self.assertEqual(result.returncode, 1)
        self.assertNotIn("hello", result.stdout)
        self.assertEqual(self.console("false | true\n").returncode, 1)

    def test_a_block_that_needs_data_is_skipped_without_it(self):
        self.write("doc.md", "```console check data\n$ ls $BASIN_DATA\n```\n")
        run("extract", "--root", self.root, "--out", self.out, "doc.md")
        environment = {k: v for k, v in os.environ.items() if k != "BASIN_DATA"}
        result = self.console(self.read("out/doc_doc_1.sh"), env=environment)
        self.assertEqual(result.returncode, 77)
        self.assertIn("needs BASIN_DATA\n", result.stdout)
        result = self.console(self.read("out/doc_doc_1.sh"), env=dict(os.environ, BASIN_DATA="."))
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
