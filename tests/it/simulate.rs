//! What a simulated crowd does to a pool, against what must hold for every crowd.

use std::net::{IpAddr, Ipv4Addr};

use kofn::pool::{Figures, Kind, Member, PerFamily, Policy, Rotation, Spread, select};
use kofn::simulate::{Audience, Change, Event, Fault, Mix, Report, Scenario, run};

use crate::harness::Scratch;

const TTL: u32 = 30;
const DETECTION: u32 = 10;

fn address(index: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xC000_0200 + index).into()
}

/// A pool of `n`, hands of `k`, and a crowd whose caches obey.
fn scenario(n: u32, k: u16) -> Scenario {
    let policy = Policy { k: PerFamily::both(k), ttl: TTL, ..Policy::default() };
    Scenario {
        members: (0..n).map(|index| Member::new(address(index), &policy, 300)).collect(),
        policy,
        audience: Audience { resolvers: 20_000, zipf: 0.5, stretch: 0.0, ..Audience::default() },
        events: Vec::new(),
        minutes: 6,
        detection: DETECTION,
        seed: 7,
    }
}

fn event(change: Change, index: u32, at: u32) -> Event {
    Event { at, address: address(index), change }
}

fn play(scenario: &Scenario) -> Report {
    run(scenario, |_| ()).expect("a scenario that can be played")
}

/// The mean share of the clients that try each member first, from minute `from` on.
fn shares(report: &Report, from: usize) -> Vec<f64> {
    let minutes = &report.minutes[from..];
    let sum: f64 = minutes.iter().flat_map(|minute| &minute.tried).sum();
    let of = |member: usize| minutes.iter().map(|minute| minute.tried[member]).sum::<f64>() / sum;
    (0..report.members.len()).map(of).collect()
}

fn figures(scenario: &Scenario) -> Figures {
    let eligible = select(&scenario.members, &scenario.policy).eligible;
    Figures::of(&Rotation::build(&eligible, &scenario.policy, 7))
}

#[test]
fn the_same_seed_plays_the_same() {
    let mut scenario = scenario(6, 2);
    scenario.events = vec![event(Change::Kill, 2, 100)];
    scenario.audience.stretch = 0.5;
    assert_eq!(play(&scenario), play(&scenario));
    let other = Scenario { seed: 8, ..scenario.clone() };
    assert_ne!(play(&other).minutes, play(&scenario).minutes);
}

#[test]
fn each_kind_of_client_loads_members_as_the_rotation_says() {
    for kind in Kind::ALL {
        let mut scenario = scenario(10, 3);
        scenario.members.iter_mut().zip([1.0, 1.0, 2.0, 1.0, 0.5].iter().cycle()).for_each(|(m, w)| m.weight = *w);
        scenario.audience.mix = Mix::only(kind);
        scenario.minutes = 30;
        let right = figures(&scenario);
        let total: f64 = scenario.members.iter().map(|member| member.weight).sum();
        let shares = shares(&play(&scenario), 1);
        for (index, share) in shares.iter().enumerate() {
            let right = right.overload.of(kind)[index] * scenario.members[index].weight / total;
            assert!((share - right).abs() <= 0.02 * right + 1e-4, "{kind:?} {index}: {share} instead of {right}");
        }
    }
}

#[test]
fn every_client_is_served_lost_or_idle_in_every_minute() {
    for (k, spread) in [(1, Spread::Balanced), (2, Spread::Random), (3, Spread::Affinity), (2, Spread::All)] {
        let mut scenario = scenario(5, k);
        scenario.policy.spread = spread;
        scenario.audience = Audience { ramp: 150, stretch: 0.3, ..scenario.audience };
        scenario.events = vec![event(Change::Kill, 0, 90), event(Change::Drain, 1, 95), event(Change::Add, 9, 130)];
        scenario.events.extend([event(Change::Kill, 2, 200), event(Change::Add, 0, 250)]);
        let report = play(&scenario);
        for (number, minute) in report.minutes.iter().enumerate() {
            let served: f64 = minute.served.iter().sum();
            let booked = served + minute.lost + minute.idle;
            assert!((booked - minute.present).abs() < 1e-6 * minute.present, "{spread:?} {number}: {booked}");
            let tried: f64 = minute.tried.iter().sum();
            assert!((tried - served - minute.lost).abs() < 1e-6 * tried, "{spread:?} {number}: {tried}");
        }
        assert_eq!(report.minutes[5].present, report.clients as f64, "all have arrived");
        assert!(report.minutes[0].present < report.clients as f64, "not all at once");
        assert_eq!(report.minutes[1].lost > 0.0, k == 1, "{spread:?}: one death is lost on who holds one address");
    }
}

