#!/usr/bin/env python3
"""Writes the table of Unicode letters, numbers and white space that the GPT-2 tokenizer splits text
by, from the character database of a Python module.

    tools/generate_unicode_tables.py [--module unicodedata2] > tasks/tokenizers/unicode_classes.inc

The module `unicodedata` of Python itself is as old as that Python; `unicodedata2`, a package, has
the same functions and a newer database. The table names its version of Unicode."""

import argparse
import importlib
import sys

LINE = 100


def class_of(database, code_point):
    """What the pattern means by \\p{L}, \\p{N} and \\s, the property White_Space; else None."""
    category = database.category(chr(code_point))
    if category[0] == "L":
        return "letter"
    if category[0] == "N":
        return "number"
    # White_Space is the separators and six controls. str.isspace() is not the same: it holds for
    # U+001C to U+001F, too.
    if category[0] == "Z" or code_point in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85):
        return "white_space"
    return None


def ranges(database):
    """(first, last, class) in ascending order, neighbours of one class joined."""
    found = []
    for code_point in range(sys.maxunicode + 1):
        kind = class_of(database, code_point)
        if kind is None:
            continue
        if found and found[-1][1] == code_point - 1 and found[-1][2] == kind:
            found[-1][1] = code_point
        else:
            found.append([code_point, code_point, kind])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--module", default="unicodedata", help="default: %(default)s")
    database = importlib.import_module(parser.parse_args().module)

    table = ranges(database)
    short = {"letter": "L", "number": "N", "white_space": "W"}
    print(f"// Unicode {database.unidata_version}: {len(table)} ranges {{first, last, class}} of"
          " the general categories L (letter) and\n// N (number) and of the property White_Space (W)."
          " Written by tools/generate_unicode_tables.py.")
    line = ""
    for first, last, kind in table:
        entry = f"{{0x{first:X}, 0x{last:X}, {short[kind]}}},"
        if line and len(line) + 1 + len(entry) > LINE:
            print(line)
            line = ""
        line += (" " if line else "") + entry
    print(line)


if __name__ == "__main__":
    main()
