#!/usr/bin/env bash
# Installs what is missing on Debian and Ubuntu, and nothing when nothing is.
#
#   tools/install_packages.sh build|demo|check|full
#
# build: to compile the library and the tool. demo: to run it too, on any machine: PoCL makes the CPU a device.
# check: to run tools/check; full: with --full.
set -euo pipefail

needed=(cmake make pkg-config libc6-dev ocl-icd-opencl-dev opencl-c-headers libclblast-dev libjansson-dev)
optional=() # what not every release has; what they are for is then skipped
case ${1-} in
build) ;;
demo)
    needed+=(pocl-opencl-icd libstb-dev)
    ;;
check | full)
    needed+=(pocl-opencl-icd libstb-dev libcmocka-dev g++ binutils)
    # The version of clang that the tree is formatted with: others disagree.
    optional+=(mesa-opencl-icd clang-format-14 clang-tidy-14)
    # Offline compilers of GPUs for tools/check_vendors, and a simulator that watches memory.
    optional+=(clang-15 llvm-15 libclc-15 llvm-spirv-15 spirv-tools rocm-device-libs intel-opencl-icd oclgrind python3)
    [ "$1" != full ] || optional+=(python3-torchvision)
    ;;
*)
    echo "usage: $0 build|demo|check|full" >&2
    exit 2
    ;;
esac

installed()
{
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v apt-get dpkg-query >/dev/null; then
    echo "No apt-get here. Needed, by their Debian names: ${needed[*]} ${optional[*]}" >&2
    exit 0 # they may be there: the build says what is not
fi

missing=()
for package in "${needed[@]}" "${optional[@]}"; do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing, and neither root nor sudo to install them: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)

"${apt[@]}" update
install=()
for package in "${missing[@]}"; do
    case " ${optional[*]} " in
    *" $package "*)
        if ! apt-cache show "$package" >/dev/null 2>&1; then
            echo "Not in this release: $package"
            continue
        fi
        ;;
    esac
    install+=("$package")
done
[ ${#install[@]} -eq 0 ] && exit 0
echo "Installing ${install[*]}"
"${apt[@]}" install --yes --no-install-recommends "${install[@]}" >/dev/null
