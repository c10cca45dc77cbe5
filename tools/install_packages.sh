#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that basin needs and that are not there yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# group, package, the command it is wanted for (- for a library, ? before what basin can do without),
# and what basin does with it.
# cmake/BasinDependencies.cmake looks for the same libraries.
readonly packages='
build g++                         c++          the C++20 compiler
build cmake                       cmake        configures the build
build ninja-build                 ninja        runs the build
build pkg-config                  ?pkg-config  tells where libraries lie
build libboost-program-options-dev -           command lines; brings the headers of Boost.Math
build libboost-context-dev        -            stacks for the threads of CUDA kernels on the CPU
build libhdf5-dev                 -            checkpoints and named arrays in files
build libopenblas-dev             -            matrix products
build libhwy-dev                  -            vector instructions, portably
build libfmt-dev                  -            text formatting
build nlohmann-json3-dev          -            JSON files
build zlib1g-dev                  -            compressed data sets
plot  gnuplot-nox                 ?gnuplot     curves and comparison plots
test  libgtest-dev                -            the test framework
test  libbenchmark-dev            -            the benchmarks
test  python3                     python3      structural checks, code in the documentation
test  clang-format                ?clang-format the layout check
test  python3-numpy               ?-           files exchanged with NumPy
test  python3-h5py                ?-           files exchanged with h5py
fuzz  clang                       ?clang++     compiles the fuzz targets
fuzz  libclang-rt-dev             ?-           libFuzzer, the address sanitizer
tidy  clang-tidy                  clang-tidy   static analysis
'

usage() {
  cat <<'TEXT'
usage: tools/install_packages.sh [--list] [GROUP...]

Installs what is missing of the Debian packages of each GROUP:
  build   compiler, build tools and libraries
  plot    gnuplot; without it the trainer writes CSV and a script instead of pictures
  test    what the tests and structural checks use besides
  fuzz    clang++ with libFuzzer, for tools/run_tests.sh --fuzz
  tidy    clang-tidy, for tools/checks/tidy.sh
Without a GROUP: build plot test.

  --list      print the packages and what each is for, install nothing
  -h, --help  print this text
TEXT
}

list_packages() {
  local group package command purpose
  while read -r group package command purpose; do
    [ -z "$group" ] || printf '%-6s %-29s %s\n' "$group" "$package" "$purpose"
  done <<<"$packages"
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

run_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

apt_get() {
  # Waits for another package manager instead of failing on its lock, and asks no questions.
  run_as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

groups=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --list)
      list_packages
      exit 0
      ;;
    build | plot | test | fuzz | tidy) groups+=("$1") ;;
    *) wrong_usage "unknown group or option '$1'; the groups are build, plot, test, fuzz and tidy" ;;
  esac
  shift
done
if [ "${#groups[@]}" -eq 0 ]; then
  groups=(build plot test)
fi

have_apt=no
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  have_apt=yes
fi

# A tool counts as there when its command is, wherever it came from. A library counts as there when
# its package is installed; without apt only the build can tell.
missing=()
missing_optional=()
missing_lines=()
wanted=()
missing_commands=()
while read -r group package command purpose; do
  case " ${groups[*]} " in
    *" ${group:-none} "*) ;;
    *) continue ;;
  esac
  wanted+=("$package")
  if [ "${command#\?}" != - ]; then
    command -v "${command#\?}" >/dev/null && continue
    if [ "${command:0:1}" != "?" ]; then
      missing_commands+=("$command")
    fi
  elif [ "$have_apt" = yes ]; then
    is_installed "$package" && continue
  else
    continue
  fi
  if [ "${command:0:1}" = "?" ]; then
    missing_optional+=("$package")
  else
    missing+=("$package")
  fi
  missing_lines+=("$(printf '  %-29s %s' "$package" "$purpose")")
done <<<"$packages"

# Packages cannot be installed by this script: says what is needed, and lets the caller go on if at
# least the tools are there.
leave_it_to_the_user() {
  if [ "${#missing_commands[@]}" -gt 0 ]; then
    die "not found: ${missing_commands[*]}. Install these first, then run this again"
  fi
  say "The tools that matter most are there; going on. The build names a library that is missing."
  exit 0
}

if [ "$have_apt" = no ]; then
  say "This system has no apt-get, so nothing can be installed here. For '${groups[*]}' basin needs"
  say "what Debian calls: ${wanted[*]}"
  leave_it_to_the_user
fi

readonly missing_count=$((${#missing[@]} + ${#missing_optional[@]}))
if [ "$missing_count" -eq 0 ]; then
  say "Packages for ${groups[*]}: all ${#wanted[@]} there, nothing to install."
  exit 0
fi

say "Packages for ${groups[*]}: $missing_count of ${#wanted[@]} missing:"
printf '%s\n' "${missing_lines[@]}"

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
  say "Installing needs root, and there is no sudo. As root, run:"
  say "  apt-get install --no-install-recommends ${missing[*]} ${missing_optional[*]}"
  leave_it_to_the_user
fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT

update() {
  say "Refreshing the package lists ..."
  # One unreachable source among several is no reason to stop: the installation will tell.
  apt_get update -q >>"$log" 2>&1 || true
}
install() {
  [ "$#" -eq 0 ] || apt_get install -q -y --no-install-recommends "$@" >>"$log" 2>&1
}
is_known() {
  [ -n "$(apt-cache --quiet=0 madison "$1" 2>/dev/null)" ]
}

updated=no
for package in ${missing[@]+"${missing[@]}"} ${missing_optional[@]+"${missing_optional[@]}"}; do
  if ! is_known "$package"; then
    update
    updated=yes
    break
  fi
done

say "Installing with apt-get install --no-install-recommends ..."
if ! install ${missing[@]+"${missing[@]}"}; then
  # Lists from some time ago name files that the servers no longer have.
  if [ "$updated" = yes ] || ! { update && install "${missing[@]}"; }; then
    tail -n 20 "$log" >&2
    die "apt-get could not install ${missing[*]}; its last words are above." \
      "If they are there in another way, call the quick start or the tests with --no-install"
  fi
fi
# One by one: not every release has all of these, and basin does without.
not_installed=()
for package in ${missing_optional[@]+"${missing_optional[@]}"}; do
  install "$package" || not_installed+=("$package")
done
if [ "${#not_installed[@]}" -gt 0 ]; then
  say "Not installed, and not needed for the rest: ${not_installed[*]}."
else
  say "Installed."
fi
