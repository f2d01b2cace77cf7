//! A zone of many names that is read again while questions come.

use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server};

const ZONE: &str = "zones/a.test.zone";
const NAMES: u32 = 200_000;

fn text(serial: u32) -> String {
    let head = format!("$TTL 60\n@ SOA ns host {serial} 1 1 1 30\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{serial}\n");
    let line = |index: u32| format!("r{index:06} A 10.{}.{}.{}\n", index >> 16, index >> 8 & 255, index & 255);
    std::iter::once(head).chain((0..NAMES).map(line)).collect()
}

#[test]
fn a_large_reload_costs_no_query() {
    let scratch = Scratch::new();
    scratch.write(ZONE, &text(1));
    let mut server = Server::start(scratch);
    let names = ["r000000.a.test.", "r199999.a.test.", "www.a.test."];
    for _ in 0..10 {
        names.iter().for_each(|name| assert_eq!(server.resolve(name, RecordType::A).len(), 1, "{name}"));
    }

    let (client, over) = (server.client, AtomicBool::new(false));
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                // Whoever gets no reply, or another, ends the test.
                names.iter().for_each(|name| assert_eq!(client.resolve(name, RecordType::A).len(), 1, "{name}"));
                asked += names.len();
            }
            asked
        });
        for serial in 2..4 {
            server.scratch.write(ZONE, &text(serial));
            server.log_until(|line| line.contains("zone loaded") && line.contains(&format!("serial={serial}")));
        }
        over.store(true, Ordering::Relaxed);
        asking.join().expect("every question was answered")
    });
    assert!(asked >= 100, "only {asked} questions meanwhile");
}
