r"""Users and groups: `adduser`, `addgroup`, `useradd`, `groupadd`, as one shell script.

A user is a line in `/etc/passwd` and nothing more, so a script can make one. The simulated runtime runs this one with
its own shell; `minidocker/base` holds it as a file where the machine's busybox was built without these commands.
"""

from __future__ import annotations

from minidocker.runtime.simulated.builtin import BUILTINS
from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.shell import Shell

NAMES = ("addgroup", "adduser", "groupadd", "useradd")
SCRIPT = r"""#!/bin/sh
# adduser and addgroup with busybox's and Debian's options, useradd and groupadd with those of the shadow package
set -eu
me=${0##*/} first=1000 home=yes names= shell= folder= id= group= groups= comment= force=
[ "$me" != useradd ] || home=
die() { echo "$me: $*" >&2; exit 1; }
has() { cut -d: -f"$3" "$1" | grep -qxF -- "$2"; }
free() { n=$first; while has "$1" "$n" 3; do n=$((n + 1)); done; echo "$n"; }
join() {
    has /etc/group "$2" 1 || die "unknown group $2"
    grep -q "^$2:.*[:,]$1\(,\|\$\)" /etc/group || sed -i -e "/^$2:/s/\$/,$1/" -e "/^$2:/s/:,/:/" /etc/group
}
make_group() {
    ! has /etc/group "$1" 1 || { [ -z "$force" ] || exit 0; die "group '$1' in use"; }
    echo "$1:x:${2:-$(free /etc/group)}:" >> /etc/group
}
while [ $# -gt 0 ]; do
    case "$me $1" in
        *" --"*=*) value=${1#*=}; name=${1%%=*}; shift; set -- "$name" "$value" "$@"; continue ;;
        *" -"[SrmHMDNUlfo]?*) rest=${1#-?}; flag=${1%"$rest"}; shift; set -- "$flag" "-$rest" "$@"; continue ;;
        *" -S" | *" -r" | *" --system") first=100 ;;
        "useradd -m" | "useradd --create-home") home=yes ;;
        *" -H" | *" -M" | *" --no-create-home") home= ;;
        *" -f" | *" --force") force=yes ;;
        *" -"[DNUlo] | *" --disabled-"* | *" --quiet" | *" --group" | *" --"*user-group) ;;
        "adduser -g" | *" --gecos" | *" -c" | *" --comment") comment=$2; shift ;;
        "adduser -G" | *" --ingroup" | "useradd -g" | *"user --gid" | "useradd --gid") group=$2; shift ;;
        "useradd -G" | *" --groups") groups=$2; shift ;;
        *" -u" | *" --uid" | *" -g" | *" --gid") id=$2; shift ;;
        *" -h" | *" -d" | *" --home" | *" --home-dir") folder=$2; shift ;;
        *" -s" | *" --shell") shell=$2; shift ;;
        *" -"*) die "unknown option $1" ;;
        *) names="$names $1" ;;
    esac
    shift
done
set -- $names
[ $# -gt 0 ] || die "missing operand"
if [ $# -gt 1 ]; then join "$1" "$2"; exit; fi
case $me in *group*) make_group "$1" "$id"; exit ;; esac
! has /etc/passwd "$1" 1 || die "user '$1' in use"
id=${id:-$(free /etc/passwd)}
if [ "$me$first$group" = adduser100 ] && has /etc/group nogroup 1; then group=nogroup; fi
if [ -z "$group" ]; then
    make_group "$1" "$(has /etc/group "$id" 3 || echo "$id")"
    group=$1
fi
gid=$(sed -n "s/^$group:[^:]*:\([0-9]*\):.*/\1/p" /etc/group)
case ${gid:=$group} in *[!0-9]*) die "unknown group $group" ;; esac
[ "$first$shell" != 100 ] || shell=/bin/false
folder=${folder:-/home/$1}
echo "$1:x:$id:$gid:$comment:$folder:${shell:-/bin/sh}" >> /etc/passwd
for one in $(echo "$groups" | tr , ' '); do join "$1" "$one"; done
if [ -n "$home" ] && [ ! -e "$folder" ]; then mkdir -p "$folder"; chown "$id:$gid" "$folder"; fi
"""


def account(process: Process, args: list[str]) -> Task:
    """Run the script, under the name that was asked for."""
    shell = Shell(process, BUILTINS, process.args[0], args)
    return shell.main(shell.text(SCRIPT))


TABLE: dict[str, Command] = dict.fromkeys(NAMES, account)
