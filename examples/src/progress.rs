//! Passes on a terminal. Where stderr is none, nothing is drawn.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::OnceLock,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use waldur_sdk::backend::{ProgressObserver, Step};

use crate::modes::Mode;

static SCREEN: OnceLock<MultiProgress> = OnceLock::new();

/// Writes to stderr; bars make room for it.
pub(crate) fn write_to_stderr(text: &[u8]) -> io::Result<()> {
    let write = || io::stderr().lock().write_all(text);
    match SCREEN.get() {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// The part of the terminal that shows passes.
#[derive(Clone, Debug)]
pub struct Bars(MultiProgress);

impl Bars {
    /// `None` when nobody would see it.
    pub fn on_terminal() -> Option<Self> {
        io::stderr().is_terminal().then(|| Self(SCREEN.get_or_init(MultiProgress::new).clone()))
    }

    /// A line for one offering in one mode.
    pub fn unit(&self, offering: &str, mode: Mode) -> UnitBar {
        let style = ProgressStyle::with_template("  {spinner:.cyan} {prefix:40} {pos:>6} {msg:.dim}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::no_length().with_style(style).with_prefix(format!("{offering} {mode}"));
        UnitBar(self.0.add(bar))
    }

    /// A line with a known end.
    pub fn counted(&self, title: &str) -> UnitBar {
        let style = ProgressStyle::with_template("  {msg:20} {bar:32.green/dim} {pos:>4}/{len}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─");
        UnitBar(self.0.add(ProgressBar::new(0).with_style(style).with_message(title.to_owned())))
    }
}

/// A line that moves with each step.
#[derive(Clone, Debug)]
pub struct UnitBar(ProgressBar);

impl UnitBar {
    /// It has come to its end, and makes room.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    /// This line, and another observer.
    pub fn and(self, other: impl ProgressObserver) -> impl ProgressObserver {
        Both(self, other)
    }
}

impl ProgressObserver for UnitBar {
    fn on_step(&self, step: &Step<'_>) {
        match (step.done, step.total) {
            (Some(done), total) => {
                self.0.set_position(done);
                if let Some(total) = total {
                    self.0.set_length(total);
                }
            }
            _ => self.0.inc(1),
        }
        self.0.set_message(step.step);
        self.0.tick();
    }
}

struct Both<O>(UnitBar, O);

impl<O: ProgressObserver> ProgressObserver for Both<O> {
    fn on_step(&self, step: &Step<'_>) {
        self.0.on_step(step);
        self.1.on_step(step);
    }
}
