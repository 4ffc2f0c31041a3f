//! Key pairs of our own making, for a storage that mints none on request.

use secrecy::SecretString;
use waldur_sdk::{Error, ErrorKind, Result};

use super::{S3Key, Uid};

/// As AWS makes them: 20 capital letters and digits, 40 characters that need no escape in a URL. Both alphabets have a
/// power of two of letters, so that every letter is as likely as every other.
const ACCESS_LENGTH: usize = 20;
const ACCESS_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What the access key of a pair begins with that is to stand in the metadata.
const FOR_METADATA: &str = "METADATA";
const SECRET_LENGTH: usize = 40;
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl S3Key {
    /// A new pair for `uid`, out of the operating system's randomness: 100 and 240 bits.
    ///
    /// # Errors
    /// `Local` when the operating system has no randomness to give.
    pub fn mint(uid: &Uid) -> Result<Self> {
        let access_key = draw::<ACCESS_LENGTH>(ACCESS_ALPHABET)?;
        let secret_key = SecretString::from(draw::<SECRET_LENGTH>(SECRET_ALPHABET)?);
        Ok(Self { user: uid.to_string(), access_key, secret_key })
    }

    /// The same for a pair that will be published in the metadata. Its access key says so: a customer's API key must
    /// not be taken for it, and nothing else may tell them apart. 60 bits of it are random.
    ///
    /// # Errors
    /// As [`Self::mint`].
    pub fn mint_for_metadata(uid: &Uid) -> Result<Self> {
        let access_key = format!("{FOR_METADATA}{}", draw::<{ ACCESS_LENGTH - FOR_METADATA.len() }>(ACCESS_ALPHABET)?);
        Ok(Self { access_key, ..Self::mint(uid)? })
    }

    /// Whether it was made to stand in the metadata.
    pub fn is_for_metadata(&self) -> bool {
        self.access_key.len() == ACCESS_LENGTH && self.access_key.starts_with(FOR_METADATA)
    }
}

fn draw<const LENGTH: usize>(alphabet: &[u8]) -> Result<String> {
    let mut bytes = [0_u8; LENGTH];
    getrandom::fill(&mut bytes).map_err(|cause| {
        Error::new(ErrorKind::Local, "the operating system gives no randomness").with_source(cause.to_string())
    })?;
    let letter = |byte: u8| alphabet.get(usize::from(byte) % alphabet.len()).copied().map(char::from);
    Ok(bytes.into_iter().filter_map(letter).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn minted_pairs_have_the_length_and_letters_of_keys_and_never_repeat() {
        let uid = Uid::new("u-1").unwrap();
        let keys: Vec<_> = (0..200).map(|_| S3Key::mint(&uid).unwrap()).collect();
        for key in &keys {
            assert!(key.access_key.len() == 20 && key.id().is_ok(), "{key:?}");
            assert!(key.access_key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
            let secret = key.secret_key.expose_secret();
            assert_eq!(secret.len(), 40);
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        }
        let names: BTreeSet<_> = keys.iter().map(|key| key.access_key.as_str()).collect();
        let secrets: BTreeSet<_> = keys.iter().map(|key| key.secret_key.expose_secret()).collect();
        assert_eq!((names.len(), secrets.len()), (200, 200));
        let shown = S3Key::mint_for_metadata(&uid).unwrap();
        assert!(shown.access_key.len() == 20 && shown.id().is_ok() && shown.is_for_metadata());
        assert!(!keys.iter().any(S3Key::is_for_metadata) && !S3Key::new("METADATA", "s").is_for_metadata());
    }
}
