//! Frame Streams, as fstrm has it: frames behind their lengths, and control frames behind a length of 0.
//!
//! ```text
//! socket:  READY ─►   ◄─ ACCEPT   START ─► frame ─► frame ─► … STOP ─►   ◄─ FINISH
//! file:                           START    frame    frame    … STOP
//! ```

use std::io::{self, Read, Write};

/// What the frames hold.
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// The field of a control frame that says it.
const FIELD: u32 = 1;
/// Octets of the longest control frame that is read (FSTRM_CONTROL_FRAME_LENGTH_MAX).
const LONGEST: usize = 512;

/// The control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
    Finish = 5,
}

/// Begins a stream that nobody answers.
pub(super) fn begin(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&control(Control::Start))
}

/// Ends a stream that nobody answers.
pub(super) fn end(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&control(Control::Stop))
}

/// Begins a stream with whoever is at its other end.
pub(super) fn begin_with(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(Control::Ready))?;
    expect(stream, Control::Accept)?;
    begin(stream)
}

/// Ends a stream, and waits until the other end has all of it.
pub(super) fn end_with(stream: &mut (impl Read + Write)) -> io::Result<()> {
    end(stream)?;
    expect(stream, Control::Finish)
}

/// Appends a frame.
pub(super) fn put(buffer: &mut Vec<u8>, frame: &[u8]) {
    buffer.extend((frame.len() as u32).to_be_bytes());
    buffer.extend_from_slice(frame);
}

fn control(kind: Control) -> Vec<u8> {
    let mut body = (kind as u32).to_be_bytes().to_vec();
    if kind != Control::Stop {
        body.extend([FIELD, CONTENT_TYPE.len() as u32].map(u32::to_be_bytes).concat());
        body.extend(CONTENT_TYPE);
    }
    [&[0; 4][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// Reads one control frame, which must be of this kind; one that names contents must name ours.
fn expect(stream: &mut impl Read, wanted: Control) -> io::Result<()> {
    let [escape, length, kind] = [number(stream)?, number(stream)?, number(stream)?];
    let rest = (length as usize).checked_sub(4).filter(|rest| *rest <= LONGEST);
    let (0, Some(rest)) = (escape, rest) else { return broken("no control frame") };
    if kind != wanted as u32 {
        return broken(&format!("control frame {kind} in place of {}", wanted as u32));
    }
    let mut body = vec![0; rest];
    stream.read_exact(&mut body)?;
    match contents(&body) {
        Some(contents) if contents.is_empty() || contents.contains(&CONTENT_TYPE) => Ok(()),
        Some(_) => broken("it takes other contents than dnstap"),
        None => broken("a broken control frame"),
    }
}

/// The contents that a control frame names.
fn contents(mut fields: &[u8]) -> Option<Vec<&[u8]>> {
    let mut contents = Vec::new();
    while !fields.is_empty() {
        let kind = number(&mut fields).ok()?;
        let length = number(&mut fields).ok()? as usize;
        let (value, rest) = fields.split_at_checked(length)?;
        fields = rest;
        if kind == FIELD {
            contents.push(value);
        }
    }
    Some(contents)
}

fn number(stream: &mut impl Read) -> io::Result<u32> {
    let mut octets = [0; 4];
    stream.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

fn broken<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the other end has sent, and what it is sent.
    struct Peer<'a>(&'a [u8], Vec<u8>);

    impl Read for Peer<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Peer<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.1.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const ACCEPT: &[u8] = b"\0\0\0\0\0\0\0\x22\0\0\0\x01\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";

    #[test]
    fn a_stream_begins_when_it_is_accepted_and_ends_when_it_is_finished() {
        let mut peer = Peer(ACCEPT, Vec::new());
        begin_with(&mut peer).expect("accepted");
        let ready = b"\0\0\0\0\0\0\0\x22\0\0\0\x04\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";
        let start = b"\0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";
        assert_eq!(peer.1, [&ready[..], start].concat());
        let mut peer = Peer(b"\0\0\0\0\0\0\0\x04\0\0\0\x05", Vec::new());
        end_with(&mut peer).expect("finished");
        assert_eq!(peer.1, b"\0\0\0\0\0\0\0\x04\0\0\0\x03");
        let mut frames = Vec::new();
        put(&mut frames, b"frame");
        assert_eq!(frames, b"\0\0\0\x05frame");
    }

    #[test]
    fn whoever_answers_otherwise_is_refused() {
        let with = |from: &[u8], to: &[u8]| {
            let at = ACCEPT.windows(from.len()).position(|part| part == from).expect("a part of it");
            [&ACCEPT[..at], to, &ACCEPT[at + from.len()..]].concat()
        };
        for (octets, why) in [
            (b"".to_vec(), "failed to fill whole buffer"),
            (ACCEPT[..40].to_vec(), "failed to fill whole buffer"),
            (with(b"Dnstap", b"Dnstop"), "it takes other contents than dnstap"),
            (with(b"\x22\0\0\0\x01", b"\x22\0\0\0\x05"), "control frame 5 in place of 1"),
            (with(b"\0\0\0\x22", b"\0\x01\0\x22"), "no control frame"),
            (with(b"\0\0\0\x22", b"\0\0\0\x03"), "no control frame"),
            (with(b"\0\0\0\x16", b"\xff\xff\xff\x16"), "a broken control frame"),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "no control frame"),
        ] {
            let error = begin_with(&mut Peer(&octets, Vec::new())).expect_err("refused").to_string();
            assert_eq!(error, why, "{octets:?}");
        }
        // One that names no contents takes all.
        begin_with(&mut Peer(b"\0\0\0\0\0\0\0\x04\0\0\0\x01", Vec::new())).expect("accepted");
    }
}
