# What the scripts in this folder share. Sourced by them, not run.

repository="$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
script_name="$(basename "$0")"

say() { printf '%s\n' "$*"; }

# die MESSAGE...: the job failed (exit 1). wrong_usage MESSAGE...: the call was wrong (exit 2).
die() {
  printf '%s: %s\n' "$script_name" "$*" >&2
  exit 1
}
wrong_usage() {
  printf '%s: %s (%s --help lists the options)\n' "$script_name" "$*" "$script_name" >&2
  exit 2
}

# need_value OPTION "$@" after the option was met: the value is $2, and must be there.
need_value() {
  [ "$#" -ge 3 ] || wrong_usage "$1 needs a value"
}
need_count() {
  need_value "$@"
  [[ "$3" =~ ^[1-9][0-9]*$ ]] || wrong_usage "$1 needs a whole number above 0, not '$3'"
}

# stage TITLE: prints a heading, and how long the stage before it took. An empty title ends the last
# stage.
stage_title=""
stage_start=0
stage() {
  if [ -n "$stage_title" ]; then
    say "-- $stage_title: $((SECONDS - stage_start)) s"
  fi
  stage_title="$1"
  stage_start=$SECONDS
  if [ -n "$stage_title" ]; then
    say ""
    say "== $stage_title"
  fi
}
# The command that failed has said why; this says where in the script that was.
report_failed_stage() {
  local status=$?
  if [ "$status" -ne 0 ] && [ -n "$stage_title" ]; then
    printf '%s: stopped in stage "%s" (exit status %d); the reason is above\n' \
      "$script_name" "$stage_title" "$status" >&2
  fi
}

processor_count() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

# configure PRESET [-DNAME=VALUE...]: prepares build/PRESET. CMake remembers variables from call to
# call, so each script passes every variable it depends on, whatever another script chose before.
configure() {
  local preset="$1"
  shift
  local launcher=""
  if command -v ccache >/dev/null; then
    launcher=ccache
  fi
  local fresh=()
  local cache="$repository/build/$preset/CMakeCache.txt"
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$repository" "$cache"; then
    say "build/$preset was made for a tree in another place: configuring it afresh"
    fresh=(--fresh)
  fi
  (cd "$repository" && cmake --preset "$preset" ${fresh[@]+"${fresh[@]}"} \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" -DCMAKE_CUDA_COMPILER_LAUNCHER="$launcher" "$@")
}
