#!/bin/sh
# prepare.sh FOLDER GRAFANA_FOLDER KAFKA_FOLDER USERS_FILE: what the login needs, before anything starts.
#
# FOLDER gets `users`, the names and hashed passwords of those who may pass: USERS_FILE, which its
# owner keeps, or else one user, admin, with a password that is made and printed once. It also gets
# `stranger.conf`, by which the login tells whom it knows from whom it slows down, `api.conf` with
# API_ADDRESS, and the secret of oauth2-proxy's cookies.
# GRAFANA_FOLDER gets the password of Grafana's own user admin, KAFKA_FOLDER the one that the broker
# asks its clients for, as a line of properties for the broker too.
# Nothing is started while BIND_ADDRESS would open the ports behind the login to the network.
set -eu
folder="$1" grafana="$2" kafka="$3" given="$4"

case "${BIND_ADDRESS:-127.0.0.1}" in
127.* | localhost | ::1 | '[::1]') ;;
*)
    echo "BIND_ADDRESS=$BIND_ADDRESS opens ports that ask for no login: unset it, and set HTTPS_ADDRESS for the one that does." >&2
    exit 1
    ;;
esac

# Each file appears whole: the login reads `users` at every request.
write() {
    cat >"$1.new"
    chmod 0444 "$1.new"
    mv -f "$1.new" "$1"
}

if [ -s "$given" ]; then
    if grep -Evq '^(#.*|[^:[:space:]]+:([$]|[{]SHA[}])[^:[:space:]]+)?$' "$given"; then
        echo "DOOR_USERS_FILE: a line is not name:hash. Make one with: openssl passwd -6" >&2
        exit 1
    fi
    if ! grep -q '^[^#]' "$given"; then
        echo "DOOR_USERS_FILE has no user." >&2
        exit 1
    fi
    write "$folder/users" <"$given"
    rm -f "$folder/made"
elif [ ! -e "$folder/made" ]; then
    password="$(openssl rand -base64 18)"
    # A slow hash protects passwords that can be guessed, and costs every request 2 ms. Nobody
    # guesses 144 random bits.
    hash="$(printf %s "$password" | openssl dgst -sha1 -binary | openssl base64)"
    printf 'admin:{SHA}%s\n' "$hash" | write "$folder/users"
    : >"$folder/made"
    printf 'The user is admin, the password is %s - it is shown only here, and kept as a hash.\n' "$password"
fi

[ -s "$folder/cookie-secret" ] || openssl rand -hex 16 | tr -d '\n' | write "$folder/cookie-secret"
[ -s "$grafana/password" ] || openssl rand -base64 18 | write "$grafana/password"
if [ ! -s "$kafka/secret.properties" ]; then
    openssl rand -hex 16 | write "$kafka/password"
    printf 'password=%s\n' "$(cat "$kafka/password")" | write "$kafka/secret.properties"
fi

# The cookie that the login gives to whoever has passed. It spares the limit and opens nothing.
known="$(openssl rand -hex 16)"
write "$folder/stranger.conf" <<END
map "" \$known { default $known; }
map \$cookie_door \$stranger { default \$binary_remote_addr; $known ""; }
END

# A program asks the API often: connections to it are kept, which takes an address that stays. The
# API closes its side of one after five seconds of silence.
write "$folder/api.conf" <<END
upstream api { server $API_ADDRESS; keepalive 32; keepalive_timeout 2s; }
END
