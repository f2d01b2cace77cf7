//! `kofn.toml`: the server itself. Every key has a default, so the file may be missing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::alert::{self, ALERT, Alert};
use super::dnstap::{self, DNSTAP, Dnstap};
use super::door::{self, Door};
use super::encrypted::{self, Encrypted};
use super::fault::Fault;
use super::query::{self, QUERY};
use super::query_log::{self, QUERY_LOG, QueryLog};
use super::rate_limit::{self, RATE_LIMIT, RateLimit};
use super::reader::{Item, Section, keys};
use super::sandbox::{self, SANDBOX, Sandbox};
use super::secret::{self, Cookies, TsigKey};
use super::value::{boolean, dns_address, duration, integer, list, path, prefixes, text};
use super::{read_file, read_table};
use crate::net::{Access, Prefix};
use crate::wire::Name;

/// The server's configuration, valid as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where DNS is answered, by UDP and TCP alike; at least one.
    pub listen: Vec<SocketAddr>,
    /// What carries plain UDP and TCP.
    pub door: Door,
    /// Where DNS is answered in secret.
    pub encrypted: Encrypted,
    /// Who says for others, by the PROXY protocol, who the client is.
    pub proxy_protocol: Vec<Prefix>,
    /// The folder of the zone files and their policies.
    pub zones: PathBuf,
    /// The folder of what must survive a restart.
    pub state: PathBuf,
    /// Whom to become when the sockets are bound; `None` for nobody else.
    pub user: Option<String>,
    /// What is given up then.
    pub sandbox: Sandbox,
    /// UDP threads, at least 1.
    pub workers: usize,
    /// Where the page, the metrics and the API are read; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// So many members, and so many zones, have metrics of their own at most.
    pub metrics_limit: usize,
    /// Who may ask by DNS how a pool stands.
    pub explain: Vec<Prefix>,
    /// Who is told when something goes wrong.
    pub alert: Alert,
    /// Who may ask, whatever the zone.
    pub query: Access,
    /// What one client or all may take.
    pub limits: Limits,
    /// How many replies one network is sent.
    pub rate_limit: RateLimit,
    /// What is told by dnstap.
    pub dnstap: Dnstap,
    /// Which queries are logged.
    pub query_log: QueryLog,
    /// How UDP is served.
    pub udp: Udp,
    /// Addresses that should always answer by TCP: when they are silent too, failures are our own.
    pub witnesses: Vec<SocketAddr>,
    /// What the server tells about itself.
    pub identity: Identity,
    /// How DNS cookies are given and taken.
    pub cookies: Cookies,
    /// The TSIG keys by their name.
    pub keys: BTreeMap<Name, TsigKey>,
    /// What was found that is worth a word but stops nothing.
    pub warnings: Vec<Fault>,
}

/// Bounds on what clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the largest reply by UDP, 512 to 4096.
    pub udp_payload: u16,
    /// TCP connections open at once.
    pub tcp_connections: usize,
    /// TCP connections open at once from one IPv4 /24 or IPv6 /56.
    pub tcp_per_prefix: usize,
    /// A TCP connection without a query for this long is closed.
    pub tcp_idle: Duration,
    /// Probes under way at once.
    pub probes: usize,
    /// Commands of `exec` checks under way at once, beside the probes that need but a socket.
    pub commands: usize,
    /// Zone transfers to clients under way at once.
    pub transfers_out: usize,
    /// Transfers from primaries under way at once.
    pub transfers_in: usize,
    /// Octets of memory that a zone may take while it is transferred.
    pub transfer_octets: usize,
    /// How long a transfer may take.
    pub transfer_time: Duration,
    /// How long a process that was replaced serves who is connected to it.
    pub handover: Duration,
}

/// How UDP is served: for whom the defaults are not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Octets of queries that may wait for each worker at each address, as the kernel counts them.
    pub receive_buffer: usize,
    /// How long a worker with nothing to do looks for queries before it sleeps.
    pub busy_poll: Duration,
    /// Whether each worker stays on one processor.
    pub pin: bool,
    /// Whether a query goes to the worker of the processor that took it from the network.
    pub steer: bool,
}

/// What the server tells about itself: nothing, unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The answer to `version.bind` and `version.server` in class CHAOS.
    pub version: Option<String>,
    /// The answer to `id.server` and `hostname.bind` in class CHAOS (RFC 4892).
    pub id: Option<String>,
    /// The name server identifier (RFC 5001).
    pub nsid: Option<String>,
}

