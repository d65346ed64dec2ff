#!/bin/sh
# make run: one container of this machine's own system, and what one sees inside.
#
# The script below runs in the container; it uses nothing but a shell, awk and /proc, so that any system can show it.
set -eu
cd "$(dirname "$0")/.."
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); else bold= dim= plain=; fi

# shellcheck disable=SC2016 # the container's shell expands it
inside='
title() { printf "\n%s%s%s  %s%s%s\n" "$BOLD" "$1" "$PLAIN" "$DIM" "$2" "$PLAIN"; }
first() { for file in "$@"; do if [ -r "$file" ]; then cat "$file"; return; fi; done; echo "none"; }
mib() { awk "{ if (\$1 ~ /^[0-9]+\$/ && \$1 < 2^50) printf \"%d MiB\\n\", \$1 / 1048576; else print \"no limit\" }"; }
cpus() {
  if [ -r /sys/fs/cgroup/cpu.max ]; then awk "{ print (\$1 == \"max\") ? \"no limit\" : \$1 / \$2 \" CPUs\" }" /sys/fs/cgroup/cpu.max
  elif [ -r /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
    quota=$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) period=$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)
    awk -v q="$quota" -v p="$period" "BEGIN { print (q < 0) ? \"no limit\" : q / p \" CPUs\" }"
  else echo "none"; fi
}

title "hostname" "its own UTS namespace"
echo "  $(cat /proc/sys/kernel/hostname)"

title "processes" "its own pid namespace: this shell is process 1, and there is nobody else"
for process in /proc/[0-9]*; do
  [ -r "$process/cmdline" ] && line=$(tr "\0" " " <"$process/cmdline" | head -n 1 | cut -c1-60) && printf "  %5s  %s\n" "${process#/proc/}" "$line"
done

title "user" "root here; the user namespace says who that is outside (inside, outside, how many)"
echo "  $(id)" | cut -c1-100
awk "{ printf \"  %s → %s, %s ids\\n\", \$1, \$2, \$3 }" /proc/self/uid_map

title "limits" "its own cgroup, which it can read and not change"
printf "  memory     %s\n" "$(first /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes | mib)"
printf "  cpu        %s\n" "$(cpus)"
printf "  processes  %s\n" "$(first /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max)"

title "network" "its own network namespace"
awk "NR > 2 { sub(/:.*/, \"\", \$1); print \"  \" \$1 }" /proc/net/dev

title "mounts" "its own mount namespace: a copy-on-write view of /, and nothing else of the host"
awk "{ split(\$4, o, \",\"); printf \"  %-26s %-10s %s\\n\", \$2, \$3, o[1] }" /proc/self/mounts | sort | head -n 12
printf "  … %s in all\n" "$(wc -l </proc/self/mounts)"

title "a file" "written where the host has its own"
echo "hello from inside" > /etc/written-inside && echo "  /etc/written-inside: $(cat /etc/written-inside)"
'

set -- run --rm --rootfs / --hostname museum --memory 256m --cpus 0.5 --pids-limit 100
printf '%s$ minicontainer %s sh -c …%s\n' "$dim" "$*" "$plain"
dist/minicontainer "$@" -e BOLD="$bold" -e DIM="$dim" -e PLAIN="$plain" sh -c "$inside"

printf '\n%son the host again%s\n' "$bold" "$plain"
if [ -e /etc/written-inside ]; then echo "  /etc/written-inside is here: this is a bug"; exit 1; fi
echo "  /etc/written-inside is not here; the container, its cgroup, its mounts and its changes are gone"
printf '\n%sNext:%s dist/minicontainer explain --rootfs / sh   %s# every kernel operation that made it, and why%s\n' "$bold" "$plain" "$dim" "$plain"
printf '      dist/minicontainer run --rm -it --rootfs / sh   %s# look around%s\n' "$dim" "$plain"
