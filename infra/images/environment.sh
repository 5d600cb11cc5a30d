#!/usr/bin/env bash
# Makes /opt/moodline, the Python environment of an image.  usage: environment.sh VARIANT
set -euo pipefail
variant=$1
python3 -m venv /tmp/uv
/tmp/uv/bin/pip install -q --disable-pip-version-check --require-hashes -r /locks/uv.lock
# --without-pip: nothing is installed later.
python3 -m venv --without-pip /opt/moodline

lock=/locks/images.lock
case $variant in
  slim) lock=/locks/slim.lock ;;
  gpu) ;;
  cpu)
    # PyPI's torch is the CUDA build. It loads without these, and the CPU never calls them.
    awk '/^[a-z]/ { skip = /^(triton|nvidia-cusolver-cu12|nvidia-cuda-nvrtc-cu12|nvidia-nvtx-cu12)==/ }
         !skip' "$lock" > /tmp/cpu.lock
    lock=/tmp/cpu.lock
    ;;
  *) echo "no such variant: $variant; name slim, cpu or gpu" >&2; exit 2 ;;
esac
# Of the index and its credentials only what pip.conf says, which is mounted while this runs.
export UV_INDEX_URL
UV_INDEX_URL=$(/tmp/uv/bin/pip config get global.index-url 2>/dev/null || echo https://pypi.org/simple)
/tmp/uv/bin/uv pip install -q --python /opt/moodline/bin/python --no-deps --require-hashes -r "$lock"

packages=$(echo /opt/moodline/lib/python3*/site-packages)
if [ "$variant" = cpu ]; then
  # libtorch_cuda is linked with libcudnn.so.9, which loads the rest when it is first called.
  find "$packages/nvidia/cudnn/lib" -name '*.so.9' ! -name libcudnn.so.9 -delete
fi
find "$packages" -name __pycache__ -prune -exec rm -rf {} +
find "$packages" -type d \( -name tests -o -name test \) -path '*/mlflow/*' -prune -exec rm -rf {} +
