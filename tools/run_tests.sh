#!/usr/bin/env bash
# Installs what is missing, builds everything, runs the tests and the structural checks, and counts.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'TEXT'
usage: tools/run_tests.sh [options] [-- CTEST-OPTIONS...]

  --all          run the tests labelled slow, too
  --preset P     release (default), debug, asan or tsan: builds in build/P
  --jobs N       compile and test with N processes (default: the number of processors)
  --werror       warnings are errors (implied where the variable CI is set)
  --no-install   install no packages
  -h, --help     print this text

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
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --all) all=yes ;;
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
  release | debug | asan | tsan) ;;
  *) wrong_usage "unknown preset '$preset'; the presets are release, debug, asan and tsan" ;;
esac

trap report_failed_stage EXIT
cd "$repository"
readonly build="build/$preset"

if [ "$install" = yes ]; then
  stage "Packages"
  tools/install_packages.sh build plot test
fi

stage "Building into $build"
configure "$preset" -DBASIN_BUILD_TESTS=ON -DBASIN_WARNINGS_AS_ERRORS="$warnings_as_errors"
cmake --build "$build" --parallel "$jobs"

stage "Testing"
selection=()
if [ "$all" = no ]; then
  selection=(-LE '^slow$')
fi
readonly results="$build/test_results.xml"
rm -f "$results"
status=0
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error \
  --output-junit "$repository/$results" ${selection[@]+"${selection[@]}"} "$@" || status=$?
stage ""

say ""
if [ -n "${BASIN_DATA:-}" ]; then
  say "Real data: BASIN_DATA is $BASIN_DATA"
else
  say "Real data: BASIN_DATA is not set"
fi
say "All in all: $SECONDS s"
python3 tools/test_summary.py "$results" || status=1
exit "$status"
