//! Orders on their way, on a terminal.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use waldur_sdk::backend::{ProgressObserver, Step};

use super::stories::Story;

/// A line for each order under way, and a bar for all. Silent unless stderr is a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    screen: MultiProgress,
    total: ProgressBar,
    under_way: Mutex<BTreeMap<String, Line>>,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    shown: bool,
}

/// The steps that end an order.
const LAST: [&str; 3] = ["done", "erred", "reject"];

impl Progress {
    /// `None` when nobody would see it.
    pub(super) fn on_terminal(act: &str, stories: &[Story]) -> Option<Self> {
        io::stderr().is_terminal().then(|| Self::new(act, stories))
    }

    fn new(act: &str, stories: &[Story]) -> Self {
        let screen = MultiProgress::new();
        let bar = ProgressStyle::with_template("{msg:18} {bar:32.green/dim} {pos:>3}/{len}");
        let style = bar.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─");
        let total = screen.add(ProgressBar::new(stories.len() as u64).with_style(style).with_message(act.to_owned()));
        total.tick();
        let style = ProgressStyle::with_template("  {spinner:.cyan} {prefix:28} {msg:.dim}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = |story: &Story| {
            let bar = ProgressBar::no_length()
                .with_style(style.clone())
                .with_prefix(format!("{} {}", story.kind, story.name));
            (story.order.hex(), Line { bar, shown: false })
        };
        Self { screen, total, under_way: Mutex::new(stories.iter().map(line).collect()) }
    }

    pub(super) fn end(&self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.total.finish();
    }
}

impl ProgressObserver for Progress {
    fn on_step(&self, step: &Step<'_>) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = under_way.get_mut(step.correlation_id) else { return };
        if LAST.contains(&step.step) {
            line.bar.finish_and_clear();
            under_way.remove(step.correlation_id);
            self.total.inc(1);
            return;
        }
        if !line.shown {
            line.bar = self.screen.add(line.bar.clone());
            line.shown = true;
        }
        line.bar.set_message(step.step);
        line.bar.tick();
    }
}
