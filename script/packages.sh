# Sourced by the other scripts: what each of them needs from Debian, and how it gets there.
# shellcheck shell=bash disable=SC2034

# What the build takes.
BUILD_PACKAGES=(
  bazel-bootstrap g++ pkg-config
  libarchive-dev libbenchmark-dev libbrotli-dev libcli11-dev libcpp-httplib-dev libgmock-dev libgrpc++-dev libmd4c-dev libmd4c-html0-dev
  libprotobuf-dev libre2-dev libseccomp-dev libslirp-dev libspdlog-dev libsqlite3-dev libsqlitecpp-dev libssl-dev libvalijson-dev
  nlohmann-json3-dev
  prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc zlib1g-dev
)
# What the local backend runs commands with.
RUN_PACKAGES=(bubblewrap busybox-static ca-certificates libslirp0 uidmap)
# What script/bench loads servers with and compares them to.
BENCH_PACKAGES=(git openssl wrk)
# What tests and benchmarks compare and play with.
TEST_PACKAGES=(buildah chromium docker-registry mmdebstrap qemu-system-x86 runsc skopeo sqlite3)
# The kernel that virtual machines boot, see ensure_vm_kernel.
VM_KERNEL_PACKAGE=linux-image-cloud-amd64
# What packages from npm are installed with, unless the machine has an npm already.
NPM_PACKAGES=(nodejs npm)
# What script/fuzz compiles with.
FUZZ_PACKAGES=(clang libclang-rt-14-dev)
# What script/format and script/lint call.
LINT_PACKAGES=(clang clang-format clang-tidy shellcheck yamllint)

# ensure_packages PACKAGE...: installs those that are missing, after saying which; touches nothing when all are there.
ensure_packages() {
  local package missing=()
  for package in "$@"; do
    if [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return 0
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Missing Debian packages: ${missing[*]}" >&2
      echo "Install them as root (apt-get install ${missing[*]}), or install sudo and run this again." >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing ${#missing[@]} Debian packages with apt-get: ${missing[*]}"
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# ensure_npm: makes sure that there is an npm, whoever installed it.
ensure_npm() {
  command -v npm >/dev/null || ensure_packages "${NPM_PACKAGES[@]}"
}

# ensure_vm_kernel: where the machine has no kernel in /boot (a container, a virtual machine that is booted from outside), unpacks a
# small one there, which --isolation=microvm boots. Not installed: that would make an initramfs and more, which takes minutes and which
# nothing needs. Without a network the tests of virtual machines are skipped, and say so.
ensure_vm_kernel() {
  if [ "$(uname -m)" != x86_64 ] || compgen -G '/boot/vmlinuz-*' >/dev/null; then
    return 0
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "There is no kernel in /boot for virtual machines, and only root can put one there." >&2
    return 0
  fi
  local package directory
  package=$(apt-cache depends "$VM_KERNEL_PACKAGE" | awk '/Depends: linux-image-/ {print $2; exit}')
  directory=$(mktemp -d)
  echo "Unpacking a kernel for virtual machines: $package"
  if ! (cd "$directory" && apt-get -qq download "$package" 2>/dev/null && dpkg-deb --extract ./*.deb unpacked &&
    mkdir -p /boot /lib/modules && cp -r unpacked/lib/modules/. /lib/modules/ && cp unpacked/boot/vmlinuz-* /boot/); then
    echo "It cannot be fetched; tests of virtual machines are skipped." >&2
  fi
  rm -r "$directory"
}
