#!/bin/sh
# start.sh COMMAND...: runs Grafana's own start with the password in GRAFANA_ADMIN_PASSWORD, else with
# the one in the file GRAFANA_ADMIN_PASSWORD_FILE, at every start. Grafana itself takes a password only
# when its database is new. Unset, the password in an existing database stays as it is. Whoever can be
# reached from the network needs one.
set -eu

if [ -z "${GRAFANA_ADMIN_PASSWORD:-}" ] && [ -n "${GRAFANA_ADMIN_PASSWORD_FILE:-}" ]; then
    GRAFANA_ADMIN_PASSWORD="$(cat "$GRAFANA_ADMIN_PASSWORD_FILE")"
fi
password="${GRAFANA_ADMIN_PASSWORD:-admin}"

opened=""
case "${BIND_ADDRESS:-127.0.0.1}" in
127.* | localhost | ::1 | '[::1]') ;;
*) opened="BIND_ADDRESS=$BIND_ADDRESS" ;;
esac
case "${GF_SERVER_ROOT_URL:-http://localhost/}" in
http://localhost/* | http://localhost:* | http://127.*) ;;
*) opened="GRAFANA_ROOT_URL=$GF_SERVER_ROOT_URL" ;;
esac
if [ -n "$opened" ] && [ "$password" = admin ]; then
    echo "Grafana does not start with the password admin and $opened, which opens it to the network: set GRAFANA_ADMIN_PASSWORD." >&2
    exit 1
fi

if [ -s "$GF_PATHS_DATA/grafana.db" ] && [ -n "${GRAFANA_ADMIN_PASSWORD:-}" ]; then
    # By standard input, because others can see the arguments of a process.
    printf '%s\n' "$password" |
        grafana cli --homepath "$GF_PATHS_HOME" --config "$GF_PATHS_CONFIG" \
            admin reset-admin-password --password-from-stdin || {
        echo "GRAFANA_ADMIN_PASSWORD could not be set; the line before says why. It needs 4 characters or more." >&2
        exit 1
    }
fi

export GF_SECURITY_ADMIN_PASSWORD="$password"
exec "$@"
