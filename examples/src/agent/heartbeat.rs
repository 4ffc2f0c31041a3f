//! The heartbeat: a file whose age tells whether the agent lives (core.md §5.9).
//!
//! It is written anew beside its place and then moved there, so that no link is ever followed and no reader sees half
//! of it. `/tmp/waldur-site-agent-heartbeat`, where the Python agent has its own, is kept up for those who watch it, as
//! long as nothing that belongs to somebody else is there.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tracing::warn;

use crate::modes::Mode;

/// Where the Python agent of every mode writes.
pub const LEGACY: &str = "/tmp/waldur-site-agent-heartbeat";

/// The directory that the systemd unit makes.
const RUNTIME: &str = "/run/waldur-agent";

const PREFIX: &str = "heartbeat-";

/// The files that are kept young.
#[derive(Debug)]
pub struct Heartbeat(Vec<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    legacy: bool,
    warned: bool,
}

impl Heartbeat {
    /// No file.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// This file, and no other.
    pub fn at(path: PathBuf) -> Self {
        Self(vec![Place { path, legacy: false, warned: false }])
    }

    /// A file of these modes' own in the runtime directory, where there is one, and the legacy one.
    pub fn of(modes: &[Mode]) -> Self {
        let own = directories().into_iter().find(|directory| directory.is_dir());
        let own = own.map(|directory| Place { path: directory.join(name(modes)), legacy: false, warned: false });
        let legacy = Place { path: PathBuf::from(LEGACY), legacy: true, warned: false };
        Self(own.into_iter().chain([legacy]).collect())
    }

    /// Where it is written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|place| place.path.as_path())
    }

    /// Writes the files anew, with `now` in seconds since 1970. A failure is said once for each file.
    pub fn beat(&mut self, now: jiff::Timestamp) {
        for place in &mut self.0 {
            match place.write(&now.as_second().to_string()) {
                Ok(()) => place.warned = false,
                Err(cause) if !place.warned => {
                    place.warned = true;
                    warn!(path = %place.path.display(), "the heartbeat cannot be written: {cause}");
                }
                Err(_) => {}
            }
        }
    }
}

impl Place {
    fn write(&self, text: &str) -> io::Result<()> {
        if self.legacy && fs::symlink_metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("something that is no file is there"));
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let beside = self.path.with_file_name(name);
        // Left by a process of the same number that was killed.
        drop(fs::remove_file(&beside));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let moved = io::Write::write_all(&mut file, text.as_bytes()).and_then(|()| self.replace(&beside));
        if moved.is_err() {
            drop(fs::remove_file(&beside));
        }
        moved
    }

    fn replace(&self, beside: &Path) -> io::Result<()> {
        if self.legacy && !is_ours(&self.path, beside) {
            return Err(io::Error::other("a file of somebody else is there"));
        }
        fs::rename(beside, &self.path)
    }
}

/// Whether nothing is there, or something of the user who has just made `made`.
#[cfg(unix)]
fn is_ours(path: &Path, made: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::symlink_metadata(path), fs::symlink_metadata(made)) {
        (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
        (Ok(there), Ok(made)) => there.uid() == made.uid(),
        (Ok(_), Err(_)) => false,
    }
}

#[cfg(not(unix))]
fn is_ours(_path: &Path, _made: &Path) -> bool {
    true
}

/// The files that a watcher looks at when it is not told which: those in the runtime directories, also in those of the
/// systemd units of single modes, or else the legacy one.
pub fn known() -> Vec<PathBuf> {
    let of_modes = Mode::ALL.map(|mode| PathBuf::from(format!("{RUNTIME}-{mode}")));
    let own: Vec<_> = directories().iter().chain(&of_modes).flat_map(|directory| beats_in(directory)).collect();
    if own.is_empty() { vec![PathBuf::from(LEGACY)] } else { own }
}

fn beats_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_beat = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(PREFIX) && !name.contains('.')
    };
    paths.filter(is_beat).collect()
}

/// How long ago a file was written.
///
/// # Errors
/// When it is not there, or is no file.
pub fn age(path: &Path, now: SystemTime) -> io::Result<Duration> {
    let there = fs::symlink_metadata(path)?;
    if !there.is_file() {
        return Err(io::Error::other("is no file"));
    }
    Ok(now.duration_since(there.modified()?).unwrap_or_default())
}

/// `heartbeat-order_process`, `heartbeat-all`.
fn name(modes: &[Mode]) -> String {
    match modes {
        [mode] => format!("{PREFIX}{mode}"),
        _ => format!("{PREFIX}all"),
    }
}

fn directories() -> Vec<PathBuf> {
    let given = env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    let of_user = env::var_os("XDG_RUNTIME_DIR").map(|directory| PathBuf::from(directory).join("waldur-agent"));
    let mut all: Vec<_> = given.into_iter().chain([PathBuf::from(RUNTIME)]).chain(of_user).collect();
    all.dedup();
    all
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn where_the_python_agent_writes_nothing_of_others_is_replaced() {
        let directory = env::temp_dir().join(format!("waldur-agent-heartbeat-test-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("legacy");
        let place = Place { path: path.clone(), legacy: true, warned: false };
        place.write("1").unwrap();
        place.write("2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(directory.join("victim"), &path).unwrap();
        assert!(place.write("3").is_err());
        assert!(!directory.join("victim").exists());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn files_are_named_after_the_modes() {
        assert_eq!(name(&[Mode::Report]), "heartbeat-report");
        assert_eq!(name(&Mode::ALL), "heartbeat-all");
        assert_eq!(Heartbeat::of(&Mode::ALL).paths().last(), Some(Path::new(LEGACY)));
    }
}
