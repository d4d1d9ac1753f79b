#!/bin/sh
# Makes a fresh Linux machine a host of the platform: puts Node, bubblewrap and the agent on it, and starts the agent at
# every boot. Runs as root, once, as the cloud's user-data or boot script; running it again does no harm.
# The values in double braces are put in by the control plane; all are base64 or checked against quoting.
set -eu
umask 077

say() { echo "paas: $*"; }
fail() {
  say "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail 'must run as root'
mkdir -p /etc/paas /opt/paas
echo '{{userData}}' | base64 -d >/etc/paas/user-data.json
echo '{{ca}}' | base64 -d >/etc/paas/ca.pem

packages='nodejs bubblewrap curl ca-certificates'
missing=
for tool in node bwrap curl; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
if [ "$missing" ]; then
  say "installing$missing"
  if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # The machine may still be busy with its own first update.
    apt-get -o DPkg::Lock::Timeout=300 -qq update
    apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $packages
  elif command -v dnf >/dev/null; then
    dnf -q -y install $packages
  elif command -v apk >/dev/null; then
    apk add --quiet $packages
  else
    fail "cannot install$missing: no apt-get, dnf or apk here"
  fi
fi
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' ||
  fail "needs Node 18 or later, found $(node --version): choose a newer image"

fetch() {
  if [ -s /etc/paas/ca.pem ]; then set -- --cacert /etc/paas/ca.pem "$@"; fi
  curl -fsS --retry 8 --retry-connrefused --retry-delay 2 "$@"
}
fetch -o /opt/paas/agent.mjs.new '{{agentUrl}}'
echo '{{agentSha256}}  /opt/paas/agent.mjs.new' | sha256sum -c - >/dev/null || fail 'the agent does not match its checksum'
mv /opt/paas/agent.mjs.new /opt/paas/agent.mjs

# The address by which other hosts reach this one: the source of the default route.
address=$(ip -4 route get 192.0.2.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p')
[ "$address" ] || fail 'this machine has no default route'

if [ -d /run/systemd/system ]; then
  # KillMode=process: the instances are to outlive a restart of the agent. Delegate: it makes cgroups for them.
  cat >/etc/systemd/system/paas-agent.service <<UNIT
[Unit]
Description=paas agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v node) /opt/paas/agent.mjs --data /var/lib/paas --user-data /etc/paas/user-data.json --address $address
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now paas-agent.service
else
  fail 'needs systemd to keep the agent running'
fi
say "agent started, address $address"
