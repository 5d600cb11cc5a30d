#!/usr/bin/env bash
# Debian's Prometheus and Alertmanager with their tools, unpacked into a folder: nothing is installed
# and no daemon is started.
# usage: prometheus.sh INTO
set -euo pipefail
mkdir -p "$1"
cd "$1"
command -v apt-get >/dev/null || { echo "Please put promtool and amtool into $PWD/usr/bin" >&2; exit 2; }
get() { apt-get download -qq prometheus prometheus-alertmanager >/dev/null 2>&1; }
get || { apt-get update -qq || sudo apt-get update -qq; get; }
for package in ./*.deb; do dpkg-deb -x "$package" .; done
rm -f ./*.deb
# Alertmanager looks for its templates where the package would put them; unpacked, beside itself.
LC_ALL=C sed -i 's#/usr/share/prometheus/#usr//share/prometheus/#g' usr/bin/prometheus-alertmanager
