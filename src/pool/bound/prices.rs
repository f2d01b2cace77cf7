//! The search for prices: the linear program of the game, solved with a column for each hand as it is needed.
//!
//! ```text
//! maximise Σ x(hand)   with   Σ x(hand)·load(hand, row) ≤ share(row)   for each row (kind, member)
//! ```
//!
//! Its greatest value is 1/v. The revised simplex method starts with no hand at all and lets in the cheapest one under the
//! prices of the moment, which are the dual variables. Each step proves a bound, of which the best is kept: rounding, a
//! step limit or a wrong turn make the bound worse, never wrong.

use super::{Adversary, Prices};

/// The best bound that the search proves.
pub(super) fn search(game: &Adversary) -> f64 {
    let rows = game.shares.len() * KINDS;
    if rows > MOST_ROWS {
        return 0.0;
    }
    let mut program = Program::new(game);
    let mut best = 0.0_f64;
    for _ in 0..MOST_WORK / (rows * rows) {
        if let Some(row) = program.negative_price() {
            if !program.enter(&Column { rows: vec![row], gain: -program.prices[row], value: 0.0 }) {
                break;
            }
            continue;
        }
        let (cost, hand) = game.cheapest(&program.prices(game.shares.len()));
        best = best.max(cost / program.due());
        let reached = best * program.value() >= CLOSE;
        if reached || !program.enter(&Column { rows: rows_of(game, &hand), gain: 1.0 - cost, value: 1.0 }) {
            break;
        }
    }
    best
}

/// The rows that a hand loads: lowest, highest, and one for each seat.
fn rows_of(game: &Adversary, hand: &[usize]) -> Vec<usize> {
    let members = game.shares.len();
    let ends = [hand[0], members + hand[hand.len() - 1]];
    ends.into_iter().chain(hand.iter().map(|member| 2 * members + member)).collect()
}

/// What may enter the basis: a hand, or the slack of a row.
struct Column {
    rows: Vec<usize>,
    /// What one unit of it adds to the value now.
    gain: f64,
    /// What one unit of it is worth: 1 for a hand, 0 for a slack.
    value: f64,
}

struct Program {
    rows: usize,
    /// The right sides, as they are.
    shares: Vec<f64>,
    /// The inverse of the basis, column after column.
    inverse: Vec<f64>,
    /// By row, how much of the basic column there is.
    amounts: Vec<f64>,
    /// By row, what that column is worth.
    values: Vec<f64>,
    prices: Vec<f64>,
}

impl Program {
    fn new(game: &Adversary) -> Self {
        let seats = game.shares.iter().map(|share| share * game.size as f64);
        let shares: Vec<f64> = game.shares.iter().chain(&game.shares).copied().chain(seats).collect();
        let rows = shares.len();
        let mut inverse = vec![0.0; rows * rows];
        (0..rows).for_each(|row| inverse[row * rows + row] = 1.0);
        // Equal right sides would let the method turn in circles.
        let nudged = |(row, share): (usize, &f64)| share * (1.0 + NUDGE * ((row * 7919 % 1009) as f64));
        let amounts = shares.iter().enumerate().map(nudged).collect();
        Self { rows, inverse, amounts, values: vec![0.0; rows], prices: vec![0.0; rows], shares }
    }

    fn negative_price(&self) -> Option<usize> {
        let lowest = (0..self.rows).min_by(|one, other| self.prices[*one].total_cmp(&self.prices[*other]))?;
        (self.prices[lowest] < -SMALL).then_some(lowest)
    }

    fn prices(&self, members: usize) -> Prices {
        let mut kinds = self.prices.chunks_exact(members).map(|kind| kind.iter().map(|price| price.max(0.0)).collect());
        let mut next = || kinds.next().expect("three kinds");
        Prices { lowest: next(), highest: next(), seat: next() }
    }

    /// What all hands together may pay: Σ share·price, and never nothing.
    fn due(&self) -> f64 {
        self.shares
            .iter()
            .zip(&self.prices)
            .map(|(share, price)| share * price.max(0.0))
            .sum::<f64>()
            .max(f64::MIN_POSITIVE)
    }

    /// How many hands there are by now.
    fn value(&self) -> f64 {
        self.amounts.iter().zip(&self.values).map(|(amount, value)| amount * value).sum()
    }

    /// Lets a column in for the one that it uses up first; `false` when it uses up none.
    fn enter(&mut self, column: &Column) -> bool {
        let rows = self.rows;
        let mut change = vec![0.0; rows];
        for row in &column.rows {
            let inverse = &self.inverse[row * rows..(row + 1) * rows];
            change.iter_mut().zip(inverse).for_each(|(change, inverse)| *change += inverse);
        }
        let ratio = |row: &usize| self.amounts[*row].max(0.0) / change[*row];
        let used_up =
            (0..rows).filter(|row| change[*row] > SMALL).min_by(|one, other| ratio(one).total_cmp(&ratio(other)));
        let Some(out) = used_up else { return false };
        let amount = ratio(&out);
        self.amounts.iter_mut().zip(&change).for_each(|(have, change)| *have -= amount * change);
        self.amounts[out] = amount;
        self.values[out] = column.value;
        for (price, inverse) in self.prices.iter_mut().zip(self.inverse.chunks_exact_mut(rows)) {
            let pivot = inverse[out] / change[out];
            if pivot != 0.0 {
                inverse.iter_mut().zip(&change).for_each(|(inverse, change)| *inverse -= pivot * change);
                inverse[out] = pivot;
                *price += column.gain * pivot;
            }
        }
        true
    }
}

/// Lowest, highest, any. Who is named first is the dealer's free choice, and costs him nothing.
const KINDS: usize = 3;
/// The inverse of so many rows has 5 MiB.
const MOST_ROWS: usize = 800;
/// Multiplications: about a second.
const MOST_WORK: usize = 1 << 29;
/// The part of the optimum at which the bound is good enough.
const CLOSE: f64 = 0.999_9;
const NUDGE: f64 = 1e-8;
const SMALL: f64 = 1e-9;
