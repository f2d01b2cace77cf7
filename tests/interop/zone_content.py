"""What the test zones hold: text of unsigned zones, one function a subject. Each returns lines of a master file.

Names are relative to the zone. Only what NSD, Knot and BIND all load is here; faults of zone files are another topic.
"""

SOA = "@ 3600 IN SOA ns1 hostmaster 1 7200 900 1209600 300"
LABEL_63 = "l" * 63


def apex(soa=SOA):
    return ["$TTL 600", soa, "@ NS ns1", "@ NS ns2.elsewhere.test.", "ns1 A 192.0.2.1", "ns1 AAAA 2001:db8::1"]


def every_type():
    """Every record type of the table at a name of its own, and many at one name."""
    samples = [
        ("a", "A 192.0.2.10"), ("a", "A 192.0.2.11"), ("aaaa", "AAAA 2001:db8::10"), ("ptr", "PTR a"),
        ("hinfo", 'HINFO "PC" "an OS"'), ("mx", "MX 10 a"), ("mx", "MX 20 aaaa"), ("mx", "MX 30 mail.elsewhere.test."),
        ("txt", 'TXT "one" "" "three\\"quoted\\\\ \\000\\255"'), ("spf", 'SPF "v=spf1 -all"'), ("rp", "RP a txt"),
        ("afsdb", "AFSDB 1 a"), ("loc", "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
        ("srv", "SRV 0 5 5060 a"), ("srv", "SRV 1 5 5060 aaaa"), ("naptr", 'NAPTR 100 10 "S" "SIP+D2U" "" srv'),
        ("naptr", 'NAPTR 100 20 "A" "X" "" a'), ("naptr", 'NAPTR 100 30 "U" "E2U+sip" "!^.*$!sip:x@y!" .'),
        ("kx", "KX 10 a"), ("cert", "CERT PKIX 1 8 AAAAAAAA"), ("apl", "APL 1:192.0.2.0/24 !1:192.0.2.128/25 2:2001:db8::/32"),
        ("sshfp", "SSHFP 4 2 " + "ab" * 32), ("tlsa", "TLSA 3 1 1 " + "cd" * 32), ("smimea", "SMIMEA 3 1 1 " + "ef" * 32),
        ("dhcid", "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="), ("openpgpkey", "OPENPGPKEY AAAAAAAAAAAA"),
        ("uri", 'URI 10 1 "https://a.example/"'), ("caa", 'CAA 0 issue "ca.example"'), ("eui48", "EUI48 00-00-5e-00-53-2a"),
        ("eui64", "EUI64 00-00-5e-ef-10-00-00-2a"), ("csync", "CSYNC 66 3 A NS AAAA"), ("null", "TYPE10 \\# 3 010203"),
        ("svcb", "SVCB 1 a alpn=h2,h3 port=8443"), ("svcb", "SVCB 2 aaaa ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"),
        ("https", "HTTPS 1 . alpn=h3"), ("https", "HTTPS 2 a mandatory=alpn alpn=h2 no-default-alpn"),
        ("https", "A 192.0.2.12"), ("alias", "HTTPS 0 a"), ("cname", "CNAME a"), ("type65280", "TYPE65280 \\# 4 0a000001"),
        ("empty", "TYPE65281 \\# 0"), ("cds", "CDS 12345 13 2 " + "01" * 32), ("cdnskey", "CDNSKEY 257 3 13 " + "AA" * 43 + "A="),
        ("ds.cut", "DS 12345 13 2 " + "01" * 32), ("ds.cut", "NS ns.ds.cut"), ("ns.ds.cut", "A 192.0.2.13"),
        ("dname", "DNAME a.elsewhere.test."), ("zonemd", "ZONEMD 1 1 1 " + "02" * 48),
        ("dnskey", "DNSKEY 256 3 13 " + "AA" * 43 + "A="),
    ]
    many = ["A 192.0.2.20", "AAAA 2001:db8::20", 'TXT "many"', "MX 1 a", "SRV 0 0 1 aaaa", "RP . .", 'CAA 128 iodef "mailto:x@y"']
    return [f"{owner} {record}" for owner, record in samples] + [f"many {record}" for record in many]


def wildcards():
    """RFC 4592: wildcards inside wildcards, blocked by names that exist, by empty non-terminals and by cuts."""
    return [
        "*.w A 192.0.2.30", "*.w TXT \"w\"", "*.w MX 10 x.w", "host.w A 192.0.2.31", "below.host.w A 192.0.2.32",
        "a.ent.w A 192.0.2.33", "*.*.deep A 192.0.2.34", "*.deep TXT \"outer\"", "x.*.deep A 192.0.2.35",
        "*.x.*.deep AAAA 2001:db8::35", "sub.*.mid A 192.0.2.36", "*.onlycname CNAME host.w", "*.chain CNAME q.onlycname",
        "*.selfloop CNAME a.selfloop", "*.toxdomain CNAME nothere.nowhere", "*.out CNAME www.elsewhere.test.",
        "*.to CNAME a.deepwild", "*.deepwild CNAME host.w", "cut.*.w2 NS ns.elsewhere.test.", "*.w2 A 192.0.2.37",
        "cut.w2 NS ns1", "_sip._tcp.w SRV 0 0 5060 any.w", "svc.w SRV 0 0 80 any.w", "*.todname CNAME b.dn",
        "dn DNAME w", "**.w A 192.0.2.38", "*a.w A 192.0.2.39", "mxs MX 10 wild.w", "mxs MX 20 b.c.w", "* TXT \"top\"",
        "*.ent2.ent3.ent4 A 192.0.2.40", "\\042.esc A 192.0.2.41", "x\\.y.w A 192.0.2.42",
    ]


def empty_non_terminals():
    return [
        "a.b.c.d.e.f.g A 192.0.2.50", "z.b.c.d.e.f.g A 192.0.2.51", "c TXT \"above an ENT\"", "x.c A 192.0.2.52",
        "one.two.three A 192.0.2.53", "_443._tcp.svc TLSA 3 1 1 " + "00" * 32, "cname.u.v CNAME three", "toent CNAME two.three",
        "x.y.cut2 NS ns1", "mxent MX 1 two.three", "zz.*.star A 192.0.2.54",
    ]


def cuts(child="child"):
    """Cuts with glue of every kind, with DS, and names occluded by them."""
    return [
        "glued NS ns.glued", "glued NS ns2.glued", "ns.glued A 192.0.2.60", "ns.glued AAAA 2001:db8::60",
        "ns2.glued A 192.0.2.61", "noglue NS ns.elsewhere.test.", "noglue NS ns9.elsewhere.test.",
        "sibling NS ns.glued", "sibling NS ns.othercut", "othercut NS ns.othercut", "ns.othercut A 192.0.2.62",
        "missing NS ns.missing", "inzone NS ns1", "inzone NS nsx", "nsx A 192.0.2.63", "self NS self", "self A 192.0.2.64",
        "mixed NS ns.mixed", "mixed NS ns1", "mixed NS ns.elsewhere.test.", "ns.mixed A 192.0.2.65",
        "a.b.under NS ns.a.b.under", "ns.a.b.under AAAA 2001:db8::66", "occluded NS ns.occluded", "ns.occluded A 192.0.2.67",
        "occluded TXT \"hidden at the cut\"", "www.occluded A 192.0.2.68", "deeper.occluded NS ns1", "*.occluded A 192.0.2.69",
        "ds NS ns.ds", "ns.ds A 192.0.2.70", "ds DS 4711 13 2 " + "0a" * 32, "tocut CNAME www.glued", "tocutns CNAME ns.glued",
        "todscut CNAME x.ds", "wildglue NS a.wild", "*.wild A 192.0.2.71", "cnamens NS alias", "alias CNAME ns1", "mxcut MX 10 ns.glued",
        "srvcut SRV 0 0 1 ns.noglue", f"{child} NS ns.{child}", f"ns.{child} A 192.0.2.72", f"{child} DS 1 13 2 " + "0b" * 32,
        "dnameabove DNAME glued", "entcut.x.y.z NS ns.entcut.x.y.z", "ns.entcut.x.y.z A 192.0.2.73",
    ] + [f"many NS n{i}.many" for i in range(13)] + [f"n{i}.many AAAA 2001:db8::{i:x}:1" for i in range(13)]


def dnames():
    """RFC 6672: results too long, loops, chains, into wildcards, into other zones."""
    far = ".".join([LABEL_63] * 3 + ["m" * 30])
    return [
        "d DNAME t", "x.t A 192.0.2.80", "*.wild.t TXT \"wild\"", "y.t CNAME x.t", "z.t CNAME nothere.t", "cut.t NS ns1",
        "d A 192.0.2.81", "d MX 10 x.t", f"far DNAME {far}", f"x.{far} A 192.0.2.82", "loop DNAME loop2", "loop2 DNAME loop",
        "selfish DNAME selfish.selfish2", "grow DNAME a.grow", "chain DNAME chain2", "chain2 DNAME chain3", "chain3 DNAME t",
        "out DNAME elsewhere.test.", "local DNAME cname.test.", "toent DNAME entt", "a.b.entt A 192.0.2.83", "c CNAME x.d",
        "c2 CNAME nothere.d", "c3 CNAME x.out", "togone DNAME gone", "root DNAME .", "mxd MX 10 x.d", "up.deep DNAME @",
        "tocut DNAME cut.t", "short DNAME s",
    ]


def cnames():
    lines = [f"chain{i} CNAME chain{i + 1}" for i in range(12)] + ["chain12 A 192.0.2.90"]
    return lines + [
        "one CNAME end", "end A 192.0.2.91", "end TXT \"end\"", "two CNAME one", "three CNAME two", "loop CNAME loop",
        "ping CNAME pong", "pong CNAME ping", "l1 CNAME l2", "l2 CNAME l3", "l3 CNAME l1", "gone CNAME nothere",
        "gone2 CNAME gone", "out CNAME www.elsewhere.test.", "out2 CNAME out", "local CNAME a.types.test.",
        "localgone CNAME nothere.types.test.", "toent CNAME ent", "a.ent A 192.0.2.92", "towild CNAME any.wild",
        "*.wild A 192.0.2.93", "*.wildc CNAME end", "towildc CNAME q.wildc", "apexc CNAME @", "mixed CNAME eNd",
        "MiXeD2 CNAME ENd", "tons CNAME ns1", "mx MX 10 one", "srv SRV 0 0 1 two", "tochild CNAME www.child.cuts.test.",
        "svcbalias SVCB 0 one", "intoloop CNAME ping", "self.ent2 CNAME self.ent2",
    ]


def octets():
    """Names with every octet, labels of 63, names of 255 octets."""
    lines = [f"\\{c:03d} A 192.0.2.100" for c in range(256) if not 65 <= c <= 90]
    lines += [f"x\\{c:03d}y.every TXT \"{c}\"" for c in range(0, 256, 3) if not 65 <= c <= 90]
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 49])
    return lines + [
        f"{longest} A 192.0.2.101", f"{LABEL_63} A 192.0.2.102", f"tolong CNAME {longest}", f"mx MX 1 {longest}",
        f"*.{'e' * 63}.{'f' * 63}.{'g' * 63} A 192.0.2.103", "UPPER.Case A 192.0.2.104", "tocase CNAME uPPer.caSE",
        "dots\\.in\\.label A 192.0.2.105", "sp\\032ace TXT \"space\"", "\\@ A 192.0.2.106", "back\\\\slash A 192.0.2.107",
        "tail\\000 A 192.0.2.108", "\\000.below A 192.0.2.109", "\\255.below A 192.0.2.110", "ptr PTR dots\\.in\\.label",
        ".".join("n" * 118) + " A 192.0.2.111",
    ]


