#!/usr/bin/env bash
# Makes sure that programs of Debian packages are there: scripts/need.sh PACKAGE...
# As root it installs what is missing; otherwise it prints the one line that does
# and fails. It never goes on without them.
set -euo pipefail

# present PACKAGE: is its program there? Debian keeps servers off a user's PATH.
present() {
	case $1 in
	postgresql) command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
	pgbouncer) command -v pgbouncer || test -x /usr/sbin/pgbouncer ;;
	nodejs) command -v node ;;
	systemd) command -v systemd-analyze ;;
	libfaketime) compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' ;;
	*) command -v "$1" ;;
	esac >/dev/null
}

missing=()
for package in "$@"; do
	present "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]}. Install with:" >&2
	echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
	exit 1
fi

echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null

for package in "${missing[@]}"; do
	present "$package" || { echo "$package was installed, but its program is not there" >&2; exit 1; }
done
