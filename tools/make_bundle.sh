#!/usr/bin/env bash
# One folder with the trainer, the profiler and the GPU tests, built where no GPU is, for a Linux with an
# NVIDIA driver and nothing else of ours.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'TEXT'
usage: tools/make_bundle.sh [options]

Builds the preset portable and makes build/portable/basin-VERSION-linux-x86_64 and the same as .tar.gz.
On the other machine: unpack it, read its README.md, start ./run_gpu_tests.sh.

  --jobs N       compile with N processes (default: the number of processors)
  --no-install   install no packages
  -h, --help     print this text

Needs nvcc. The programs run on any x86-64 Linux whose C library is that of this system or newer.
TEXT
}

readonly most_mib=40       # of the archive
readonly newest_glibc=2.36 # that the programs may ask for: Debian 12
jobs="$(processor_count)"
install=yes
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
    --no-install) install=no ;;
    *) wrong_usage "unknown option '$1'" ;;
  esac
  shift
done

trap report_failed_stage EXIT
cd "$repository"
readonly build=build/portable
readonly programs=(trainer profile_kernels test_cuda)

if [ "$install" = yes ]; then
  stage "Packages"
  tools/install_packages.sh build test
fi

stage "Building into $build"
configure portable -DBASIN_BUILD_TESTS=ON -DBASIN_WARNINGS_AS_ERRORS=OFF \
  -DBASIN_CUDA_FAST_COMPILE=OFF \
  -DBASIN_CUDA_ARCHITECTURES='80;90a-real'
cmake --build "$build" --target "${programs[@]}" --parallel "$jobs"

stage "Filling the folder"
version="$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")"
readonly name="basin-$version-linux-x86_64"
readonly bundle="$build/$name"
rm -rf "$bundle" "$bundle.tar.gz"
mkdir -p "$bundle/bin" "$bundle/lib" "$bundle/data" "$bundle/licenses"
for program in "${programs[@]}"; do
  strip -o "$bundle/bin/$program" "$build/bin/$program"
done
readonly libraries=(libbasin_kernels.so libopenblas_products.so)
for library in "${libraries[@]}"; do
  strip -o "$bundle/lib/$library" "$build/lib/$library"
done

# The licence of the Debian package that a library came from.
keep_licence() {
  local package
  package="$(dpkg-query --search "$(realpath "$1")" "$1" 2>/dev/null | head -n 1 | cut -d: -f1)" || true
  if [ -n "$package" ] && [ -f "/usr/share/doc/$package/copyright" ]; then
    cp "/usr/share/doc/$package/copyright" "$bundle/licenses/$package"
  fi
}

# What is not of the C library comes along. Nothing else may turn up: it would be a library that the
# preset forgot to link statically.
while read -r soname _ path _; do
  case "$soname" in
    linux-vdso.so.* | libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | /lib64/*) ;;
    libbasin_kernels.so | libopenblas_products.so) ;;
    libhwy.so.* | libstdc++.so.* | libgcc_s.so.*)
      cp --dereference "$path" "$bundle/lib/$soname"
      keep_licence "$path"
      ;;
    *) die "a program of the bundle needs $soname ($path), which is not in its list" ;;
  esac
done < <(for file in "$bundle"/bin/* "$bundle"/lib/*; do ldd "$file"; done | sort -u -k 1,1)
for library in openblas hdf5 boost_context z sz aec gtest; do
  found="$(find /usr/lib -name "lib$library.a" -print -quit 2>/dev/null)"
  [ -z "$found" ] || keep_licence "$found"
done

cp tools/bundle/README.md tools/bundle/run_gpu_tests.sh tools/bundle/report.sh "$bundle/"
mkdir "$bundle/opponents"
cp tools/opponents/*.py tools/opponents/README.md "$bundle/opponents/"
chmod +x "$bundle/run_gpu_tests.sh"
cat README.md docs/*.md docs/internals/*.md >"$bundle/data/basin.txt" # a small text to train on
{
  printf 'version %s\n' "$version"
  printf 'commit %s\n' "$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)"
  printf 'built %s\n' "$(date -u +%Y-%m-%d)"
  printf 'compiler %s\n' "$(c++ --version | head -n 1)"
  sed -n 's/^set(CMAKE_CUDA_COMPILER_VERSION "\(.*\)")$/nvcc \1/p' \
    "$build"/CMakeFiles/*/CMakeCUDACompiler.cmake
  printf 'architectures %s\n' '80 90a+PTX of 80'
} >"$bundle/build.txt"

stage "Checking it"
asked="$(objdump -T "$bundle"/bin/* "$bundle"/lib/* 2>/dev/null | grep -o 'GLIBC_2[.0-9]*' |
  sort -u -V | tail -n 1)"
[ "$(printf '%s\n%s\n' "${asked#GLIBC_}" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
  die "the programs need $asked; the bundle is for glibc $newest_glibc. Build it on an older system"
if grep -rlF "$repository" "$bundle/bin" "$bundle/lib" >/dev/null; then
  # Messages name sources by their path here; rpaths must not.
  for file in "$bundle"/bin/* "$bundle"/lib/*; do
    if readelf -d "$file" | grep -E 'R(UN)?PATH' | grep -qF "$repository"; then
      die "$file looks for libraries in $repository"
    fi
  done
fi
"$bundle/bin/trainer" list devices

stage "Packing"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --directory "$build" "$name" |
  gzip -9 --no-name >"$bundle.tar.gz"
readonly bytes="$(stat --format=%s "$bundle.tar.gz")"
say "$bundle.tar.gz: $((bytes / 1024 / 1024)) MiB ($bytes bytes), needs ${asked/_/ }"
[ "$bytes" -le $((most_mib * 1024 * 1024)) ] || die "the archive is larger than $most_mib MiB"
stage ""
