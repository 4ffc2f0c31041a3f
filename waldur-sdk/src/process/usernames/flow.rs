//! From an account without a name to one that has it.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream};

use super::{AccountOutcome, AccountReport, RefusedNames};
use crate::{
    backend::{OpContext, Requirement, UsernameBackend, UsernameOutcome, UsernameRequest},
    client::{OfferingUser, OfferingUserState as S, OfferingUsers, WaldurClient},
    error::{Error, ErrorKind, Result},
    process::failure::shielded,
    types::Personal,
};

/// Gives names to the accounts of one offering.
pub(in crate::process) struct NameGiver<'a> {
    pub(in crate::process) waldur: &'a WaldurClient,
    pub(in crate::process) backend: &'a dyn UsernameBackend,
    pub(in crate::process) cx: &'a OpContext,
    pub(in crate::process) concurrency: usize,
    pub(in crate::process) dry_run: bool,
    pub(in crate::process) refused: &'a RefusedNames,
}

/// The account after its turn, and what became of it.
type Settled = (OfferingUser, AccountOutcome);

/// What the username back end says; nothing where a dry run could only have found out by giving a name.
type Answer = Result<Option<UsernameOutcome>>;

impl NameGiver<'_> {
    /// Gives names to those of the accounts that want one, and brings the accounts up to date.
    pub(in crate::process) async fn refresh(&self, accounts: &mut [OfferingUser]) -> Vec<AccountReport> {
        let answers = self.answers(accounts).await;
        let settled: Vec<(usize, Settled)> = stream::iter(answers)
            .map(|(place, account, answer)| async move { (place, self.settle(account, answer).await) })
            .buffer_unordered(self.concurrency.max(1))
            .collect()
            .await;
        let mut reports = Vec::with_capacity(settled.len());
        for (place, (account, outcome)) in settled {
            reports.push(AccountReport { account: account.uuid, outcome });
            if let Some(slot) = accounts.get_mut(place) {
                *slot = account;
            }
        }
        reports.sort_by_key(|report| report.account);
        reports
    }

    /// Leaves those of the accounts that want a name as they are: the list of accounts is not proven whole.
    pub(in crate::process) fn put_off(accounts: &[OfferingUser], gap: &Error) -> Vec<AccountReport> {
        let wanting = accounts.iter().filter(|account| wants_a_name(account));
        wanting
            .map(|account| AccountReport { account: account.uuid, outcome: AccountOutcome::Deferred(gap.clone()) })
            .collect()
    }

    /// Asks for all names at once; whoever was given a name that somebody has is asked for again, knowing better.
    async fn answers(&self, accounts: &[OfferingUser]) -> Vec<(usize, OfferingUser, Answer)> {
        let mut taken: BTreeSet<Personal> = accounts.iter().filter_map(|account| account.username.clone()).collect();
        let known = Arc::new(taken.clone());
        let wanted = accounts.iter().enumerate().filter(|(_, account)| wants_a_name(account));
        // Collected first: a stream that still maps references could not be sent to another thread.
        let questions: Vec<_> = wanted
            .map(|(place, account)| {
                let known = known.clone();
                async move { (place, account.clone(), self.ask(account, known).await) }
            })
            .collect();
        let mut answers: Vec<_> = stream::iter(questions).buffered(self.concurrency.max(1)).collect().await;
        for (_, account, answer) in &mut answers {
            if matches!(answer, Ok(Some(UsernameOutcome::Ready(name))) if taken.contains(name)) {
                *answer = self.ask(account, Arc::new(taken.clone())).await;
            }
            match answer {
                Ok(Some(UsernameOutcome::Ready(name))) if !taken.insert(name.clone()) => {
                    let text = "the name that the username back end gives belongs to somebody else";
                    *answer = Err(Error::new(ErrorKind::AlreadyExists, text));
                }
                _ => {}
            }
        }
        answers
    }

    async fn ask(&self, account: &OfferingUser, taken: Arc<BTreeSet<Personal>>) -> Answer {
        self.cx.checkpoint()?;
        let request = UsernameRequest { taken, ..request(account) };
        let answer = if self.dry_run {
            shielded(self.backend.preview(self.cx, &request)).await
        } else {
            shielded(self.backend.username(self.cx, &request)).await.map(Some)
        };
        match answer {
            Ok(Some(UsernameOutcome::Ready(name))) if name.as_str().trim().is_empty() => {
                Ok(Some(UsernameOutcome::Absent))
            }
            answer => answer,
        }
    }

    async fn settle(&self, account: OfferingUser, answer: Answer) -> Settled {
        let answer = match answer {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => return (account, AccountOutcome::DryRun),
            Err(error) => Err(error),
        };
        match answer {
            Ok(UsernameOutcome::Absent) => (account, AccountOutcome::NoName),
            Err(error) if error.is_passing() => (account, AccountOutcome::Deferred(error)),
            Ok(UsernameOutcome::Ready(_)) if self.dry_run => (account, AccountOutcome::Named),
            Ok(UsernameOutcome::Ready(name)) => self.name(account, &name).await,
            Ok(UsernameOutcome::LinkingRequired(wish)) => self.wait(account, S::PendingAccountLinking, &wish).await,
            Ok(UsernameOutcome::ValidationRequired(wish)) => {
                self.wait(account, S::PendingAdditionalValidation, &wish).await
            }
            Err(error) => self.fail(account, error).await,
        }
    }

    fn accounts(&self) -> OfferingUsers<'_> {
        self.waldur.offering_users()
    }

    /// The name first and the state after it: a process that dies in between leaves no usable account without a name.
    async fn name(&self, account: OfferingUser, name: &Personal) -> Settled {
        let now = self.waldur.environment().instant();
        if let Some(error) = self.refused.objection(account.uuid, name, now) {
            return self.fail(account, error).await;
        }
        let account = match self.begin(account).await {
            Ok(account) => account,
            Err(settled) => return *settled,
        };
        let account = match self.still_nameless(account).await {
            Ok(account) => account,
            Err(settled) => return *settled,
        };
        match self.accounts().set_username(account.uuid, name).await {
            Ok(named) => {
                let attributes = account.attributes;
                let outcome = self.complete(&named).await;
                (OfferingUser { attributes, username: Some(name.clone()), ..named }, outcome)
            }
            // The name is wrong, or somebody else's: asking again with the same one would be refused for ever.
            Err(error) if error.kind() == ErrorKind::InvalidRequest => {
                self.refused.learn(account.uuid, name.clone(), error.clone(), now);
                self.fail(account, error).await
            }
            Err(error) if error.kind() == ErrorKind::Conflict => self.look_again(account, error).await,
            Err(error) => (account, AccountOutcome::Deferred(error)),
        }
    }

    /// The account as it is just before it gets its name. Somebody may have named it since it was listed, and no
    /// transition tells of that where none was needed.
    async fn still_nameless(&self, account: OfferingUser) -> Result<OfferingUser, Box<Settled>> {
        match self.accounts().get(account.uuid).await {
            Ok(now) if wants_a_name(&now) => Ok(OfferingUser { state: now.state, ..account }),
            Ok(now) => {
                let now = OfferingUser { attributes: account.attributes, ..now };
                Err(Box::new((now, AccountOutcome::LeftToOthers)))
            }
            Err(error) => Err(Box::new((account, AccountOutcome::Deferred(error)))),
        }
    }

    /// Ends a wait that the name alone did not end.
    async fn complete(&self, account: &OfferingUser) -> AccountOutcome {
        if !is_pending(account) {
            return AccountOutcome::Named;
        }
        match self.accounts().set_validation_complete(account.uuid).await {
            Err(error) if !is_refusal(&error) => AccountOutcome::Deferred(error),
            _ => AccountOutcome::Named,
        }
    }

    /// The person has to do something. Who is told so already is not told again.
    async fn wait(&self, account: OfferingUser, state: S, wish: &Requirement) -> Settled {
        if account.state.as_ref() == Some(&state) {
            return (account, AccountOutcome::StillWaiting);
        }
        // A server that knows no states has nobody to tell.
        if self.dry_run || account.state.is_none() {
            return (account, AccountOutcome::Asked);
        }
        let account = match self.begin(account).await {
            Ok(account) => account,
            Err(settled) => return *settled,
        };
        let (accounts, url) = (self.accounts(), wish.url.as_deref());
        let told = match state {
            S::PendingAccountLinking => accounts.set_pending_account_linking(account.uuid, &wish.comment, url).await,
            _ => accounts.set_pending_additional_validation(account.uuid, &wish.comment, url).await,
        };
        match told {
            Ok(()) => (OfferingUser { state: Some(state), ..account }, AccountOutcome::Asked),
            Err(error) if is_refusal(&error) => self.look_again(account, error).await,
            Err(error) => (account, AccountOutcome::Deferred(error)),
        }
    }

    /// Marks an account that was being made as failed; one that waits for its person goes on waiting.
    async fn fail(&self, account: OfferingUser, error: Error) -> Settled {
        let marked = matches!(account.state, None | Some(S::ErrorCreating)) || is_pending(&account);
        if marked || self.dry_run {
            return (account, AccountOutcome::Failed(error));
        }
        let account = match self.begin(account).await {
            Ok(account) => account,
            Err(settled) => return *settled,
        };
        match self.accounts().set_error_creating(account.uuid).await {
            Ok(()) => (OfferingUser { state: Some(S::ErrorCreating), ..account }, AccountOutcome::Failed(error)),
            Err(cause) => (account, AccountOutcome::NotReported(error, cause)),
        }
    }

    /// Says that the account is being made, where that was not said yet. Whoever loses a race goes on with what the
    /// winner left.
    async fn begin(&self, account: OfferingUser) -> Result<OfferingUser, Box<Settled>> {
        if !matches!(account.state, Some(S::Requested | S::ErrorCreating)) {
            return Ok(account);
        }
        match self.accounts().begin_creating(account.uuid).await {
            Ok(()) => Ok(OfferingUser { state: Some(S::Creating), ..account }),
            Err(error) if is_refusal(&error) => match self.accounts().get(account.uuid).await {
                Ok(now) if wants_a_name(&now) && !matches!(now.state, Some(S::Requested | S::ErrorCreating)) => {
                    Ok(OfferingUser { attributes: account.attributes, ..now })
                }
                Ok(now) if wants_a_name(&now) => Err(Box::new((account, AccountOutcome::Deferred(error)))),
                Ok(now) => {
                    let now = OfferingUser { attributes: account.attributes, ..now };
                    Err(Box::new((now, AccountOutcome::LeftToOthers)))
                }
                Err(error) => Err(Box::new((account, AccountOutcome::Deferred(error)))),
            },
            Err(error) => Err(Box::new((account, AccountOutcome::Deferred(error)))),
        }
    }

    /// A transition was refused: whatever the account is now, the next pass goes on from there.
    async fn look_again(&self, account: OfferingUser, refusal: Error) -> Settled {
        match self.accounts().get(account.uuid).await {
            Ok(now) if wants_a_name(&now) => (account, AccountOutcome::Deferred(refusal)),
            Ok(now) => (OfferingUser { attributes: account.attributes, ..now }, AccountOutcome::LeftToOthers),
            Err(error) => (account, AccountOutcome::Deferred(error)),
        }
    }
}

/// Whether the account has no name and is in a state in which it is given one.
fn wants_a_name(account: &OfferingUser) -> bool {
    let open = match &account.state {
        // Before there were states (2024), an account without a name wanted one.
        None | Some(S::Requested | S::Creating | S::ErrorCreating) => true,
        Some(_) => is_pending(account),
    };
    open && account.username.is_none() && account.is_restricted != Some(true)
}

fn is_pending(account: &OfferingUser) -> bool {
    matches!(account.state, Some(S::PendingAccountLinking | S::PendingAdditionalValidation))
}

/// Whether the server refused a transition for the state that the account is in (core.md §1.4).
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidRequest)
}

/// What the username back end is told of an account.
pub(in crate::process) fn request(account: &OfferingUser) -> UsernameRequest {
    let attribute = |name: &str| account.attributes.text(name).map(Personal::from);
    UsernameRequest {
        user: account.user_uuid,
        username: account.username.clone(),
        identity: account.user_username.clone(),
        first_name: attribute("first_name"),
        last_name: attribute("last_name"),
        full_name: account.user_full_name.clone(),
        email: account.user_email.clone(),
        attributes: account.attributes.clone(),
        ..UsernameRequest::new(account.uuid)
    }
}
