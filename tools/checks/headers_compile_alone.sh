#!/usr/bin/env bash
# Every header compiles as the first and only include of a file, and twice over (its guard works).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<'TEXT'
usage: tools/checks/headers_compile_alone.sh [--jobs N] [HEADER...]

Compiles each HEADER (default: all, paths from the repository root) on its own. The compiler is
$CXX, else c++.
TEXT
}

jobs="$(processor_count)"
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
for header in "${headers[@]}"; do
  name="${header//\//_}"
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/$name.cpp"
  names+=("$name")
done
cd "$scratch"
# xargs answers 123 when a compilation failed; the .failed files say which.
printf '%s\0' "${names[@]}" |
  xargs -0 -P "$jobs" -I '{}' bash -c \
    'name="$1"; shift; "$@" "$name.cpp" -o "$name.o" >"$name.log" 2>&1 || mv "$name.log" "$name.failed"' \
    bash '{}' "${compiler[@]}" "${flags[@]}"

failures=0
for i in "${!headers[@]}"; do
  if [ -f "${names[$i]}.failed" ]; then
    failures=$((failures + 1))
    say "${headers[$i]}: does not compile alone:"
    head -n 12 "${names[$i]}.failed"
  fi
done
say "headers: ${#headers[@]} compiled alone, $failures failed"
[ "$failures" -eq 0 ]
