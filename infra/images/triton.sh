#!/usr/bin/env bash
# Makes /opt/triton, tritonserver with the environment of its Python backend: `serving.triton.environment`.
set -euo pipefail
export UV_INDEX_URL
UV_INDEX_URL=$(/tmp/uv/bin/pip config get global.index-url 2>/dev/null || echo https://pypi.org/simple)
PATH=/tmp/uv/bin:$PATH PYTHONPATH=/build \
  /opt/moodline/bin/python -m serving.triton.environment --into /opt/triton --lock /locks/triton.lock
home=$(echo /opt/triton/lib/python3*/site-packages/pytriton/tritonserver)
ln -s "$home/bin/tritonserver" /opt/triton/bin/tritonserver
ln -s "$home/backends" /opt/triton/backends
# The base image need not have libpython, which the backend's stub is linked with.
library=libpython$(/opt/triton/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])').so.1.0
mkdir -p /opt/triton/lib/libpython
rm -f "/opt/triton/lib/libpython/$library"
cp -L "$(ldconfig -p | awk -v name="$library" '$1 == name { print $NF; exit }')" /opt/triton/lib/libpython/
find /opt/triton -name __pycache__ -prune -exec rm -rf {} +
