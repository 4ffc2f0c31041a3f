//! A map of settings under the cursor, and the report that all of them write to.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    Setting,
    nearest::nearest,
    problem::{Found, Problem, Rule, Warning, child, into_error},
};
use crate::{error::Result, rest::MUST_VERIFY};

/// Proof that a problem has been recorded: only the reader makes one. Carry it on with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported(());

/// The outcome of reading a part of the settings.
pub type Read<T> = std::result::Result<T, Reported>;

/// What reading found: all problems, all warnings. Several maps can be read into one report, so that the operator sees
/// everything at once.
#[derive(Debug, Default)]
pub struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Report {
    /// Reads one map into this report.
    pub fn read<T>(&mut self, settings: &RawSettings, read: impl FnOnce(Section<'_>) -> Read<T>) -> Read<T> {
        read(Section { asked: settings.known.clone(), ..Section::new(&settings.members, &settings.path, self) })
    }

    /// The value with the warnings, or all problems as one error.
    ///
    /// # Errors
    /// `Config` as soon as one problem was recorded. [`problems`](super::problems) lists them, and
    /// [`Error::chain`](crate::Error::chain) has a line for each.
    pub fn finish<T>(self, outcome: Read<T>) -> Result<(T, Vec<Warning>)> {
        match outcome {
            Ok(value) if self.problems.is_empty() => Ok((value, self.warnings)),
            _ => Err(into_error(self.problems)),
        }
    }

    /// Reads the value at `path`, which must be a map.
    pub(in crate::settings) fn root<T>(
        &mut self,
        path: &str,
        value: &Value,
        read: impl FnOnce(Section<'_>) -> Read<T>,
    ) -> Read<T> {
        Setting::new(path.to_owned(), Some(value), self).section(read).required()
    }

    pub(super) fn problem(&mut self, path: String, rule: impl Into<Rule>, found: Found) -> Reported {
        self.problems.push(Problem::new(path, rule, found));
        Reported(())
    }

    pub(super) fn warning(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(Warning::new(path, text));
    }
}

/// A map of settings that is being read.
///
/// Take every key first, each with [`Self::key`]; then say with [`Self::finish`] that this was all; only then use `?`
/// on the values. Whoever uses `?` earlier shows the operator fewer problems at a time.
pub struct Section<'a> {
    members: &'a Map<String, Value>,
    path: &'a str,
    report: &'a mut Report,
    asked: Vec<&'static str>,
    problems_before: usize,
}

impl<'a> Section<'a> {
    pub(super) fn new(members: &'a Map<String, Value>, path: &'a str, report: &'a mut Report) -> Self {
        let problems_before = report.problems.len();
        Self { members, path, report, asked: Vec::new(), problems_before }
    }

    /// The value of one key, to be given a type.
    pub fn key(&mut self, name: &'static str) -> Setting<'_> {
        self.asked.push(name);
        Setting::new(child(self.path, name), self.members.get(name), self.report)
    }

    /// As [`Self::key`], for a key that had other names. Where only one of these is written, its value is taken, with a
    /// warning that shows the name of today; beside today's key they are warned of and ignored.
    pub fn renamed(&mut self, name: &'static str, older: &[&'static str]) -> Setting<'_> {
        self.asked.push(name);
        let mut from = self.members.contains_key(name).then_some(name);
        for old in older.iter().copied().filter(|old| self.members.contains_key(*old)) {
            self.asked.push(old);
            let text = match from {
                None => format!("is an older name of this key; write {name}"),
                Some(taken) => format!("is an older name of {name}, and ignored beside {taken}"),
            };
            self.report.warning(child(self.path, old), text);
            from = from.or(Some(old));
        }
        let from = from.unwrap_or(name);
        Setting::new(child(self.path, from), self.members.get(from), self.report)
    }

    /// The key `verify_ssl` of a server: whether its certificate is verified. `true` unless the operator says otherwise,
    /// who is told `warning` then; that is a problem in a build without the feature `danger-accept-invalid-certs`. Goes
    /// into [`HttpOptions::verifying`](crate::rest::HttpOptions::verifying).
    pub fn verify_ssl(&mut self, warning: &str) -> bool {
        let verify = self.key("verify_ssl").boolean().or(true);
        if !verify && cfg!(feature = "danger-accept-invalid-certs") {
            self.warn("verify_ssl", warning);
        } else if !verify {
            self.refuse("verify_ssl", MUST_VERIFY);
        }
        verify
    }

    /// Whether a key is written at all, be it `null`.
    pub fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Where this map is: `offerings[0].backend_settings`.
    pub fn path(&self) -> &str {
        self.path
    }

    /// Records that the value of `name` breaks a rule that spans several keys.
    pub fn refuse(&mut self, name: &'static str, rule: &'static str) -> Reported {
        let found = self.members.get(name).map_or(Found::Nothing, Found::of);
        self.report.problem(child(self.path, name), rule, found)
    }

    /// Tells the operator something about `name`. The text must not repeat a value that may be secret.
    pub fn warn(&mut self, name: &str, text: impl Into<String>) {
        self.report.warning(child(self.path, name), text);
    }

    /// All keys are taken. Every other key gets a warning with the nearest known name.
    ///
    /// # Errors
    /// When a problem was recorded in this map or below it.
    pub fn finish(mut self) -> Read<()> {
        for (key, near) in self.unknown() {
            let text = match near {
                Some(near) => format!("unknown key, ignored; did you mean {near}?"),
                None => "unknown key, ignored".to_owned(),
            };
            self.warn(key, text);
        }
        self.outcome()
    }

    /// As [`Self::finish`], but an unknown key is a problem.
    ///
    /// # Errors
    /// When there is an unknown key, or a problem was recorded in this map or below it.
    pub fn finish_strict(mut self) -> Read<()> {
        for (key, near) in self.unknown() {
            let rule =
                near.map_or("unknown key".into(), |near| Rule::from(format!("unknown key; did you mean {near}?")));
            let found = self.members.get(key).map_or(Found::Nothing, Found::of);
            self.report.problem(child(self.path, key), rule, found);
        }
        self.outcome()
    }

    /// Leaves the other keys to a second reader: hands over the whole map, in which the keys taken so far count as
    /// known.
    ///
    /// # Errors
    /// When a problem was recorded in this map or below it.
    pub fn share(self) -> Read<RawSettings> {
        let (members, path) = (self.members.clone(), self.path.to_owned());
        let known = self.asked.clone();
        self.outcome().map(|()| RawSettings { path, members, known })
    }

    /// The keys that nobody asked for. A missing required key learns of the unknown one that is nearest to it.
    fn unknown(&mut self) -> Vec<(&'a str, Option<&'static str>)> {
        let mut unknown = Vec::new();
        for key in self.members.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let near = nearest(key, &self.asked);
            if let Some(near) = near {
                let path = child(self.path, near);
                let mut here = self.report.problems.iter_mut().skip(self.problems_before);
                if let Some(missing) = here.find(|problem| problem.path() == path && problem.found() == Found::Nothing)
                {
                    missing.suspect(key);
                }
            }
            unknown.push((key.as_str(), near));
        }
        unknown
    }

    fn outcome(self) -> Read<()> {
        if self.report.problems.len() > self.problems_before { Err(Reported(())) } else { Ok(()) }
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").field("path", &self.path).field("asked", &self.asked).finish_non_exhaustive()
    }
}

