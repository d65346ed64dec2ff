#!/bin/sh
# What the make targets need on a fresh machine, and only what is missing of it.
#
#     tools/setup.sh build            npm packages, and Debian's for building and running
#     tools/setup.sh build test bench the same, and what tests and benchmarks use besides
#
# npm packages come as package-lock.json says, and again only when that file has changed. Their scripts never run
# (.npmrc): the programs we use, Bun and Node, are files of platform packages, which need none.
# Read on: Makefile, docs/decisions/0001-platform-packages.md.
set -eu
cd "$(dirname "$0")/.."

packages() {
  case $1 in
    build) echo make gcc libc6-dev musl-tools linux-libc-dev ;;
    # skopeo, umoci: other hands on our image store. busybox: a whole system in one static file. seccomp: a second opinion on our filters. clang: the fuzzer.
    test) echo busybox-static libseccomp-dev clang libclang-rt-dev libarchive-tools python3 zstd attr tmux util-linux procps iproute2 nftables skopeo umoci docker-registry apache2-utils openssl zsh fish ;;
    bench) echo runc crun util-linux ;;
    *) echo "tools/setup.sh: no group '$1': build, test, bench" >&2; exit 2 ;;
  esac
}

say() { echo "setup: $*" >&2; }

if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  say "npm packages of package-lock.json"
  # Errors only: npm 10 under Node 20 warns about engines of packages that Bun and Node 24 run, not Node 20.
  npm ci --no-audit --no-fund --loglevel=error >&2
  cp package-lock.json node_modules/.installed-lock.json
fi

missing=
for group in "$@"; do
  for package in $(packages "$group"); do
    if command -v dpkg-query >/dev/null; then
      dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    fi
  done
done
command -v dpkg-query >/dev/null || say "not a Debian system: the packages of ($*) are taken to be there"
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    say "missing Debian packages, and only root can install them: apt-get install$missing"
    exit 1
  fi
  say "Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  apt-get update -qq >&2
  # shellcheck disable=SC2086 # a list of words
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
