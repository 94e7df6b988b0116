#!/bin/sh
# Installs the Debian packages of the programs that the tests start. If all of them
# are installed, it does nothing and needs neither network nor root.
set -eu

programs="ss-server ss-local ss-tunnel ss-manager zbarimg curl openssl chromium dig dnsmasq unbound redis-server haproxy nft ip unshare fail2ban-regex nc.openbsd ssh sshd tor-resolve danted microsocks tinyproxy nginx ss-v2ray-plugin obfs-local tmux logrotate promtool prometheus"
packages="shadowsocks-libev curl openssl chromium ca-certificates bind9-dnsutils dnsmasq-base unbound redis-server haproxy nftables iproute2 util-linux fail2ban netcat-openbsd openssh-client openssh-server tor dante-server microsocks tinyproxy nginx shadowsocks-v2ray-plugin simple-obfs zbar-tools fonts-inter tmux logrotate prometheus"

PATH="$PATH:/usr/sbin" # some programs are there, and it is not in the PATH of every user
missing=""
for program in $programs; do
	command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "missing:$missing; install them by hand, this system has no apt-get" >&2
	[ "${CI:-}" != true ] || exit 1
	exit 0 # the tests that need the programs report it
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
	sudo="sudo"
	if ! command -v sudo >/dev/null 2>&1; then
		echo "missing:$missing; run as root: apt-get install $packages" >&2
		[ "${CI:-}" != true ] || exit 1
		exit 0
	fi
fi

# The tests start their own servers: no service of a package may run.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
	$sudo chmod +x "$policy"
	trap '$sudo rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $packages
