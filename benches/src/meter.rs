//! What the kernel says this program used. Linux only; without `libc`.

use std::{fs, time::Duration};

use crate::Result;

/// The CPU time of the calling thread.
///
/// In steps of the scheduler's tick (a few milliseconds), so what is measured must take far longer. On a machine that
/// others use as well this is steadier than time on the wall.
///
/// # Errors
/// When the kernel does not tell.
pub fn thread_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_ascii_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// The CPU time of the process, all threads, in user mode and in the kernel, in steps of 10 ms.
///
/// # Errors
/// When the kernel does not tell.
pub fn process_cpu() -> Result<Duration> {
    /// What `utime` and `stime` are counted in: `USER_HZ`, 100 on every common architecture.
    const TICK: Duration = Duration::from_millis(10);
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field is the name of the program in brackets, which may itself hold blanks and brackets.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).ok_or("stat has no name")?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next().ok_or("stat has no utime")??, ticks.next().ok_or("stat has no stime")??);
    Ok(TICK * (user + system))
}

/// The CPU time of the threads that there are now, finer than [`process_cpu`]. A thread that has ended is not in it.
///
/// # Errors
/// When the kernel does not tell.
pub fn threads_cpu() -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split_ascii_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Memory of the process, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What it has in memory now.
    pub now: u64,
    /// The most that it ever had.
    pub peak: u64,
}

/// The memory of this process.
///
/// # Errors
/// When the kernel does not tell.
pub fn memory() -> Result<Memory> {
    let text = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}
