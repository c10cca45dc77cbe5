#!/usr/bin/env bash
# From a bare Debian or Ubuntu to a comparison of four kinds of memory: installs what is missing,
# builds the trainer, trains each backbone on the copying task, prints a table and draws a plot.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly backbones=(rnn attention hopfield linear-attention)

usage() {
  cat <<'TEXT'
usage: tools/quickstart.sh [options]

Builds the trainer into build/release/bin, trains the backbones rnn, attention, hopfield and
linear-attention on the copying task and compares them. May be run again: what is installed and
built is kept, the runs are repeated.

  --steps N     training steps of each backbone (default: $QUICKSTART_STEPS, else 600)
  --threads N   threads of the trainer (default: the trainer's)
  --out DIR     where runs, table and plot go (default: runs/quickstart in the repository)
  --no-install  install no packages
  -h, --help    print this text
TEXT
}

steps="${QUICKSTART_STEPS:-600}"
threads=""
out=runs/quickstart
install=yes
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --steps)
      need_count "$1" "$@"
      steps="$2"
      shift
      ;;
    --threads)
      need_count "$1" "$@"
      threads="$2"
      shift
      ;;
    --out)
      need_value "$1" "$@"
      # The trainer runs in the repository; the folder is meant from where the user stands.
      case "$2" in
        /*) out="$2" ;;
        *) out="$PWD/$2" ;;
      esac
      shift
      ;;
    --no-install) install=no ;;
    *) wrong_usage "unknown option '$1'" ;;
  esac
  shift
done
if [ -n "$steps" ]; then
  need_count QUICKSTART_STEPS QUICKSTART_STEPS "$steps"
fi

trap report_failed_stage EXIT
cd "$repository"

if [ "$install" = yes ]; then
  stage "Packages"
  tools/install_packages.sh build plot
fi

stage "Building the trainer into build/release"
# Training is on the CPU; nvcc would only make it take longer.
configure release -DBASIN_CUDA=OFF -DBASIN_BUILD_TESTS=OFF -DBASIN_WARNINGS_AS_ERRORS=OFF
cmake --build build/release --target trainer --parallel "$(processor_count)"

readonly trainer=build/release/bin/trainer
options=()
if [ -n "$steps" ]; then
  options+=(--steps "$steps")
fi
if [ -n "$threads" ]; then
  options+=(--threads "$threads")
fi
runs=()
for backbone in "${backbones[@]}"; do
  stage "Training $backbone on copying"
  "$trainer" train --task copying --backbone "$backbone" --out "$out/$backbone" --overwrite \
    ${options[@]+"${options[@]}"}
  runs+=("$out/$backbone")
done

stage "Comparison"
"$trainer" compare "${runs[@]}" --out "$out"
stage ""

say ""
say "Table: $out/copying.md and copying.csv; each run: $out/BACKBONE"
if [ -s "$out/copying.svg" ]; then
  say "Plot:  $out/copying.svg"
fi
say "All in all: $SECONDS s"
