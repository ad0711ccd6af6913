#!/usr/bin/env bash
# Builds the base image of all Dockerfiles here from Debian packages, for sites that reach no registry of images.
#
# Prints the image's tag, which is made of a digest of what went in: the same options give the same tag, and an
# image that is there already is not built again. The price: Debian's later updates go unnoticed until --rebuild.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: docker/airgap/build-base.sh [OPTIONS]      as root, with debootstrap and a Docker engine

  --mirror URL     Debian mirror (default: debootstrap's own, which is Debian's)
  --suite NAME     Debian release, one with Python 3.11 or later (default: bookworm)
  --ca FILE        a further CA certificate to trust, PEM; may be given several times
  --pip-conf FILE  becomes /etc/pip.conf: index-url, find-links, cert ...
  --wheels DIR     a folder of wheels; becomes /opt/wheels, which a pip.conf can name in find-links
  --name NAME      the image's name (default: mmad-base)
  --rebuild        build though the image is there, to get Debian's updates
HELP
}

fail() {
    echo "build-base: $1" >&2
    exit "${2:-1}"
}

mirror=
suite=bookworm
name=mmad-base
pip_conf=
wheels=
rebuild=
authorities=()
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit ;;
        --rebuild) rebuild=yes; shift; continue ;;
    esac
    [ $# -ge 2 ] || fail "$1: is no option, or lacks its value; see --help" 2
    case $1 in
        --mirror) mirror=$2 ;;
        --suite) suite=$2 ;;
        --name) name=$2 ;;
        --pip-conf) pip_conf=$2 ;;
        --wheels) wheels=$2 ;;
        --ca) authorities+=("$2") ;;
        *) fail "$1: is no option; see --help" 2 ;;
    esac
    shift 2
done

for file in ${pip_conf:+"$pip_conf"} "${authorities[@]}"; do
    [ -f "$file" ] || fail "$file: there is no such file"
done
[ -z "$wheels" ] || [ -d "$wheels" ] || fail "$wheels: there is no such folder"
command -v docker >/dev/null || fail "the docker command is missing: apt-get install docker.io"
docker version >/dev/null 2>&1 || fail "no Docker engine answers: start it, or set DOCKER_HOST"

inputs() {
    echo "$suite $mirror"
    cat "$0"
    for file in ${pip_conf:+"$pip_conf"} "${authorities[@]}"; do basename "$file"; sha256sum <"$file"; done
    [ -z "$wheels" ] || (cd "$wheels" && find . -name '*.whl' -print0 | sort -z | xargs -r -0 sha256sum)
}
digest=$(inputs | sha256sum | cut -c 1-12)
tag=$name:$suite-$digest
if [ -z "$rebuild" ] && docker image inspect "$tag" >/dev/null 2>&1; then
    echo "$tag"
    exit
fi
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root: run this with sudo"

# Everything happens in a folder that goes away however this ends; the image appears whole or not at all.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
root=$work/root
echo "build-base: fetching Debian $suite ${mirror:+from $mirror }..." >&2
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$root" ${mirror:+"$mirror"} \
    >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; fail "debootstrap failed: its last lines are above"; }
for file in "${authorities[@]}"; do
    cp "$file" "$root/usr/local/share/ca-certificates/$(basename "${file%.*}").crt"
done
chroot "$root" update-ca-certificates >/dev/null 2>&1 || fail "update-ca-certificates failed"
[ -z "$pip_conf" ] || cp "$pip_conf" "$root/etc/pip.conf"
if [ -n "$wheels" ]; then
    mkdir -p "$root/opt/wheels"
    find "$wheels" -name '*.whl' -exec cp -t "$root/opt/wheels" {} +
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/*
tar -C "$root" --sort=name --numeric-owner -c . |
    docker import --change "LABEL org.mmad.base.inputs=$digest" --change 'CMD ["bash"]' - "$tag" >/dev/null
echo "$tag"
