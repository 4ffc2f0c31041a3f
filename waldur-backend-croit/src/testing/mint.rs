//! Keys, tags and request ids: unlike one another, and the same in every run.

use std::collections::VecDeque;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8] = b"0123456789abcdef";

/// Pseudo-random text from a seed, and key pairs that a test wants to be minted next.
#[derive(Debug)]
pub(super) struct Mint {
    seed: u64,
    drawn: u64,
    queued: VecDeque<(String, SecretString)>,
}

impl Mint {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, queued: VecDeque::new() }
    }

    pub(super) fn queue(&mut self, access_key: String, secret_key: SecretString) {
        self.queued.push_back((access_key, secret_key));
    }

    /// A pair in the gateway's lengths (20 and 40 characters). A half that is given is kept.
    pub(super) fn pair(&mut self, access_key: &str, secret_key: &str) -> (String, SecretString) {
        if !access_key.is_empty() && !secret_key.is_empty() {
            return (access_key.to_owned(), secret_key.into());
        }
        let (minted_access, minted_secret) = match self.queued.pop_front() {
            Some((access, secret)) => (access, secret.expose_secret().to_owned()),
            None => (self.text(UPPER, 20), self.text(ALPHANUMERIC, 40)),
        };
        let pick = |given: &str, minted: String| if given.is_empty() { minted } else { given.to_owned() };
        (pick(access_key, minted_access), pick(secret_key, minted_secret).into())
    }

    /// A secret of a swift key.
    pub(super) fn secret(&mut self) -> SecretString {
        self.pair("-", "").1
    }

    /// The tag of a record's version.
    pub(super) fn tag(&mut self) -> String {
        format!("_{}", self.text(ALPHANUMERIC, 23))
    }

    /// `tx0000…-<seconds>-100c-default`.
    pub(super) fn request_id(&mut self, seconds: i64) -> String {
        format!("tx00000{}-{seconds:010x}-100c-default", self.text(HEX, 16))
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            self.drawn += 1;
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(self.drawn.to_be_bytes());
            let wanted = length - text.len();
            let drawn = hash.finalize();
            let letters =
                drawn.iter().take(wanted).filter_map(|&byte| alphabet.get(usize::from(byte) % alphabet.len()));
            text.extend(letters.map(|&letter| char::from(letter)));
        }
        text
    }
}