def big():
    """RRsets that need truncation at one size or another."""
    lines = [f"a{n} A 198.51.{i >> 8}.{i & 255}" for n in (5, 25, 28, 29, 30, 70, 100, 400) for i in range(n)]
    lines += [f"aaaa{n} AAAA 2001:db8:1::{i:x}" for n in (14, 40) for i in range(n)]
    lines += [f"txt{n} TXT " + " ".join('"' + "t" * 250 + '"' for _ in range(n)) for n in (1, 2, 4, 5, 20, 200)]
    lines += [f"near64k TXT \"{i:03} {'o' * 240}\"" for i in range(250)]
    lines += [f"mx{n} MX {i} t{i}" for n in (8, 30) for i in range(n)] + [f"t{i} A 203.0.113.{i}" for i in range(30)]
    lines += [f"cut{n} NS n{i}.cut{n}" for n in (6, 16, 24) for i in range(n)]
    lines += [f"n{i}.cut{n} A 203.0.113.{i}" for n in (6, 16, 24) for i in range(n)]
    lines += [f"n{i}.cut{n} AAAA 2001:db8:2::{i}" for n in (6, 16, 24) for i in range(n)]
    return lines + ["tobig CNAME a100", "*.wild TXT " + " ".join('"' + "w" * 200 + '"' for _ in range(8)), "tobigcut CNAME x.cut24"]