#[test]
fn the_dead_are_left_within_detection_and_ttl() {
    for k in [1, 2, 3] {
        let mut scenario = scenario(8, k);
        scenario.audience.pause = 0.0;
        scenario.events = vec![event(Change::Kill, 3, 120)];
        let report = play(&scenario);
        let [departure] = &report.departures[..] else { panic!("one departure") };
        let left = departure.left.expect("they leave");
        assert!(left > TTL / 2 && left <= DETECTION + TTL, "k={k}: {left} s");
        assert!(departure.before > 0.0 && departure.rest == 0.0, "{departure:?}");
        assert!(report.minutes[2].tried[3] > 0.0);
        assert!(report.minutes[3..].iter().all(|minute| minute.tried[3] == 0.0), "k={k}");
        assert!(report.minutes[2..].iter().all(|minute| minute.served[3] == 0.0), "k={k}");
        assert_eq!(report.minutes[2].lost > 0.0, k == 1);
    }
}

#[test]
fn who_inherits_is_as_the_figures_of_the_rotation_say() {
    let mut worst: f64 = 0.0;
    let scenario = Scenario { detection: 600, events: vec![event(Change::Kill, 4, 120)], ..scenario(10, 3) };
    for kind in Kind::ALL {
        let mut scenario = scenario.clone();
        scenario.audience.mix = Mix::only(kind);
        let report = play(&scenario);
        let served: Vec<f64> =
            (0..10).map(|member| report.minutes[3..].iter().map(|minute| minute.served[member]).sum()).collect();
        let sum: f64 = served.iter().sum();
        worst = served.iter().map(|served| served / sum * 10.0).fold(worst, f64::max);
    }
    let right = figures(&scenario).deaths[4].worst;
    assert!((worst - right).abs() < 0.03 * right, "{worst} instead of {right}");
}

#[test]
fn the_more_caches_stretch_the_longer_a_drained_member_is_asked() {
    let mut before = (0, -1.0);
    for stretch in [0.0, 0.02, 0.1, 0.5] {
        let mut scenario = scenario(6, 2);
        scenario.minutes = 120;
        scenario.audience = Audience { resolvers: 5_000, stretch, ..scenario.audience };
        scenario.events = vec![event(Change::Drain, 1, 120)];
        let departure = play(&scenario).departures[0];
        let found = (departure.left.unwrap_or(u32::MAX), departure.rest);
        assert!(found.0 > before.0 || found.0 == u32::MAX && found.1 > before.1, "{stretch}: {found:?} {before:?}");
        assert!(stretch > 0.0 || found.0 <= TTL, "caches that obey keep nothing: {found:?}");
        before = found;
    }
}

#[test]
fn no_cache_keeps_an_answer_for_more_than_a_day() {
    let mut scenario = scenario(3, 1);
    scenario.minutes = 25 * 60;
    scenario.audience = Audience { resolvers: 500, stretch: 1.0, ..scenario.audience };
    scenario.events = vec![event(Change::Drain, 1, 90)];
    let departure = play(&scenario).departures[0];
    assert_eq!(departure.rest, 0.0);
    assert!(departure.left.is_some_and(|left| left > 40_000), "{departure:?}");
}

#[test]
fn a_member_that_joins_or_comes_back_gets_its_share() {
    let mut scenario = scenario(4, 2);
    scenario.audience = Audience { mix: Mix::only(Kind::Any), pause: 0.0, ..scenario.audience };
    scenario.events = vec![event(Change::Add, 9, 70), event(Change::Kill, 0, 60), event(Change::Add, 0, 85)];
    let report = play(&scenario);
    assert_eq!(report.members.len(), 5);
    assert_eq!(report.minutes[0].tried[4], 0.0);
    scenario.members.push(Member::new(address(9), &scenario.policy, 300));
    let right = figures(&scenario).overload;
    for (share, right) in shares(&report, 3).iter().zip(right.of(Kind::Any)) {
        assert!((share * 5.0 - right).abs() < 0.05, "{share} instead of {right} fifths");
    }
    let departure = report.departures[0];
    let rest = departure.rest / departure.before;
    assert!(rest > 0.3 && rest < 0.65, "it came back when half had left: {departure:?}");
}

#[test]
fn a_prober_that_sees_too_many_dead_is_not_believed() {
    let mut scenario = scenario(4, 1);
    scenario.events = (0..3).map(|index| event(Change::Kill, index, 120)).collect();
    let report = play(&scenario);
    assert!(report.minutes[5].tried.iter().all(|tried| *tried > 0.0), "in panic all are dealt");
    let served: f64 = report.minutes[5].served.iter().sum();
    assert!((report.minutes[5].lost / served - 3.0).abs() < 0.1, "three of four are lost");
}

