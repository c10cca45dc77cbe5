#!/usr/bin/env python3
"""Takes the code in the documentation at its word.

    ```cpp run            a whole program, compiled, linked with basin and run: exit status 0
    ```text output        right after a `cpp run` block: exactly what that program prints
    ```console check      its lines `$ command` are run in order: exit status 0 each

`console check` may go on with `slow` (label slow) and `data` (skipped without BASIN_DATA).

    readme_code.py extract --root DIR --out DIR FILE...    programs, scripts and documentation.cmake
    readme_code.py run-program [--expect FILE] PROGRAM
    readme_code.py run-console --root DIR --build DIR SCRIPT
"""

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77  # the exit status that ctest is told to count as skipped
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+)(?P<info>[^`]*)$")


class Block:
    def __init__(self, path, line, tags):
        self.path = path
        self.line = line  # of the first line inside the block
        self.tags = tags
        self.lines = []

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def fail(self, reason):
        sys.exit(f"{self.path}:{self.line - 1}: {reason}")


def blocks_of(root, path):
    """The fenced blocks of a Markdown file, in order."""
    with open(os.path.join(root, path), encoding="utf-8") as file:
        lines = file.read().splitlines()
    blocks = []
    block = None
    for number, line in enumerate(lines, start=1):
        match = FENCE.match(line)
        if block is None:
            if match:
                block = Block(path, number + 1, match.group("info").split())
                indent, fence = match.group("indent"), match.group("fence")
        elif match and match.group("fence").startswith(fence) and not match.group("info").strip():
            blocks.append(block)
            block = None
        else:
            block.lines.append(line[len(indent):] if line.startswith(indent) else line)
    if block is not None:
        block.fail("the block is not closed")
    return blocks


def commands_of(block):
    """The lines after `$ `, each with the lines that continue it after a backslash."""
    commands = []
    continued = False
    for line in block.lines:
        if continued:
            commands[-1] += "\n" + line
        elif line.startswith("$ "):
            commands.append(line[2:])
        else:
            continue
        continued = line.endswith("\\")
    return commands


def write(path, text):
    """Writes only what has changed, so that the build redoes only that."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def extract(arguments):
    os.makedirs(arguments.out, exist_ok=True)
    calls = []  # of the functions in tests/docs/CMakeLists.txt
    for path in arguments.files:
        stem = os.path.splitext(path)[0].lower().removeprefix("docs/")
        stem = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
        count = 0
        previous = None  # name and call of the `cpp run` block just before
        for block in blocks_of(arguments.root, path):
            kind, tags = (block.tags or [""])[0], block.tags[1:]
            if (kind, tags) == ("text", ["output"]):
                if previous is None:
                    block.fail("`text output` follows no `cpp run` block")
                expected = os.path.join(arguments.out, previous[0] + ".expected")
                write(expected, block.text())
                previous[1].append(expected)
                previous = None
                continue
            previous = None
            name = f"doc_{stem}_{count + 1}"
            if kind == "cpp" and "run" in tags:
                if tags != ["run"]:
                    block.fail("a `cpp run` block takes no further word")
                if not re.search(r"\bmain\s*\(", block.text()):
                    block.fail("a `cpp run` block must be a whole program; there is no main")
                source = os.path.join(arguments.out, name + ".cpp")
                write(source, f'#line {block.line} "{path}"\n{block.text()}')
                calls.append(["basin_doc_program", name, source])
                previous = name, calls[-1]
            elif kind == "console" and "check" in tags:
                unknown = set(tags) - {"check", "slow", "data"}
                if unknown:
                    block.fail(f"unknown word {sorted(unknown)} of a `console check` block")
                commands = commands_of(block)
                if not commands:
                    block.fail("a `console check` block without a line that begins with `$ `")
                script = os.path.join(arguments.out, name + ".sh")
                lines = [f"# {path}:{block.line}"]
                if "data" in tags:
                    lines.append(
                        'if [ -z "${BASIN_DATA:-}" ]; then\n'
                        f'  echo "needs BASIN_DATA"\n  exit {SKIPPED}\nfi'
                    )
                lines += commands
                write(script, "\n".join(lines) + "\n")
                calls.append(["basin_doc_console", name, script])
                if "slow" in tags:
                    calls[-1].append("slow")
            else:
                continue
            count += 1
    cmake = [call[0] + "(" + " ".join(f'"{word}"' for word in call[1:]) + ")\n" for call in calls]
    write(os.path.join(arguments.out, "documentation.cmake"), "".join(cmake))


def run_program(arguments):
    run = subprocess.run(
        [os.path.abspath(arguments.program)], stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    print(run.stdout, end="")
    if run.returncode != 0:
        sys.exit(f"{arguments.program} ended with status {run.returncode}")
    if arguments.expect:
        with open(arguments.expect, encoding="utf-8") as file:
            expected = file.read()
        if run.stdout != expected:
            difference = difflib.unified_diff(
                expected.splitlines(), run.stdout.splitlines(), "documented", "printed", lineterm=""
            )
            sys.exit("the program does not print what is documented:\n" + "\n".join(difference))


def run_console(arguments):
    """The commands find what the repository holds where a reader finds it, but what they write goes
    to a temporary folder."""
    root = os.path.abspath(arguments.root)
    build = os.path.abspath(arguments.build)
    with tempfile.TemporaryDirectory() as folder:
        for entry in os.listdir(root):
            if entry not in ("build", "runs", ".git"):
                os.symlink(os.path.join(root, entry), os.path.join(folder, entry))
        os.makedirs(os.path.join(folder, "build"))
        os.symlink(build, os.path.join(folder, "build", "release"))
        path = os.path.join(build, "bin") + os.pathsep + os.environ["PATH"]
        # -x shows which command failed.
        status = subprocess.run(
            [shutil.which("bash") or "bash", "-euxo", "pipefail", os.path.abspath(arguments.script)],
            cwd=folder,
            env=dict(os.environ, PATH=path),
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    sys.exit(status)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("extract")
    action.add_argument("--root", required=True)
    action.add_argument("--out", required=True)
    action.add_argument("files", nargs="*", metavar="FILE", help="relative to the root")
    action.set_defaults(do=extract)

    action = actions.add_parser("run-program")
    action.add_argument("--expect")
    action.add_argument("program")
    action.set_defaults(do=run_program)

    action = actions.add_parser("run-console")
    action.add_argument("--root", required=True)
    action.add_argument("--build", required=True)
    action.add_argument("script")
    action.set_defaults(do=run_console)

    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
