//! Credentials that are recognised wherever they turn up.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use http::{Request, Response};
use secrecy::SecretString;

use super::{lock, matcher};
use crate::rest::{HttpTransport, TransportError};

/// Mints the credentials of a test, and finds them in what should not contain them.
///
/// ```
/// use secrecy::ExposeSecret;
/// use waldur_sdk::testing::Canaries;
///
/// let canaries = Canaries::default();
/// let token = canaries.mint("waldur token");
/// assert!(canaries.find_in_debug(&token).is_none());
///
/// let line = format!("GET /api/?token={}", token.expose_secret());
/// let leak = canaries.find_in(&line).unwrap();
/// assert_eq!(leak.name, "waldur token");
/// ```
///
/// Nothing here panics; a test decides what a [`Leak`] means. Clones share the canaries and the leaks of
/// [`Canaries::watch`].
#[derive(Clone, Default)]
pub struct Canaries {
    names: Arc<Mutex<Vec<String>>>,
    leaks: Arc<Mutex<Vec<Leak>>>,
}

/// A canary where it should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leak {
    /// What was minted under this name.
    pub name: String,
    /// Where it was found, as far as the checker knows: `Debug of …`, `URL of …`.
    pub place: String,
    /// In which form.
    pub form: LeakForm,
    /// The text up to the canary, at most 80 characters of it.
    pub context: String,
}

/// The form in which a canary was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeakForm {
    /// As it is, or its beginning.
    Plain,
    /// In base64, alone or amidst other text.
    Base64,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, place, form, context } = self;
        write!(f, "{name} leaks in {place} ({form:?}) after {context:?}")
    }
}

impl Canaries {
    /// A new credential, different from all others of this set: letters, digits and dashes, 40 bytes or more.
    pub fn mint(&self, name: &str) -> SecretString {
        let mut names = lock(&self.names);
        names.push(name.to_owned());
        // The end is long enough to pass for a key, and not needed to recognise the canary.
        format!("{}0f1e2d3c4b5a69788796a5b4c3d2e1f0", mark(names.len())).into()
    }

    /// The first canary in a text: a log, a page, a recorded body. A cut-off canary is found too.
    pub fn find_in(&self, text: &str) -> Option<Leak> {
        self.search("text", text)
    }

    /// The first canary in what `{:?}` and `{:#?}` show.
    pub fn find_in_debug(&self, value: &(impl fmt::Debug + ?Sized)) -> Option<Leak> {
        self.search("Debug", &format!("{value:?}")).or_else(|| self.search("Debug", &format!("{value:#?}")))
    }

    /// The first canary in an error or any of its causes, by `Display` or by `Debug`.
    pub fn find_in_error(&self, error: &(dyn Error + 'static)) -> Option<Leak> {
        let mut next = Some(error);
        let mut depth = 0;
        while let Some(error) = next {
            let found = self
                .search(&format!("Display of cause {depth}"), &error.to_string())
                .or_else(|| self.search(&format!("Debug of cause {depth}"), &format!("{error:?}\n{error:#?}")));
            if found.is_some() {
                return found;
            }
            next = error.source();
            depth += 1;
        }
        None
    }

    /// A layer that looks at every URL on its way out; see [`Canaries::leaks`]. Headers and bodies are where
    /// credentials belong, URLs are what proxies and servers log.
    pub fn watch(&self, inner: impl HttpTransport) -> Watch {
        Watch { inner: Arc::new(inner), canaries: self.clone() }
    }

    /// What the layers of [`Canaries::watch`] found so far.
    pub fn leaks(&self) -> Vec<Leak> {
        lock(&self.leaks).clone()
    }

    fn search(&self, place: &str, text: &str) -> Option<Leak> {
        lock(&self.names).iter().enumerate().find_map(|(index, name)| {
            let mark = mark(index + 1);
            let plain = std::iter::once((LeakForm::Plain, mark.clone()));
            let encoded = encodings(&mark).map(|encoded| (LeakForm::Base64, encoded));
            plain.chain(encoded).find_map(|(form, needle)| {
                let (before, _) = text.split_once(&needle)?;
                let skipped = before.chars().count().saturating_sub(80);
                let context = before.chars().skip(skipped).collect();
                Some(Leak { name: name.clone(), place: place.to_owned(), form, context })
            })
        })
    }
}

impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canaries").field("names", &*lock(&self.names)).finish_non_exhaustive()
    }
}

/// The part of a canary by which it is known; none is the beginning of another.
fn mark(number: usize) -> String {
    format!("canary-{number}-")
}

/// How base64 shows a text, whichever byte of a group of three it begins at: without the characters at both ends that
/// depend on the neighbours.
fn encodings(text: &str) -> impl Iterator<Item = String> {
    (0..3_usize).flat_map(move |offset| {
        let bytes: Vec<u8> = std::iter::repeat_n(0, offset).chain(text.bytes()).collect();
        [BASE64_STANDARD_NO_PAD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)].map(|encoded| {
            // Six bits per character: those that hold bits of the bytes before or after are no part of the text.
            let from = (offset * 8).div_ceil(6);
            let to = bytes.len() * 8 / 6;
            encoded.chars().take(to).skip(from).collect()
        })
    })
}

/// The layer of [`Canaries::watch`].
#[derive(Clone)]
pub struct Watch {
    inner: Arc<dyn HttpTransport>,
    canaries: Canaries,
}

#[async_trait]
impl HttpTransport for Watch {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let place = format!("URL of {}", matcher::label(&request));
        if let Some(leak) = self.canaries.search(&place, &request.uri().to_string()) {
            lock(&self.canaries.leaks).push(leak);
        }
        self.inner.send(request).await
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("canaries", &self.canaries).finish_non_exhaustive()
    }
}
