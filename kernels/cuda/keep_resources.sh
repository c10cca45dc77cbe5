#!/bin/sh
# Stands before nvcc in the build: keep_resources.sh [ccache] nvcc ... -o OBJECT ...
# What ptxas tells about each kernel (registers, shared memory, spills) goes to OBJECT.resources, from
# where tools/checks/cuda_resources.py takes it; everything else stays on the error stream.
object=
previous=
for word in "$@"; do
  if [ "$previous" = -o ]; then
    object="$word"
  fi
  previous="$word"
done
[ -n "$object" ] || exec "$@"

"$@" 2>"$object.stderr"
status=$?
told='^ptxas info|^ +[0-9]+ bytes stack frame,'
grep -E "$told" "$object.stderr" >"$object.resources"
grep -vE "$told" "$object.stderr" >&2
rm -f "$object.stderr"
exit "$status"
