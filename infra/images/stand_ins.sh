#!/usr/bin/env bash
# For `make test-containers`: builds moodline/stand-in-{prometheus,alertmanager,postgres} on the base image
# that engine.sh made of Debian packages.  usage: stand_ins.sh
set -euo pipefail
cd "$(dirname "$0")"
for name in prometheus alertmanager postgres; do
  DOCKER_BUILDKIT=1 /usr/bin/docker build -q -f stand_ins.Dockerfile --target $name \
    --build-arg BASE_IMAGE=moodline/stand-ins:bookworm -t moodline/stand-in-$name . >/dev/null
done
