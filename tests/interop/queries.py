"""The seeded queries: lawful ones over every name of the zones and round about it, and broken ones of every kind."""
import os
import random
import struct
from dataclasses import dataclass

import dns.rdatatype
import dns.zone

import message as m

SEED = int(os.environ.get("INTEROP_SEED", "20250601"))
BASIC = ["A", "A", "A", "AAAA", "TXT", "MX", "NS", "DS", "CNAME"]
COMMON = ["A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "DS", "DNAME", "SRV", "PTR", "DNSKEY", "NSEC", "NSEC3PARAM", "TYPE65280"]
SIZES = [512, 512, 600, 900, 1220, 1232, 1232, 1232, 1400, 4096, 4096, 65535, 0, 100]


@dataclass(frozen=True)
class Query:
    """A query, its ID still 0; `kind` is the group in which a difference is reported."""
    kind: str
    text: str
    wire: bytes
    tcp: bool = False
    zone: str = ""


@dataclass
class Zone:
    """What the generator and the comparison know of a zone: names as tuples of lower-cased labels, RRsets by name."""
    apex: tuple
    text: str
    names: dict      # labels → set of types
    records: set     # (owner wire, type, class, TTL, RDATA wire), names lower-cased
    signed: bool


def load(files):
    """Reads the zone files with dnspython."""
    zones = []
    for apex, path in files.items():
        parsed = dns.zone.from_file(path, origin=apex + ".", relativize=False, check_origin=False)
        names, records = {}, set()
        for name, rdataset in parsed.iterate_rdatasets():
            labels = tuple(label.lower() for label in name.labels[:-1])
            names.setdefault(labels, set()).add(int(rdataset.rdtype))
            owner = m.labels_wire(labels)
            for rdata in rdataset:
                octets = rdata.to_wire()
                octets = m.canonical_rdata(octets, 0, len(octets), int(rdataset.rdtype), [])
                records.add((owner, int(rdataset.rdtype), 1, rdataset.ttl, octets))
        labels = tuple(label.encode() for label in apex.split("."))
        zones.append(Zone(labels, apex, names, records, any(46 in types for types in names.values())))
    return zones


def candidates(zone, rng):
    """(labels, kind) of names that exist, and of names above, below, beside and between them."""
    found = {}

    def add(labels, kind):
        if len(m.labels_wire(labels)) <= 255 and all(0 < len(label) < 64 for label in labels):
            found.setdefault(tuple(labels), kind)

    depth = len(zone.apex)
    hashed = sorted(name for name, types in zone.names.items() if types <= {m.TYPES["NSEC3"], m.TYPES["RRSIG"]})
    names = [name for name in zone.names if name not in hashed[3:]]
    for name in names:
        add(name, "existing" if name not in hashed else "owner of NSEC3")
    for name in names:
        for cut in range(1, len(name) - depth):
            add(name[cut:], "above")
        for below in ((b"a",), (b"x", b"y"), (b"*",), (b"\0",), (rng.randbytes(6).hex().encode(),)):
            add((*below, *name), "below")
        for neighbour in (name[0] + b"\0", name[0][:-1], b"zz" + name[0], b"*"):
            if len(name) > depth:
                add((neighbour, *name[1:]), "beside")
    for _ in range(20):
        add((rng.randbytes(4).hex().encode(), *zone.apex), "random")
        add((rng.randbytes(rng.randrange(1, 9)), *zone.apex), "random octets")
    add(zone.apex[1:], "above the apex")
    return sorted(found.items())


def random_case(labels, rng):
    return tuple(bytes(c ^ 32 if 65 <= c & ~32 <= 90 and rng.random() < 0.5 else c for c in label) for label in labels)


def lawful(zones, count, rng):
    """`count` queries over the zones, each zone's share growing with its names."""
    names = [(zone, labels, kind) for zone in zones for labels, kind in candidates(zone, rng)]
    heavy = [entry for entry in names if entry[2] == "existing"]
    for number in range(count):
        zone, labels, kind = names[number % len(names)] if number < len(names) else rng.choice(rng.choice([names, heavy]))
        types = sorted(zone.names.get(labels, ())) or [m.TYPES[name] for name in BASIC]
        qtype = rng.choice(types) if rng.random() < 0.6 else rng_type(rng)
        yield lawful_query(zone, labels, kind, qtype, rng)
    for _ in range(count // 200):
        yield lawful_query(zones[0], tuple(rng.choice([(b"com",), (b"example", b"org"), (), (b"test",)])), "not ours", 1, rng)


def rng_type(rng):
    pick = rng.random()
    if pick < 0.75:
        return type_number(rng.choice(COMMON))
    if pick < 0.93:
        return rng.choice(sorted(set(m.TYPE_NAMES) - {41, 249, 250, 251, 252, 253, 254, 255}))
    return rng.choice([255, 255, 46, 47, 50, 0, 65535, 65281, 24, 25])


def type_number(name):
    return m.TYPES[name] if name in m.TYPES else int(name[4:])


def lawful_query(zone, labels, kind, qtype, rng):
    shown = random_case(labels, rng) if rng.random() < 0.3 else labels
    flags = rng.choice([0, 0, 0, m.RD, m.CD, m.AD, m.RD | m.AD | m.CD])
    edns, do, size = rng.random() < 0.8, rng.random() < (0.8 if zone.signed else 0.2), rng.choice(SIZES)
    tcp = rng.random() < 0.08
    additional = [m.opt_record(size, do)] if edns else []
    wire = m.message(flags, [m.question(m.labels_wire(shown), qtype)], additional=additional)
    words = [m.name_text(m.labels_wire(shown)), m.type_name(qtype)]
    words += ["+tcp"] * tcp + ([f"+bufsize={size}"] + ["+dnssec"] * do if edns else ["+noedns"])
    words += [f"+{name}" if flags & bit else f"+no{name}" for name, bit in (("rd", m.RD), ("cd", m.CD), ("ad", m.AD)) if flags & bit or name != "cd"]
    label = f"{kind} {m.type_name(qtype)}" if qtype in (0, 255) else kind
    return Query(f"{zone.text}: {label}", "dig " + " ".join(words), wire, tcp, zone.text)


def odd(zones, rng):
    """Queries that are lawful or nearly so and that few ask: classes, opcodes, meta types, flags, EDNS corners."""
    apexes = [m.labels_wire(zone.apex) for zone in zones]
    hosts = apexes + [m.labels_wire((b"www", *zone.apex)) for zone in zones] + [m.labels_wire((b"nosuch", b"example"))]

    def pick(qtype=1, qclass=1):
        return [m.question(rng.choice(hosts), qtype, qclass)]

    for qclass in (3, 4, 254, 255, 0, 2, 65280):
        for _ in range(8):
            yield f"class {qclass}", m.message(0, pick(rng.choice([1, 6, 16, 255]), qclass))
    for text in ("version.bind", "id.server", "hostname.bind", "version.server", "authors.bind", "nothing.at.all"):
        name = m.labels_wire([label.encode() for label in text.split(".")])
        for qtype in (16, 255, 1):
            yield f"CHAOS {text}", m.message(0, [m.question(name, qtype, 3)])
    for opcode in range(1, 16):
        for opt in ([], [m.opt_record()]):
            yield f"opcode {opcode}", m.message(opcode << 11, pick(6), additional=opt)
        yield f"opcode {opcode} without question", m.message(opcode << 11)
    for qtype in (251, 252, 253, 254, 41, 249, 250, 128, 0, 65535):
        for _ in range(6):
            yield f"meta type {qtype}", m.message(0, pick(qtype), additional=rng.choice([[], [m.opt_record()]]))
    for bit in (m.AA, m.TC, m.RA, 0x0040, 1, 3, 15):
        for _ in range(4):
            yield f"flag {bit:#06x} in the query", m.message(bit, pick())
    record = apexes[0] + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1"
    for section in ("answer", "authority", "additional"):
        for opt in ([], [m.opt_record()]):
            sections = {section: [record]}
            sections["additional"] = sections.get("additional", []) + opt
            yield f"record in {section} of the query", m.message(0, pick(), **sections)
    for version in (1, 2, 255):
        for do in (False, True):
            yield "EDNS version", m.message(0, pick(), additional=[m.opt_record(do=do, version=version)])
    yield from options(pick, rng)


def options(pick, rng):
    """EDNS options: cookies of every length, NSID, ECS, padding, keepalive, unknown ones."""
    for length in (0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 39, 40, 41, 100):
        data = m.option(10, rng.randbytes(length))
        lawful_length = length == 8 or 16 <= length <= 40
        yield f"cookie of {'lawful' if lawful_length else 'illegal'} length {length}", m.message(0, pick(), additional=[m.opt_record(options=data)])
    bodies = {"NSID": (3, b""), "NSID with data": (3, b"abc"), "keepalive": (11, b""), "padding": (12, bytes(50)),
              "unknown option": (65001, b"xyz"), "ECS": (8, b"\0\1\x18\0\xc0\0\2"), "ECS zero": (8, b"\0\1\0\0"),
              "ECS IPv6": (8, b"\0\2\x20\0\x20\x01\x0d\xb8"), "DAU": (5, b"\x08\x0d"), "EDE": (15, b"\0\0")}
    for kind, (code, data) in bodies.items():
        for _ in range(4):
            yield kind, m.message(0, pick(), additional=[m.opt_record(options=m.option(code, data), do=rng.random() < 0.5)])
    for kind, data in {"option longer than OPT": b"\0\3\0\x09abc", "half an option": b"\0\3\0", "option without length": b"\0\3"}.items():
        yield kind, m.message(0, pick(), additional=[m.opt_record(options=data)])


def broken(zones, rng):
    """What no one should send."""
    apex = m.labels_wire(zones[0].apex)
    asked, opt = m.question(apex, 6), m.opt_record()
    whole = m.message(0, [asked], additional=[opt])
    for flags in (m.QR, m.QR | m.AA, m.QR | 5 << 11):
        yield "QR set", m.message(flags, [asked])
    for extra in ([], [opt]):
        yield "two questions", m.message(0, [asked, asked], additional=extra)
        yield "two questions", m.message(0, [asked, m.question(apex, 1)], additional=extra)
        yield "no question" + " with OPT" * bool(extra), m.message(0, additional=extra)
    yield "count of 65535 questions", m.message(0, [asked], counts=(65535, 0, 0, 0))
    for end in range(2, len(whole)):
        yield f"cut off in {'header' if end < 12 else 'question' if end < 12 + len(asked) else 'OPT'}", whole[:end]
    for name in (b"\xc0\x0c", b"\xc0\x0d\0", b"\x01a\xc0\x0c", b"\xc0\xff", b"\xff\xff", b"\xc0\x00", b"\xc0\x02"):
        yield "pointer in the question", m.message(0, [name + struct.pack("!HH", 1, 1)])
    for name in (b"\x40abc\0", b"\x80abc\0", b"\x41\1\2\0", b"\x3fabc\0"):
        yield "label type", m.message(0, [name + struct.pack("!HH", 1, 1)])
    for count in (4, 5):
        yield f"name of {64 * count} octets", m.message(0, [(b"\x3f" + b"a" * 63) * count + b"\0" + struct.pack("!HH", 1, 1)])
    yield "name of 255 octets", m.message(0, [(b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0" + struct.pack("!HH", 1, 1)])
    yield "name of 256 octets", m.message(0, [(b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0" + struct.pack("!HH", 1, 1)])
    yield "OPT twice", m.message(0, [asked], additional=[opt, opt])
    yield "OPT owner not the root", m.message(0, [asked], additional=[m.opt_record(owner=b"\1a\0")])
    yield "OPT owner is a pointer", m.message(0, [asked], additional=[m.opt_record(owner=b"\xc0\x0c")])
    yield "OPT in answer", m.message(0, [asked], answer=[opt])
    yield "OPT in authority", m.message(0, [asked], authority=[opt])
    for counts in ((1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 0, 0, 9), (1, 65535, 65535, 65535)):
        yield "counts of records that are not there", m.message(0, [asked], counts=counts)
    for tail in (b"\0", b"garbage", bytes(400)):
        yield "trailing garbage", m.message(0, [asked], tail=tail)
        yield "trailing garbage", m.message(0, [asked], additional=[opt], tail=tail)
    yield "OPT with RDLENGTH beyond the end", m.message(0, [asked], additional=[opt[:-2] + b"\0\x09"])
    for _ in range(120):
        octets = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            octets[rng.randrange(2, len(octets))] = rng.randrange(256)
        if not octets[2] & 0x80:
            yield "octets changed at random", bytes(octets)


def generate(zones, count=20_000, seed=SEED):
    """The queries of a run: all that is odd and broken, and lawful ones up to `count`."""
    rng = random.Random(seed)
    special = [("odd", *pair) for pair in odd(zones, rng)] + [("broken", *pair) for pair in broken(zones, rng)]
    queries = []
    for group, kind, wire in special:
        queries.append(Query(f"{group}: {kind}", f"{kind}: {wire.hex()}", wire))
        if rng.random() < 0.1 and len(wire) > 12:
            queries.append(Query(f"{group}, TCP: {kind}", f"{kind} by TCP: {wire.hex()}", wire, tcp=True))
    queries += lawful(zones, count - len(queries), rng)
    return queries
