#!/bin/sh
# A port scan from another machine finds the same with the carrier and without it, and the carrier sends nothing
# while it waits. As root, with nmap and iproute2; else skipped. scan.sh WAITING-PROGRAM
set -eu
waiting=$1
[ "$(id -u)" = 0 ] || { echo "only root can make network namespaces"; exit 77; }
command -v nmap >/dev/null && command -v ip >/dev/null || { echo "needs nmap and ip"; exit 77; }

a=scan-a-$$ b=scan-b-$$ dir=$(mktemp -d) pid=
end() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	ip netns del $a 2>/dev/null || true
	ip netns del $b 2>/dev/null || true
	rm -rf "$dir"
}
trap end EXIT
ip netns add $a && ip netns add $b && ip netns exec $a true || { echo "the system makes no network namespace"; exit 77; }
ip -n $a link add x type veth peer name y netns $b
ip -n $a addr add 10.7.0.1/24 dev x
ip -n $b addr add 10.7.0.2/24 dev y
ip -n $a link set lo up && ip -n $b link set lo up
ip -n $a link set x up && ip -n $b link set y up
# The answers "closed" are not rationed, or the scan would take minutes.
ip netns exec $a sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
until ip -n $a -6 addr show dev x scope link -tentative | grep -q fe80; do sleep 0.2; done
until ip -n $b -6 addr show dev y scope link -tentative | grep -q fe80; do sleep 0.2; done
link_local=$(ip -n $a -6 addr show dev x scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p')

scan() {
	{
		ip netns exec $b nmap -n -Pn -T4 -sU -p 137,5353,50120-50129,60000 --reason 10.7.0.1
		ip netns exec $b nmap -n -Pn -T4 -sS -p 1-1024,5353,50120-50129 --reason 10.7.0.1
		ip netns exec $b nmap -6 -n -Pn -T4 -sU -p 5353,50120-50129 --reason "$link_local%y"
	} | grep -v -e '^Starting' -e '^Nmap done' -e '^Host is up' >"$1"
}

# Datagrams that left a, of both families.
sent() {
	ip netns exec $a cat /proc/net/snmp /proc/net/snmp6 |
		awk '$1 == "Udp:" && $5 ~ /^[0-9]/ { n += $5 } $1 == "Udp6OutDatagrams" { n += $2 } END { print n }'
}

scan "$dir/without"
grep -q '5353/udp *closed' "$dir/without"
ip netns exec $a "$waiting" x 10.7.0.1 10.7.0.9 50123 >"$dir/said" &
pid=$!
until grep -q waiting "$dir/said"; do kill -0 $pid; sleep 0.1; done
ip netns exec $a ss -Huan | grep -q '224.0.0.251:5353'
ip netns exec $a ss -Huan | grep -q '10.7.0.1:50123 *10.7.0.9:50123'
before=$(sent)
scan "$dir/with"
sleep 3
[ "$(sent)" = "$before" ]
diff "$dir/without" "$dir/with"

# A socket for anybody would be found: the scan can see.
kill $pid
pid=
ip netns exec $a python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 50123))
time.sleep(60)' &
pid=$!
until ip netns exec $a ss -Huan | grep -q ':50123'; do sleep 0.1; done
scan "$dir/open"
! diff "$dir/without" "$dir/open" >/dev/null
echo "the same with it and without it: $(grep -c / "$dir/with") lines"
