#!/usr/bin/env bash
# For `make test-containers` on a machine without Docker or without Docker Hub: installs Compose, starts an
# engine and makes base images out of Debian packages, each only where it is not there yet. Needs root, Debian.
# Prints the environment that `build.sh` takes; the engine's process id goes to $1/dockerd.pid.
# usage: engine.sh STATE_DIR
set -euo pipefail
state=$1
mkdir -p "$state"
docker=/usr/bin/docker

engine=true packages=()
if ! { [ -x $docker ] && $docker info >/dev/null 2>&1; }; then
  engine=false packages+=(docker.io mmdebstrap iptables)
fi
{ [ -x $docker ] && $docker compose version; } >/dev/null 2>&1 || packages+=(docker-compose)
wanted=()
for package in "${packages[@]}"; do
  dpkg -s $package >/dev/null 2>&1 || wanted+=($package)
done
if [ ${#wanted[@]} -gt 0 ]; then
  echo "Installing system packages: ${wanted[*]}" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >&2
fi
if ! $engine; then
  echo "Starting dockerd" >&2
  dockerd >"$state/dockerd.log" 2>&1 </dev/null &
  echo $! >"$state/dockerd.pid"
  for _ in $(seq 60); do $docker info >/dev/null 2>&1 && break; sleep 1; done
  $docker info >/dev/null 2>&1 || { echo "dockerd does not come up; see $state/dockerd.log" >&2; exit 2; }
fi

base() {  # NAME PACKAGES: a Debian with these packages as an image
  $docker image inspect "$1" >/dev/null 2>&1 && return
  echo "Making $1 out of Debian packages" >&2
  mmdebstrap --quiet --variant=minbase --include="$2" bookworm "$state/base.tar" >&2
  $docker import --change 'CMD ["bash"]' "$state/base.tar" "$1" >/dev/null
  rm "$state/base.tar"
}
base moodline/base:bookworm ca-certificates,python3,libgomp1,libstdc++6
base moodline/build:bookworm ca-certificates,python3,python3-venv,python3-pip,python3-dev,g++
base moodline/stand-ins:bookworm prometheus,prometheus-alertmanager,postgresql-15
echo "BASE_IMAGE=moodline/base:bookworm BUILD_IMAGE=moodline/build:bookworm"
