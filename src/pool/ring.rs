//! A rotation before it is wire: which members stand in which hand, and in which order hands are dealt.

/// The members are numbers, in address order from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// Members of a hand.
    size: usize,
    /// The different hands, `size` members each.
    hands: Vec<u32>,
    /// One lap of the ring.
    pub(super) slots: Vec<Slot>,
}

/// One deal: a hand, cut so that its member at `turn` comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// Which of the different hands.
    pub(super) hand: u32,
    /// Which member of the hand is named first; the others follow round.
    pub(super) turn: u32,
}

impl Ring {
    /// A ring without slots, for hands of `size` members.
    pub(super) fn new(size: usize) -> Self {
        Self { size, hands: Vec::new(), slots: Vec::new() }
    }

    /// Adds a hand and returns its number. The members must be distinct and as many as the ring's hands have.
    pub(super) fn add(&mut self, members: &[u32]) -> u32 {
        debug_assert_eq!(members.len(), self.size);
        let number = number(self.len());
        self.hands.extend_from_slice(members);
        number
    }

    /// Members of a hand.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many different hands there are.
    pub(super) fn len(&self) -> usize {
        self.hands.len().checked_div(self.size).unwrap_or(0)
    }

    /// The different hands.
    pub(super) fn hands(&self) -> impl Iterator<Item = &[u32]> {
        // `chunks_exact` refuses 0; without members there are no hands either.
        self.hands.chunks_exact(self.size.max(1))
    }
}

/// Members, hands and slots are counted in 32 bits: four octets each is what a ring of millions can afford.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 members, hands or slots")
}