keys! {
    SETTINGS "" with "admin" "alert" "query" "limits" "rate_limit" "dnstap" "query_log" "udp" "sandbox" "health" "identity" "cookies" "key" "tls" {
        LISTEN: Vec<SocketAddr> = "listen", addresses, "[\"127.0.0.1:5300\"]",
            "Where DNS is answered, by UDP and by TCP. An address without a port means 53; port 0 takes a free one.";
        DOOR: Door = "door", door::door, "",
            "What carries plain UDP and TCP: `batch` takes many datagrams with one call of the system (Linux), `portable` \
             takes them one by one, on every system. Without it, the first of them that there is.";
        LISTEN_TLS: Vec<SocketAddr> = "listen_tls", encrypted::addresses::<853>, "[]",
            "Where DNS is answered over TLS (RFC 7858). An address without a port means 853.";
        LISTEN_HTTPS: Vec<SocketAddr> = "listen_https", encrypted::addresses::<443>, "[]",
            "Where DNS is answered over HTTPS (RFC 8484, HTTP/2). An address without a port means 443.";
        LISTEN_QUIC: Vec<SocketAddr> = "listen_quic", encrypted::addresses::<853>, "[]",
            "Where DNS is answered over QUIC (RFC 9250). An address without a port means 853.";
        PROXY_PROTOCOL: Vec<Prefix> = "proxy_protocol", prefixes, "[]",
            "The proxies and load balancers in front of the server: what comes from there by UDP, TCP, TLS or HTTPS must \
             begin with a PROXY header (version 1 or 2), and the client is who the header says.";
        ZONES: PathBuf = "zones", path, "\"zones\"",
            "The folder of the zone files and their policies, watched while the server runs.";
        STATE: PathBuf = "state", path, "\"state\"",
            "The folder of what must survive a restart, and of the control socket.";
        USER: String = "user", sandbox::user, "",
            "The user to become when the sockets are bound and this file is read; only root can. Without it the user stays who it is.";
        WORKERS: usize = "workers", integer::<usize, 0, 1024>, "0",
            "UDP threads on each address; 0 is one per core.";
    }
}

keys! {
    ADMIN "[admin]" {
        ADMIN_LISTEN: Option<SocketAddr> = "listen", admin_address, "\"127.0.0.1:8053\"",
            "Where the page, the metrics and the API are read, without a password: keep it on loopback.";
        ADMIN_METRICS_LIMIT: usize = "metrics_limit", integer::<usize, 0, 1_000_000>, "2000",
            "So many members, and so many zones, have metrics of their own at most, about ten lines each. Small pools come \
             first, each as a whole; of the others there are the metrics of the pool.";
        ADMIN_EXPLAIN: Vec<Prefix> = "explain", prefixes, "[]",
            "Whose queries for TXT at `_explain.NAME` are told how the pool NAME stands. For all others there is no such name.";
    }
}

keys! {
    LIMITS "[limits]" {
        UDP_PAYLOAD: u16 = "udp_payload", integer::<u16, 512, 4096>, "1232",
            "Octets of the largest reply by UDP; what is larger is truncated, and the client asks again by TCP. Above 1232 it holds only for clients that send a server cookie of ours (RFC 7873).";
        TCP_CONNECTIONS: usize = "tcp_connections", integer::<usize, 1, 1_000_000>, "1000",
            "TCP connections open at once.";
        TCP_PER_PREFIX: usize = "tcp_per_prefix", integer::<usize, 1, 1_000_000>, "50",
            "TCP connections open at once from one IPv4 /24 or IPv6 /56.";
        TCP_IDLE: Duration = "tcp_idle", duration::<100, 3_600_000>, "\"10s\"",
            "A TCP connection without a query for this long is closed.";
        PROBES: usize = "probes", integer::<usize, 1, 100_000>, "500",
            "Health probes under way at once; each holds one socket, and those that are due beyond it wait.";
        COMMANDS: usize = "commands", integer::<usize, 1, 1000>, "10",
            "Commands of `exec` checks under way at once, beside `probes`; those that are due beyond it wait.";
        TRANSFERS_OUT: usize = "transfers_out", integer::<usize, 1, 10_000>, "100",
            "Zone transfers to clients under way at once; each takes 130 KiB. Those beyond it get SERVFAIL and come again.";
        TRANSFERS_IN: usize = "transfers_in", integer::<usize, 1, 1000>, "10",
            "Transfers from primaries under way at once; zones that are due beyond it wait.";
        TRANSFER_OCTETS: usize = "transfer_octets", integer::<usize, 1_000_000, 100_000_000_000>, "1_000_000_000",
            "Octets of memory that a zone may take while it is transferred; a primary that sends more is cut off.";
        TRANSFER_TIME: Duration = "transfer_time", duration::<1_000, 86_400_000>, "\"15m\"",
            "How long the transfer of a zone may take; a primary that takes longer is cut off.";
        HANDOVER: Duration = "handover", duration::<0, 3_600_000>, "\"30s\"",
            "How long a process that another has taken over from goes on serving who is connected to it by TCP, TLS or HTTPS.";
    }
}

