#!/bin/sh
# Backup, restore and upgrade of the data of Docker's stack; by `make ... STACK=docker`.
#
#   COMPOSE="docker compose" sh local/docker_data.sh backup|restore|upgrade [FILE]
#
# The service `maintenance` does it, in the volumes. The archive goes through a pipe, so that the file
# belongs to whoever runs this.
set -eu

command=$1
file=${2:-}
compose=${COMPOSE:-docker-compose}

refuse() {
    echo "$1" >&2
    exit 1
}

run() {
    $compose run --rm --no-deps -T maintenance python data_commands.py "$command" -
}

stopped() {
    running=$($compose ps --services --filter status=running | tr '\n' ' ')
    [ -z "${running% }" ] || refuse "These services run: $running; stop them first with make down."
}

# Write what the container gives into the file, which appears once it is whole. Until then it has a name
# of this process's own: another backup into the same file must not touch it.
written() {
    [ -n "$file" ] || file="backups/docker-$(date -u +%Y%m%dT%H%M%SZ).tar"
    [ ! -e "$file" ] || refuse "$file exists: name another file."
    mkdir -p "$(dirname "$file")"
    partial=$file.$$.partial
    trap 'rm -f "$partial"' EXIT
    run >"$partial"
    [ ! -s "$partial" ] || { mv "$partial" "$file" && echo "It is $file." >&2; }
}

case $command in
backup) written ;;
upgrade)
    stopped
    written
    ;;
restore)
    [ -n "$file" ] || refuse "Name the backup: make restore STACK=docker FILE=backups/NAME.tar"
    [ -r "$file" ] || refuse "$file cannot be read."
    stopped
    run <"$file"
    ;;
*) refuse "sh local/docker_data.sh backup|restore|upgrade [FILE]" ;;
esac
