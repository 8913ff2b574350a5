#!/bin/sh
# kiln in a container of docker with the default profile. KILN is the image of kiln, IMAGE what is built; the volume is store and cache.
set -eu

docker run --rm -v "$PWD:/workspace" -v kiln-store:/var/lib/kiln "$KILN" \
  build -t "$IMAGE" -o type=docker,dest=image.tar .
docker load -i image.tar
