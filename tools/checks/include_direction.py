#!/usr/bin/env python3
"""The arrow rule: a file may include files of its own floor and of the floors to its right only,

    tools -> tasks -> nn -> autograd -> tensor -> kernels

nothing but tests includes tests, includes of ours are written from the repository root, device code
(.cu, .cuh) includes only kernels/common and its own family, and kernels do not throw. Prints file:line of each violation; exits with 1 if there is one."""

import argparse
import os
import re
import sys

FLOORS = ["tools", "tasks", "nn", "autograd", "tensor", "kernels"]
FOLDERS = FLOORS + ["tests"]
SOURCES = (".h", ".hpp", ".inc", ".cpp", ".cc", ".c", ".cu", ".cuh")

# Everything in which an #include or a throw would be mere text. Numbers come before character
# literals, because of the separator in 1'000.
TOKEN = re.compile(
    r"""(?P<comment> //(?:[^\n\\]|\\.)*(?:\\\n[^\n]*)* | /\*.*?\*/ )
      | (?P<raw> R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)" )
      | (?P<string> "(?:[^"\\\n]|\\.)*" )
      | (?P<number> \b\d(?:[\w.]|'\w)* )
      | (?P<character> '(?:[^'\\\n]|\\.)*' )""",
    re.VERBOSE | re.DOTALL,
)
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include(?:_next)?\b[ \t]*(?P<what>[^\n]*)", re.MULTILINE)
THROW = re.compile(r"\bthrow\b")


def blanked(text, kinds):
    """The text with tokens of these kinds replaced by blanks; line numbers stay."""

    def replace(match):
        if match.lastgroup in kinds or (match.group("raw") and "raw" in kinds):
            return re.sub(r"[^\n]", " ", match.group())
        return match.group()

    return TOKEN.sub(replace, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def include_violation(folder, what):
    """Why a file in this folder may not include this, or None. `what` still has its quotes."""
    quoted = re.match(r'"([^"]*)"', what)
    angled = re.match(r"<([^>]*)>", what)
    if not quoted and not angled:
        return f"#include {what.strip()}: cannot be checked; write the name of the file"
    name = (quoted or angled).group(1)
    first = name.split("/")[0]
    if angled and first not in FOLDERS:
        return None
    if angled:
        return f'<{name}> is ours: write "{name}"'
    if first not in FOLDERS or ".." in name.split("/"):
        return f'"{name}" is not written from the repository root; its path begins with a floor'
    if folder == "tests":
        return None
    if first == "tests":
        return f'{folder} includes "{name}": only tests include tests'
    if FLOORS.index(first) < FLOORS.index(folder):
        return f'{folder} includes "{name}": {first} is a floor above {folder}'
    return None


def device_violation(path, what):
    """Why this file of device code may not include this, or None."""
    name = what.strip('"<>')
    own = os.path.dirname(path)
    if not path.endswith((".cu", ".cuh")) or name.split("/")[0] not in FLOORS:
        return None
    if os.path.dirname(name) in (own, "kernels/common"):
        return None
    return f'{path} includes "{name}": device code includes only kernels/common and {own}'


def violations_in(path, text):
    """(line, reason) of each violation of the file with this path below the repository."""
    folder = path.split("/")[0]
    code = blanked(text, {"comment", "raw"})
    for match in INCLUDE.finditer(code):
        what = match.group("what").strip()
        reason = include_violation(folder, what) or device_violation(path, what)
        if reason:
            yield line_of(code, match.start("what")), reason
    if folder == "kernels":
        code = blanked(text, {"comment", "raw", "string", "character"})
        for match in THROW.finditer(code):
            yield line_of(code, match.start()), "kernels do not throw: return a Status"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.join(here, "..", ".."), help="the repository")
    root = os.path.normpath(parser.parse_args().root)

    files = 0
    violations = 0
    for folder in FOLDERS:
        for path, folders, names in os.walk(os.path.join(root, folder)):
            folders.sort()
            for name in sorted(names):
                if not name.endswith(SOURCES):
                    continue
                files += 1
                full = os.path.join(path, name)
                with open(full, encoding="utf-8") as source:
                    text = source.read()
                relative = os.path.relpath(full, root).replace(os.sep, "/")
                for line, reason in violations_in(relative, text):
                    violations += 1
                    print(f"{relative}:{line}: {reason}")
    if files == 0:
        sys.exit(f"include_direction.py: no source files below {root}")
    print(f"include direction: {files} files, {violations} violations")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
