"""What `kofn export` writes, read by those it is for: named-checkzone, kzonecheck and nsd-checkzone take the plain files, and
NSD answers from them as kofn does; octoDNS validates and loads the YAML and has the same records; the change batches and
health checks fit the models that the AWS SDK checks its requests by.
"""
import json
import os
import subprocess
import sys

import dns.message
import dns.rdata
import dns.rdatatype
import dns.zone

import peers
from tally import Tally

APEX = "a.test"
ZONE = r"""$TTL 300
@ SOA ns1 hostmaster 7 3600 600 86400 20
@ NS ns1
@ NS ns2
@ MX 10 mail
@ TXT "v=spf1 mx -all" 
@ TXT "two; strings" "and \"quotes\""
@ CAA 0 issue "ca.example"
ns1 A 192.0.2.53
ns2 A 192.0.2.54
mail A 192.0.2.25
*.wild TXT any
no CNAME www
010 A 192.0.2.77
www2 A 192.0.2.78
www10 A 192.0.2.79
_sip._tcp SRV 10 20 5060 mail
_443._tcp.www TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ssh SSHFP 1 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
svc HTTPS 1 . alpn=h2,h3 port=8443
old DNAME www.b.test.
phone NAPTR 100 10 "u" "sip+E2U" "!^.*$!sip:i@e.test!" .
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m
child NS ns.child
child DS 12345 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.child A 192.0.2.99
many 60 A 192.0.2.1
many 60 A 192.0.2.2
many 60 A 192.0.2.3
many AAAA 2001:db8::1
many AAAA 2001:db8::2
canary A 192.0.2.4
canary A 192.0.2.5
pair A 192.0.2.6
pair A 198.51.100.6
idle A 192.0.2.7
idle A 192.0.2.8
"""
POLICY = """[check.web]
type = "https"
port = 8443
path = "/up"
body = "ok"
interval = 10
[check.port]
type = "tcp"
port = 25
interval = 30
[pool.many]
k = 8
check = "web"
[pool.canary]
k = 1
weights = { "192.0.2.4" = 9 }
[pool.pair]
k = 1
check = "port"
tiers = [["192.0.2.6"], ["198.51.100.6"]]
[pool.idle]
weights = { "192.0.2.8" = 0 }
"""


def kofn(folder, *arguments):
    return subprocess.run([os.environ["KOFN"], *arguments], cwd=folder, capture_output=True, text=True, check=False)


def said(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def plain(tally, folder):
    done = kofn(folder, "export", "zone", APEX, "--out", "plain")
    tally.check(done.returncode == 0, done.stderr)
    path = str(folder / "plain" / f"{APEX}.zone")
    for command in (["named-checkzone", "-i", "local", APEX, path], ["kzonecheck", "-o", APEX, path], ["nsd-checkzone", APEX, path]):
        status, output = said(peers.program(command[0]), *command[1:])
        tally.check(status == 0, f"{command[0]} refuses the plain file: {output}")
    zone = dns.zone.from_file(path, APEX, relativize=False)
    with peers.start("nsd", "export", {APEX: path}) as nsd:
        for name, rdataset in zone.iterate_rdatasets():
            tally.check(nsd.ask(query(name, rdataset.rdtype)) is not None, f"NSD does not answer {name}")
    members = {str(record) for record in zone.find_rdataset("many.a.test.", "A")}
    tally.check(members == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}, f"many has {members}")
    tally.check(zone.find_rdataset("many.a.test.", "A").ttl == 30, "the TTL of a pool is not that of its policy")
    tally.check(len(zone.find_rdataset("idle.a.test.", "A")) == 1, "a member of weight 0 is exported")
    return zone


def query(name, rdtype):
    return dns.message.make_query(name, rdtype).to_wire()


