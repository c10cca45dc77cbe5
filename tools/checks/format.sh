#!/usr/bin/env bash
# Every source file is laid out as clang-format does it by .clang-format. Tables (.inc) are laid out
# by hand.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<'TEXT'
usage: tools/checks/format.sh [--fix] [FILE...]

Checks the layout of each FILE (default: all sources, paths from the repository root); --fix changes
the files instead. Needs clang-format 14: other versions lay out some lines differently, so without
it the check is skipped (exit 77).
TEXT
}

fix=no
files=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --fix) fix=yes ;;
    -*) wrong_usage "unknown option '$1'" ;;
    *.h | *.cpp | *.cu | *.cuh) files+=("$1") ;;
    *) wrong_usage "$1 is no source that clang-format lays out (.h, .cpp, .cu, .cuh)" ;;
  esac
  shift
done

clang_format=""
for candidate in clang-format-14 clang-format; do
  if [[ "$("$candidate" --version 2>/dev/null)" == *"version 14."* ]]; then
    clang_format="$candidate"
    break
  fi
done
if [ -z "$clang_format" ]; then
  say "format: skipped, no clang-format 14 here"
  exit 77
fi

cd "$repository"
if [ "${#files[@]}" -eq 0 ]; then
  mapfile -t files < <(find kernels tensor autograd nn tasks tools tests \
    \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) | LC_ALL=C sort)
fi
[ "${#files[@]}" -gt 0 ] || die "no sources found in $repository"

if [ "$fix" = yes ]; then
  "$clang_format" -i "${files[@]}"
  say "format: ${#files[@]} files laid out"
  exit 0
fi
# Of each file the first line is enough to see what is meant; --fix does them all.
report="$("$clang_format" --dry-run "${files[@]}" 2>&1)" || die "$report"
found="$(awk -F: '/clang-format-violations/ && !seen[$1]++ { print $1 ":" $2 ": laid out differently" }' \
  <<<"$report")"
if [ -n "$found" ]; then
  say "$found"
  die "$(wc -l <<<"$found") of ${#files[@]} files differ from .clang-format; run tools/checks/format.sh --fix"
fi
say "format: ${#files[@]} files are laid out as .clang-format says"
