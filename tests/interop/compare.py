"""Judges one reply of kofn against those of NSD, Knot and BIND to the same question.

The rule: what the three agree on is right. Where they differ, kofn's rcode, AA, answer and authority must together be
those of one of them, and each other property that of some one. Data that RFC 1034 leaves to taste (the apex NS behind
a positive answer, addresses of hosts that an answer names) is taken out first, but what kofn adds must be true.
"""
import struct
from dataclasses import dataclass

import message as m

UDP_MAXIMUM = 1232   # what kofn, like the three, sends at most by default
CORE = ("rcode", "AA", "answer", "authority")
OTHERS = ("TC", "RA", "AD", "RD", "CD", "question", "OPT", "DO", "glue")
ADDRESSES = {m.TYPES["A"], m.TYPES["AAAA"]}
ERRORS = {"FORMERR", "NOTIMP", "REFUSED", "NOTAUTH", "BADVERS"}
FLAGS = (("AA", m.AA), ("TC", m.TC), ("RD", m.RD), ("RA", m.RA), ("AD", m.AD), ("CD", m.CD))


class World:
    """What all zones hold: the truth about additional data."""

    def __init__(self, zones):
        self.apexes = {m.labels_wire(zone.apex) for zone in zones}
        self.records = set().union(*(zone.records for zone in zones))
        self.addresses = {}
        for record in self.records:
            if record[1] in ADDRESSES:
                self.addresses.setdefault(record[0], set()).add(record)
        self.wild = {record for record in self.records if record[0].startswith(b"\1*")}

    def glue(self, referral):
        """The in-domain glue that a referral must have (RFC 9471 section 3.1)."""
        hosts = {(record[0], record[4]) for record in referral.authority if record[1] == m.TYPES["NS"]}
        inside = [host for cut, host in hosts if host.endswith(cut)]
        return frozenset().union(*(self.addresses.get(host, ()) for host in inside))

    def holds(self, record):
        """Whether a zone has the record, or a wildcard that makes it."""
        if record in self.records:
            return True
        return any(record[0].endswith(wild[0][2:]) and record[1:] == wild[1:] for wild in self.wild)


@dataclass
class Case:
    """A query and the replies to it; None is silence."""
    query: object
    peers: dict          # name → Reply or None
    kofn: object

    def __post_init__(self):
        wire = self.query.wire
        self.flags, self.qdcount = struct.unpack_from("!HH", wire.ljust(6, b"\0"), 2)
        self.qtype, self.qclass, self.question, self.limit = None, None, b"", 512
        try:
            _, end, compressed = m.read_name(wire, 12)
            self.qtype, self.qclass = struct.unpack_from("!HH", wire, end)
            self.question = wire[12:end + 4] if not compressed else b""
            opt = m.read(wire).opt
            self.limit = max(512, min(UDP_MAXIMUM, opt[2])) if opt else 512
        except (m.Malformed, struct.error):
            pass  # a broken query: what was read so far stands
        if self.query.tcp:
            self.limit = 65_535



def is_referral(reply):
    return not reply.rcode and not reply.answer and not reply.flag(m.AA) and any(r[1] == m.TYPES["NS"] for r in reply.authority)


def delegates(reply, world):
    """Whether it leads to a cut, be it at once or behind a CNAME, so that glue belongs to it."""
    return any(record[1] == m.TYPES["NS"] and record[0] not in world.apexes for record in reply.authority)


def view(case, reply, world):
    """The properties of a reply that are compared; None for silence. Sections of truncated replies are not."""
    if reply is None:
        return None
    authority = reply.authority
    if reply.answer:
        authority = frozenset(r for r in authority if not (r[0] in world.apexes and covers(r) == m.TYPES["NS"]))
    cut = reply.flag(m.TC)
    seen = {"rcode": m.RCODES.get(reply.rcode, reply.rcode), "answer": None if cut else reply.answer,
            "authority": None if cut else authority, "OPT": reply.opt and reply.opt[0], "DO": reply.opt and reply.opt[1],
            "question": "echoed" if reply.question == case.question else "none" if not reply.question else "changed",
            "glue": reply.additional if is_referral(reply) and not cut else None}
    seen.update((name, reply.flag(bit)) for name, bit in FLAGS)
    if seen["rcode"] in ERRORS:
        seen["AA"] = None   # there is no answer to have authority over, and some copy the query's
    return seen


def covers(record):
    """The type of a record, or the type that an RRSIG signs."""
    return struct.unpack_from("!H", record[4])[0] if record[1] == m.TYPES["RRSIG"] else record[1]


def differences(ours, theirs, fields):
    if ours is None or theirs is None:
        return [] if ours is theirs else ["silence"]
    return [name for name in fields if ours[name] != theirs[name] and not truncated(ours, theirs, name)]


