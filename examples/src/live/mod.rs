//! The real thing: orders through a Waldur in memory become users on a running gateway, and their keys are used.

mod access;
mod gateway;
mod many;
mod radosgw;
mod s3;
mod usage;

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::Instant,
};

pub use radosgw::radosgw;

/// Why a step failed.
type Failure = Box<dyn std::error::Error>;

/// Prints a line for every step, with its time.
#[derive(Debug, Default)]
struct Steps {
    failed: usize,
    passed: usize,
    skipped: usize,
}

impl Steps {
    /// A step that cannot be taken here, which is not to have passed it.
    fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        say(&format!("-    left out  {name}: {why}"));
    }

    /// One step; `None` when it failed. What it answers is told behind its name.
    async fn run<T: Display>(&mut self, name: &str, step: impl Future<Output = Result<T, Failure>>) -> Option<()> {
        let begin = Instant::now();
        let outcome = step.await;
        let seconds = begin.elapsed().as_secs_f64();
        match outcome {
            Ok(told) => {
                self.passed += 1;
                say(&format!("✓ {seconds:6.2} s  {name}: {told}"));
                Some(())
            }
            Err(failure) => {
                self.failed += 1;
                say(&format!("✗ {seconds:6.2} s  {name}: {failure}"));
                None
            }
        }
    }
}

/// Fails a step unless the condition holds.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(why().into()) }
}

/// A line for people. A reader who is gone changes nothing.
fn say(line: &str) {
    drop(writeln!(io::stdout(), "{line}"));
}
