#!/bin/sh
# Prints the template as JSON, with secrets made now: paste it into Easypanel, "Create from JSON".
set -eu
image="${1:-ghcr.io/OWNER/gateway:0.2.0}"
case "$image" in
    *[!A-Za-z0-9._:/@-]*)
        echo "$image is not the name of an image: letters, digits and . _ : / @ - are allowed" >&2
        exit 1
        ;;
esac
password="$(openssl rand -hex 16)"
cat <<JSON
{
  "services": [
    {
      "type": "app",
      "data": {
        "serviceName": "gateway",
        "env": "DATABASE_URL=postgresql://postgres:$password@\$(PROJECT_NAME)_gateway-db:5432/gateway\nGATEWAY_SECRET_KEY=$(openssl rand -hex 32)\nGATEWAY_PUBLIC_URL=https://\$(PRIMARY_DOMAIN)\nGATEWAY_TRUSTED_PROXIES=10.0.0.0/8,172.16.0.0/12",
        "source": {"type": "image", "image": "$image"},
        "deploy": {"zeroDowntime": false, "capDrop": ["ALL"], "tiniInit": true},
        "domains": [{"host": "\$(EASYPANEL_DOMAIN)", "port": 8080}],
        "mounts": [{"type": "volume", "name": "data", "mountPath": "/data"}]
      }
    },
    {
      "type": "postgres",
      "data": {
        "serviceName": "gateway-db",
        "databaseName": "gateway",
        "image": "postgres:17",
        "password": "$password"
      }
    }
  ]
}
JSON
