//! What the crate says to `tracing`.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "support of several test crates")]

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest, set_default, set_global_default},
};

/// Writes everything that it is told, at every level and from every crate.
#[derive(Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = span.metadata().name().to_owned();
        span.record(&mut Fields(&mut line));
        let mut lines = self.0.lock().unwrap();
        lines.push(line);
        Id::from_u64(lines.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let index = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Fields(self.0.lock().unwrap().get_mut(index).unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{}:", event.metadata().level());
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Takes nothing and rules nothing out.
struct Undecided;

impl Subscriber for Undecided {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Capture {
    /// Listens to this thread as long as the guard lives. What a place in the code has to say is decided there each time:
    /// else a test that ends on another thread could silence it for all.
    pub fn listen(&self) -> DefaultGuard {
        static UNDECIDED: Once = Once::new();
        UNDECIDED.call_once(|| set_global_default(Undecided).unwrap());
        set_default(self.clone())
    }

    /// Everything.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn spans(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with("HTTP")).cloned().collect()
    }

    pub fn events(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| !line.starts_with("HTTP")).cloned().collect()
    }
}
