#!/usr/bin/env bash
# Other people's programs speak to a running Pitlane:
#   1. the exchange's own protocol library of Nasdaq (PyPI nasdaq-protocols) logs in, enters, replaces, cancels;
#   2. every feed message of a capture is decoded and re-encoded by itchfeed, byte for byte;
#   3. tshark finds no malformed SoupBinTCP or MoldUDP64 packet, and numbers every message as we do.
# Needs root for the capture (loopback only) and the two Python packages, which it puts into a folder of the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
work="$(mktemp -d)"
venv="$target/oracles-venv"
exchange=""
capture=""
finish() {
  [ -n "$capture" ] && kill "$capture" 2>/dev/null || true
  [ -n "$exchange" ] && kill "$exchange" 2>/dev/null && wait "$exchange" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
say() { printf '\n== %s\n' "$*"; }

pitlane="${PITLANE:-$target/release/pitlane}"
if [ -z "${PITLANE:-}" ]; then
  say "build"
  cargo build --release --locked --quiet
fi

say "third-party packages"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check nasdaq-protocols==1.3.0 itchfeed==1.6.4
gen="$work/gen"
mkdir -p "$gen"
here="$PWD"
case "$venv" in /*) ;; *) venv="$here/$venv" ;; esac
(cd "$work" && "$venv/bin/nasdaq-ouch-codegen" --spec-file "$here/tests/oracles/ouch50.xml" --app-name ouch50 --op-dir gen >/dev/null)

say "an exchange on free ports"
free_port() { "$venv/bin/python" -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
orders="$(free_port)"
feed="$(free_port)"
rerequest="$(free_port)"
"$pitlane" config |
  sed -e "s|127.0.0.1:15000|127.0.0.1:$orders|; s|239.195.1.1:26400|239.195.1.1:$feed|; s|127.0.0.1:26401|127.0.0.1:$rerequest|" \
      -e "s|/dev/shm/pitlane|$work/exchange|; s|log_mebibytes = 512|log_mebibytes = 64|; s|store_mebibytes = 256|store_mebibytes = 64|" \
      -e "0,/cross_orders = false/s//cross_orders = true/; s|tick_ms = 1_000|tick_ms = 100|" \
      -e "s|cancel_on_disconnect = true|cancel_on_disconnect = false|" >"$work/pitlane.toml"
tcpdump -i lo -q -U -w "$work/all.pcap" "tcp port $orders or udp port $feed or udp port $rerequest" 2>"$work/tcpdump.log" &
capture=$!
for _ in $(seq 100); do [ -s "$work/all.pcap" ] && break; sleep 0.1; done
"$pitlane" run --config "$work/pitlane.toml" >"$work/exchange.log" 2>&1 &
exchange=$!
for _ in $(seq 100); do grep -q "ready" "$work/exchange.log" 2>/dev/null && break; sleep 0.1; done
grep -q "ready" "$work/exchange.log" || { cat "$work/exchange.log"; exit 1; }

say "Nasdaq's library as a client"
PYTHONPATH="$gen" "$venv/bin/python" tests/oracles/ouch_client.py 127.0.0.1 "$orders" USER01 SECRET

say "flow for the capture"
"$pitlane" load --config "$work/pitlane.toml" --seconds 2 --rate 2000 --transport tcp

say "a cross, reserve and stop orders, a broken trade"
admin() { "$pitlane" admin --config "$work/pitlane.toml" "$@"; }
enter() { user="$1" && shift && "$pitlane" order --config "$work/pitlane.toml" --user "$user" --password SECRET enter "$@"; }
admin phase AAPL pre-open
enter USER01 sell 500 AAPL market --on open
enter USER01 sell 1000 AAPL 585.60 --show 100
enter USER03 buy 700 AAPL 590.00 --on open
sleep 0.5
admin phase AAPL open
enter USER03 sell 50 AAPL 580.00 --stop 585.60
match="$(enter USER04 buy 250 AAPL 585.60 --ioc | tee /dev/stderr | sed -n 's/.*(match \([0-9]*\)).*/\1/p' | head -n 1)"
admin bust AAPL "$match"

say "clean stop"
"$pitlane" admin --config "$work/pitlane.toml" end-day >/dev/null
"$pitlane" admin --config "$work/pitlane.toml" stop >/dev/null
wait "$exchange"
exchange=""
sleep 1
kill "$capture" && wait "$capture" 2>/dev/null || true
capture=""

say "tshark"
decode=(-d "tcp.port==$orders,soupbintcp" -d "udp.port==$feed,moldudp64" --disable-protocol ouch)
# Nasdaq's library pads the number in its login on the right, which tshark takes for an invalid one; a login is the
# client's word, not ours, and ours is checked against the vectors.
bad='_ws.malformed && !(soupbintcp.packet_type == 0x4c)'
malformed="$(tshark -r "$work/all.pcap" "${decode[@]}" -Y "$bad" 2>/dev/null | wc -l)"
soup="$(tshark -r "$work/all.pcap" "${decode[@]}" -Y soupbintcp 2>/dev/null | wc -l)"
mold="$(tshark -r "$work/all.pcap" "${decode[@]}" -Y moldudp64 2>/dev/null | wc -l)"
echo "SoupBinTCP frames $soup, MoldUDP64 datagrams $mold, malformed $malformed"
if [ "$malformed" != 0 ] || [ "$soup" = 0 ] || [ "$mold" = 0 ]; then
  tshark -r "$work/all.pcap" "${decode[@]}" -Y "$bad" -O soupbintcp,moldudp64 -x 2>/dev/null | head -60
  exit 1
fi

say "itchfeed: every feed message, byte for byte"
tshark -r "$work/all.pcap" "${decode[@]}" -Y "moldudp64 && udp.dstport==$feed" -T fields -e moldudp64.msgdata 2>/dev/null |
  tr ',' '\n' | "$venv/bin/python" tests/oracles/itch_check.py types -

say "all third parties agree"
