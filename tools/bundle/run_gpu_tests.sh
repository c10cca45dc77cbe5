#!/usr/bin/env bash
# Runs everything that basin has to show on a GPU and writes one JSON file and one Markdown page of it.
# Needs bash, awk and sed. Results appear when all is done, or not at all.
set -euo pipefail
here="$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here"
source "$here/report.sh"

usage() {
  cat <<'TEXT'
usage: ./run_gpu_tests.sh [options]

  --out DIR         where the results go (default: results)
  --filter PATTERN  only the tests that match, as --gtest_filter has it; no training, no profile
  --no-train        no training
  --no-profile      no profile of the kernels
  --tool TOOL       run the tests under compute-sanitizer --tool TOOL (memcheck, racecheck, initcheck,
                    synccheck), which must be in PATH; no training, no profile
  --limit SECONDS   for one test (default: 600)
  --minutes N       after N minutes nothing more is begun, and what is there is written: for a card that is
                    lent for a while (default: no limit)
  -h, --help        print this text

Exit status: 0 all passed, 1 something failed, 2 wrong usage, 77 there is no GPU to run on.
TEXT
}

wrong_usage() {
  printf 'run_gpu_tests.sh: %s (--help lists the options)\n' "$*" >&2
  exit 2
}

out=results
filter='*'
train=yes
profile=yes
tool=""
limit=600
minutes=""
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --out | --filter | --tool | --limit | --minutes)
      [ "$#" -ge 2 ] || wrong_usage "$1 needs a value"
      declare "${1#--}=$2"
      if [ "$1" = --filter ] || [ "$1" = --tool ]; then
        train=no
        profile=no
      fi
      shift
      ;;
    --no-train) train=no ;;
    --no-profile) profile=no ;;
    *) wrong_usage "unknown option '$1'" ;;
  esac
  shift
done
[[ "$limit" =~ ^[1-9][0-9]*$ ]] || wrong_usage "--limit needs a number of seconds, not '$limit'"
[[ "$minutes" =~ ^([1-9][0-9]*)?$ ]] || wrong_usage "--minutes needs a number, not '$minutes'"

left_out=0
# is_over: whether the time is up; then what would have come is counted.
is_over() {
  [ -n "$minutes" ] && [ "$SECONDS" -ge $((60 * minutes)) ] || return 1
  left_out=$((left_out + 1))
}

devices="$(bin/trainer list devices)" || devices=""
device="$(sed -n 's/^ *cuda  *//p' <<<"$devices")"
case "$device" in
  "" | "not available: "*)
    printf 'run_gpu_tests.sh: nothing was run and nothing was written, there is no GPU to run on:\n  %s\n' \
      "${device#not available: }" >&2
    exit 77
    ;;
esac
under=()
if [ -n "$tool" ]; then
  command -v compute-sanitizer >/dev/null || wrong_usage "there is no compute-sanitizer in PATH"
  under=(compute-sanitizer --tool "$tool" --error-exitcode 99)
fi

mkdir -p "$out"
scratch="$(mktemp -d "$out/.unfinished.XXXXXX")"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
printf 'Device: %s\n' "$device"
sed -n 's/^ *\(cuBLAS\|cuDNN\)  */\1: /p' <<<"$devices"

# A suite is a process first, which starts the GPU once for all its tests. What does not pass there is done
# anew in a process of its own: after an illegal access a process cannot use the GPU any more.
bin/test_cuda --gtest_list_tests --gtest_filter="$filter" |
  awk '/^[^ ]+\.$/ {suite = $1} /^  / {print suite $1}' >"$scratch/names"
total="$(wc -l <"$scratch/names")"
[ "$total" -gt 0 ] || wrong_usage "no test matches '$filter'"
run_tests() { # run_tests FILTER: status of the program, whose output is $scratch/log
  timeout "$limit" ${under[@]+"${under[@]}"} bin/test_cuda --gtest_filter="$1" >"$scratch/log" 2>&1 </dev/null
}
: >"$scratch/passed"
while read -r suite; do
  if is_over; then
    left_out=$((left_out - 1)) # its tests are counted below
    continue
  fi
  printf 'Suite: %s\n' "${suite%.}"
  tests="$(awk -v suite="$suite" 'index($0, suite) == 1' "$scratch/names" | paste -s -d :)"
  status=0
  run_tests "$tests" || status=$?
  # The tool does not say which test it means.
  [ -n "$tool" ] && [ "$status" -ne 0 ] || passed_in "$scratch/log" >>"$scratch/passed"