fn whole(section: Section<'_>) -> Read<RawSettings> {
    section.share()
}

/// A map of settings that waits for its reader, usually a back end's own.
///
/// `Debug` shows the keys and the types of their values. There is no `Serialize` and no way to the values but a
/// [`Section`], whose errors keep them to themselves.
#[derive(Clone, Default, PartialEq)]
pub struct RawSettings {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
}

impl RawSettings {
    /// Wraps a tree. `path` is what errors begin with.
    ///
    /// # Errors
    /// `Config` when the value is no map.
    pub fn from_value(path: &str, value: &Value) -> Result<Self> {
        let mut report = Report::default();
        let outcome = report.root(path, value, whole);
        report.finish(outcome).map(|(settings, _)| settings)
    }

    /// Reads the map. Keys that another reader has taken already count as known, and may be read again.
    ///
    /// # Errors
    /// `Config` with all problems; see [`Report::finish`].
    pub fn read<T>(&self, read: impl FnOnce(Section<'_>) -> Read<T>) -> Result<(T, Vec<Warning>)> {
        let mut report = Report::default();
        let outcome = report.read(self, read);
        report.finish(outcome)
    }

    /// Where the map is in the file.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Debug for RawSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.members.iter().map(|(key, value)| (key, Found::of(value)))).finish()
    }
}
