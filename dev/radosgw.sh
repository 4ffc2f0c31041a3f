#!/usr/bin/env bash
# A real Ceph Object Gateway on loopback, for the live suite.
#
#   dev/radosgw.sh up       install what is missing, start monitor, OSD and gateway, make an admin user
#   dev/radosgw.sh status   what runs; exit 0 only if the gateway answers
#   dev/radosgw.sh restart  kill the gateway alone and start it again; the data stays
#   dev/radosgw.sh env      `export` lines with the address and the admin's keys
#   dev/radosgw.sh down     stop what `up` started and remove its state
#
# Exit codes: 0 done, 1 not running, 2 usage, 3 the gateway cannot run here (the reason is on stderr).
#
# Everything lives in one directory and on ports of its own, so that several can run side by side:
#   RADOSGW_DIR (default /tmp/waldur-radosgw)   RADOSGW_PORT (17480)   RADOSGW_MON_PORT (17300)
#   RADOSGW_OSD_PORTS (17800-17820)             RADOSGW_WAIT (90 s)
#
# The data is in the OSD's memory. There is no manager daemon: a gateway needs nothing from it.
set -euo pipefail
umask 077

dir=${RADOSGW_DIR:-${TMPDIR:-/tmp}/waldur-radosgw}
port=${RADOSGW_PORT:-17480}
mon_port=${RADOSGW_MON_PORT:-17300}
osd_ports=${RADOSGW_OSD_PORTS:-17800-17820}
wait=${RADOSGW_WAIT:-90}
host=127.0.0.1
conf=$dir/ceph.conf
keys=$dir/admin.env

say() { printf 'radosgw: %s\n' "$*" >&2; }

