#!/usr/bin/env bash
# Builds images, named as the pipelines ask for them: by the code's digest, and by the release.
# With REGISTRY the base images must be named by digest.
# usage: [BASE_IMAGE=… BUILD_IMAGE=… REGISTRY=…] build.sh DIGEST RELEASE slim|cpu|gpu|serve|serve-gpu|triton…
set -euo pipefail
cd "$(dirname "$0")/../.."
digest=$1 release=$2
shift 2
# What is published must be known to the byte; a tag is whatever its registry says today.
for argument in BASE_IMAGE BUILD_IMAGE; do
  if [ -n "${REGISTRY:-}" ] && ! [[ ${!argument:-} =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]]; then
    echo "REGISTRY=$REGISTRY: $argument=${!argument:-} is no digest; give name@sha256:…" \
      "(docker buildx imagetools inspect NAME:TAG prints it)" >&2
    exit 2
  fi
done
docker=$(for d in /usr/bin/docker docker; do command -v $d && break; done | head -1)
[ -n "$docker" ] || { echo "there is no docker; see make test-containers" >&2; exit 2; }

commit=$(git describe --always --dirty --abbrev=40 '--exclude=*' 2>/dev/null || true)
for name in "$@"; do
  case $name in
    serve) target=serve variant=cpu ;;
    serve-gpu) target=serve variant=gpu ;;
    triton) target=triton variant=slim ;;
    *) target=step variant=$name ;;
  esac
  image=${REGISTRY:+$REGISTRY/}moodline/$name
  options=(--target "$target" --build-arg "VARIANT=$variant" --build-arg "GIT_COMMIT=$commit"
    -t "$image:$digest" -t "$image:$release")
  for argument in BASE_IMAGE BUILD_IMAGE; do
    [ -n "${!argument:-}" ] && options+=(--build-arg "$argument=${!argument}")
  done
  # What the machine needs to reach a package index, if it needs anything, is no part of the image.
  for certificates in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
    [ -f "$certificates" ] && options+=(--secret "id=certificates,src=$certificates") && break
  done
  [ -f "${PIP_CONFIG_FILE:-}" ] && options+=(--secret "id=pip,src=$PIP_CONFIG_FILE")
  echo "Building $image:$digest"
  DOCKER_BUILDKIT=1 "$docker" build -q --network host -f infra/images/Dockerfile "${options[@]}" . >/dev/null
  "$docker" image ls --format '  {{.Repository}}:{{.Tag}}  {{.Size}}' "$image:$digest"
done
