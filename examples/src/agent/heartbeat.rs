//! The heartbeat: a file whose age tells whether the agent lives (core.md §5.9).
//!
//! It is written beside its place under a name that nobody can guess, and then moved there. So no link is ever
//! followed, and no reader sees half of it. If something else is in its place, also a link, that is never replaced.
//! `/tmp/waldur-site-agent-heartbeat`, the file of the Python agent, is written as well, for programs that watch it.
//!
//! A reader believes no file from the future. In a directory where everybody may put files, it believes only root's
//! files and its own user's.

use std::{
    env,
    fs::{self, File, Metadata, Permissions},
    io::{self, Write as _},
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

/// How far ahead of the clock a file may be: clocks are set back by a little.
const SKEW: Duration = Duration::from_secs(30);

/// The files that are kept young.
#[derive(Debug)]
pub struct Heartbeat(Vec<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    warned: bool,
}

impl Heartbeat {
    /// No file.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// This file, and no other.
    pub fn at(path: PathBuf) -> Self {
        Self(vec![Place { path, warned: false }])
    }

    /// A file of these modes' own in the runtime directory, where there is one, and the legacy one.
    pub fn of(modes: &[Mode]) -> Self {
        let own = directories().into_iter().find(|directory| directory.is_dir());
        let paths = own.map(|directory| directory.join(name(modes))).into_iter().chain([PathBuf::from(LEGACY)]);
        Self(paths.map(|path| Place { path, warned: false }).collect())
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
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut beside = builder().prefix(&format!(".{name}.")).suffix(".new").tempfile_in(directory_of(&self.path))?;
        beside.write_all(text.as_bytes())?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) if !there.is_file() => return Err(io::Error::other("something that is no file is there")),
            Ok(there) if !is_same_owner(&there, beside.as_file())? => {
                return Err(io::Error::other("a file of somebody else is there"));
            }
            _ => {}
        }
        // Gone again if it cannot be moved.
        beside.persist(&self.path).map(drop).map_err(|refused| refused.error)
    }
}

/// Files that everybody may read.
#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o644));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}

/// That of the working directory for a bare name.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn is_same_owner(there: &Metadata, made: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(there.uid() == made.metadata()?.uid())
}

#[cfg(not(unix))]
fn is_same_owner(_there: &Metadata, _made: &File) -> io::Result<bool> {
    Ok(true)
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
/// When it is not there, is no file, comes from the future, or may be anybody's.
pub fn age(path: &Path, now: SystemTime) -> io::Result<Duration> {
    let there = fs::symlink_metadata(path)?;
    if !there.is_file() {
        return Err(io::Error::other("is no file"));
    }
    if !is_of_an_agent(path, &there)? {
        let text = "belongs to another user, and everybody may put files there: whoever did is not believed";
        return Err(io::Error::other(text));
    }
    match now.duration_since(there.modified()?) {
        Ok(age) => Ok(age),
        Err(ahead) if ahead.duration() <= SKEW => Ok(Duration::ZERO),
        Err(ahead) => Err(io::Error::other(format!("was written {} s in the future", ahead.duration().as_secs()))),
    }
}

#[cfg(unix)]
fn is_of_an_agent(path: &Path, there: &Metadata) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let is_shared = fs::metadata(directory_of(path))?.mode() & 0o002 != 0;
    Ok(!is_shared || [0, rustix::process::geteuid().as_raw()].contains(&there.uid()))
}

#[cfg(not(unix))]
fn is_of_an_agent(_path: &Path, _there: &Metadata) -> io::Result<bool> {
    Ok(true)
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
    fn nothing_of_others_is_replaced_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heartbeat");
        let place = Place { path: path.clone(), warned: false };
        place.write("1").unwrap();
        place.write("2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(directory.path().join("victim"), &path).unwrap();
        assert!(place.write("3").is_err());
        assert!(!directory.path().join("victim").exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    /// The name under which a file was made before it was moved was the heartbeat's, a dot and the number of the process:
    /// whoever put something there first kept the agent from writing.
    #[test]
    fn a_name_that_somebody_guessed_keeps_nobody_from_writing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heartbeat");
        let guessed = directory.path().join(format!("heartbeat.{}", std::process::id()));
        fs::create_dir(&guessed).unwrap();
        Place { path: path.clone(), warned: false }.write("1").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
        assert!(guessed.is_dir());
    }

    #[test]
    fn a_file_from_the_future_is_no_sign_of_life() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let now = SystemTime::now();
        for (ahead, alive) in [(0, true), (20, true), (60, false), (86_400, false)] {
            file.as_file().set_modified(now + Duration::from_secs(ahead)).unwrap();
            assert_eq!(age(file.path(), now).is_ok(), alive, "{ahead} s ahead");
        }
    }

    /// Only root can make a file somebody else's; whoever else runs this sees that its own is believed.
    #[test]
    fn where_everybody_may_put_files_a_strangers_is_not_believed() {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heartbeat");
        Place { path: path.clone(), warned: false }.write("1").unwrap();
        let strange = chown(&path, Some(65_533), None).is_ok();
        for (mode, believed) in [(0o755, true), (0o1777, !strange)] {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(age(&path, SystemTime::now()).is_ok(), believed, "{mode:o}, {strange}");
            let replaced = Place { path: path.clone(), warned: false }.write("2");
            assert_eq!(replaced.is_err(), strange, "nor is it replaced");
        }
    }

    #[test]
    fn files_are_named_after_the_modes() {
        assert_eq!(name(&[Mode::Report]), "heartbeat-report");
        assert_eq!(name(&Mode::ALL), "heartbeat-all");
        assert_eq!(Heartbeat::of(&Mode::ALL).paths().last(), Some(Path::new(LEGACY)));
    }
}