keys! {
    UDP "[udp]" {
        RECEIVE_BUFFER: usize = "receive_buffer", integer::<usize, 65_536, 268_435_456>, "1048576",
            "Octets of queries that may wait for each worker at each address, as the kernel counts them. What comes while they are full is dropped and counted.";
        BUSY_POLL: Duration = "busy_poll", duration::<0, 1000>, "0",
            "How long a worker with nothing to do looks for queries before it sleeps: answers come sooner, and a core is busy meanwhile.";
        PIN: bool = "pin", boolean, "false",
            "Whether each worker stays on one core, for machines that do nothing else. With fewer `workers` than cores, all other work keeps to the cores that are left.";
        STEER: bool = "steer", boolean, "false",
            "Whether a query goes to the worker of the core that took it from the network, for interfaces with a queue for each core; workers are then pinned. Without it the kernel deals clients out to workers.";
    }
}

keys! {
    HEALTH "[health]" {
        WITNESSES: Vec<SocketAddr> = "witnesses", witnesses, "[]",
            "Addresses that should always take a TCP connection and share nothing with the members but your network. When \
             most members fail and no witness answers, the fault is taken to be yours, and all verdicts freeze.";
    }
}

keys! {
    IDENTITY "[identity]" {
        VERSION: String = "version", text::<255>, "",
            "The answer to `version.bind` and `version.server` in class CHAOS. Without it they are refused.";
        ID: String = "id", text::<255>, "",
            "The answer to `id.server` and `hostname.bind` in class CHAOS. Without it they are refused.";
        NSID: String = "nsid", text::<255>, "",
            "The name server identifier (RFC 5001), sent to who asks for it. Without it none is sent.";
    }
}

impl Default for Settings {
    /// What an empty `kofn.toml` in the current folder means.
    fn default() -> Self {
        Self::parse("", Path::new("kofn.toml")).expect("every key has a default")
    }
}

impl Settings {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Every fault of the file, in its order; a file that cannot be read is one fault without a line.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        Self::parse(&read_file(path)?, path)
    }

    /// Reads the text of the file at `path`. Secrets that stand in files of their own are read too.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Vec<Fault>> {
        let (settings, warnings) = read_table(text, path, &SETTINGS, read)?;
        Ok(Self { warnings, ..settings })
    }
}