# Says why the gateway cannot run here, shows the end of every log, stops what was started.
cannot() {
    say "cannot run here: $*"
    for log in "$dir"/*.log; do
        if [ -s "$log" ]; then
            say "--- end of $log"
            tail -n 8 "$log" >&2
        fi
    done
    stop
    exit 3
}

answers() { curl --noproxy '*' -fsS -o /dev/null --max-time 2 "http://$host:$port/" 2>/dev/null; }

# A process id counts only while that process still has our configuration on its command line: ids are used again.
alive() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) && [ -n "$pid" ] &&
        { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -- "$conf"
}

# launch NAME COMMAND...: a session of its own, so that it outlives this shell. -f keeps $! the daemon's own id.
launch() {
    local name=$1
    shift
    setsid "$@" --conf "$conf" -f </dev/null >>"$dir/$name.log" 2>&1 &
    echo $! >"$dir/$name.pid"
}

stop() {
    local name
    for name in gateway osd mon; do
        if alive "$name"; then kill -TERM "$(cat "$dir/$name.pid")"; fi
    done
    # The gateway takes its time over a TERM, and nothing here is worth flushing.
    for _ in $(seq 20); do
        if ! { alive gateway || alive osd || alive mon; }; then return 0; fi
        sleep 0.1
    done
    for name in gateway osd mon; do
        if alive "$name"; then kill -KILL "$(cat "$dir/$name.pid")"; fi
    done
}

install_packages() {
    local package missing=()
    for package in ceph-mon ceph-osd radosgw ceph-common curl; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    command -v apt-get >/dev/null || cannot "no apt-get to install ${missing[*]}"
    [ "$(id -u)" = 0 ] || cannot "not root, and these packages are missing: ${missing[*]}"
    say "installing ${missing[*]}"
    (
        umask 022
        export DEBIAN_FRONTEND=noninteractive
        apt_get() { apt-get -qq -o DPkg::Lock::Timeout=600 "$@"; }
        apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"
    ) >"$dir/packages.log" 2>&1 || cannot "the packages cannot be installed"
}

write_conf() {
    cat >"$conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:$host:$mon_port]
public addr = $host
cluster addr = $host
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = ${osd_ports%-*}
ms bind port max = ${osd_ports#*-}
keyring = $dir/keyring
run dir = $dir
crash dir = $dir
admin socket =
log file =
log to stderr = true
# One OSD keeps one copy.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
# One monitor waits for nobody.
paxos propose interval = 0.02
paxos min wait = 0.01
mon data avail warn = 1
mon data avail crit = 0

[mon]
mon data = $dir/mon
mon cluster log file = $dir/cluster.log

[osd]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 4294967296

[client.rgw]
rgw data = $dir/gateway
# Without tcp_nodelay every answer with a body waits 40 ms for the client's delayed acknowledgement.
rgw frontends = beast tcp_nodelay=1 endpoint=$host:$port
rgw thread pool size = 64
rgw enable usage log = true
rgw dynamic resharding = false
# Statistics and quotas count within seconds instead of minutes.
rgw usage log tick interval = 1
rgw usage log flush threshold = 1
rgw bucket quota ttl = 1
rgw user quota bucket sync interval = 1
rgw user quota sync interval = 2
CONF
}

# One keyring serves all daemons; the monitor's store begins with what is in it.
make_keyring() {
    local add=(ceph-authtool "$dir/keyring" --gen-key)
    "${add[@]}" -C -n mon. --cap mon 'allow *'
    "${add[@]}" -n client.admin --cap mon 'allow *' --cap osd 'allow *'
    "${add[@]}" -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    "${add[@]}" -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
}

start_cluster() {
    local osd_id
    write_conf
    osd_id=$(cat /proc/sys/kernel/random/uuid)
    mkdir "$dir/mon" "$dir/osd" "$dir/gateway"
    make_keyring >"$dir/setup.log" 2>&1 || cannot "the keyring cannot be made"
    monmaptool --create --fsid "$(sed -n 's/^fsid = //p' "$conf")" --addv a "[v2:$host:$mon_port]" "$dir/monmap" \
        >>"$dir/setup.log" 2>&1 || cannot "the monitor's map cannot be made"
    ceph-mon --conf "$conf" --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring" \
        >>"$dir/setup.log" 2>&1 || cannot "the monitor's store cannot be made"
    launch mon ceph-mon -i a
    timeout "$wait" ceph --conf "$conf" --connect-timeout "$wait" osd create "$osd_id" 0 >>"$dir/setup.log" 2>&1 ||
        cannot "the monitor does not answer"
    ceph-osd --conf "$conf" --mkfs -i 0 --osd-uuid "$osd_id" >>"$dir/setup.log" 2>&1 ||
        cannot "the OSD's store cannot be made"
    launch osd ceph-osd -i 0
    start_gateway
}

start_gateway() {
    launch gateway radosgw -n client.rgw
    local end=$((SECONDS + wait))
    until answers; do
        alive mon && alive osd && alive gateway || cannot "a daemon has died"
        [ "$SECONDS" -lt "$end" ] || cannot "the gateway does not answer within $wait s"
        sleep 0.1
    done
}

# As a crash does it: whoever was talking to it is cut off.
restart() {
    if ! is_up; then
        say "is not up"
        exit 1
    fi
    kill -KILL "$(cat "$dir/gateway.pid")"
    while alive gateway; do sleep 0.05; done
    start_gateway
}

# The gateway makes the keys itself, so that they are on no command line.
make_admin() {
    local made access secret
    made=$(radosgw-admin --conf "$conf" -n client.rgw user create --uid=admin --display-name='Admin Ops' \
        --caps='users=*;buckets=*;usage=*;metadata=*' 2>>"$dir/setup.log") || cannot "the admin user cannot be made"
    access=$(sed -n 's/.*"access_key": "\([^"]*\)".*/\1/p' <<<"$made")
    secret=$(sed -n 's/.*"secret_key": "\([^"]*\)".*/\1/p' <<<"$made" | sed 's,\\/,/,g')
    [ -n "$access" ] && [ -n "$secret" ] || cannot "the admin user has no keys"
    cat >"$keys" <<ENV
export RADOSGW_ENDPOINT=http://$host:$port
export RADOSGW_ACCESS_KEY='$access'
export RADOSGW_SECRET_KEY='$secret'
ENV
}

is_up() { [ -s "$keys" ] && alive mon && alive osd && alive gateway && answers; }

up() {
    if is_up; then
        say "is up already on http://$host:$port"
        return 0
    fi
    down
    mkdir -p "$dir"
    touch "$dir/waldur-radosgw"
    install_packages
    if answers; then cannot "port $port is taken; set RADOSGW_PORT"; fi
    start_cluster
    make_admin
    say "up on http://$host:$port after $SECONDS s"
}

down() {
    if [ ! -e "$dir" ]; then return 0; fi
    if [ ! -e "$dir/waldur-radosgw" ]; then
        say "$dir is not a directory of this script; set RADOSGW_DIR"
        exit 2
    fi
    stop
    rm -rf -- "$dir"
}

status() {
    local name
    for name in mon osd gateway; do
        if alive "$name"; then
            echo "$name: runs as $(cat "$dir/$name.pid")"
        else
            echo "$name: does not run"
        fi
    done
    if is_up; then
        echo "http://$host:$port answers"
    else
        echo "http://$host:$port is not up"
        exit 1
    fi
}

env_lines() {
    if [ ! -s "$keys" ]; then
        say "is not up"
        exit 1
    fi
    cat "$keys"
}

case "${1:-}" in
    up) up ;;
    down) down ;;
    status) status ;;
    restart) restart ;;
    env) env_lines ;;
    *)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
        exit 2
        ;;
esac
