//! Any octets as a query, by UDP and TCP, to zones rich in edge cases: no panic, and each reply is a message.

#![no_main]

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hickory_proto::op::Message;
use kofn::answer::{Client, Dealer, Outcome, answer};
use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::Transport;
use kofn::snapshot::{Facts, Publisher, Snapshot, ZoneSource};
use kofn::wire::Name;
use kofn::zone::{Zone, text};
use libfuzzer_sys::fuzz_target;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let settings = "[identity]\nversion = \"v\"\nid = \"i\"\nnsid = \"n\"\n[cookies]\nrequire = true\n";
    let settings = Settings::parse(settings, Path::new("kofn.toml")).expect("legal settings");
    let publisher = Publisher::new(Arc::new(settings), Facts::default());
    publisher.replace_zones(vec![
        zone("test.", include_bytes!("../zones/test.zone"), include_str!("../zones/test.toml")),
        zone("nsec.test.", include_bytes!("../zones/nsec.test.zone"), ""),
        zone("nsec3.test.", include_bytes!("../zones/nsec3.test.zone"), ""),
    ]);
    publisher.reader().load()
});

fn zone(apex: &str, source: &[u8], policy: &str) -> ZoneSource {
    let apex = Name::from_text(apex.as_bytes()).expect("a name");
    let loaded = text::read_bytes(source, Path::new("zone"), Some(&apex), &text::Limits::default());
    assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
    let zone = Zone::build(&apex, &loaded.records).expect("a zone");
    let policy = ZonePolicy::parse(policy, Path::new("policy"), apex.borrow()).expect("a policy");
    ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::new(policy) }
}

fuzz_target!(|message: &[u8]| {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let client = Client { address: IpAddr::from([192, 0, 2, 1]), transport, now: 1_700_000_000 };
        let mut buffer = [0; 65535];
        let outcome = answer(&SNAPSHOT, message, &client, &mut Dealer::new(1), &mut buffer);
        if let Outcome::Reply { len, .. } = outcome {
            let reply = &buffer[..len];
            assert_eq!(reply[..2], message[..2], "the ID comes back");
            assert!(transport != Transport::Udp || len <= 1232);
            if let Err(error) = Message::from_vec(reply) {
                panic!("{error}: {reply:02x?}");
            }
        }
    }
});
