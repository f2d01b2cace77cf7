//! What came back.

use crate::clock::{Clock, cpu_seconds};
use crate::load::Verdict;

/// Counts of the measured seconds.
#[derive(Debug)]
pub struct Tally {
    clock: Clock,
    pids: Vec<u32>,
    warm_until: u64,
    /// Nanoseconds to measure.
    span: u64,
    /// When measuring began, and the CPU time that the processes had used by then.
    began: Option<(u64, f64)>,
    /// What is counted; all but wrong replies begin at 0 when measuring does.
    pub counts: Counts,
    wrong: u64,
    first_wrong: Option<String>,
}

/// What is counted while measuring.
#[derive(Debug, Default)]
pub struct Counts {
    /// Nanoseconds spent waiting for the server.
    pub waited: u64,
    /// Queries without a reply.
    pub lost: u64,
    /// Replies to nothing that was under way.
    pub stray: u64,
    right: u64,
    records: u64,
    octets: u64,
    latencies: Histogram,
}

impl Tally {
    /// Counts nothing before `warm` seconds have passed.
    pub fn new(clock: Clock, warm: f64, secs: f64, pids: &[u32]) -> Self {
        Self {
            clock,
            pids: pids.to_vec(),
            warm_until: clock.now() + (warm * 1e9) as u64,
            span: (secs * 1e9) as u64,
            began: None,
            counts: Counts::default(),
            wrong: 0,
            first_wrong: None,
        }
    }

    /// Begins to count when it is time to; says whether to go on.
    pub fn goes_on(&mut self, now: u64) -> bool {
        match self.began {
            Some((began, _)) => now < began + self.span,
            None if now < self.warm_until => true,
            None => {
                self.began = Some((now, cpu_seconds(&self.pids)));
                self.counts = Counts::default();
                true
            }
        }
    }

    /// Counts a reply that came after `latency` nanoseconds.
    #[inline]
    pub fn reply(&mut self, verdict: Verdict, reply: &[u8], latency: u64) {
        match verdict {
            Verdict::Right { records } => {
                self.counts.right += 1;
                self.counts.records += u64::from(records);
                self.counts.octets += reply.len() as u64;
                self.counts.latencies.add(latency);
            }
            Verdict::Wrong(why) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert_with(|| format!("{why}: {reply:02x?}"));
            }
        }
    }

    /// One JSON object.
    pub fn json(self) -> String {
        let (began, cpu) = self.began.unwrap_or((self.warm_until, 0.0));
        let wall = (self.clock.now() - began) as f64 / 1e9;
        let cpu = cpu_seconds(&self.pids) - cpu;
        let Counts { waited, lost, stray, right, records, octets, latencies } = self.counts;
        let each = 1.0 / right.max(1) as f64;
        format!(
            "{{\"qps\":{:.0},\"secs\":{wall:.3},\"right\":{right},\"wrong\":{},\"lost\":{lost},\"stray\":{stray},\
             \"records\":{:.2},\"octets\":{:.1},\"cpu\":{cpu:.2},\"waited\":{:.3},\"p50\":{:.1},\"p95\":{:.1},\"p99\":{:.1},\
             \"wrong_example\":\"{}\"}}",
            right as f64 / wall,
            self.wrong,
            records as f64 * each,
            octets as f64 * each,
            waited as f64 / 1e9 / wall,
            latencies.quantile(0.5),
            latencies.quantile(0.95),
            latencies.quantile(0.99),
            self.first_wrong.unwrap_or_default(),
        )
    }
}

/// Latencies in classes 1/32 wide.
#[derive(Debug)]
struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 64 * CLASSES], total: 0 }
    }
}

impl Histogram {
    #[inline]
    fn add(&mut self, nanoseconds: u64) {
        let value = nanoseconds.max(CLASSES as u64);
        let power = value.ilog2() as usize;
        let class = (value >> (power - CLASS_BITS)) as usize & (CLASSES - 1);
        self.counts[power * CLASSES + class] += 1;
        self.total += 1;
    }

    /// Microseconds that this share of the latencies does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let sought = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= sought.max(1) {
                let (power, class) = (index / CLASSES, index % CLASSES);
                return ((CLASSES + class) as f64 + 0.5) * (1u64 << (power - CLASS_BITS)) as f64 / 1000.0;
            }
        }
        0.0
    }
}

const CLASS_BITS: usize = 5;
const CLASSES: usize = 1 << CLASS_BITS;
