"""Where kofn's reply is decided by more than the general rule of `compare`: the short list, each entry with its reason.

An entry takes over the cases that it matches. It returns None when kofn's reply is right, else what is wrong.
"""
import message as m

ENTRIES = []


def entry(reason, matches):
    """Registers a verdict on the cases that `matches` picks."""
    def register(verdict):
        ENTRIES.append((reason, matches, verdict))
        return verdict
    return register


def rcode_is(*wanted):
    def verdict(case, _general):
        got = case.kofn and m.RCODES.get(case.kofn.rcode)
        return None if got in wanted else f"rcode: kofn {got or 'is silent'}, expected {' or '.join(wanted)}"
    return verdict


def kind(*prefixes):
    return lambda case: case.query.kind.replace(", TCP:", ":").startswith(prefixes)


def answered(case):
    return case.kofn is not None and all(case.peers.values())


@entry("RFC 8482 section 4.1: ANY may be answered with a subset of the RRsets of the name",
       lambda case: case.qtype == 255 and case.qclass == 1 and answered(case) and case.kofn.answer and not case.flags & 0x7800)
def any_query(case, general):
    whole = case.peers["bind"].answer if "bind" in case.peers else case.kofn.answer
    left = [fault for fault in general if not fault.startswith(("answer", "authority"))]
    if case.peers.get("bind") and not case.peers["bind"].flag(m.TC) and not case.kofn.answer <= whole:
        left.append("answer to ANY holds what the name does not")
    return "; ".join(left) or None


entry("RFC 9619: QDCOUNT other than 1 is FORMERR", kind("broken: two questions", "broken: no question", "broken: count of 65535"))(rcode_is("FORMERR"))
entry("RFC 7873 section 5.2.2: a COOKIE of illegal length is FORMERR", kind("odd: cookie of illegal"))(rcode_is("FORMERR"))
entry("RFC 6891 section 6.1.2: an OPT whose owner is not the root is FORMERR", kind("broken: OPT owner"))(rcode_is("FORMERR"))
entry("RFC 2136 section 3.1.1 with DESIGN.md section 7: UPDATE that is not configured is REFUSED", kind("odd: opcode 5"))(rcode_is("REFUSED", "FORMERR"))
entry("RFC 1996 section 3.10: NOTIFY to the primary of a zone is NOTAUTH", lambda case: kind("odd: opcode 4")(case) and case.qdcount == 1)(rcode_is("NOTAUTH"))


@entry("RFC 9471 section 3.1: a referral whose glue does not fit is truncated; NSD and BIND leave glue out in silence",
       lambda case: answered(case) and case.kofn.flag(m.TC) and not case.query.tcp and any(r[1] == 2 for r in next(iter(case.peers.values())).authority))
def glue_truncated(_case, general):
    return "; ".join(fault for fault in general if not fault.startswith(("TC", "glue"))) or None


def judged(case, general):
    """(what is wrong, the reason of the entry that decided or None)."""
    for reason, matches, verdict in ENTRIES:
        if matches(case):
            wrong = verdict(case, general)
            return ([wrong] if wrong else []), reason
    return general, None
