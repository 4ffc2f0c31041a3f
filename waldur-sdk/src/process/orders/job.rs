//! One order on its way.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::report::{FollowUp, Warning};
use crate::{backend::OpContext, error::Error, process::KeyProvision, types::BackendId};

/// One order on its way: its context, and what is to be told about it beside the outcome.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) cx: &'a OpContext,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) backend_id: Option<BackendId>,
    /// Whether this pass approved the order.
    approved: bool,
    /// How many attempts this pass has made.
    attempts: u32,
    /// What came of the keys, once this pass has brought them to their number.
    keys: Option<KeyProvision>,
    /// The failure that this pass tried to report.
    pub(super) failure: Option<Error>,
    pub(super) warnings: Vec<Warning>,
    pub(super) follow_ups: Vec<FollowUp>,
}

impl<'a> Job<'a> {
    /// With the notes of earlier attempts.
    pub(super) fn with_notes(cx: &'a OpContext, notes: Notes) -> Self {
        Self { cx, notes: Mutex::new(notes) }
    }

    /// Begins an attempt: what an earlier one complained of may have been mended by this one.
    pub(super) fn begin(&self) {
        self.edit(|notes| {
            notes.attempts += 1;
            notes.warnings.clear();
            notes.follow_ups.clear();
        });
    }

    pub(super) fn approved(&self) {
        self.edit(|notes| notes.approved = true);
    }

    pub(super) fn failed(&self, error: &Error) {
        self.edit(|notes| notes.failure = Some(error.clone()));
    }

    /// Whether the order may have been worked on before this attempt.
    pub(super) fn resumes(&self) -> bool {
        let notes = self.notes();
        !notes.approved || notes.attempts > 1
    }

    pub(super) fn got_keys(&self, keys: &KeyProvision) {
        self.edit(|notes| notes.keys = Some(keys.clone()));
    }

    pub(super) fn keys(&self) -> Option<KeyProvision> {
        self.notes().keys.clone()
    }

    pub(super) fn is_approved(&self) -> bool {
        self.notes().approved
    }

    pub(super) fn warn(&self, step: &'static str, error: Error) {
        self.edit(|notes| notes.warnings.push(Warning { step, error }));
    }

    pub(super) fn follow_up(&self, follow_up: FollowUp) {
        self.edit(|notes| {
            if !notes.follow_ups.contains(&follow_up) {
                notes.follow_ups.push(follow_up);
            }
        });
    }

    pub(super) fn uses(&self, id: &BackendId) {
        self.edit(|notes| notes.backend_id = Some(id.clone()));
    }

    pub(super) fn backend_id(&self) -> Option<BackendId> {
        self.notes().backend_id.clone()
    }

    pub(super) fn into_notes(self) -> Notes {
        self.notes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.notes());
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