def truncated(ours, theirs, name):
    """Sections of a truncated reply may hold anything."""
    return name in ("answer", "authority", "glue") and (ours["TC"] or theirs["TC"])


def like(case, world, names):
    """Whether kofn's core is that of one of the peers `names` (those that take part)."""
    ours = view(case, case.kofn, world)
    return not all(differences(ours, view(case, case.peers[name], world), CORE) for name in names if name in case.peers)


def judge(case, world):
    """What is wrong with kofn's reply, one phrase a fault; empty when nothing is."""
    faults = faults_alone(case, world)
    ours = view(case, case.kofn, world)
    theirs = {name: view(case, reply, world) for name, reply in case.peers.items()}
    core = {name: differences(ours, seen, CORE) for name, seen in theirs.items()}
    alike = [name for name, found in core.items() if not found]
    if not alike:
        closest = min(core, key=lambda name: len(core[name]))
        faults += [phrase(field, ours, theirs) for field in core[closest]]
    if ours is not None and any(theirs.values()):
        for field in OTHERS:
            if not any(seen and not differences(ours, seen, [field]) for seen in theirs.values()):
                faults.append(phrase(field, ours, theirs))
    return faults


def phrase(field, ours, theirs):
    """A fault in words that are equal for equal causes."""
    if field == "silence" or ours is None:
        return f"silence: kofn {'is silent' if ours is None else 'replies ' + ours['rcode']}, " + \
            ", ".join(f"{name} {seen['rcode'] if seen else 'is silent'}" for name, seen in theirs.items())
    if field in ("answer", "authority", "glue"):
        present = {name: seen for name, seen in theirs.items() if seen and seen[field] is not None}
        parts = [f"{name}: {set_difference(ours[field] or frozenset(), seen[field])}" for name, seen in present.items()]
        return f"{field} of kofn " + "; ".join(dict.fromkeys(parts))
    return f"{field}: kofn {ours[field]}, " + ", ".join(f"{name} {seen[field] if seen else 'silent'}" for name, seen in theirs.items())


def set_difference(ours, theirs):
    def kinds(records):
        return " ".join(sorted({("RRSIG-" if r[1] == 46 else "") + m.type_name(covers(r)) for r in records}))
    keys_ours, keys_theirs = {(r[0], r[1], r[4]) for r in ours}, {(r[0], r[1], r[4]) for r in theirs}
    if keys_ours == keys_theirs and ours != theirs:
        return f"other TTL of {kinds(ours - theirs)}"
    return ", ".join(filter(None, [kinds(theirs - ours) and f"lacks {kinds(theirs - ours)}", kinds(ours - theirs) and f"has {kinds(ours - theirs)}"])) or "equal"


def faults_alone(case, world):
    """What is wrong with a reply whoever else says what."""
    reply = case.kofn
    if reply is None:
        return []
    faults = list(reply.faults)
    if reply.size > case.limit:
        faults.append(f"reply above the limit of {case.limit} octets")
    if not reply.flag(m.QR):
        faults.append("QR is not set")
    if case.qdcount == 1 and case.question and reply.question not in (case.question, b""):
        faults.append("question not echoed octet by octet")
    if reply.answer and any(record[0] in world.apexes and covers(record) == m.TYPES["NS"] for record in reply.authority):
        faults.append("apex NS behind an answer that does not need it")
    if is_referral(reply) and not reply.flag(m.TC) and not reply.additional >= world.glue(reply):
        faults.append("referral that lacks glue, without TC (RFC 9471)")
    named = b"".join(record[4] + service_owner(record) for record in reply.answer | reply.authority | reply.additional)
    for record in reply.additional:
        if not world.holds(record):
            faults.append(f"additional record that no zone holds: {m.type_name(record[1])}")
        elif record[0] not in named:
            faults.append(f"additional record that no other record names: {m.type_name(record[1])}")
    nsd = case.peers.get("nsd")
    whole = [other for other in case.peers.values() if other and not other.flag(m.TC) and other.rcode == reply.rcode]
    if reply.flag(m.TC) and len(whole) > 1 and not any(delegates(other, world) for other in whole):
        faults.append("truncated where the replies of two peers fit")
    if nsd and same_content(reply, nsd) and reply.size > nsd.size:
        faults.append(f"reply is {'1-8' if reply.size - nsd.size < 9 else 'more than 8'} octets larger than NSD's with the same content")
    return faults


def service_owner(record):
    """The target "." of SVCB and HTTPS is the owner itself (RFC 9460 section 2.5.2)."""
    return record[0] if record[1] in (m.TYPES["SVCB"], m.TYPES["HTTPS"]) else b""


def same_content(ours, theirs):
    def key(reply):
        return reply.question, reply.answer, reply.authority, reply.additional, reply.opt and len(reply.opt[3])
    return key(ours) == key(theirs) and (not ours.opt or [len(d) for _, d in ours.opt[3]] == [len(d) for _, d in theirs.opt[3]])
