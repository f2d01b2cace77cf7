"""Where more than the general rule of `compare` decides: the short list, each entry with its reason.

An entry takes over the cases that it matches. Its verdict gets the case, what the general rule found and the world, and
returns None when kofn's reply is right, else what is wrong. Some entries allow what no peer does; the others say whom
kofn follows where the peers differ.
"""
import compare
import message as m

ENTRIES = []


def entry(reason, matches, verdict):
    ENTRIES.append((reason, matches, verdict))


def judged(case, general, world):
    """(what is wrong, the reason of the entry that decided or None)."""
    for reason, matches, verdict in ENTRIES:
        if matches(case):
            wrong = verdict(case, general, world)
            return ([wrong] if wrong else []), reason
    return general, None


# Verdicts

def rcode_is(*wanted):
    """The rcode alone decides."""
    def verdict(case, _general, _world):
        got = case.kofn and m.RCODES.get(case.kofn.rcode)
        return None if got in wanted else f"rcode: kofn {got or 'is silent'}, expected {' or '.join(wanted)}"
    return verdict


def follow(*names):
    """The general rule holds, and the answer is that of one of these peers."""
    def verdict(case, general, world):
        if not general and not compare.like(case, world, names) and any(name in case.peers for name in names):
            general = [f"does not answer as {' or '.join(names)}"]
        return " | ".join(general) or None
    return verdict


def without(*fields):
    """The general rule holds but for these fields."""
    def verdict(_case, general, _world):
        return " | ".join(fault for fault in general if not fault.startswith(fields)) or None
    return verdict


def glue_does_not_fit(case, general, world):
    """TC is right where a peer has left glue out."""
    whole = [reply for reply in case.peers.values() if compare.delegates(reply, world) and not reply.flag(m.TC)]
    left_out = any(not reply.additional >= world.glue(reply) for reply in whole)
    return (without("TC", "glue") if left_out else without())(case, general, world)


def any_subset(case, general, world):
    wrong = without("answer", "authority", "silence")(case, general, world)
    whole = case.peers.get("bind")
    if general and not wrong and whole and not whole.flag(m.TC) and not case.kofn.answer <= whole.answer:
        return "answer to ANY holds what the name does not"
    return wrong


# What picks the cases

def kind(*prefixes):
    return lambda case: case.query.kind.replace(", TCP:", ":").startswith(prefixes)


def answered(case):
    return case.kofn is not None and all(case.peers.values())


def peer(case, name):
    return case.peers.get(name)


def rcode(case, name):
    return peer(case, name) and m.RCODES.get(peer(case, name).rcode)


def any_query(case):
    return case.qtype == m.TYPES["ANY"] and case.qclass == 1 and answered(case) and case.kofn.answer and not case.flags & 0x7800


def referral_cut_short(case):
    return answered(case) and case.kofn.flag(m.TC) and not case.query.tcp and any(r[1] == m.TYPES["NS"] for reply in case.peers.values() for r in reply.authority)


def denies(case, name):
    """Whether a peer sends NSEC or NSEC3 and nothing else but SOA: a proof that something is not there."""
    reply = peer(case, name)
    return reply and not reply.answer and any(r[1] in (m.TYPES["NSEC"], m.TYPES["NSEC3"]) for r in reply.authority)


def chain_without_end(case):
    return answered(case) and rcode(case, "bind") == "SERVFAIL" and all(rcode(case, name) in (None, "NOERROR") for name in ("nsd", "knot"))


def chain_cut(case, _general, _world):
    """Any length from Knot's, the shortest, upwards."""
    reply, knot = case.kofn, peer(case, "knot") or case.kofn
    held = reply.rcode == 0 and reply.flag(m.AA) and not reply.faults and (reply.answer >= knot.answer or reply.flag(m.TC))
    return None if held else f"chain without end: {m.RCODES.get(reply.rcode)} with {len(reply.answer)} records {' '.join(reply.faults)}"


# The list

entry("RFC 8482 section 4.1: ANY may be answered with a subset of the RRsets of the name", any_query, any_subset)
entry("RFC 9471 section 3.1: a referral whose glue does not fit is truncated; NSD and BIND leave glue out in silence",
      referral_cut_short, glue_does_not_fit)
entry("RFC 9619: QDCOUNT other than 1 is FORMERR",
      kind("broken: two questions", "broken: no question", "broken: count of 65535"), rcode_is("FORMERR"))
entry("RFC 7873 section 5.2.2: a COOKIE of illegal length is FORMERR", kind("odd: cookie of illegal"), rcode_is("FORMERR"))
entry("RFC 6891 section 6.1.2: an OPT whose owner is not the root is FORMERR", kind("broken: OPT owner"), rcode_is("FORMERR"))
entry("RFC 8906 section 3.1.4: a broken query is told so, not met with silence",
      lambda case: case.query.kind.startswith("broken") and rcode(case, "nsd") == rcode(case, "bind") == "FORMERR" and not peer(case, "knot"),
      rcode_is("FORMERR"))
entry("RFC 2136 section 3.1 with DESIGN.md section 7: UPDATE that is not configured is REFUSED", kind("odd: opcode 5"),
      rcode_is("REFUSED", "FORMERR"))
entry("RFC 1996 section 3.10 has no word for NOTIFY to a primary: NOTAUTH, as Knot", lambda case: kind("odd: opcode 4")(case) and case.qdcount == 1,
      rcode_is("NOTAUTH", "REFUSED"))
entry("RFC 5936 section 4.2: AXFR by UDP is undefined, and transfers are not configured: any error", kind("odd: meta type 251", "odd: meta type 252"),
      rcode_is("REFUSED", "NOTAUTH", "NOTIMP", "FORMERR"))
entry("RFC 6672 section 2.2: a DNAME result above 255 octets is YXDOMAIN", lambda case: rcode(case, "nsd") == rcode(case, "bind") == "YXDOMAIN",
      follow("nsd", "bind"))
entry("RFC 1034 section 4.3.2 step 3a: a CNAME chain without end gives what was found, not SERVFAIL", chain_without_end, chain_cut)
entry("RFC 4035 section 3.1.4.1: at a cut only DS is answered with authority, so QTYPE NSEC gets the referral",
      lambda case: case.qtype == m.TYPES["NSEC"] and peer(case, "nsd") and compare.is_referral(case.peers["nsd"]), follow("nsd", "knot"))
entry("RFC 4592 section 4.6 with RFC 5155 section 7.2.5: NODATA at a name that begins with * has the whole proof",
      lambda case: case.question.startswith(b"\1*") and denies(case, "nsd") and rcode(case, "knot") == rcode(case, "nsd") == "NOERROR",
      follow("nsd", "bind"))
entry("RFC 5155 section 7.2.1: under opt-out the closest provable encloser is proven, which NSD misses",
      lambda case: "optout" in case.query.zone and case.qtype != m.TYPES["NSEC"] and denies(case, "knot") and denies(case, "bind"), follow("knot", "bind"))
entry("RFC 6895 section 3.2.1: a nameserver has no zone of QCLASS ANY; other classes are REFUSED", kind("odd: class 255"), rcode_is("REFUSED"))
