#!/bin/sh
# Runs inside the machine, once after each boot, and prints a line for each thing that holds.
set -u

state=/var/lib/proof
pins=/sys/fs/bpf/redirector
deadline=120

end() {
    echo "$1" >/dev/ttyS2
    sync
    if [ "$1" = reboot ]; then systemctl reboot; else systemctl poweroff; fi
    sleep infinity
}

ok() { printf 'ok: %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*"
    systemctl --no-pager --full status redirector.service redirector-dashboard.service
    journalctl --no-pager --boot --lines=60 --unit='redirector*'
    end 1
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
    what=$1
    shift
    if output=$("$@" 2>&1); then ok "$what"; else fail "$what: $* said: $output"; fi
}

# waits WHAT COMMAND...: it does before the deadline, in seconds.
waits() {
    what=$1
    shift
    until_then=$(($(date +%s) + deadline))
    until output=$("$@" 2>&1); do
        [ "$(date +%s)" -lt $until_then ] || fail "$what: $* said: $output"
        sleep 0.2
    done
    ok "$what"
}

answers() { curl --silent --show-error --max-time 20 "http://$1/" | grep -q 'the application on 8000'; }
refuses() { curl --silent --max-time 20 "http://$1/"; [ $? = 7 ]; }
active() { [ "$(systemctl is-active "$1")" = active ]; }
property() { systemctl show --property="$2" --value "$1"; }
address() { ip -4 -o address show dev eth0 | sed 's/.* inet \([0-9.]*\).*/\1/'; }
has_address() { [ -n "$(address)" ]; }
is_equal() { [ "$1" = "$2" ]; }
differs() { [ "$1" != "$2" ]; }
# The ids of what is attached, by links or by filters.
programs() {
    for pin in $pins/default/programs/*; do redirector_program "$pin"; done
    for direction in ingress egress; do tc filter show dev lo $direction; done |
        sed -n 's/.* id \([0-9]*\).*/\1/p'
}
redirector_program() { stat --format=%i "$1"; }
backlog() { cat /proc/sys/net/core/netdev_max_backlog; }
has_dashboard() { redirector dashboard --help >/dev/null 2>&1; }
has_tune() { redirector tune --help >/dev/null 2>&1; }

before() {
    waits 'the application listens' answers 127.0.0.1:8000
    holds 'nobody answers on port 80' refuses 127.0.0.1
    find / -xdev -path $state -prune -o -path /var/log -prune -o -path /var/lib/dpkg -prune -o -print |
        sort >$state/files
    holds 'the package is installed' dpkg --install /mnt/old.deb
    holds 'nothing is enabled by that' sh -c '! systemctl is-enabled --quiet redirector.service'
    holds 'the service is enabled' systemctl enable redirector.service
    if has_dashboard; then
        holds 'the dashboard is enabled' systemctl enable redirector-dashboard.service
    fi
    backlog >$state/backlog
    if has_tune; then
        holds 'tuning is enabled' systemctl enable redirector-tune.service
    fi
    end reboot
}

after() {
    waits 'the service is up after the boot' active redirector.service
    waits 'the application is up' answers 127.0.0.1:8000
    holds 'port 80 answers from 8000 with nothing else done' answers 127.0.0.1
    waits 'there is a network' has_address
    holds 'port 80 of the other address answers' answers "$(address)"
    waits 'lo and eth0 are attached' redirector status
    echo "   $(property redirector.service StatusText)"
    pid=$(property redirector.service MainPID)
    holds 'the service has CAP_BPF and CAP_NET_ADMIN alone' \
        is_equal "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 0000008000001000
    echo "   waiting for a client of another host"
    waits 'somebody from outside was answered' is_reached
    dashboard
    tuning
    firewall
    kill_service
    reload
    upgrade
    drain
    docs
    purge
    end 0
}

