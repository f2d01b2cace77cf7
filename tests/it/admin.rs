//! What is read over HTTP: who was handed out how often, and whether the description of the API is true.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Farm, Scratch, Server, addresses, eventually};

const ZONE: &str = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n";

/// One HTTP exchange.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Names in small letters.
    headers: BTreeMap<String, String>,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, host: &str) -> Reply {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Reply { status: status.expect("a status"), headers: lines.filter_map(header).collect(), body: body.to_owned() }
}

/// Over the control socket.
fn get(server: &Server, path: &str) -> Reply {
    let stream = UnixStream::connect(server.scratch.path("state/control.sock")).expect("the control socket");
    stream.set_read_timeout(Some(DEADLINE)).expect("an option");
    exchange(stream, "GET", path, "kofn")
}

/// A server with an admin listener, and its address.
fn with_admin(scratch: Scratch) -> (Server, SocketAddr) {
    let mut server = Server::start_unready(scratch, &["--admin", "127.0.0.1:0"]);
    let line = server.log_until(|line| line.contains("status by HTTP"));
    let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let address = address.parse().expect("an address");
    server.log_until(|line| line.contains("ready"));
    (server, address)
}

fn ask(address: SocketAddr, method: &str, path: &str) -> Reply {
    exchange(TcpStream::connect(address).expect("a connection"), method, path, &address.to_string())
}

