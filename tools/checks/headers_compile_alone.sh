#!/usr/bin/env bash
# Every header compiles as the first and only include of a file, and twice over (its guard works).
# The build has shown it already for a header that a source of it includes first. Headers of libraries that
# a header includes anyway, itself or through another of ours, may as well be precompiled for it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<'TEXT'
usage: tools/checks/headers_compile_alone.sh [--jobs N] [--built FILE] [HEADER...]

Compiles each HEADER (default: all, paths from the repository root) on its own. The compiler is
$CXX, else c++. With --built, the compile_commands.json of a finished build, headers with
'#pragma once' that one of its sources includes before anything else are counted as done.
TEXT
}

jobs="$(processor_count)"
built=""
headers=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --jobs)
      need_count "$1" "$@"
      jobs="$2"
      shift
      ;;
    --built)
      need_value "$1" "$@"
      built="$2"
      shift
      ;;
    -*) wrong_usage "unknown option '$1'" ;;
    *) headers+=("$1") ;;
  esac
  shift
done

cd "$repository"
if [ "${#headers[@]}" -eq 0 ]; then
  mapfile -t headers < <(
    find kernels tensor autograd nn tasks tools tests -name '*.h' | LC_ALL=C sort)
fi
for header in "${headers[@]}"; do
  [ -f "$header" ] || wrong_usage "no file '$header' in the repository"
done
[ "${#headers[@]}" -gt 0 ] || die "no headers found in $repository"

# The headers that a compiled source includes first, where nothing precompiled comes before.
first_includes() {
  python3 - "$1" "$repository" <<'PROGRAM'
import json, os, re, sys

commands, repository = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2]


def first_include(path):
    if not path.startswith(repository + os.sep) or not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as text:
        line = next((line for line in text if line.startswith("#include")), "")
    header = re.fullmatch(r'#include "([^"]+)"\s*', line)
    if header and os.path.isabs(header.group(1)):  # sources that are compiled together: the first of them
        return first_include(header.group(1))
    return header.group(1) if header else ""


for command in commands:
    if "cmake_pch.hxx" not in command.get("command", ""):  # that comes first otherwise
        print(first_include(os.path.normpath(os.path.join(command["directory"], command["file"]))))
PROGRAM
}

# choose_precompiled HEADER...: prints "header<TAB>headers of libraries to precompile for it". All of them are
# among what it includes, by itself or through headers of ours, so that none hides a lack.
choose_precompiled() {
  python3 - "$@" <<'PROGRAM'
import os, re, sys


def includes(name):
    """What stands at the top of a file, before any other code; the <> stay."""
    if not os.path.isfile(name):
        return
    with open(name, encoding="utf-8") as file:
        text = re.sub(r"//.*", "", re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S))
    for line in text.splitlines():
        include = re.match(r'#include (?:"([^"]+)"|(<[^>]+>))', line)
        if include:
            yield include.group(1) or include.group(2)
        elif line.strip() and not line.startswith("#pragma once"):
            return


reached = {}


def reach(name):
    if name not in reached:
        reached[name] = set()
        for include in includes(name):
            reached[name] |= {include} if include.startswith("<") else reach(include)
    return reached[name]


def weight(parts):
    light = {"<cstddef>", "<cstdint>", "<initializer_list>", "<type_traits>", "<utility>"}
    return sum(5 if "/" in part else 0 if part in light else 1 for part in parts)


# What is worth its own compilation, the best of all first.
headers = sys.argv[1:]
candidates = {frozenset(reach(header)) for header in headers}
best = {header: frozenset() for header in headers}
while candidates:
    gain = {
        parts: sum(
            max(0, weight(parts) - weight(best[header])) for header in headers if parts <= reached[header]
        )
        for parts in candidates
    }
    winner = max(sorted(candidates, key=sorted), key=lambda parts: gain[parts] - 3 * weight(parts))
    if gain[winner] <= 3 * weight(winner):
        break
    candidates.remove(winner)
    for header in headers:
        if winner <= reached[header] and weight(winner) > weight(best[header]):
            best[header] = winner
for header in headers:
    print(f"{header}\t{' '.join(sorted(best[header]))}")
PROGRAM
}

count=${#headers[@]}
if [ -n "$built" ]; then
  [ -f "$built" ] || wrong_usage "no file '$built'; configure with CMake first"
  proven="$(first_includes "$built")"
  remaining=()
  for header in "${headers[@]}"; do
    if ! grep -q '^#pragma once' "$header" || ! grep -qxF -- "$header" <<<"$proven"; then
      remaining+=("$header")
    fi
  done
  headers=(${remaining[@]+"${remaining[@]}"})
fi
by_the_build=$((count - ${#headers[@]}))

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

compiler=("${CXX:-c++}")
# Tests find the files they read below the repository, by a definition that CMake gives them.
flags=(-std=c++20 -Wall -Wextra -I "$repository" "-DBASIN_SOURCE_DIR=\"$repository\"")
# HDF5's headers lie aside where Debian keeps several versions of it.
if hdf5="$(pkg-config --cflags hdf5 2>/dev/null)"; then
  read -r -a hdf5_flags <<<"$hdf5"
  flags+=(${hdf5_flags[@]+"${hdf5_flags[@]}"})
fi

# One file per header, named after it.
names=()
for header in ${headers[@]+"${headers[@]}"}; do
  name="${header//\//_}"
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/$name.cpp"
  names+=("$name")
done
precompiled="$(choose_precompiled ${headers[@]+"${headers[@]}"})"
cd "$scratch"

# compile FLAGS... FILE, into FILE.failed where it fails.
compile() {
  local file="${!#}"
  "${compiler[@]}" "${flags[@]}" "$@" >"$file.log" 2>&1 || mv "$file.log" "$file.failed"
}
# at_once FUNCTION: for each line of the input, with all processors.
at_once() {
  local line
  while IFS= read -r line; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
      wait -n || true
    done
    "$1" "$line" &
  done
  wait
}
# first_of HEADERS: the file that includes what is precompiled.
first_of() {
  printf '%s.first' "${1//[^a-z0-9_]/_}"
}
precompile() {
  local name
  name="$(first_of "$1")"
  printf '#include %s\n' $1 >"$name"
  compile -x c++-header -o "$name.gch" "$name"
}
compile_alone() {
  local header="${1%%$'\t'*}" first
  first="$(first_of "${1##*$'\t'}")"
  if [ -f "$first.gch" ]; then
    compile -fsyntax-only -include "$first" "${header//\//_}.cpp"
  else
    compile -fsyntax-only "${header//\//_}.cpp"
  fi
}
if [ "${#names[@]}" -gt 0 ]; then
  cut -f 2 <<<"$precompiled" | LC_ALL=C sort -u | sed '/^$/d' | at_once precompile
  at_once compile_alone <<<"$precompiled"
fi

failures=0
for i in ${headers[@]+"${!headers[@]}"}; do
  if [ -f "${names[$i]}.cpp.failed" ]; then
    failures=$((failures + 1))
    say "${headers[$i]}: does not compile alone:"
    head -n 12 "${names[$i]}.cpp.failed"
  fi
done
note=""
if [ -n "$built" ]; then
  note=", $by_the_build more by the build"
fi
say "headers: ${#headers[@]} compiled alone$note, $failures failed"
[ "$failures" -eq 0 ]