def octodns(tally, folder, zone):
    from octodns.provider.yaml import YamlProvider
    from octodns.zone import Zone
    done = kofn(folder, "export", "octodns", APEX, "--out", "octodns")
    tally.check(done.returncode == 0, done.stderr)
    loaded = Zone(f"{APEX}.", [])
    # Its own validation, and the order of keys, are on.
    YamlProvider("kofn", str(folder / "octodns")).populate(loaded)
    theirs = {(record.fqdn, record._type): record for record in loaded.records}
    ours = {(str(name), dns.rdatatype.to_text(rdataset.rdtype)): rdataset for name, rdataset in zone.iterate_rdatasets()
            if rdataset.rdtype != dns.rdatatype.SOA}
    tally.check(set(theirs) == set(ours), f"octoDNS lacks {set(ours) - set(theirs)} and has {set(theirs) - set(ours)}")
    for key, rdataset in ours.items():
        record = theirs.get(key)
        if record is None:
            continue
        tally.check(record.ttl == rdataset.ttl, f"{key} has the TTL {record.ttl}, not {rdataset.ttl}")
        values = getattr(record, "values", None) or [record.value]
        texts = {str(getattr(value, "rdata_text", value)).replace("\\;", ";") for value in values}
        tally.check(len(values) == len(rdataset), f"{key} has {len(values)} values, not {len(rdataset)}")
        if key[1] in ("A", "AAAA", "NS", "CNAME", "DNAME"):
            tally.check(texts == {str(value) for value in rdataset}, f"{key}: {texts}")
        elif key[1] == "TXT":
            joined = {b"".join(value.strings).decode() for value in rdataset}
            tally.check(texts == joined, f"{key}: {texts}, not {joined}")
        else:
            wanted = {dns.rdata.from_text("IN", key[1], str(value)).to_text() for value in rdataset}
            again = {dns.rdata.from_text("IN", key[1], value).to_text() for value in texts}
            # The flags of NAPTR are letters without case (RFC 3403 section 4.1), and octoDNS makes them large.
            wanted, again = ({text.lower() for text in texts} for texts in (wanted, again))
            tally.check(again == wanted, f"{key}: {again}, not {wanted}")
    canary, pair = theirs[("canary.a.test.", "A")], theirs[("pair.a.test.", "A")]
    weights = {value["value"]: value["weight"] for value in canary.dynamic.pools["members"].data["values"]}
    tally.check(weights == {"192.0.2.4": 9, "192.0.2.5": 1}, f"weights {weights}")
    tally.check(pair.dynamic.pools["tier-1"].data["fallback"] == "tier-2", "tiers do not fall back")
    tally.check((pair.healthcheck_protocol, pair.healthcheck_port) == ("TCP", 25), "the check of pair")
    many = theirs[("many.a.test.", "A")]
    tally.check((many.healthcheck_protocol, many.healthcheck_path, many.healthcheck_port) == ("HTTPS", "/up", 8443), "the check of many")


def route53(tally, folder):
    import botocore.session
    import botocore.validate
    done = kofn(folder, "export", "route53", APEX, "--apex", "--out", "r53")
    tally.check(done.returncode == 0, done.stderr)
    changes = json.loads((folder / "r53" / f"{APEX}.changes.json").read_text())
    checks = json.loads((folder / "r53" / f"{APEX}.health-checks.json").read_text())
    model = botocore.session.get_session().get_service_model("route53")

    def fits(operation, parameters):
        shape = model.operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate(parameters, shape)
        return report.generate_report()

    report = fits("ChangeResourceRecordSets", {"HostedZoneId": "Z", "ChangeBatch": changes})
    tally.check(not report, f"the change batch: {report}")
    for check in checks["HealthChecks"]:
        report = fits("CreateHealthCheck", {"CallerReference": check["CallerReference"], "HealthCheckConfig": check["HealthCheckConfig"]})
        tally.check(not report, f"the health check: {report}")
        types = model.shape_for("HealthCheckType").enum
        tally.check(check["HealthCheckConfig"]["Type"] in types, f"{check} has no type that there is")
    types = model.shape_for("RRType").enum
    for change in changes["Changes"]:
        record_set = change["ResourceRecordSet"]
        tally.check(record_set["Type"] in types, f"{record_set} has no type that there is")
    named = {change["ResourceRecordSet"].get("HealthCheckId") for change in changes["Changes"]} - {None}
    made = {check["Id"] for check in checks["HealthChecks"]}
    tally.check(named == made and len(made) == 7, f"checks are named {named} and made {made}")
    done = kofn(folder, "import", "route53", f"r53/{APEX}.changes.json", f"r53/{APEX}.health-checks.json", "--out", "back")
    tally.check(done.returncode == 0, f"the way back: {done.stdout}{done.stderr}")


def main():
    tally, folder = Tally(), peers.fresh("export")
    (folder / "zones").mkdir()
    (folder / "zones" / f"{APEX}.zone").write_text(ZONE)
    (folder / "zones" / f"{APEX}.toml").write_text(POLICY)
    zone = plain(tally, folder)
    octodns(tally, folder, zone)
    route53(tally, folder)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
