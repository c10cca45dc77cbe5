#!/usr/bin/env bash
# Every header compiles as the first and only include of a file, and twice over (its guard works).
# The build has shown it already for a header that a source of it includes first.
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
for command in commands:
    source = os.path.normpath(os.path.join(command["directory"], command["file"]))
    if not source.startswith(repository + os.sep) or not os.path.isfile(source):
        continue
    if "cmake_pch.hxx" in command.get("command", ""):
        continue  # its first include is the precompiled header
    with open(source, encoding="utf-8") as text:
        include = next((line for line in text if line.startswith("#include")), "")
    header = re.fullmatch(r'#include "([^"]+)"\s*', include)
    if header:
        print(header.group(1))
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
if command -v ccache >/dev/null; then
  # ccache knows only real compilations; from the second run on it has them all.
  compiler=(ccache "${compiler[@]}")
  flags+=(-O0 -c)
else
  flags+=(-fsyntax-only)
fi

# One file per header, named after it, so that ccache meets the same file again.
names=()
for header in ${headers[@]+"${headers[@]}"}; do
  name="${header//\//_}"
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/$name.cpp"
  names+=("$name")
done
cd "$scratch"
if [ "${#names[@]}" -gt 0 ]; then
  # xargs answers 123 when a compilation failed; the .failed files say which.
  printf '%s\0' "${names[@]}" |
    xargs -0 -P "$jobs" -I '{}' bash -c \
      'name="$1"; shift; "$@" "$name.cpp" -o "$name.o" >"$name.log" 2>&1 || mv "$name.log" "$name.failed"' \
      bash '{}' "${compiler[@]}" "${flags[@]}"
fi

failures=0
for i in ${headers[@]+"${!headers[@]}"}; do
  if [ -f "${names[$i]}.failed" ]; then
    failures=$((failures + 1))
    say "${headers[$i]}: does not compile alone:"
    head -n 12 "${names[$i]}.failed"
  fi
done
note=""
if [ -n "$built" ]; then
  note=", $by_the_build more by the build"
fi
say "headers: ${#headers[@]} compiled alone$note, $failures failed"
[ "$failures" -eq 0 ]
