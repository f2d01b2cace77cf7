//! Places on earth (RFC 1876): `52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m`.

use std::fmt;

use super::fault::Blame;
use super::rdata::FieldReader;
use super::scanner::Token;
use super::value::{fixed_point, number};

/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;
/// What the wire counts latitude and longitude from: the equator and the prime meridian.
const MIDDLE: u32 = 1 << 31;
/// Centimetres from which the wire counts altitude: 100 km below the reference spheroid.
const LOWEST: i64 = 10_000_000;
/// Size, horizontal and vertical precision when text leaves them out, in centimetres.
const DEFAULTS: [i64; 3] = [100, 1_000_000, 1_000];

pub(super) fn read(reader: &mut FieldReader<'_, '_>) -> Result<(), Blame> {
    let latitude = angle(reader, 90, [b'N', b'S'])?;
    let longitude = angle(reader, 180, [b'E', b'W'])?;
    let token = reader.word()?;
    let altitude = centimetres(token.text).and_then(|value| u32::try_from(value + LOWEST).ok());
    let altitude = altitude.ok_or_else(|| reader.blame(token))?;
    let mut lengths = [0; 3];
    for (length, default) in lengths.iter_mut().zip(DEFAULTS) {
        *length = match reader.scanner.next()? {
            None => Some(default).and_then(power_of_ten),
            Some(token) => Some(centimetres(token.text).and_then(power_of_ten).ok_or_else(|| reader.blame(token))?),
        }
        .expect("defaults have a power of ten");
    }
    reader.out.push(0);
    reader.out.extend_from_slice(&lengths);
    for value in [latitude, longitude, altitude] {
        reader.out.extend_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

/// Reads degrees, minutes and seconds up to the direction.
fn angle(reader: &mut FieldReader<'_, '_>, most: u32, directions: [u8; 2]) -> Result<u32, Blame> {
    let mut value = 0;
    let units = [(most, DEGREE), (59, DEGREE / 60)];
    let mut token = reader.word()?;
    let first = token;
    for (index, (largest, unit)) in units.into_iter().enumerate() {
        if index > 0 && sign(token, directions).is_some() {
            break;
        }
        let amount = number(token.text).filter(|amount| *amount <= largest).ok_or_else(|| reader.blame(token))?;
        value += amount * unit;
        token = reader.word()?;
    }
    if sign(token, directions).is_none() {
        let amount = fixed_point(token.text, 3).and_then(|amount| u32::try_from(amount).ok());
        value += amount.filter(|amount| *amount < 60_000).ok_or_else(|| reader.blame(token))?;
        token = reader.word()?;
    }
    if value > most * DEGREE {
        return Err(reader.blame(first));
    }
    match sign(token, directions) {
        Some(true) => Ok(MIDDLE - value),
        Some(false) => Ok(MIDDLE + value),
        None => Err(reader.blame(token)),
    }
}

/// Whether a token is the second of two directions, which counts down; `None` when it is neither.
fn sign(token: Token<'_>, directions: [u8; 2]) -> Option<bool> {
    match token.text {
        [letter] => directions.iter().position(|direction| *direction == letter.to_ascii_uppercase()).map(|i| i == 1),
        _ => None,
    }
}

fn centimetres(text: &[u8]) -> Option<i64> {
    fixed_point(text.strip_suffix(b"m").unwrap_or(text), 2)
}

/// One digit and a power of ten, as lengths are in wire.
fn power_of_ten(length: i64) -> Option<u8> {
    let (mut digit, mut power) = (u64::try_from(length).ok()?, 0);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some((digit as u8) << 4 | power)
}

/// Whether text can say what the octets say: it has no second way to write zero, and no angle beyond the poles.
pub(super) fn has_text(rdata: &[u8]) -> bool {
    let Some((lengths, rest)) = rdata.strip_prefix(&[0]).and_then(<[u8]>::split_first_chunk::<3>) else {
        return false;
    };
    let fits = |octets: &[u8], most: u32| {
        octets.first_chunk().is_some_and(|octets| u32::from_be_bytes(*octets).abs_diff(MIDDLE) <= most * DEGREE)
    };
    let digits = lengths.iter().all(|length| length >> 4 <= 9 && length & 15 <= 9 && (length >> 4 > 0 || *length == 0));
    digits && fits(rest, 90) && rest.get(4..).is_some_and(|rest| fits(rest, 180))
}

/// Prints a location that [`has_text`].
pub(super) fn print(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let number = |at: usize| rdata[at..].first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
    for (at, [up, down]) in [(4, ["N", "S"]), (8, ["E", "W"])] {
        let value = number(at);
        let (angle, direction) = (value.abs_diff(MIDDLE), if value < MIDDLE { down } else { up });
        let (degrees, minutes, seconds) = (angle / DEGREE, angle / 60_000 % 60, angle % 60_000);
        write!(f, "{degrees} {minutes} {}.{:03} {direction} ", seconds / 1_000, seconds % 1_000)?;
    }
    let altitude = i64::from(number(12)) - LOWEST;
    let negative = if altitude < 0 { "-" } else { "" };
    write!(f, "{negative}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100)?;
    for length in &rdata[1..4] {
        let length = u64::from(length >> 4) * 10u64.pow(u32::from(length & 15));
        write!(f, " {}.{:02}m", length / 100, length % 100)?;
    }
    Ok(())
}
