#!/bin/sh
# kiln in a container of podman, as root or as an ordinary user: podman's default profile allows the namespaces that RUN needs.
# KILN is the image of kiln, IMAGE what is built; the volume is store and cache.
set -eu

podman run --rm -v "$PWD:/workspace" -v kiln-store:/var/lib/kiln "$KILN" \
  build -t "$IMAGE" -o type=docker,dest=image.tar .
podman load -i image.tar
