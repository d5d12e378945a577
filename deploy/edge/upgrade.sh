#!/bin/sh
# Another version on this machine, without a task that is cut off: drained, stopped, exchanged, started, opened again.
#
#   ./upgrade.sh 'cd /opt/dats && git fetch && git checkout v1.2.3 && npm ci && npm run build'
#
# What is given is run while the node is stopped. Where it fails, the node is started again as it was left.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dats=${DATS:-"node ${DATS_HOME:-/opt/dats}/dist/cli/main.js"}
stop=${DATS_STOP:-systemctl stop dats-edge}
start=${DATS_START:-systemctl start dats-edge}
[ $# -eq 1 ] || { echo "usage: upgrade.sh COMMAND" >&2; exit 2; }
set -a
# shellcheck disable=SC1090,SC1091
. "${DATS_EDGE_ENV:-$here/edge.env}"
set +a
id=${DATS_NODE_ID:?is missing in edge.env}
DATS_CONFIG=${DATS_CONFIG:-$here/node.yaml}
export DATS_CONFIG

$dats node drain "$id" --wait --reason "upgrade"
$stop
status=0
sh -c "$1" || status=$?
$start
tries=0
until $dats health >/dev/null 2>&1 || [ "$tries" -ge 120 ]; do
  tries=$((tries + 1))
  sleep 1
done
$dats node uncordon "$id" --reason "upgraded"
[ "$status" = 0 ] || echo "the command ended with $status; the node runs as it was left" >&2
exit "$status"
