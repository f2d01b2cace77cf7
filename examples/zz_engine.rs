//! private
use std::io::{Read, Write};
use std::net::*;
use std::path::Path;
use std::sync::Arc;
use kofn::answer::{answer, Client, Dealer, Outcome};
use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::Transport;
use kofn::snapshot::{Publisher, Reader, ZoneSource};
use kofn::zone::Zone;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = args.iter().position(|a| a == "--zones").map(|i| args[i + 1].clone()).expect("zones");
    let settings = Settings::load(Path::new("kofn.toml")).unwrap_or_else(|f| panic!("{f:?}"));
    let publisher = Publisher::new(Arc::new(settings), Arc::default());
    let mut sources = vec![];
    for e in std::fs::read_dir(&dir).unwrap() {
        let path = e.unwrap().path();
        if path.extension().is_none_or(|e| e != "zone") { continue; }
        let loaded = kofn::zone::text::read_file(&path, None, &Default::default());
        for f in loaded.faults.iter() { eprintln!("{f:?}"); }
        let apex = loaded.apex.clone();
        let policy = path.with_extension("toml");
        let policy = if policy.exists() { ZonePolicy::load(&policy, apex.borrow()).unwrap_or_else(|f| panic!("{f:?}")) } else { ZonePolicy::parse("", &policy, apex.borrow()).unwrap_or_else(|f| panic!("{f:?}")) };
        match Zone::build(&apex, &loaded.records) {
            Ok(zone) => sources.push(ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::new(policy) }),
            Err(e) => eprintln!("{path:?}: {e}"),
        }
    }
    publisher.replace_zones(sources);
    let reader = publisher.reader();
    { let p = publisher.clone(); std::thread::spawn(move || p.solve_until_stopped()); }
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(addr).unwrap();
    eprintln!("listening udp addr={addr}\nready");
    let r2 = reader.clone();
    std::thread::spawn(move || for s in tcp.incoming() { let (r, s) = (r2.clone(), s.unwrap()); std::thread::spawn(move || conn(r, s)); });
    let mut dealer = Dealer::new(1);
    let (mut q, mut b) = ([0u8; 65535], [0u8; 1232]);
    loop {
        let Ok((n, from)) = udp.recv_from(&mut q) else { continue };
        let c = Client { address: from.ip(), transport: Transport::Udp, now: now() };
        if let Outcome::Reply { len, .. } = answer(&reader.load(), &q[..n], &c, &mut dealer, &mut b) { let _ = udp.send_to(&b[..len], from); }
    }
}
fn now() -> u32 { std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32 }
fn conn(r: Reader, mut s: TcpStream) {
    let mut dealer = Dealer::new(2);
    let from = s.peer_addr().unwrap();
    let mut b = vec![0u8; 65535];
    loop {
        let mut l = [0u8; 2];
        if s.read_exact(&mut l).is_err() { return; }
        let mut q = vec![0u8; u16::from_be_bytes(l) as usize];
        if s.read_exact(&mut q).is_err() { return; }
        let c = Client { address: from.ip(), transport: Transport::Tcp, now: now() };
        match answer(&r.load(), &q, &c, &mut dealer, &mut b) { Outcome::Reply { len, .. } => { if s.write_all(&(len as u16).to_be_bytes()).and_then(|()| s.write_all(&b[..len])).is_err() { return; } }, Outcome::Drop(_) => return }
    }
}
