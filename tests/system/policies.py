"""What desktop firewalls let in, as nft rules: the default policies of ufw 0.36.2, of firewalld 1.3.3 (zone public), and
of Fedora Workstation's zone of the same. Each keeps state, and lets everything out."""

import lab

TABLE = """
table inet firewall {
  chain input {
    type filter hook input priority filter; policy %s;
    iifname "lo" accept
    ct state established,related accept
    %s
  }
  %s
}
"""

UFW = """
    icmpv6 type echo-reply accept
    ct state invalid drop
    icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request } accept
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, 141, 142 } ip6 hoplimit 255 accept
    ip6 saddr fe80::/10 icmpv6 type { 130, 131, 132, 143 } accept
    udp sport 67 udp dport 68 accept
    meta nfproto ipv4 fib daddr type != { local, multicast, broadcast } drop
    ip daddr 224.0.0.251 udp dport 5353 accept
    ip daddr 239.255.255.250 udp dport 1900 accept
    ip6 saddr fe80::/10 udp sport 547 ip6 daddr fe80::/10 udp dport 546 accept
    ip6 daddr ff02::fb udp dport 5353 accept
    ip6 daddr ff02::f udp dport 1900 accept
"""

ZONE = """
    ct state invalid drop
    tcp dport 22 accept
    ip6 daddr fe80::/64 udp dport 546 accept
    %s
    meta l4proto { 1, 58 } accept
    reject with icmpx admin-prohibited
"""

REVERSE = """
  chain prerouting {
    type filter hook prerouting priority mangle + 10; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    meta nfproto ipv6 fib saddr . mark . iif oif missing drop
  }
"""

POLICIES = {
    "none": "",
    "ufw": TABLE % ("drop", UFW, ""),
    "public": TABLE % ("accept", ZONE % "", REVERSE),
    "fedora": TABLE % ("accept", ZONE % "udp dport { 137, 138, 1025-65535 } accept\n    tcp dport 1025-65535 accept", REVERSE),
}
HEAR_MDNS = ("none", "ufw", "fedora")


def setup(l, name, policy):
    """Puts the policy in the place of any other, and forgets whatever state there was."""
    l.inside(name, "nft", "-f", "-", input="flush ruleset\n" + POLICIES[policy])


def need_nft():
    try:
        lab.run("unshare", "-n", "nft", "-f", "-", input="".join(POLICIES.values()).replace("inet firewall", "inet a", 1)
                .replace("inet firewall", "inet b", 1))
    except (OSError, lab.subprocess.CalledProcessError) as error:
        lab.skip(f"no nft rules with state here: {error}")
