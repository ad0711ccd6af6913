#!/usr/bin/env bash
# Runs a command with a Docker engine at hand: the one that answers, DOCKER_HOST honoured. Only in CI, as root on
# Debian, it installs what is missing and starts an engine, which ends with the command.
set -euo pipefail

answers() {
    command -v docker >/dev/null && docker version >/dev/null 2>&1
}

if answers; then
    exec "$@"
fi
if [ "${CI:-}" != true ] || [ "$(id -u)" != 0 ] || [ ! -f /etc/debian_version ] || [ -n "${DOCKER_HOST:-}" ]; then
    echo "No Docker engine answers${DOCKER_HOST:+ at $DOCKER_HOST}: install and start one (Debian: apt-get install docker.io), or set DOCKER_HOST." >&2
    exit 1
fi

missing=()
for pair in dockerd:docker.io iptables:iptables debootstrap:debootstrap docker-compose:docker-compose; do
    command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "Installing ${missing[*]} ..."
    apt-get update -qq
    # The package starts its service where there is one to start; we do it ourselves, and end it.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if ! answers; then
    log=$(mktemp)
    dockerd >"$log" 2>&1 &
    engine=$!
    trap 'kill "$engine" && wait "$engine" || true; rm -f "$log"' EXIT
    for _ in $(seq 60); do
        answers && break
        kill -0 "$engine" 2>/dev/null || break
        sleep 1
    done
    answers || { tail -20 "$log" >&2; echo "The Docker engine does not start: its last lines are above." >&2; exit 1; }
fi
"$@"