#[test]
fn the_worst_minute_is_the_one_after_a_death() {
    let mut scenario = scenario(10, 2);
    scenario.audience.mix = Mix::only(Kind::Lowest);
    scenario.detection = 60;
    scenario.events = vec![event(Change::Kill, 0, 180)];
    let report = play(&scenario);
    let worst = report.worst.expect("a worst minute");
    assert_eq!(worst.minute, 3);
    assert_eq!(report.minutes[3].overload(worst.member), Some(worst.overload));
    assert_eq!(report.minutes[3].overload(0), None, "it was not there to serve the whole minute");
}

#[test]
fn what_cannot_be_played_is_said() {
    let right = scenario(4, 2);
    let fault = |scenario: Scenario| run(&scenario, |_| ()).expect_err("a fault").to_string();
    assert_eq!(run(&Scenario { members: Vec::new(), ..right.clone() }, |_| ()), Err(Fault::NoMember));
    let events = vec![event(Change::Drain, 9, 60)];
    let said = fault(Scenario { events, ..right.clone() });
    assert_eq!(said, "drain 192.0.2.9: it is no member at second 60");
    let events = vec![event(Change::Kill, 1, 360)];
    let said = fault(Scenario { events, ..right.clone() });
    assert_eq!(said, "kill 192.0.2.1: second 360 is not within the play of 360 s");
    let events = vec![Event { at: 1, address: "2001:db8::1".parse().expect("an address"), change: Change::Add }];
    let said = fault(Scenario { events, ..right.clone() });
    assert_eq!(said, "2001:db8::1 is not of the same family as the other members");
    let audience = Audience { stretch: 1.5, ..right.audience.clone() };
    assert_eq!(fault(Scenario { audience, ..right }), "stretch is 1.5; 0 to 1 would be right");
    assert_eq!(Mix::new([0.0; 4]), None);
    assert_eq!(Mix::new([2.0, 0.0, 0.0, 2.0]).map(|mix| mix.shares()), Some([0.5, 0.0, 0.0, 0.5]));
}

#[test]
fn the_command_tells_the_play_as_json() {
    let scratch = Scratch::new();
    let arguments = ["spread", "--n", "5", "--simulate", "--resolvers", "500", "--minutes", "4", "--json"];
    let events = ["--kill", "10.0.0.2@2m", "--drain", "10.0.0.3@150s", "--stretch", "0", "--mix", "any=1"];
    let run = scratch.kofn(&[&arguments[..], &events, &["--svg", "crowd.svg"]].concat());
    let drawn = std::fs::read_to_string(scratch.path("crowd.svg")).expect("a figure");
    assert!(drawn.starts_with("<svg") && drawn.contains("clients served") && drawn.contains("10.0.0.5"), "{drawn}");
    assert_eq!((run.code, run.err.as_str()), (0, ""), "no bar where there is no terminal");
    let told: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(told["resolvers"], 500);
    assert_eq!(told["members"][4]["served"].as_array().map(Vec::len), Some(4));
    assert_eq!(told["members"][1]["overload"][2], serde_json::Value::Null, "the dead bear nothing");
    let events = |key| [&told["departures"][0][key], &told["departures"][1][key]];
    assert_eq!(events("event"), ["kill", "drain"]);
    assert_eq!(events("at"), [120, 150]);
    assert!(events("left").iter().all(|left| left.as_u64().is_some_and(|left| left <= 40)), "{told:#}");
    let again = scratch.kofn(&[&arguments[..], &["--seed", "9"]].concat());
    assert!(again.out.contains("\"seed\": 9"), "{again:?}");
}

#[test]
fn the_command_refuses_what_cannot_be_played() {
    let scratch = Scratch::new();
    for (arguments, words) in [
        (&["--kill", "10.0.0.2@2m"][..], "--simulate"),
        (&["--simulate", "--assert-worst", "2"], "cannot be used with"),
        (&["--simulate", "--kill", "10.0.0.2"], "192.0.2.7@90s"),
        (&["--simulate", "--mix", "some=1"], "first=0.5,any=0.5"),
        (&["--simulate", "--drain", "10.0.0.9@2m"], "drain 10.0.0.9: it is no member at second 120"),
        (&["--simulate", "--stretch", "2"], "stretch is 2; 0 to 1 would be right"),
    ] {
        let run = scratch.kofn(&[&["spread", "--n", "5"], arguments].concat());
        assert_eq!(run.code, 64, "{run:?}");
        assert!(run.err.contains(words), "{run:?}");
    }
}

#[test]
fn the_example_of_the_manual_is_what_the_command_prints() {
    let page = include_str!("../../docs/simulation.md");
    let block = page.split("```\n$ kofn ").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (command, printed) = block.split_once("\n\n").expect("a command and its print");
    let arguments: Vec<&str> = command.split_whitespace().filter(|word| *word != "\\").collect();
    let run = Scratch::new().kofn(&arguments);
    let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&run.out), trimmed(printed));
}