/// What the server says of the members of a pool: address, hands with it, hands that named it first.
fn handed(server: &Server, pool: &str) -> BTreeMap<IpAddr, (u64, u64)> {
    let pools = get(server, &format!("/api/v1/pools?name={pool}")).json();
    let members = pools[0]["families"][0]["members"].as_array().expect("members").iter();
    let count = |member: &Value, field: &str| member[field].as_u64().expect("a count");
    let read = |member: &Value| {
        let address = member["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        (address, (count(member, "answers"), count(member, "first")))
    };
    members.map(read).collect()
}

#[test]
fn every_hand_is_counted_for_its_members_whatever_flips_meanwhile() {
    let mut farm = Farm::start(41, 5);
    let scratch = Scratch::new();
    let names = ["balanced", "random", "affinity", "all"];
    let (mut zone, mut policy) = (ZONE.to_owned(), String::new());
    policy +=
        &format!("[check.web]\ntype = \"http\"\nport = {}\npath = \"/healthz\"\ninterval = \"200ms\"\n", farm.port);
    policy += "timeout = \"150ms\"\nfast_interval = \"100ms\"\n";
    for name in names {
        farm.addresses().iter().for_each(|address| zone += &format!("{name} A {address}\n"));
        policy += &format!("[pool.{name}]\nk = 2\nspread = \"{name}\"\ncheck = \"web\"\nslow_start = \"1s\"\n");
    }
    scratch.write("zones/test.zone", &zone);
    scratch.write("zones/test.toml", &policy);
    let server = Server::start(scratch);
    let mut counted: BTreeMap<&str, BTreeMap<IpAddr, (u64, u64)>> = BTreeMap::new();
    let mut asked = 0;
    for round in 0..6 {
        for number in 0..40 {
            for name in names {
                let question = format!("{name}.test.");
                let reply = match number % 3 {
                    0 => server.ask_tcp(&question, RecordType::A),
                    _ => server.ask(&question, RecordType::A),
                };
                for (place, address) in addresses(&reply).into_iter().enumerate() {
                    let count = counted.entry(name).or_default().entry(address).or_default();
                    *count = (count.0 + 1, count.1 + u64::from(place == 0));
                }
            }
            asked += 1;
        }
        match round {
            1 => drop(farm.kill(2)),
            3 => farm.revive(2),
            _ => {}
        }
        if round == 1 || round == 3 {
            let (verdict, address) = (if round == 1 { "down" } else { "up" }, farm.addresses()[2].to_string());
            eventually("the verdict flips", || {
                let pools = server.status()["pools"].clone();
                let mut members = pools[0]["families"][0]["members"].as_array()?.iter();
                members.any(|member| member["address"] == address && member["verdict"] == verdict).then_some(())
            });
        }
    }
    for name in names {
        holds(&server, name, &counted[name], asked);
    }
    let metrics = get(&server, "/metrics").body;
    let of_all = format!("kofn_pool_hands_total{{pool=\"all.test.\",type=\"A\"}} {asked}");
    assert!(metrics.lines().any(|line| line.trim_end_matches(".0") == of_all), "{metrics}");
    assert!(metrics.contains("kofn_answer_duration_seconds_count{transport=\"udp\"}"), "{metrics}");
}

/// What is told of a pool is what was counted, of so many hands.
fn holds(server: &Server, name: &str, counted: &BTreeMap<IpAddr, (u64, u64)>, asked: u64) {
    let mut told = handed(server, &format!("{name}.test."));
    told.retain(|_, (hands, _)| *hands > 0);
    assert_eq!(told, *counted, "{name}");
    let pools = get(server, &format!("/api/v1/pools?name={name}.test")).json();
    let family = &pools[0]["families"][0];
    assert_eq!((&family["hands"], &family["recent_hands"]), (&json!(asked), &json!(asked)), "{name}");
    let sum = |field: &str| -> f64 {
        family["members"].as_array().expect("members").iter().filter_map(|member| member[field].as_f64()).sum()
    };
    assert!((sum("fair") - 1.0).abs() < 1e-9 && (sum("handed") - 1.0).abs() < 1e-9, "{name}: {family}");
    let flipped = &family["members"][2];
    assert_eq!(flipped["flips"], 2, "{flipped}");
    assert!(flipped["probe_seconds"].as_f64().is_some_and(|took| (0.0..10.0).contains(&took)), "{flipped}");
}

#[test]
fn a_policy_that_changes_takes_nothing_from_the_counts() {
    let scratch = Scratch::new();
    scratch.write("zones/test.zone", &format!("{ZONE}www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\n"));
    scratch.write("zones/test.toml", "[pool.www]\nk = 1\n");
    let server = Server::start(scratch);
    let ask = |times| (0..times).for_each(|_| drop(server.ask("www.test.", RecordType::A)));
    ask(9);
    let sum = || handed(&server, "www.test.").values().map(|(hands, _)| hands).sum::<u64>();
    assert_eq!(sum(), 9);
    server.scratch.write("zones/test.toml", "[pool.www]\nk = 2\n");
    assert_eq!(server.kofn(&["reload"]).code, 0);
    ask(5);
    assert_eq!(sum(), 9 + 2 * 5);
    server
        .scratch
        .write("zones/test.zone", &format!("{ZONE}www A 192.0.2.1\nwww A 192.0.2.2\n").replace(" 1 3600", " 2 3600"));
    assert_eq!(server.kofn(&["reload"]).code, 0);
    ask(4);
    let told = handed(&server, "www.test.");
    assert_eq!(told.len(), 2);
    assert!(told.values().all(|(hands, _)| *hands >= 4), "{told:?}");
    let reloads = &server.status()["reloads"];
    assert!(reloads["good"].as_u64() >= Some(3) && reloads["changed"][0]["after"]["serial"] == 2, "{reloads}");
}

#[test]
fn what_is_sent_is_what_is_described() {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", "[identity]\nid = \"ns1 <&\"\n[health]\nwitnesses = [\"127.0.0.1:1\"]\n");
    scratch
        .write("zones/test.zone", &format!("{ZONE}www A 127.0.0.1\nwww A 127.0.0.2\nwww AAAA ::1\nalias CNAME www\n"));
    let check = "[check.port]\ntype = \"tcp\"\nport = 1\ninterval = \"200ms\"\ntimeout = \"100ms\"\n[pool.www]\ncheck = \"port\"\n";
    scratch.write(
        "zones/test.toml",
        &format!("{check}[transfer]\nnotify = [\"127.0.0.1:1\"]\nwatch = [\"127.0.0.1:1\"]\n"),
    );
    scratch.write("zones/broken.test.zone", "nonsense\n");
    scratch.write("zones/second.test.toml", "[transfer]\nfrom = [\"127.0.0.1:1\"]\n");
    let (server, admin) = with_admin(scratch);
    assert_eq!(server.kofn(&["drain", "127.0.0.2", "--reason", "<b>"]).code, 0);
    server.ask("www.test.", RecordType::A);
    eventually("all of it has something to tell", || {
        let status = server.status();
        let has = |pointer: &str| status.pointer(pointer).is_some_and(|found| !found.is_null());
        let pointers = ["/alerts/0", "/transfers/secondaries/0/error", "/transfers/watched/0/error"];
        pointers.iter().all(|pointer| has(pointer)).then_some(())
    });
    let description = ask(admin, "GET", "/api/v1/openapi.json").json();
    let paths = description["paths"].as_object().expect("paths");
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(kofn::admin::PATHS));
    for (path, item) in paths {
        let words = if path.ends_with("explain") { "?name=alias.test" } else { "" };
        let reply = ask(admin, "GET", &format!("{path}{words}"));
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        Schemas(&description).hold(&reply.json(), schema, path);
        let head = ask(admin, "HEAD", &format!("{path}{words}"));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

/// A description, held against what is sent: every field is described, and every field that is described is there.
struct Schemas<'d>(&'d Value);