def targets():
    """Records that name hosts: at home, below wildcards, aliases, in cuts, elsewhere, nowhere."""
    hosts = ["h1", "any.wild", "alias", "ns.cut", "host.elsewhere.test.", "nothere", "both", "@", "a.types.test.", "other.cut"]
    lines = ["h1 A 192.0.2.120", "*.wild A 192.0.2.121", "alias CNAME h1", "cut NS ns.cut", "ns.cut A 192.0.2.122",
             "both A 192.0.2.123", "both AAAA 2001:db8::123", "@ A 192.0.2.124"]
    for i, host in enumerate(hosts):
        lines += [f"mx{i} MX 10 {host}", f"_s{i}._tcp SRV 0 0 80 {host}", f"svcb{i} SVCB 1 {host}", f"https{i} HTTPS 1 {host}",
                  f"naptr{i} NAPTR 1 1 \"S\" \"X\" \"\" _s{i}._tcp", f"naptra{i} NAPTR 1 1 \"A\" \"X\" \"\" {host}",
                  f"kx{i} KX 1 {host}", f"afsdb{i} AFSDB 1 {host}", f"ptr{i} PTR {host}"]
    return lines + [f"allmx MX {i} {host}" for i, host in enumerate(hosts)] + ["self MX 1 self", "self A 192.0.2.125", "root MX 0 ."]


