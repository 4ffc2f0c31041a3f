//! A process that carries out a cycle whenever it is told to, and says what it took.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::Result;

/// What one cycle took, told by the process itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Cycle {
    /// Time on the wall, without the start of the process.
    pub wall_us: u64,
    /// CPU time of all threads, without the start of the process.
    pub cpu_us: u64,
    /// The most memory that the process ever had, its start included.
    pub peak_kib: u64,
    /// How many warnings were logged.
    pub warnings: u64,
    /// What was logged as an error.
    pub errors: Vec<String>,
}

impl Cycle {
    /// Time on the wall.
    pub fn wall(&self) -> Duration {
        Duration::from_micros(self.wall_us)
    }

    /// CPU time.
    pub fn cpu(&self) -> Duration {
        Duration::from_micros(self.cpu_us)
    }
}

/// The process. Ends when this is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts `command`; what it says on standard error goes into the file `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let results = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let orders = child.stdin.take();
        Ok(Self { child, orders, results })
    }

    /// Lets it carry out one cycle. `say` is the line that it gets.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn cycle(&mut self, say: &str) -> Result<Cycle> {
        let orders = self.orders.as_mut().ok_or("no standard input")?;
        writeln!(orders, "{say}")?;
        orders.flush()?;
        let mut line = String::new();
        if self.results.read_line(&mut line)? == 0 {
            return Err(format!("the agent ended: {}", self.child.wait()?).into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.orders.take());
        let ended = self.child.wait();
        drop(ended);
    }
}