# Connections that come by eth0 are counted; this host's own take lo.
is_reached() {
    [ "$(cat /sys/class/net/eth0/statistics/rx_packets)" -gt 0 ] &&
        redirector flows | grep -q '10\.0\.2\.2:.*10\.0\.2\.15:80'
}

dashboard() {
    if ! has_dashboard; then
        echo 'NOT RUN: the dashboard, which this binary does not have'
        return
    fi
    waits 'the dashboard is up' active redirector-dashboard.service
    waits 'it answers' curl --silent --fail --output /dev/null http://127.0.0.1:9180/
    holds 'it has metrics of the rules' sh -c \
        'curl --silent --fail http://127.0.0.1:9180/metrics | grep -q "^redirector"'
    pid=$(property redirector-dashboard.service MainPID)
    uid=$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$pid/status")
    holds "it runs as a dynamic user ($uid)" sh -c "[ $uid -ge 61184 ] && [ $uid -le 65519 ]"
    holds 'it has no capability' \
        is_equal "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 0000000000000000
    holds 'it sees our pins and no others' \
        is_equal "$(ls "/proc/$pid/root/sys/fs/bpf")" redirector
}

tuning() {
    if ! has_tune; then
        echo 'NOT RUN: tuning, which this binary does not have'
        return
    fi
    waits 'the host is tuned' active redirector-tune.service
    holds 'a backlog is longer than before' sh -c "[ $(backlog) -gt $(cat $state/backlog) ]"
    drop_in=/etc/systemd/system/app.service.d/90-redirector.conf
    before=$(open_files)
    logins=$(su --command 'ulimit -n')
    holds 'tuning is made permanent' redirector tune apply --permanent
    holds 'the application has its open files at once' is_equal "$(open_files)" 1024000
    holds 'its service has a drop-in' test -e $drop_in
    restart_app
    holds 'the application has them after a restart' is_equal "$(open_files)" 1024000
    holds 'logins have them' is_equal "$(su --command 'ulimit -n')" 1024000
    cat $state/backlog >/proc/sys/net/core/netdev_max_backlog
    holds 'systemd-sysctl reads its file' systemctl restart systemd-sysctl.service
    holds 'and the backlog is longer again' sh -c "[ $(backlog) -gt $(cat $state/backlog) ]"
    holds 'tuning is taken back' redirector tune revert
    holds 'the drop-in is gone' test ! -e $drop_in
    holds 'the backlog is that of before' is_equal "$(backlog)" "$(cat $state/backlog)"
    restart_app
    holds 'the application has as many open files as before' is_equal "$(open_files)" "$before"
    holds 'so have logins' is_equal "$(su --command 'ulimit -n')" "$logins"
}

# Soft and hard, of the application's process.
open_files() {
    set -- $(grep '^Max open files' "/proc/$(property app.service MainPID)/limits")
    if [ "$4" = "$5" ]; then echo "$4"; else echo "$4 $5"; fi
}

restart_app() {
    holds 'systemd reads its units' systemctl daemon-reload
    holds 'the application is restarted' systemctl restart app.service
    waits 'and is up' answers 127.0.0.1:8000
}

firewall() {
    holds 'a firewall has a rule' sh -c 'nft add table inet one && nft add chain inet one two'
    holds 'nft flush ruleset' nft flush ruleset
    holds 'port 80 answers as before' answers 127.0.0.1
}

download() {
    curl --silent --show-error --output "$state/download" "http://$1/slow" &
    curl=$!
    waits 'a download is under way' test -s "$state/download"
}

downloaded() {
    wait $curl
    holds 'the download is whole' sh -c "cmp $state/download /run/app/slow && rm $state/download"
}

kill_service() {
    restarts=$(property redirector.service NRestarts)
    pid=$(property redirector.service MainPID)
    download 127.0.0.1
    holds 'kill -9 of the service' kill -9 "$pid"
    waits 'systemd starts it again' differs_now "$restarts"
    waits 'and it is up' active redirector.service
    downloaded
    waits 'it has taken over what was loaded' sh -c \
        'journalctl --boot --unit=redirector.service | grep -q "took over"'
}
differs_now() { [ "$(property redirector.service NRestarts)" != "$1" ]; }

