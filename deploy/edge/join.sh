#!/bin/sh
# Brings this machine to its core: checks what it needs, says what is missing and what to do, then starts the node.
#
#   ./join.sh            checks, then starts the service (systemd)
#   ./join.sh --compose  the same with Docker
#   ./join.sh --check    checks only
#
# What it reads: node.yaml and edge.env beside it. Exit codes: 0 done; 1 something is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
how=${1:---systemd}
env_file=$here/edge.env
config=$here/node.yaml

case $how in
  --systemd | --check) dats=${DATS:-"node ${DATS_HOME:-/opt/dats}/dist/cli/main.js"} ;;
  --compose) dats=${DATS:-"docker compose run --rm --no-deps dats"} config=${DATS_CONFIG:-/etc/dats/node.yaml} ;;
  *) echo "usage: join.sh [--compose | --check]" >&2; exit 2 ;;
esac

[ -r "$env_file" ] || { echo "no  there is no $env_file: copy edge.env.example to it, fill it in, chmod 600" >&2; exit 1; }
case $(stat -c %a "$env_file") in
  *00) ;;
  *) echo "no  others may read $env_file, which holds the token: chmod 600 $env_file" >&2; exit 1 ;;
esac
set -a
# shellcheck disable=SC1090
. "$env_file"
set +a

cd "$here"
$dats node check --config "$config"
if command -v nvidia-smi >/dev/null 2>&1; then
  nvidia-smi --query-gpu=name,memory.total --format=csv,noheader | sed 's/^/ok  GPU /'
else
  echo "ok  no nvidia-smi: a node without a GPU"
fi

case $how in
  --compose) docker compose up -d --build --wait ;;
  --systemd)
    cp systemd/dats-edge.service /etc/systemd/system/dats-edge.service
    systemctl daemon-reload
    systemctl enable --now dats-edge
    echo "started; its log: journalctl -u dats-edge"
    ;;
esac
