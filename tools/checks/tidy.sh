#!/usr/bin/env bash
# clang-tidy with the list of checks in .clang-tidy. Takes minutes, so no test runs it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<'TEXT'
usage: tools/checks/tidy.sh [--preset P] [--jobs N] [PATH...]

Runs clang-tidy on the sources below each PATH (default: all, paths from the repository root), as
they are compiled in build/P (default: debug, where each source is compiled by itself), which must be
configured. Exits with 1 on a finding.
TEXT
}

preset=debug
jobs="$(processor_count)"
paths=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --preset)
      need_value "$1" "$@"
      preset="$2"
      shift
      ;;
    --jobs)
      need_count "$1" "$@"
      jobs="$2"
      shift
      ;;
    -*) wrong_usage "unknown option '$1'" ;;
    *) paths+=("$1") ;;
  esac
  shift
done
if [ "${#paths[@]}" -eq 0 ]; then
  paths=(kernels tensor autograd nn tasks tools tests)
fi

command -v clang-tidy >/dev/null ||
  die "no clang-tidy here; tools/install_packages.sh tidy installs it"
cd "$repository"
readonly commands="build/$preset/compile_commands.json"
[ -f "$commands" ] ||
  die "no $commands; configure first: cmake --preset $preset"
for path in "${paths[@]}"; do
  [ -e "$path" ] || wrong_usage "no '$path' in the repository"
done

# Only what the build compiles: clang-tidy would guess the flags of any other file.
mapfile -t files < <(find "${paths[@]}" -name '*.cpp' | LC_ALL=C sort |
  while read -r file; do
    if grep -qF "\"file\": \"$repository/$file\"" "$commands"; then
      printf '%s\n' "$file"
    fi
  done)
[ "${#files[@]}" -gt 0 ] || die "build/$preset compiles nothing below ${paths[*]}"

# clang reads no precompiled header of GCC's. Without it, an include that a test forgot is found, too.
plain="$(mktemp -d)"
trap 'rm -rf "$plain"' EXIT
sed -E 's/ -(Winvalid-pch|fpch-preprocess|Wno-restrict)//g; s/ -include [^ ]*cmake_pch\.hxx//g' \
  "$commands" >"$plain/compile_commands.json"

say "clang-tidy on ${#files[@]} files ..."
# --quiet leaves the count of warnings in system headers on the error stream; it says nothing.
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$jobs" clang-tidy --quiet --warnings-as-errors='*' -p "$plain" \
    2> >(grep -v 'warnings\? generated\.$' >&2) ||
  die "clang-tidy has findings (above)"
say "clang-tidy: no findings"