fn read(root: &Section<'_>) -> Settings {
    let workers = match root.value(&WORKERS) {
        0 => thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let admin = root.table("admin", &ADMIN);
    let udp_section = root.table("udp", &UDP);
    let keys = root.item("key").map(|item| secret::keys(&item)).unwrap_or_default();
    Settings {
        listen: root.value(&LISTEN),
        door: door::carrier(root, (&DOOR, LISTEN.name), &udp_section, [BUSY_POLL.name, PIN.name, STEER.name]),
        encrypted: encrypted::encrypted(root, [&LISTEN_TLS, &LISTEN_HTTPS, &LISTEN_QUIC]),
        proxy_protocol: root.value(&PROXY_PROTOCOL),
        zones: root.value(&ZONES),
        state: root.value(&STATE),
        user: root.written(&USER),
        sandbox: sandbox::read(&root.table("sandbox", &SANDBOX)),
        workers,
        admin: admin.value(&ADMIN_LISTEN),
        metrics_limit: admin.value(&ADMIN_METRICS_LIMIT),
        explain: admin.value(&ADMIN_EXPLAIN),
        alert: alert::read(&root.table("alert", &ALERT)),
        query: query::read(&root.table("query", &QUERY)),
        limits: limits(&root.table("limits", &LIMITS)),
        rate_limit: rate_limit::read(&root.table("rate_limit", &RATE_LIMIT)),
        dnstap: dnstap::read(&root.table("dnstap", &DNSTAP)),
        query_log: query_log::read(&root.table("query_log", &QUERY_LOG)),
        udp: udp(&udp_section),
        witnesses: root.table("health", &HEALTH).value(&WITNESSES),
        identity: identity(&root.table("identity", &IDENTITY)),
        cookies: secret::cookies(&root.table("cookies", &secret::COOKIES)),
        keys,
        warnings: Vec::new(),
    }
}

fn limits(section: &Section<'_>) -> Limits {
    Limits {
        udp_payload: section.value(&UDP_PAYLOAD),
        tcp_connections: section.value(&TCP_CONNECTIONS),
        tcp_per_prefix: section.value(&TCP_PER_PREFIX),
        tcp_idle: section.value(&TCP_IDLE),
        probes: section.value(&PROBES),
        commands: section.value(&COMMANDS),
        transfers_out: section.value(&TRANSFERS_OUT),
        transfers_in: section.value(&TRANSFERS_IN),
        transfer_octets: section.value(&TRANSFER_OCTETS),
        transfer_time: section.value(&TRANSFER_TIME),
        handover: section.value(&HANDOVER),
    }
}

fn udp(section: &Section<'_>) -> Udp {
    let steer = section.value(&STEER);
    Udp {
        receive_buffer: section.value(&RECEIVE_BUFFER),
        busy_poll: section.value(&BUSY_POLL),
        pin: section.value(&PIN) || steer,
        steer,
    }
}

fn identity(section: &Section<'_>) -> Identity {
    Identity { version: section.written(&VERSION), id: section.written(&ID), nsid: section.written(&NSID) }
}

fn addresses(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    let expected = "a list of at least one address, with or without a port, such as [\"192.0.2.1\", \"[::1]:5300\"]";
    let addresses = list(item, expected, dns_address)?;
    if addresses.is_empty() {
        return item.wrong(expected);
    }
    // A free port is another one each time.
    let twice =
        addresses.iter().enumerate().find(|(at, address)| address.port() != 0 && addresses[..*at].contains(address));
    match twice {
        Some((_, address)) => item.wrong_as(format_args!("{address} stands here twice"), "each address once"),
        None => Some(addresses),
    }
}

fn witnesses(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    list(
        item,
        "a list of addresses, with or without a port, such as [\"192.0.2.1:443\", \"2001:db8::53\"]",
        dns_address,
    )
}

fn admin_address(item: &Item<'_>) -> Option<Option<SocketAddr>> {
    let address = match item.as_str() {
        Some("off") => return Some(None),
        text => text.and_then(|text| text.parse::<SocketAddr>().ok()),
    };
    let Some(address) = address else {
        return item.wrong("an address with a port, such as \"127.0.0.1:8053\", or \"off\"");
    };
    if !address.ip().is_loopback() {
        let right = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
        item.warn(
            format_args!("found {address}, where everyone who reaches it can read the state of the server"),
            format_args!("an address of loopback, such as \"{right}\""),
        );
    }
    Some(Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        Settings::parse(text, Path::new("kofn.toml")).expect_err("faults").iter().map(Fault::to_string).collect()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let settings = Settings::default();
        assert_eq!(settings.listen, ["127.0.0.1:5300".parse().unwrap()]);
        assert_eq!((settings.zones, settings.state), (PathBuf::from("zones"), PathBuf::from("state")));
        assert_eq!(settings.admin, Some("127.0.0.1:8053".parse().unwrap()));
        assert_eq!(settings.limits.udp_payload, 1232);
        assert!(settings.workers >= 1);
        assert_eq!(settings.identity, Identity::default());
        assert!(settings.cookies == Cookies::default() && settings.keys.is_empty() && settings.warnings.is_empty());
    }

    #[test]
    fn paths_start_at_the_folder_of_the_file() {
        let path = Path::new("/etc/kofn/kofn.toml");
        let settings = Settings::parse("zones = \"z\"\nstate = \"/var/lib/kofn\"", path).unwrap();
        assert_eq!(settings.zones, Path::new("/etc/kofn/z"));
        assert_eq!(settings.state, Path::new("/var/lib/kofn"));
        let settings = Settings::parse("", path).unwrap();
        assert_eq!((settings.zones, settings.state), ("/etc/kofn/zones".into(), "/etc/kofn/state".into()));
    }

    #[test]
    fn everything_can_be_set() {
        let text = r#"
            listen = ["192.0.2.1", "[::1]:5300", "127.0.0.1:0", "127.0.0.1:0"]
            workers = 3
            [admin]
            listen = "off"
            [limits]
            udp_payload = 1400
            tcp_connections = 7
            tcp_per_prefix = 2
            tcp_idle = "2s500ms"
            probes = 16
            commands = 3
            transfers_out = 3
            [health]
            witnesses = ["192.0.2.1:443", "::1"]
            [identity]
            version = "kofn"
            id = "a"
            nsid = "a.test"
        "#;
        let settings = Settings::parse(text, Path::new("kofn.toml")).unwrap();
        let listen: Vec<_> = settings.listen.iter().map(SocketAddr::to_string).collect();
        assert_eq!(listen, ["192.0.2.1:53", "[::1]:5300", "127.0.0.1:0", "127.0.0.1:0"]);
        assert_eq!((settings.workers, settings.admin), (3, None));
        assert_eq!(settings.witnesses, ["192.0.2.1:443".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        let limits = Limits {
            udp_payload: 1400,
            tcp_connections: 7,
            tcp_per_prefix: 2,
            tcp_idle: Duration::from_millis(2500),
            probes: 16,
            commands: 3,
            transfers_out: 3,
            ..Settings::default().limits
        };
        assert_eq!(settings.limits, limits);
        assert_eq!(settings.identity.nsid.as_deref(), Some("a.test"));
        assert_eq!(settings.identity.id.as_deref(), Some("a"));
        assert_eq!(settings.identity.version.as_deref(), Some("kofn"));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "listen = [\"localhost\", \"::1\", 5]\nwrokers = 2\nzones = \"\"\n[limits]\nudp_payload = 100\n\
                    [admin]\nlisten = \"127.0.0.1\"\n[identity]\nnsid = \"\"\n";
        assert_eq!(
            faults(text),
            [
                "kofn.toml:1:11: listen[0]: found \"localhost\"; an address with or without a port, such as \
                 \"192.0.2.1\" or \"[2001:db8::1]:53\"",
                "kofn.toml:1:31: listen[2]: found 5; an address with or without a port, such as \"192.0.2.1\" or \
                 \"[2001:db8::1]:53\"",
                "kofn.toml:2:1: wrokers: unknown key `wrokers`; did you mean `workers`?",
                "kofn.toml:3:9: zones: found \"\"; a path, relative to this file or absolute",
                "kofn.toml:5:15: limits.udp_payload: found 100; a whole number from 512 to 4096",
                "kofn.toml:7:10: admin.listen: found \"127.0.0.1\"; an address with a port, such as \
                 \"127.0.0.1:8053\", or \"off\"",
                "kofn.toml:9:8: identity.nsid: found \"\"; text of 1 to 255 octets",
            ]
        );
    }

    #[test]
    fn a_table_that_is_none_is_a_fault() {
        assert_eq!(faults("limits = 3"), ["kofn.toml:1:10: limits: found 3; a table, [limits]"]);
        assert_eq!(
            faults("listen = []"),
            ["kofn.toml:1:10: listen: found a list; a list of at least one address, with or without a port, such as \
              [\"192.0.2.1\", \"[::1]:5300\"]"]
        );
        assert_eq!(
            faults("listen = [\"::1\", \"[::1]:53\"]"),
            ["kofn.toml:1:10: listen: [::1]:53 stands here twice; each address once"]
        );
    }

    #[test]
    fn text_that_is_no_toml_is_a_fault_with_its_place() {
        let list = faults("workers = 1\nlisten = [\n");
        assert!(list[0].starts_with("kofn.toml:"), "{list:?}");
        assert!(list[0].contains("TOML"), "{list:?}");
    }

    #[test]
    fn a_missing_file_is_a_fault_without_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let list = Settings::load(&folder.path().join("kofn.toml")).expect_err("no file");
        assert_eq!((list.len(), list[0].line), (1, 0));
    }

    #[test]
    fn an_admin_listener_off_loopback_is_a_warning() {
        let settings = Settings::parse("[admin]\nlisten = \"0.0.0.0:8053\"", Path::new("kofn.toml")).unwrap();
        assert_eq!(settings.warnings.len(), 1);
        assert_eq!((settings.warnings[0].line, settings.warnings[0].column), (2, 10));
    }
}
