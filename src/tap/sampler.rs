//! One message of so many, at random.

use rand::RngExt;
use rand::rngs::SmallRng;

/// Counts down to the next message that is taken: a draw for each that is, and none for those that are not.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    share: f64,
    left: u64,
}

impl Sampler {
    /// Whether this message is among the share.
    #[inline]
    pub(super) fn takes(&mut self, share: f64, rng: &mut SmallRng) -> bool {
        if share <= 0.0 || share >= 1.0 {
            return share > 0.0;
        }
        if share != self.share {
            *self = Self { share, left: draw(share, rng) };
        }
        let taken = self.left == 0;
        self.left = if taken { draw(share, rng) } else { self.left - 1 };
        taken
    }
}

/// How many are passed over before the next one, where each is taken with the probability `share`.
fn draw(share: f64, rng: &mut SmallRng) -> u64 {
    let uniform: f64 = rng.random();
    // Never the logarithm of 0; more than 2^53 ends at the largest number.
    ((1.0 - uniform).ln() / (1.0 - share).ln()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_distances_are_as_random_as_single_draws_would_be() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut sampler = Sampler::default();
        let (mut taken, mut neighbours, mut last) = (0u32, 0u32, false);
        for _ in 0..200_000 {
            let takes = sampler.takes(0.25, &mut rng);
            taken += u32::from(takes);
            neighbours += u32::from(takes && last);
            last = takes;
        }
        assert!((48_000..52_000).contains(&taken), "{taken} of 50,000");
        assert!((11_500..13_500).contains(&neighbours), "{neighbours} of 12,500");
    }

    #[test]
    fn none_and_all_are_exact_and_another_share_holds_at_once() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut sampler = Sampler::default();
        assert!((0..100).all(|_| !sampler.takes(0.0, &mut rng)));
        assert!((0..100).all(|_| sampler.takes(1.0, &mut rng)));
        assert!((0..100).all(|_| !sampler.takes(1e-15, &mut rng)));
        assert!((0..100).filter(|_| sampler.takes(0.9, &mut rng)).count() > 50);
    }
}
