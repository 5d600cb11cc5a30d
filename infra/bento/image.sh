#!/usr/bin/env bash
# Makes an image of the last Bento that was built, on top of our `cpu` image (or of BASE_IMAGE).
# usage: [BASE_IMAGE=…] image.sh BENTOML RELEASE
set -euo pipefail
bentoml=$(realpath -s "$1")
options=(--backend docker -t "moodline/bento:$2")
[ -n "${BASE_IMAGE:-}" ] && options+=(--opt "build-arg=BASE_IMAGE=$BASE_IMAGE")
# Debian's docker first: another one on PATH may lack what builds images.
export PATH=/usr/bin:$PATH
# BentoML unpacks there, and reads its own template only below the folder that it is called in.
cd "${TMPDIR:-/tmp}"
"$bentoml" containerize moodline:latest "${options[@]}"
