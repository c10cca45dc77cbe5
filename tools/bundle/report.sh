# What run_gpu_tests.sh makes of its records. Sourced, not run. Records have a line each, fields between
# tabs: tests (name, result, ms), trainings (name, result, seconds, speed, reached), facts (name, value).

# result_of STATUS LOG: of one test in a process of its own.
result_of() {
  case "$1" in
    0)
      if grep -q '^\[  SKIPPED \]' "$2"; then
        echo skipped
      else
        echo passed
      fi
      ;;
    1 | 99) echo failed ;; # 99: what compute-sanitizer was told to answer
    124) echo timeout ;;
    *) echo crashed ;;
  esac
}

# milliseconds_of LOG: what GoogleTest says that the test took, or nothing.
milliseconds_of() {
  sed -n 's/^\[\( *OK\|  FAILED \|  SKIPPED\) \].*(\([0-9]*\) ms)$/\2/p' "$1" | head -n 1
}

# passed_in LOG: the tests that passed, with their milliseconds, a line each.
passed_in() {
  sed -n 's/^\[       OK \] \([^ ,]*\).* (\([0-9]*\) ms)$/\1\t\2/p' "$1"
}

# describe DEVICES DRIVER TOOL BUILD-FILE: the facts. DEVICES: what 'trainer list devices' prints.
describe() {
  sed -n 's/^ *cuda  */device\t/p' <<<"$1"
  printf 'driver\t%s\n' "$2"
  sed -n -e 's/^ *cuBLAS  */cublas\t/p' -e 's/^ *cuDNN  */cudnn\t/p' <<<"$1"
  printf 'date\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf 'host\t%s, %s\n' "$(uname -sr)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
  if [ -n "$3" ]; then
    printf 'tool\tcompute-sanitizer %s\n' "$3"
  fi
  sed 's/ /\t/' "$4"
}

# Standard input as a JSON string.
json_string() {
  printf '"'
  LC_ALL=C tr -d '\000-\010\013-\037\177' |
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' | awk 'NR > 1 {printf "\\n"} {printf "%s", $0}'
  printf '"'
}

# json_rows FILE NAME...: the lines of a record as objects; a name that ends in # is a number.
json_rows() {
  local file="$1"
  shift
  awk -F '\t' -v names="$*" '
    function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }
    BEGIN { count = split(names, name, " ") }
    { printf "%s\n    {", (NR > 1 ? "," : "")
      for (i = 1; i <= count; ++i) {
        number = sub(/#$/, "", name[i]) || is_number[i]
        is_number[i] = number
        value = number ? ($i == "" ? "null" : $i) : quoted($i)
        printf "%s\"%s\": %s", (i > 1 ? ", " : ""), name[i], value
      }
      printf "}" }' "$file"
}

write_json() {
  local folder="$1"
  printf '{\n  "format": "basin gpu results 1",\n'
  awk -F '\t' '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "  \"%s\": \"%s\",\n", $1, $2 }' \
    "$folder/facts"
  printf '  "tests": ['
  json_rows "$folder/tests" name result 'milliseconds#'
  printf '\n  ],\n  "trainings": ['
  json_rows "$folder/trainings" name result 'seconds#' speed reached
  printf '\n  ],\n  "failures": '
  if [ -s "$folder/failures" ]; then
    json_string <"$folder/failures"
  else
    printf '""'
  fi
  printf ',\n  "profile": '
  if [ -s "$folder/profile.json" ]; then
    cat "$folder/profile.json"
  else
    printf 'null\n'
  fi
  printf '}\n'
}

write_markdown() {
  local folder="$1"
  printf '# basin on a GPU\n\n| | |\n| --- | --- |\n'
  awk -F '\t' '{ printf "| %s | %s |\n", $1, $2 }' "$folder/facts"
  printf '\n## Tests\n\n| suite | tests | passed | failed | skipped | seconds |\n'
  printf '| --- | ---: | ---: | ---: | ---: | ---: |\n'
  awk -F '\t' '
    { suite = $1; sub(/\..*/, "", suite)
      if (!(suite in tests)) order[++suites] = suite
      ++tests[suite]; time[suite] += $3
      if ($2 == "passed") ++passed[suite]
      else if ($2 == "skipped") ++skipped[suite]
      else ++failed[suite] }
    END { for (i = 1; i <= suites; ++i) { s = order[i]
      printf "| %s | %d | %d | %d | %d | %.2f |\n", s, tests[s], passed[s], failed[s], skipped[s],
             time[s] / 1000 } }' "$folder/tests"
  if [ -s "$folder/trainings" ]; then
    printf '\n## Training\n\n| run | result | seconds | speed | reached |\n| --- | --- | ---: | ---: | --- |\n'
    awk -F '\t' '{ printf "| %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5 }' "$folder/trainings"
  fi
  if [ -s "$folder/profile.md" ]; then
    printf '\n## Kernels\n\n'
    cat "$folder/profile.md"
  fi
  if [ -s "$folder/failures" ]; then
    printf '\n## What failed\n\n```text\n'
    cat "$folder/failures"
    printf '```\n'
  fi
}
