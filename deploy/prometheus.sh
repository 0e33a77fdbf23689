#!/bin/sh
# Lists the internal listener of every worker as a target, then becomes the command it is given.
# Worker n listens on GATEWAY_INTERNAL_PORT + n - 1; compose.yaml leaves the first at 9464.
set -eu
targets=""
worker=0
while [ "$worker" -lt "${GATEWAY_WORKERS:-1}" ]; do
    targets="$targets${targets:+, }\"gateway:$((9464 + worker))\""
    worker=$((worker + 1))
done
printf '[{"targets": [%s]}]\n' "$targets" > "${TARGETS:-/etc/prometheus/targets}/gateway.json"
exec "$@"