impl Schemas<'_> {
    fn hold(&self, value: &Value, schema: &Value, place: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            return self.hold(value, self.0.pointer(pointer).expect("what is referred to"), place);
        }
        if value.is_null() {
            return assert!(schema["nullable"] == true, "{place} is null: {schema}");
        }
        for part in ["allOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
            self.hold(value, part, place);
        }
        if let Some(known) = schema["enum"].as_array() {
            assert!(known.contains(value), "{place}: {value}");
        }
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => self.hold_fields(fields, schema, place),
            (Some("array"), Value::Array(all)) => {
                all.iter().enumerate().for_each(|(at, one)| self.hold(one, &schema["items"], &format!("{place}/{at}")));
            }
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("number"), Value::Number(_)) => {}
            (Some("integer"), Value::Number(number)) => assert!(number.is_i64() || number.is_u64(), "{place}: {value}"),
            _ => panic!("{place}: {value} is not {schema}"),
        }
    }

    fn hold_fields(&self, fields: &serde_json::Map<String, Value>, schema: &Value, place: &str) {
        let Some(described) = schema["properties"].as_object() else {
            let each = &schema["additionalProperties"];
            return fields.iter().for_each(|(name, value)| self.hold(value, each, &format!("{place}/{name}")));
        };
        let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<String>>();
        assert_eq!(names(fields.keys().collect()), names(described.keys().collect()), "{place}");
        let required: Vec<String> = serde_json::from_value(schema["required"].clone()).expect("names");
        assert_eq!(
            names(required.iter().collect()),
            names(described.keys().collect()),
            "{place}: all are always there"
        );
        for (name, value) in fields {
            self.hold(value, &described[name], &format!("{place}/{name}"));
        }
    }
}

#[test]
fn whatever_is_not_done_is_told_in_json() {
    let (_server, admin) = with_admin(Scratch::with_shipped_zones());
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/reload", 404),
        ("POST", "/api/v1/status", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/api/v1/pools?name=nobody.test", 404),
        ("GET", "/api/v1/zones?nam=x", 400),
        ("GET", "/api/v1/explain", 400),
        ("GET", "/api/v1/explain?name=www.example.test&type=NOTYPE", 400),
    ] {
        let reply = ask(admin, method, path);
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.json()["error"].as_str().is_some_and(|error| !error.is_empty()), "{method} {path}: {reply:?}");
        assert_eq!(reply.headers.get("allow").map(String::as_str), (status == 405).then_some("GET,HEAD"), "{path}");
    }
    let stream = TcpStream::connect(admin).expect("a connection");
    assert_eq!(exchange(stream, "GET", "/api/v1/status", "elsewhere.example").status, 421);
}
