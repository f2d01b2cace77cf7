//! Eight small HTTP backends to try kofn on: `cargo run --example backends`.
//!
//! ```text
//! number   1           2           …   8
//! address  127.0.0.11  127.0.0.12  …   127.0.0.18     port 8080, 8 also at [::1] where IPv6 exists
//! ```
//!
//! `GET /healthz` says `ok`, any other path says which backend answered. Type a number to kill or revive one.

use std::io::{BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const COUNT: u8 = 8;
const PORT: u16 = 8080;
const UP: Style = AnsiColor::Green.on_default();
const DOWN: Style = AnsiColor::Red.on_default();
const HELP: &str = "commands: a number kills or revives that one · kill 3 · start 3 · list · quit";

fn main() -> ExitCode {
    let mut backends = Vec::new();
    for number in 1..=COUNT {
        let mut backend = Backend { number, running: None };
        if let Err(error) = backend.start() {
            anstream::eprintln!("{DOWN}error{DOWN:#}: {error}");
            return ExitCode::FAILURE;
        }
        backends.push(backend);
    }
    list(&backends);
    anstream::println!("{HELP}");
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match Command::parse(&line) {
            Ok(Command::Quit) => return ExitCode::SUCCESS,
            Ok(Command::List) => list(&backends),
            Ok(Command::Turn(number, wanted)) => turn(&mut backends[usize::from(number - 1)], wanted),
            Err(found) => anstream::println!("`{found}` is no command; {HELP}"),
        }
        let _ = std::io::stdout().flush();
    }
    // Input has ended, as it does in the background: the backends live on until a signal ends the program.
    loop {
        std::thread::park();
    }
}

fn turn(backend: &mut Backend, wanted: Option<State>) {
    let wanted = wanted.unwrap_or(match backend.running {
        Some(_) => State::Killed,
        None => State::Started,
    });
    match wanted {
        State::Killed => backend.kill(),
        State::Started => {
            if let Err(error) = backend.start() {
                anstream::println!("{DOWN}error{DOWN:#}: {error}");
            }
        }
    }
    print_state(backend);
}

fn list(backends: &[Backend]) {
    backends.iter().for_each(print_state);
}

fn print_state(backend: &Backend) {
    let addresses = backend.addresses().map(|address| address.to_string()).collect::<Vec<_>>().join("  ");
    match backend.running {
        Some(_) => anstream::println!("  {}  {UP}running{UP:#}  {addresses}", backend.number),
        None => anstream::println!("  {}  {DOWN}killed{DOWN:#}   {addresses}", backend.number),
    }
}

/// One backend. It has a runtime of its own, so that killing it cuts its open connections as a crash would.
struct Backend {
    number: u8,
    running: Option<Runtime>,
}

impl Backend {
    /// The address that it must have, then the one that it would like.
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let v4 = IpAddr::from(Ipv4Addr::new(127, 0, 0, 10 + self.number));
        let v6 = (self.number == COUNT).then_some(IpAddr::from(Ipv6Addr::LOCALHOST));
        [Some(v4), v6].into_iter().flatten().map(|address| SocketAddr::new(address, PORT))
    }

    fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| format!("no thread for backend {}: {error}", self.number))?;
        for address in self.addresses() {
            match runtime.block_on(TcpListener::bind(address)) {
                Ok(listener) => {
                    let app = routes(self.number);
                    runtime.spawn(async move { axum::serve(listener, app).await });
                }
                Err(_) if address.is_ipv6() => {}
                Err(error) => return Err(explain(address, &error)),
            }
        }
        self.running = Some(runtime);
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

fn routes(number: u8) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(move || async move { format!("backend {number} at 127.0.0.{}\n", 10 + number) })
}

fn explain(address: SocketAddr, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there; end it, or the backends that already run",
        std::io::ErrorKind::AddrNotAvailable => {
            "this system has only 127.0.0.1; on macOS: sudo ifconfig lo0 alias 127.0.0.11 (to .18)"
        }
        _ => "this program needs that address",
    };
    format!("cannot listen on {address}: {error}; {hint}")
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Started,
    Killed,
}

#[derive(Debug, PartialEq)]
enum Command {
    List,
    Quit,
    /// To the state named, or to the other one.
    Turn(u8, Option<State>),
}

impl Command {
    /// # Errors
    /// With the text that is no command.
    fn parse(line: &str) -> Result<Self, &str> {
        let line = line.trim();
        let mut words = line.split_whitespace();
        let (wanted, number) = match (words.next(), words.next(), words.next()) {
            (None | Some("list" | "ls"), None, None) => return Ok(Self::List),
            (Some("quit" | "exit" | "q"), None, None) => return Ok(Self::Quit),
            (Some("kill"), Some(number), None) => (Some(State::Killed), number),
            (Some("start"), Some(number), None) => (Some(State::Started), number),
            (Some(number), None, None) => (None, number),
            _ => return Err(line),
        };
        match number.parse() {
            Ok(number @ 1..=COUNT) => Ok(Self::Turn(number, wanted)),
            _ => Err(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_a_number_or_a_word() {
        assert_eq!(Command::parse(" 3 "), Ok(Command::Turn(3, None)));
        assert_eq!(Command::parse("kill 8"), Ok(Command::Turn(8, Some(State::Killed))));
        assert_eq!(Command::parse("start 1"), Ok(Command::Turn(1, Some(State::Started))));
        assert_eq!(Command::parse(""), Ok(Command::List));
        assert_eq!(Command::parse("kill 9"), Err("kill 9"));
        assert_eq!(Command::parse("kill"), Err("kill"));
    }
}
