#!/bin/sh
# Installs what the benchmarks need from Debian or Ubuntu: nginx with its stream module, haproxy, and wrk, the load generator.
# Run as root. The packages start services of their own; those are kept from starting, or stopped and
# disabled, since a benchmark starts each proxy itself.
set -eu

if [ "$(id -u)" -ne 0 ]; then
  echo "install-peers.sh: run as root, for instance: sudo sh bench/install-peers.sh" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "install-peers.sh: this script knows apt-get only; install nginx, haproxy and wrk by hand" >&2
  exit 1
fi

# The packages' own scripts ask policy-rc.d whether a service may be started; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends nginx libnginx-mod-stream haproxy wrk util-linux

if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
  systemctl disable --now nginx haproxy >/dev/null 2>&1 || true
else
  for service in nginx haproxy; do
    if [ -x "/etc/init.d/$service" ]; then
      "/etc/init.d/$service" stop >/dev/null 2>&1 || true
    fi
  done
fi

nginx -v
haproxy -v | head -n 1
wrk -v 2>&1 | head -n 1 || true