def signed_mixture(*children):
    """Everything that needs a proof of its own, for the zones that get signed; `children` are delegated."""
    return [
        "@ A 192.0.2.130", "@ MX 10 mail", "@ TXT \"signed\"", "mail A 192.0.2.131", "www A 192.0.2.132", "www AAAA 2001:db8::132",
        "*.w A 192.0.2.133", "*.w TXT \"wild\"", "host.w A 192.0.2.134", "x.ent.w A 192.0.2.135", "*.*.deep A 192.0.2.136",
        "sub.*.mid TXT \"mid\"", "*.wc CNAME www", "*.wc2 CNAME nothere", "*.wc3 CNAME q.w", "a.b.c.d A 192.0.2.137",
        "alias CNAME www", "alias2 CNAME alias", "gone CNAME nothere", "out CNAME www.elsewhere.test.", "toent CNAME c.d",
        "towild CNAME z.w", "tocut CNAME x.insecure", "tosecure CNAME x.secure", "dn DNAME t", "x.t A 192.0.2.138",
        "*.wild.t TXT \"t\"", "dnout DNAME elsewhere.test.", "insecure NS ns.insecure", "ns.insecure A 192.0.2.139",
        "insecure2 NS ns.elsewhere.test.", "a.b.ic NS ns1", "secure NS ns.secure", "ns.secure A 192.0.2.140",
        "secure DS 4711 13 2 " + "0c" * 32, "a.b.sc NS ns1", "a.b.sc DS 4712 13 2 " + "0d" * 32,
        "both A 192.0.2.141", "x.y.only.optout NS ns1", "z.y.only.optout NS ns1", "mixed.ent A 192.0.2.142", "cut.ent NS ns1",
        "*.wcut A 192.0.2.143", "in.wcut NS ns1", "big TXT " + " ".join(['"' + "b" * 250 + '"'] * 5),
        "\\000.low A 192.0.2.144", "\\255.high A 192.0.2.145", "UPPER A 192.0.2.146", "mx MX 10 www", "srv SRV 0 0 1 any.w",
        "occ NS ns.occ", "ns.occ A 192.0.2.147", "www.occ A 192.0.2.148", "loop CNAME loop", "_25._tcp.mail TLSA 3 1 1 " + "0e" * 32,
    ] + [f"{child} NS ns1" for child in children]
