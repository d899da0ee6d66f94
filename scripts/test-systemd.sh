#!/usr/bin/env bash
# Types the systemd commands of docs/deployment.md on a machine of their own: a real
# systemd, process 1 of its own namespaces and cgroups, on a copy-on-write of this one's
# files. While a new release is put in, somebody asks the API all the time and must never
# be refused. Wants root, a binary in bin/, and the URL of a Postgres in DIRECTORYBOLT_TEST_PG.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "test-systemd: only root may start a systemd of its own: sudo make test-systemd" >&2
	exit 1
fi
: "${DIRECTORYBOLT_TEST_PG:?test-systemd: names no Postgres; run it by: make test-systemd}"
tree=$PWD base=$(mktemp -d) own=directorybolt-$$ booted='' asking=''
port=$(shuf -i 20000-30000 -n 1)

# Where each hierarchy of cgroups is mounted.
hierarchies=$(awk '{for (i = 7; $i != "-"; i++); if ($(i+1) ~ /^cgroup2?$/) print $5}' /proc/self/mountinfo)

cleanup() {
	[ -z "$asking" ] || kill "$asking" 2>/dev/null || true
	[ -z "$booted" ] || kill -KILL "$booted" 2>/dev/null || true
	wait 2>/dev/null || true
	for at in $hierarchies; do
		for _ in $(seq 100); do # until the last of its processes is gone
			[ -d "$at/$own" ] || break
			find "$at/$own" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
		done
	done
	rm -rf "$base"
}
trap cleanup EXIT

# boot becomes the systemd. What would change this machine is masked or read-only.
# shellcheck disable=SC2016 # the shell that unshare starts expands it
boot='
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base"/{up,work,root,tree-up,tree-work}
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/up,workdir=$base/work" "$base/root"
cd "$base/root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$base/tree-up,workdir=$base/tree-work" mnt
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
case " $hierarchies " in *" /sys/fs/cgroup "*) ;; *)
	mount -t tmpfs tmpfs sys/fs/cgroup ;;
esac
for at in $hierarchies; do
	[ -d ".$at" ] || mkdir -p ".$at"
	mount --bind "$at/$own" ".$at"
done
mount -t tmpfs tmpfs dev
mkdir dev/{shm,pts,hugepages,mqueue}
for device in null zero full random urandom tty; do
	touch "dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mount -t tmpfs tmpfs dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
rm -rf etc/systemd/system
mkdir -p etc/systemd/system/directorybolt-api.socket.d
printf "[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n" "$port" >etc/systemd/system/directorybolt-api.socket.d/port.conf
for unit in systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-udevd.service systemd-udev-trigger.service \
	systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-random-seed.service systemd-update-utmp.service systemd-pstore.service \
	systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount \
	dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount networking.service apparmor.service; do
	ln -s /dev/null "etc/systemd/system/$unit"
done
: >etc/machine-id
mkdir old
pivot_root . old
umount -l old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target
'
(
	for at in $hierarchies; do
		mkdir "$at/$own"
		for of in cpuset.cpus cpuset.mems; do # the older kind of a cpuset begins with none
			[ ! -e "$at/$of" ] || [ -s "$at/$own/$of" ] || cat "$at/$of" >"$at/$own/$of" || true
		done
		echo "$BASHPID" >"$at/$own/cgroup.procs"
	done
	export tree base own port hierarchies=${hierarchies//$'\n'/ }
	exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup bash -c "$boot"
) >"$base/log" 2>&1 &
booted=$!

# inside runs a command there, with what stdin has.
inside() { nsenter --target "$(pgrep -P "$booted")" --mount --pid --uts --ipc --cgroup --root --wd "$@"; }

for _ in $(seq 300); do
	[ "$(inside systemctl is-system-running 2>/dev/null || true)" = running ] && break
	sleep 0.2
done
if [ "$(inside systemctl is-system-running || true)" != running ]; then
	echo "test-systemd: systemd does not come up:" >&2
	cat "$base/log" >&2
	exit 1
fi
inside bash -c 'mkdir -p /mnt/bin && cat >/mnt/bin/directorybolt && chmod 0755 /mnt/bin/directorybolt' <bin/directorybolt

# typed prints the commands of the blocks from one to another.
typed() {
	awk -v from="$1" -v to="$2" '
		/^<!-- run: systemd -->$/ { n++; ours = 1; next }
		ours && /^```sh$/ { inside = 1; next }
		/^```$/ { ours = inside = 0 }
		inside && n >= from && n <= to' docs/deployment.md | sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/"
}
type_in() {
	if ! inside bash -c "set -euxo pipefail; cd /mnt; $1"; then
		inside journalctl --no-pager -n 60 >&2
		exit 1
	fi
}

echo "== install and start"
begun=$SECONDS
type_in "$(typed 1 2)" <<<"$DIRECTORYBOLT_TEST_PG" | tee "$base/out"
grep -qx ok "$base/out"
echo "== everything runs after $((SECONDS - begun)) s; a new release, under load"

: >"$base/refused"
(while curl -fsS --max-time 30 "http://127.0.0.1:$port/livez" >>"$base/answers" 2>>"$base/refused"; do :; done) &
asking=$!
sleep 1
type_in "$(typed 3 3)" </dev/null
sleep 1
if ! kill "$asking" 2>/dev/null || [ -s "$base/refused" ]; then
	echo "test-systemd: a request was refused while the release was replaced:" >&2
	cat "$base/refused" >&2
	exit 1
fi
asking=''
failed=$(inside systemctl list-units 'directorybolt*' --state=failed --no-legend)
if [ -n "$failed" ]; then
	echo "test-systemd: failed: $failed" >&2
	exit 1
fi
echo "== replaced, $(grep -o ok "$base/answers" | wc -l) requests answered, none refused"
