//! Where the gateway keeps a record decides in which order it lists: by the hash of the object's name, never by
//! the alphabet. Checked against all 2549 names of recorded: t7_pages_latency/020.

use super::wire::{decode, hex};

/// The pool of user and bucket records in the recordings; the first part of every marker.
pub(super) const POOL: i64 = 4;
/// The namespace of user records.
pub(super) const USERS: &str = "users.uid";
/// The namespace of bucket records.
pub(super) const BUCKETS: &str = "root";

/// The place of an object in its pool, in listing order.
pub(super) fn position(namespace: &str, name: &str) -> u32 {
    let mut key = Vec::with_capacity(namespace.len() + name.len() + 1);
    key.extend_from_slice(namespace.as_bytes());
    key.push(0x1f);
    key.extend_from_slice(name.as_bytes());
    rjenkins(&key).reverse_bits()
}

/// Bob Jenkins' public-domain 32-bit string hash of 1996, Ceph's default for object names.
fn rjenkins(key: &[u8]) -> u32 {
    const GOLDEN: u32 = 0x9e37_79b9;
    let mut state = [GOLDEN, GOLDEN, 0];
    let mut blocks = key.chunks_exact(12);
    for block in &mut blocks {
        state = mix(add(state, block, 0));
    }
    let [a, b, c] = state;
    // Only the length's low 32 bits ever counted.
    #[allow(clippy::cast_possible_truncation)]
    let length = key.len() as u32;
    // The lowest byte of `c` is the length's: the last three bytes of a tail begin one higher.
    let [_, _, c] = mix(add([a, b, c.wrapping_add(length)], blocks.remainder(), 8));
    c
}

fn add([a, b, c]: [u32; 3], bytes: &[u8], shift_last: u32) -> [u32; 3] {
    let mut words = bytes.chunks(4).map(|word| word.iter().rev().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte)));
    let mut next = || words.next().unwrap_or(0);
    [a.wrapping_add(next()), b.wrapping_add(next()), c.wrapping_add(next() << shift_last)]
}

fn mix([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> 13);
    b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << 8);
    c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> 13);
    a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> 12);
    b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << 16);
    c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> 5);
    a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> 3);
    b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << 10);
    c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> 15);
    [a, b, c]
}

/// A place to go on from, inclusive: what the gateway prints as `4:0011361a:users.uid::page-00382:head`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pool: i64,
    hash: u32,
    name: String,
}

impl Place {
    /// Before everything.
    pub(super) fn first() -> Self {
        Self { pool: i64::MIN, hash: 0, name: String::new() }
    }

    /// The place of a user's record or of the list of its buckets.
    pub(super) fn of_user(name: &str) -> Self {
        Self { pool: POOL, hash: position(USERS, name), name: name.to_owned() }
    }

    /// The marker of this place.
    pub(super) fn marker(&self) -> String {
        let mut escaped = String::new();
        for &byte in self.name.as_bytes() {
            if matches!(byte, b'%' | b':' | b'/' | ..32 | 127..) {
                escaped.push('%');
                escaped.push_str(&hex(&[byte]));
            } else {
                escaped.push(char::from(byte));
            }
        }
        format!("{}:{:08x}:{USERS}::{escaped}:head", self.pool, self.hash)
    }

    /// Reads a marker; `None` when the gateway could not (measured on 16.2.15).
    pub(super) fn parse(marker: &str) -> Option<Self> {
        match marker {
            "MIN" => return Some(Self::first()),
            "MAX" => return Some(Self { pool: i64::MAX, hash: u32::MAX, name: String::new() }),
            _ => {}
        }
        let mut parts = marker.split(':');
        let pool = parts.next()?.parse().ok()?;
        let hash = u32::from_str_radix(parts.next()?, 16).ok()?;
        let (_namespace, _key) = (parts.next()?, parts.next()?);
        let name = decode(parts.next()?.as_bytes())?;
        let snapshot = parts.next()?;
        let known = snapshot == "head" || snapshot == "snapdir" || u64::from_str_radix(snapshot, 16).is_ok();
        (known && parts.next().is_none()).then(|| Self {
            pool,
            hash,
            name: String::from_utf8_lossy(&name).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_recordings() {
        for (name, hash) in [("page-00382", 0x0011_361a), ("admin", 0x5f3d_c383), ("bademail", 0x175e_e3c6)] {
            assert_eq!(position(USERS, name), hash, "{name}");
        }
    }

    #[test]
    fn a_marker_escapes_what_the_gateway_escapes() {
        // Measured on 16.2.15 with users of these names.
        for (name, marker) in [
            ("gq%41b", "4:d5dac7b1:users.uid::gq%2541b:head"),
            ("gq/b", "4:db8e8584:users.uid::gq%2fb:head"),
            ("gq:b", "4:db927c9b:users.uid::gq%3ab:head"),
            ("gq\nb", "4:161ca4e3:users.uid::gq%0ab:head"),
            ("gq\u{7f}", "4:720dee1a:users.uid::gq%7f:head"),
            ("gqümlaut", "4:aea71289:users.uid::gq%c3%bcmlaut:head"),
            ("gqt$carol", "4:c76f17ae:users.uid::gqt$carol:head"),
        ] {
            let place = Place::of_user(name);
            assert_eq!(place.marker(), marker);
            assert_eq!(Place::parse(marker), Some(place));
        }
    }

    #[test]
    fn what_is_no_marker() {
        for marker in ["junk", "4:00000000:users.uid::x", "4:zzz:users.uid::x:head", "gq-a"] {
            assert_eq!(Place::parse(marker), None, "{marker}");
        }
    }
}
