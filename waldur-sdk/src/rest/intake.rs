//! Answers that are read while they arrive.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::de::DeserializeOwned;

use super::{
    BadRow, body,
    prepared::{Answered, Prepared},
    rows,
    split::{Splitter, Stop},
};
use crate::error::{ErrorKind, Result};

/// Takes the body of a successful answer piece by piece, so that nobody has to keep it whole. Travels in the extensions of
/// a request ([`Call::fold_rows`](super::Call::fold_rows)).
///
/// A transport that can hands every piece of a 2xx answer's body to it, in order, and leaves the body of its response
/// empty. One that knows nothing of it answers as ever, and the body is taken from there. Layers around a transport that
/// pass a request on pass this on too.
#[derive(Clone)]
pub struct Intake(Arc<Mutex<dyn Sink>>);

impl Intake {
    /// Takes the next piece. Without answer `true` no more is wanted, and reading may stop: that is a success of the
    /// transport.
    #[must_use]
    pub fn take(&self, piece: &[u8]) -> bool {
        held(&self.0).push(piece)
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

/// Where the pieces go.
trait Sink: Send {
    fn push(&mut self, piece: &[u8]) -> bool;
}

/// Makes an [`Intake`] for every attempt: what a broken-off one brought counts for nothing.
pub(super) trait Intakes: Send + Sync {
    fn fresh(&self) -> Intake;
}

/// Nothing in here can be half done when a panic passes through it: a poisoned lock is as good as any.
fn held<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a body begins with is kept up to this, to tell a page from an array.
const HEAD: usize = 512;

type Begin<A> = Box<dyn Fn() -> A + Send + Sync>;
type Shared<T, A> = Arc<Mutex<Fold<T, A>>>;
type Each<T, A> = Arc<dyn Fn(&mut A, Result<T, BadRow>) + Send + Sync>;

/// Adds up the entries of an array, anew for every attempt.
pub(super) struct Folding<T, A> {
    begin: Begin<A>,
    each: Each<T, A>,
    id: &'static str,
    max_row: usize,
    latest: Mutex<Option<Shared<T, A>>>,
}

/// What one attempt has brought.
struct Fold<T, A> {
    splitter: Splitter,
    each: Each<T, A>,
    id: &'static str,
    /// `None` once it was taken away.
    sum: Option<A>,
    count: usize,
    head: Vec<u8>,
    stop: Option<Stop>,
}

impl<T, A> Folding<T, A>
where
    T: DeserializeOwned + 'static,
    A: Send + 'static,
{
    pub(super) fn new(
        id: &'static str,
        max_row: usize,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<T, BadRow>) + Send + Sync + 'static,
    ) -> Self {
        Self { begin: Box::new(begin), each: Arc::new(each), id, max_row, latest: Mutex::new(None) }
    }

    fn start(&self) -> Shared<T, A> {
        let fold = Arc::new(Mutex::new(Fold {
            splitter: Splitter::new(self.max_row),
            each: self.each.clone(),
            id: self.id,
            sum: Some((self.begin)()),
            count: 0,
            head: Vec::new(),
            stop: None,
        }));
        *held(&self.latest) = Some(fold.clone());
        fold
    }

    /// What the successful attempt brought, if its answer was one whole array.
    pub(super) fn finish(&self, prepared: &Prepared, answered: &Answered) -> Result<A> {
        let latest = held(&self.latest).take();
        let fold = latest.unwrap_or_else(|| self.start());
        let mut fold = held(&fold);
        // Empty, if the transport knows of intakes.
        let _more_is_wanted = fold.push(answered.response.body());
        prepared.refuse_streamed(answered, &fold.head)?;
        let broken = || prepared.unreadable(answered, "the answer is not one whole JSON array");
        match fold.stop {
            Some(Stop::TooLong) => {
                Err(prepared.answer_error(answered, ErrorKind::TooLarge, "an entry of the list is too large"))
            }
            None if fold.splitter.is_whole() => fold.sum.take().ok_or_else(broken),
            Some(Stop::Broken) | None => Err(broken()),
        }
    }
}

impl<T, A> Intakes for Folding<T, A>
where
    T: DeserializeOwned + 'static,
    A: Send + 'static,
{
    fn fresh(&self) -> Intake {
        Intake(self.start())
    }
}

impl<T: DeserializeOwned, A: Send> Sink for Fold<T, A> {
    fn push(&mut self, piece: &[u8]) -> bool {
        let Self { splitter, each, id, sum, count, head, stop } = self;
        let Some(sum) = sum.as_mut().filter(|_| stop.is_none()) else { return false };
        let room = HEAD.saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(piece.get(..room).unwrap_or_default());
        let pushed = splitter.push(piece, |entry| {
            let row = body::decode(entry).map_err(|error| rows::bad(entry, *count, id, &error));
            each(sum, row);
            *count += 1;
        });
        *stop = pushed.err();
        stop.is_none()
    }
}
