#!/usr/bin/env bash
# Installs what is missing, builds everything, runs the tests and the structural checks, and counts.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'TEXT'
usage: tools/run_tests.sh [options] [-- CTEST-OPTIONS...]

  --all          run the tests labelled slow, too
  --preset P     release (default), cuda, debug, asan or tsan: builds in build/P
  --fuzz         run each fuzz target for a quarter of a minute, with --all a minute, with libFuzzer,
                 too, if clang++ has it (implied where the variable CI is set and nothing follows --)
  --no-fuzz      do not
  --jobs N       compile and test with N processes (default: the number of processors)
  --werror       warnings are errors (implied where the variable CI is set)
  --no-install   install no packages
  -h, --help     print this text

Where nvcc is found, the kernels are compiled for GPUs as well: for compute capability 8.0, with
--all also for 9.0. The preset cuda insists on it. Neither a GPU nor a driver is needed; without a GPU
and without --all they are compiled in a hurry (BASIN_CUDA_FAST_COMPILE), because none of them will run.
What follows -- goes to ctest, for example: -- -L checks   or   -- -R LayerNorm
Tests that need real data look for it in the folder that BASIN_DATA names, and are skipped and
counted without it.
TEXT
}

all=no
preset=release
jobs="$(processor_count)"
warnings_as_errors=OFF
if [ -n "${CI:-}" ]; then
  warnings_as_errors=ON
fi
install=yes
fuzz=auto
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --all) all=yes ;;
    --fuzz) fuzz=yes ;;
    --no-fuzz) fuzz=no ;;
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
    --werror) warnings_as_errors=ON ;;
    --no-install) install=no ;;
    --)
      shift
      break
      ;;
    *) wrong_usage "unknown option '$1'" ;;
  esac
  shift
done
case "$preset" in
  release | cuda | debug | asan | tsan) ;;
  *) wrong_usage "unknown preset '$preset'; the presets are release, cuda, debug, asan and tsan" ;;
esac

if [ "$fuzz" = auto ]; then
  fuzz=no
  if [ -n "${CI:-}" ] && [ "$#" -eq 0 ] && [[ "$preset" =~ ^(release|cuda)$ ]]; then
    fuzz=yes
  fi
fi

# Whether clang++ is there, with libFuzzer and the sanitizers, which are packages of their own.
has_fuzzer() {
  local program
  program="$(mktemp)"
  local found=1
  if printf 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -x c++ -fsanitize=fuzzer,address,undefined -o "$program" - 2>/dev/null; then
    found=0
  fi
  rm -f "$program"
  return "$found"
}

trap report_failed_stage EXIT
cd "$repository"
readonly build="build/$preset"

if [ "$install" = yes ]; then
  stage "Packages"
  tools/install_packages.sh build plot test
  if [ "$fuzz" = yes ]; then
    tools/install_packages.sh fuzz
  fi
fi

stage "Building into $build"
cuda=AUTO
if [ "$preset" = cuda ]; then
  cuda=ON
fi
architectures=80-real
fast=ON
if [ "$all" = yes ]; then
  architectures='80;90a-real'
fi
if [ "$all" = yes ] || [ -e /dev/nvidiactl ]; then
  fast=OFF
fi
configure "$preset" -DBASIN_BUILD_TESTS=ON -DBASIN_WARNINGS_AS_ERRORS="$warnings_as_errors" \
  -DBASIN_CUDA="$cuda" -DBASIN_CUDA_ARCHITECTURES="$architectures" \
  -DBASIN_CUDA_FAST_COMPILE="$fast"
cmake --build "$build" --parallel "$jobs"

# As the test preset says: tests ask for more memory than there is, and the HDF5 library cannot close
# all that it opened in a damaged file.
export ASAN_OPTIONS="${ASAN_OPTIONS:-allocator_may_return_null=1}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-print_suppressions=0:suppressions=$repository/tests/leaks_of_libraries.txt}"

stage "Testing"
selection=()
if [ "$all" = no ]; then
  selection=(-LE '^slow$')
fi
readonly results="$build/test_results.xml"
rm -f "$results"
status=0
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error \
  --test-output-size-passed 1000000 --output-junit "$repository/$results" \
  ${selection[@]+"${selection[@]}"} "$@" || status=$?

# The programs find by search what tests have not been written for. They come with sanitizers and so in a
# build folder of their own, which holds nothing else; what they do not look into they take from the build.
fuzz_note="not asked for (--fuzz)"
fuzz_results=""
if [ "$fuzz" = yes ] && ! has_fuzzer; then
  fuzz_note="skipped, there is no clang++ with libFuzzer (tools/install_packages.sh fuzz)"
elif [ "$fuzz" = yes ]; then
  stage "Fuzzing in build/fuzz"
  fuzz_seconds=15
  if [ "$all" = yes ]; then
    fuzz_seconds=60
  fi
  configure fuzz -DBASIN_WARNINGS_AS_ERRORS=OFF -DBASIN_FUZZ_SECONDS="$fuzz_seconds" \
    -DBASIN_FUZZ_WITH="$repository/$build"
  cmake --build build/fuzz --parallel "$jobs"
  fuzz_results=build/fuzz/test_results.xml
  rm -f "$fuzz_results"
  ctest --test-dir build/fuzz --parallel "$jobs" --output-on-failure --no-tests=error \
    --output-junit "$repository/$fuzz_results" -R '^fuzz\.' -E '\.replay$' || status=$?
fi
stage ""

say ""
if [ -n "${BASIN_DATA:-}" ]; then
  say "Real data: BASIN_DATA is $BASIN_DATA"
else
  say "Real data: BASIN_DATA is not set"
fi
say "All in all: $SECONDS s"
if [ -n "$fuzz_results" ]; then
  say "Fuzzing:"
  python3 tools/test_summary.py "$fuzz_results" || status=1
  say "Tests:"
else
  say "Fuzzing: $fuzz_note"
fi
python3 tools/test_summary.py "$results" || status=1
exit "$status"