done < <(sed 's/\..*/./' "$scratch/names" | uniq)
number=0
: >"$scratch/tests"
while read -r test; do
  number=$((number + 1))
  milliseconds="$(awk -F '\t' -v test="$test" '$1 == test {print $2; exit}' "$scratch/passed")"
  if [ -n "$milliseconds" ]; then
    result=passed
  elif is_over; then
    continue
  else
    status=0
    run_tests "$test" || status=$?
    result="$(result_of "$status" "$scratch/log")"
    milliseconds="$(milliseconds_of "$scratch/log")"
  fi
  printf '%s\t%s\t%s\n' "$test" "$result" "$milliseconds" >>"$scratch/tests"
  printf '[%d/%d] %-8s %s\n' "$number" "$total" "$result" "$test"
  if [ "$result" != passed ]; then
    printf '### %s: %s\n' "$test" "$result" >>"$scratch/failures"
    tail -n 30 "$scratch/log" >>"$scratch/failures"
  fi
done <"$scratch/names"

# Short trainings: that they run, and what they reach.
: >"$scratch/trainings"
run_training() { # run_training NAME OPTIONS...
  local name="$1" status=0 start=$SECONDS
  shift
  if is_over; then
    return
  fi
  printf 'Training: %s\n' "$name"
  bin/trainer train --device cuda --out "$scratch/run" --overwrite "$@" >"$scratch/log" 2>&1 </dev/null ||
    status=$?
  if [ "$status" -ne 0 ]; then
    printf '### training %s: exit status %d\n' "$name" "$status" >>"$scratch/failures"
    tail -n 30 "$scratch/log" >>"$scratch/failures"
  fi
  local speed
  speed="$(sed -n 's/^.*, \([0-9.]*[kM]* tokens\/s\) while training.*$/\1/p' "$scratch/log" | tail -n 1)"
  local reached
  reached="$(sed -n 's/^.*  test loss /test loss /p' "$scratch/log" | tail -n 1)"
  printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$([ "$status" -eq 0 ] && echo passed || echo failed)" \
    "$((SECONDS - start))" "$speed" "$reached" >>"$scratch/trainings"
}
if [ "$train" = yes ]; then
  for backbone in rnn attention hopfield linear-attention; do
    run_training "copying, $backbone" --task copying --backbone "$backbone" --steps 200
  done
  for precision in tf32 bf16; do
    run_training "copying, attention, $precision" --task copying --backbone attention --steps 200 \
      --precision "$precision"
  done
  run_training "text, attention" --task text --data data --backbone attention --steps 200
fi

if [ "$profile" = yes ] && ! is_over; then
  printf 'Profiling; this takes the longest\n'
  status=0
  bin/profile_kernels time --device cuda --variant all --json "$scratch/profile.json" \
    --markdown "$scratch/profile.md" >"$scratch/log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    rm -f "$scratch/profile.json" "$scratch/profile.md"
    printf '### profile_kernels: exit status %d\n' "$status" >>"$scratch/failures"
    tail -n 30 "$scratch/log" >>"$scratch/failures"
  fi
fi

driver="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)" || driver=""
describe "$devices" "${driver:-unknown}" "$tool" "$here/build.txt" >"$scratch/facts"
if [ "$left_out" -gt 0 ]; then
  said="$left_out tests, trainings and profiles were not begun within $minutes minutes"
  printf 'left out\t%s\n' "$said" >>"$scratch/facts"
  printf '%s\n' "$said"
fi
write_json "$scratch" >"$scratch/results.json"
write_markdown "$scratch" >"$scratch/results.md"
name="gpu-$(date -u +%Y%m%d-%H%M%S)"
mv "$scratch/results.json" "$out/$name.json"
mv "$scratch/results.md" "$out/$name.md"
printf 'Written: %s\n' "$out/$name.json" "$out/$name.md"
if [ -s "$scratch/failures" ]; then
  printf 'Something failed; the page has the last lines of each.\n'
  exit 1
fi
