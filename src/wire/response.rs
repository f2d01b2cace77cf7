//! Writing a reply into a buffer that the caller owns.
//!
//! [`Sink`] appends octets, [`Names`] remembers where names stand so that later ones can point at them (RFC 1035 section 4.1.4).

use super::NameRef;

/// Appends to a fixed buffer. The caller asks [`Sink::room`] first: running over is a bug, not an error.
#[derive(Debug)]
pub struct Sink<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Sink<'b> {
    /// Starts at the front of `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Octets written.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks a reply whether it is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Octets left.
    pub fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// Forgets what was written from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What was written.
    pub fn written(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// Appends octets.
    #[inline]
    pub fn put(&mut self, octets: &[u8]) {
        self.buffer[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }

    /// Appends a number in network order.
    #[inline]
    pub fn put_u16(&mut self, number: u16) {
        self.put(&number.to_be_bytes());
    }

    /// Overwrites two octets at `at`.
    #[inline]
    pub fn set_u16(&mut self, at: usize, number: u16) {
        self.buffer[at..at + 2].copy_from_slice(&number.to_be_bytes());
    }
}

/// Where names stand in a message, by their suffixes.
///
/// It keeps the first 160 suffixes: more than any reply of usual size has, and a bound on the work of one with thousands.
#[derive(Clone, Debug)]
pub struct Names {
    seen: [Seen; MOST_SUFFIXES],
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    key: u16,
    at: u16,
}

const MOST_SUFFIXES: usize = 160;
/// The furthest offset that fourteen bits of a pointer reach.
const FURTHEST: usize = 0x3fff;

impl Default for Names {
    fn default() -> Self {
        Self { seen: [Seen::default(); MOST_SUFFIXES], count: 0 }
    }
}

impl Names {
    /// Forgets all names, for the next message.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Remembers `name`, which stands whole at `at`, with all its suffixes.
    pub fn note(&mut self, name: NameRef<'_>, at: usize) {
        let octets = name.as_bytes();
        let mut start = 0;
        while let Some((&length @ 1.., _)) = octets[start..].split_first() {
            self.remember(key(&octets[start..]), at + start);
            start += 1 + usize::from(length);
        }
    }

    /// Appends `name`, pointing at the longest suffix that stands in the message already. `None` when there is no room.
    pub fn put(&mut self, name: NameRef<'_>, sink: &mut Sink<'_>) -> Option<()> {
        let (octets, at) = (name.as_bytes(), sink.len);
        let (known, mut start) = (self.count, 0);
        while let Some((&length @ 1.., _)) = octets[start..].split_first() {
            let rest = &octets[start..];
            let key = key(rest);
            if let Some(target) = self.find(known, key, rest, &sink.buffer[..at]) {
                if sink.room() < start + 2 {
                    return None;
                }
                sink.put(&octets[..start]);
                sink.put_u16(0xc000 | target);
                return Some(());
            }
            self.remember(key, at + start);
            start += 1 + usize::from(length);
        }
        if sink.room() < octets.len() {
            return None;
        }
        sink.put(octets);
        Some(())
    }

    /// Forgets the names at `len` and beyond, when the message was cut there.
    pub fn truncate(&mut self, len: usize) {
        while self.count > 0 && usize::from(self.seen[self.count - 1].at) >= len {
            self.count -= 1;
        }
    }

    #[inline]
    fn remember(&mut self, key: u16, at: usize) {
        if self.count < MOST_SUFFIXES && at <= FURTHEST {
            self.seen[self.count] = Seen { key, at: at as u16 };
            self.count += 1;
        }
    }

    /// Where `suffix` stands, of the first `known` ones.
    #[inline]
    fn find(&self, known: usize, key: u16, suffix: &[u8], message: &[u8]) -> Option<u16> {
        let here = |seen: &&Seen| seen.key == key && stands_at(message, usize::from(seen.at), suffix);
        self.seen[..known].iter().find(here).map(|seen| seen.at)
    }
}

/// Tells most suffixes apart without reading them: by their length, and the ends of their first label; case does not count.
#[inline]
fn key(suffix: &[u8]) -> u16 {
    let last = suffix[usize::from(suffix[0])] | 0x20;
    (suffix.len() as u16) << 8 | u16::from(suffix[1] | 0x20) ^ u16::from(last) << 3 & 0xff ^ u16::from(last) >> 5
}

/// Whether `suffix` stands at `at` in a message that we wrote: its pointers all lead backwards.
fn stands_at(message: &[u8], mut at: usize, suffix: &[u8]) -> bool {
    // Most names are written whole, and in one case.
    if message.get(at..at + suffix.len()) == Some(suffix) {
        return true;
    }
    let mut rest = suffix;
    loop {
        let length = match message.get(at) {
            Some(&high @ 0xc0..) => {
                at = usize::from(high & 0x3f) << 8 | usize::from(message[at + 1]);
                continue;
            }
            Some(&length) => usize::from(length),
            None => return false,
        };
        let end = 1 + length;
        let (Some(ours), Some(theirs)) = (rest.get(..end), message.get(at..at + end)) else { return false };
        if ours != theirs && !ours.eq_ignore_ascii_case(theirs) {
            return false;
        }
        if length == 0 {
            return true;
        }
        rest = &rest[end..];
        at += end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn later_names_point_at_earlier_ones() {
        let name = |text: &str| Name::from_text(text.as_bytes()).unwrap();
        let mut buffer = [0; 128];
        let mut sink = Sink::new(&mut buffer);
        let mut names = Names::default();
        names.put(name("www.example.test.").borrow(), &mut sink).unwrap();
        assert_eq!(sink.len(), 18);
        names.put(name("WWW.example.TEST.").borrow(), &mut sink).unwrap();
        names.put(name("mail.example.test.").borrow(), &mut sink).unwrap();
        names.put(name("mail.example.test.").borrow(), &mut sink).unwrap();
        names.put(name("xwww.example.test.").borrow(), &mut sink).unwrap();
        assert_eq!(sink.written()[18..], *b"\xc0\x00\x04mail\xc0\x04\xc0\x14\x04xwww\xc0\x04");
    }

    #[test]
    fn a_cut_message_is_not_pointed_into() {
        let name = Name::from_text(b"a.b.").unwrap();
        let mut buffer = [0; 64];
        let mut sink = Sink::new(&mut buffer);
        let mut names = Names::default();
        names.put(name.borrow(), &mut sink).unwrap();
        sink.truncate(0);
        names.truncate(0);
        names.put(name.borrow(), &mut sink).unwrap();
        assert_eq!(sink.written(), b"\x01a\x01b\0");
    }

    #[test]
    fn a_full_buffer_says_so() {
        let name = Name::from_text(b"abc.").unwrap();
        let mut buffer = [0; 4];
        assert_eq!(Names::default().put(name.borrow(), &mut Sink::new(&mut buffer)), None);
    }
}
