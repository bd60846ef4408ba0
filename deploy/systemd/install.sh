#!/bin/sh
# Installs or upgrades the agent from the bundle that this file lies in; `install.sh --undo` takes all of it away again but
# the configuration in /etc/tributary-agent, the readings in /var/lib/tributary-agent, and the user that owns them.
set -eu
bundle=$(cd "$(dirname "$0")/.." && pwd)
unit=/etc/systemd/system/tributary-agent.service
confs='sysusers.d tmpfiles.d modules-load.d'
if [ "${1:-}" = --undo ]; then
  systemctl disable --now tributary-agent.service || :
  rm -rf /opt/tributary-agent /usr/local/bin/tributary-agent "$unit" /etc/udev/rules.d/70-tributary-agent.rules
  for kind in $confs; do rm -f "/etc/$kind/tributary-agent.conf"; done
  exec systemctl daemon-reload
fi
(cd "$bundle" && /usr/bin/node -e 'require("better-sqlite3")(":memory:"); require("@serialport/bindings-cpp")') ||
  { echo "error: this bundle is not for this machine's /usr/bin/node; make one with the same Node on the same architecture" >&2; exit 1; }
rm -rf /opt/tributary-agent.new && cp -r "$bundle" /opt/tributary-agent.new && chown -R root:root /opt/tributary-agent.new
rm -rf /opt/tributary-agent && mv /opt/tributary-agent.new /opt/tributary-agent
for kind in $confs; do install -D -m 644 "$bundle/systemd/${kind%.d}.conf" "/etc/$kind/tributary-agent.conf"; done
install -D -m 644 "$bundle/systemd/udev.rules" /etc/udev/rules.d/70-tributary-agent.rules
install -D -m 644 "$bundle/systemd/tributary-agent.service" "$unit"
mkdir -p /usr/local/bin && ln -sf /opt/tributary-agent/bin/tributary-agent.mjs /usr/local/bin/tributary-agent
systemd-sysusers tributary-agent.conf && systemd-tmpfiles --create tributary-agent.conf
# No such kernel module, or no udev, as in a container: the next start of the machine tries again.
modprobe -a usbserial cdc_acm 2>/dev/null || :
udevadm control --reload 2>/dev/null || :
systemctl daemon-reload && systemctl try-restart tributary-agent.service
echo "installed; write /etc/tributary-agent/agent.yaml, then: systemctl enable --now tributary-agent"
