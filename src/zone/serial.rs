//! Serial number arithmetic (RFC 1982): serials go round, so "newer" is a matter of distance.

use std::cmp::Ordering;

/// A zone's serial (SOA SERIAL, RFC 1035 section 3.3.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether this comes after `other`. Exactly half the circle apart neither does (RFC 1982 section 3.2).
    pub fn is_after(self, other: Self) -> bool {
        self.compare(other) == Some(Ordering::Greater)
    }

    /// The serial after this one (RFC 1982 section 3.1).
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The order of two serials; `None` where RFC 1982 leaves it undefined.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            0x8000_0000 => None,
            distance if distance < 0x8000_0000 => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_go_round() {
        assert!(Serial(1).is_after(Serial(0)));
        assert!(Serial(0).is_after(Serial(u32::MAX)));
        assert!(!Serial(u32::MAX).is_after(Serial(0)));
        assert!(!Serial(7).is_after(Serial(7)));
        assert_eq!(Serial(0).compare(Serial(0x8000_0000)), None);
    }
}