reload() {
    sed -i 's/to = 4430/to = 4431/' /etc/redirector/config.toml
    holds 'an edited file is reloaded' systemctl reload redirector.service
    waits 'and is in force' sh -c 'redirector status | grep -q 4431'
    sed -i 's/to = 4431/to = 4430/' /etc/redirector/config.toml
    holds 'and back' systemctl reload redirector.service
}

upgrade() {
    pid=$(property redirector.service MainPID)
    build=$(readlink $pins/default/build)
    # The new package has the same binary, so what runs is made to look older.
    ln -sfn 0.0.9-older $pins/default/build
    ids=$(programs)
    wrk --threads 1 --connections 8 --duration 20m http://127.0.0.1/ >$state/wrk &
    wrk=$!
    download "$(address)"
    holds 'the package is upgraded meanwhile' dpkg --install /mnt/new.deb
    holds 'its version is the new one' \
        is_equal "$(dpkg-query --show --showformat='${Version}' redirector)" 0.1.0-2
    waits 'the programs are those of the new binary' is_build "$build"
    holds 'and were replaced' differs "$(programs)" "$ids"
    waits 'the service is up' active redirector.service
    # It tells what it has seen.
    holds 'wrk has run all the while' kill -INT $wrk
    wait $wrk
    sed 's/^/   /' $state/wrk
    holds 'no request failed' sh -c "
        grep -q 'requests in' $state/wrk && ! grep -Eq 'Socket errors|Non-2xx' $state/wrk"
    downloaded
    holds 'the service is the same process' \
        is_equal "$(property redirector.service MainPID)" "$pid"
    waits 'and is up' active redirector.service
}
is_build() { [ "$(readlink $pins/default/build)" = "$1" ]; }

drain() {
    systemctl stop redirector.service
    holds 'a stop unloads' test ! -e $pins
    holds 'it is loaded by hand' redirector load --config /etc/redirector/config.toml
    download 127.0.0.1
    holds 'it is unloaded once the download has ended' \
        sh -c 'redirector unload --drain 2m | grep -q "1 connection ended, 0 were cut"'
    downloaded
    holds 'the service is started again' systemctl start redirector.service
}

# What docs/operating.md says, in its order; a warning is no failure of `check`.
docs() {
    cd $state && ln -sf /mnt/new.deb redirector.deb
    while read -r command; do
        sh -c "$command" >command.out 2>&1 </dev/null
        code=$?
        case "$code $command" in
        0\ * | 1\ redirector\ check*) ok "docs: $command" ;;
        *) fail "docs: $command: $code: $(cat command.out)" ;;
        esac
    done </mnt/commands
    # The operator's own.
    rm -r /etc/systemd/system/redirector.service.d
    cd /
}

purge() {
    holds 'the package is purged' dpkg --purge redirector
    holds 'nothing is pinned' test ! -e $pins
    holds 'nothing is tuned' is_equal "$(backlog)" "$(cat $state/backlog)"
    holds 'no filter is left' sh -c '
        for device in lo eth0; do
            for direction in ingress egress; do tc filter show dev $device $direction; done
            tc qdisc show dev $device clsact
        done | grep -q . && exit 1 || exit 0'
    holds 'nobody answers on port 80' refuses 127.0.0.1
    holds 'systemd knows no unit of it' sh -c \
        '! systemctl list-unit-files --no-legend "redirector*" | grep -q .'
    find / -xdev -path $state -prune -o -path /var/log -prune -o -path /var/lib/dpkg -prune -o -print |
        sort >$state/files.after
    left=$(comm -13 $state/files $state/files.after | grep -i redirector)
    holds 'no file of it is left' is_equal "$left" ''
}

mkdir -p $state
if [ -e $state/rebooted ]; then
    after
else
    touch $state/rebooted
    before
fi
