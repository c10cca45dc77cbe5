#!/usr/bin/env bash
# Every .cu file, which the ordinary build compiles for the executor on the CPU, is also good CUDA.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<'TEXT'
usage: tools/checks/cuda_compiles.sh [--jobs N] [FILE...]

Compiles each FILE (default: every .cu file, paths from the repository root) with nvcc for compute
capability 8.0, warnings being errors. Neither a GPU nor a driver is needed. The compiler is $NVCC,
else nvcc, else /usr/local/cuda/bin/nvcc; without one the check is skipped (exit 77).
TEXT
}

jobs="$(processor_count)"
files=()
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
    *) files+=("$1") ;;
  esac
  shift
done

nvcc=""
for candidate in "${NVCC:-nvcc}" /usr/local/cuda/bin/nvcc; do
  if command -v "$candidate" >/dev/null; then
    nvcc="$candidate"
    break
  fi
done
if [ -z "$nvcc" ]; then
  say "cuda: skipped, no nvcc here"
  exit 77
fi

cd "$repository"
if [ "${#files[@]}" -eq 0 ]; then
  mapfile -t files < <(find kernels -name '*.cu' | LC_ALL=C sort)
fi
for file in "${files[@]}"; do
  [ -f "$file" ] || wrong_usage "no file '$file' in the repository"
done
[ "${#files[@]}" -gt 0 ] || die "no .cu files found in $repository"

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
compiler=("$nvcc")
if command -v ccache >/dev/null; then
  compiler=(ccache "$nvcc")
fi
flags=(-std=c++20 -arch=sm_80 --expt-relaxed-constexpr -Werror all-warnings -I "$repository" -c)

# xargs answers 123 when a compilation failed; the .failed files say which.
printf '%s\0' "${files[@]}" |
  xargs -0 -P "$jobs" -I '{}' bash -c \
    'file="$1"; out="$2/${file//\//_}"; shift 2
     "$@" "$file" -o "$out.o" >"$out.log" 2>&1 || mv "$out.log" "$out.failed"' \
    bash '{}' "$scratch" "${compiler[@]}" "${flags[@]}" || true

failures=0
for file in "${files[@]}"; do
  if [ -f "$scratch/${file//\//_}.failed" ]; then
    failures=$((failures + 1))
    say "$file: does not compile with $nvcc:"
    head -n 12 "$scratch/${file//\//_}.failed"
  fi
done
say "cuda: ${#files[@]} files compiled by $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p'), $failures failed"
[ "$failures" -eq 0 ]
