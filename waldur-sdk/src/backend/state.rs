//! What a back end answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use rust_decimal::Decimal;
use secrecy::SecretString;

use super::request::{CreateRequest, Origin, Stamp};
use crate::{
    error::{Error, ErrorKind, Result},
    types::{BackendId, Endpoint, JsonObject, Limit, Limits},
};

/// What the stamp read back says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// The object carries this resource's stamp.
    Ours,
    /// It carries another resource's stamp, or is plainly somebody else's.
    Foreign,
    /// It carries no stamp at all: made by hand, or older than stamps.
    Unmarked,
}

impl Ownership {
    /// Compares the stamp found on an object with the wanted one.
    pub fn of(found: Option<Stamp>, wanted: Stamp) -> Self {
        match found {
            None => Self::Unmarked,
            Some(stamp) if stamp == wanted => Self::Ours,
            Some(_) => Self::Foreign,
        }
    }

    /// Whether an object of this ownership may be changed for a request of this origin.
    pub fn permits(self, origin: Origin) -> bool {
        match self {
            Self::Ours => true,
            Self::Foreign => false,
            Self::Unmarked => origin == Origin::Recorded,
        }
    }
}

/// What may be done with a resource now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Everything.
    #[default]
    Active,
    /// Use goes on, growth does not.
    Downscaled,
    /// Nothing.
    Paused,
}

/// What is there, read from the back end just now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceState {
    /// Its id.
    pub id: BackendId,
    /// The stamp on it; `None` when it carries none.
    pub stamp: Option<Stamp>,
    /// Whether it is certainly somebody else's although it carries no stamp of ours.
    pub foreign: bool,
    /// Its limits, in Waldur's units; components that the back end does not limit are not named.
    pub limits: Limits,
    /// What may be done with it.
    pub status: Status,
    /// What is to be published about it; `None` when it was not asked for.
    pub metadata: Option<JsonObject>,
    /// Names of metadata that this back end publishes with other settings or at other times, but not now. They are
    /// removed from what Waldur has, also where [`Self::metadata`] is `None`.
    pub withdrawn: BTreeSet<String>,
    /// Names of metadata that hand out a key, where customers are to have the keys of [`ApiKeys`](super::ApiKeys) now.
    /// Removed from the metadata once Waldur lists two API keys for the resource; until then they stay, so that the
    /// customer is never without a key.
    pub replaced_by_keys: BTreeSet<String>,
    /// Keys that [`Self::metadata`] would hand out for the first time: the name of the metadata, and the first half of
    /// the key. If Waldur lists that key among the customer's API keys, it belongs to one person, and it is not
    /// published to everybody who reads the resource.
    pub first_published: BTreeMap<String, String>,
    /// What else could not be read, for the operator. It holds nothing up.
    pub warnings: Vec<Error>,
}

impl ResourceState {
    /// An active object without stamp and limits.
    pub fn new(id: BackendId) -> Self {
        Self {
            id,
            stamp: None,
            foreign: false,
            limits: Limits::new(),
            status: Status::Active,
            metadata: None,
            withdrawn: BTreeSet::new(),
            replaced_by_keys: BTreeSet::new(),
            first_published: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// What was read of `id`, if it is there and may be changed for a request of this origin.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::Foreign`] when it is not ours.
    pub fn owned(found: Option<Self>, id: &BackendId, wanted: Stamp, origin: Origin) -> Result<Self> {
        match found {
            None => Err(Error::new(ErrorKind::NotFound, format!("{id} does not exist")).for_customer()),
            Some(found) if found.ownership(wanted).permits(origin) => Ok(found),
            Some(found) => Err(found.foreign_to(wanted)),
        }
    }

    /// The error of an object that may not be changed for `wanted`: [`foreign`], with both stamps in its source. The
    /// stamps are for the operator; the customer's text does not have them.
    pub fn foreign_to(&self, wanted: Stamp) -> Error {
        let found = match self.stamp {
            Some(stamp) => format!("the stamp of resource {}", stamp.0.hex()),
            None => "no stamp of this agent".to_owned(),
        };
        foreign(&self.id).with_source(format!("it carries {found}, not that of resource {}", wanted.0.hex()))
    }

    /// Whose it is, seen from `wanted`.
    pub fn ownership(&self, wanted: Stamp) -> Ownership {
        if self.foreign { Ownership::Foreign } else { Ownership::of(self.stamp, wanted) }
    }
}

/// A key that was just made: both halves, to be handed over once.
pub struct IssuedKey {
    /// The half that may be shown.
    pub client_id: String,
    /// The half that may not.
    pub secret: SecretString,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What came of a create request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Created {
    /// The limits that hold now, where they differ from those ordered and Waldur should know.
    pub limits: Option<Limits>,
    /// What is to be published; empty for nothing. May hold credentials of the customer.
    pub metadata: JsonObject,
    /// How the customer reaches it.
    pub endpoints: Vec<Endpoint>,
    /// What the operator should know. It did not hold the order up.
    pub warnings: Vec<Error>,
}

impl Created {
    /// Sets what is to be published.
    #[must_use]
    pub fn with_metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = metadata;
        self
    }

    /// Adds a way to reach it.
    #[must_use]
    pub fn with_endpoint(mut self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint { name: name.into(), url: url.into() });
        self
    }

    /// Adds something for the operator, which ends in the report of the order.
    #[must_use]
    pub fn with_warning(mut self, warning: Error) -> Self {
        self.warnings.push(warning);
        self
    }

    /// Sets the limits that hold, where they differ from those ordered.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removed {
    /// It was there and is gone.
    Deleted,
    /// It was gone before.
    AlreadyAbsent,
}

/// A result that was read back from the back end after the change, and agreed with what was asked.
///
/// It can only be made by showing what was read ([`Verified::created`], [`Verified::limits`], [`Verified::removed`]).
/// For a creation, a change of limits or a removal, the processor accepts nothing else, whether the work ended at once
/// or later. A change of options or of the plan alone is done when the back end acknowledges it. An order that asks for
/// nothing new is done at once.
#[derive(Debug)]
#[must_use]
pub struct Verified<T> {
    result: T,
    warnings: Vec<Error>,
}

impl<T> Verified<T> {
    /// The result.
    pub fn get(&self) -> &T {
        &self.result
    }

    /// The result.
    pub fn into_inner(self) -> T {
        self.result
    }

    /// What the operator should know although it succeeded: the [warnings](ResourceState::warnings) of what was read. A
    /// creation has [its own](Created::warnings).
    pub fn warnings(&self) -> &[Error] {
        &self.warnings
    }

    fn proven(result: T) -> Self {
        Self { result, warnings: Vec::new() }
    }
}

impl Verified<Created> {
    /// Holds what was read against the request: the object exists under the id, is ours, and every limit it reports
    /// is the ordered one.
    ///
    /// # Errors
    /// [`ErrorKind::Inconsistent`] naming what differs; [`ErrorKind::Foreign`] when the object is not ours.
    pub fn created(created: Created, request: &CreateRequest, found: Option<&ResourceState>) -> Result<Self> {
        let Some(found) = found else {
            return Err(inconsistent(&request.backend_id, "it was created but cannot be read"));
        };
        if found.id != request.backend_id {
            return Err(inconsistent(&request.backend_id, "another object was read in its place"));
        }
        if !found.ownership(request.resource.stamp()).permits(request.origin) {
            return Err(found.foreign_to(request.resource.stamp()));
        }
        compare(&request.backend_id, created.limits.as_ref().unwrap_or(&request.limits), &found.limits)?;
        Ok(Self::proven(created))
    }
}

impl Verified<Limits> {
    /// Holds the limits that were read against those wanted. Components that the back end does not limit are skipped.
    ///
    /// # Errors
    /// [`ErrorKind::Inconsistent`] naming the component, both values and the id.
    pub fn limits(wanted: &Limits, found: &ResourceState) -> Result<Self> {
        compare(&found.id, wanted, &found.limits)?;
        Ok(Self { result: found.limits.clone(), warnings: found.warnings.clone() })
    }
}

impl Verified<Removed> {
    /// Holds the absence against what was read after the removal.
    ///
    /// # Errors
    /// [`ErrorKind::Inconsistent`] when the object is still there.
    pub fn removed(id: &BackendId, removed: Removed, found: Option<&ResourceState>) -> Result<Self> {
        match found {
            None => Ok(Self::proven(removed)),
            Some(_) => Err(inconsistent(id, "it was deleted but is still there")),
        }
    }
}

/// The error of an object that carries somebody else's stamp, or none where one is needed. If you have read the object,
/// [`ResourceState::foreign_to`] says more.
pub fn foreign(id: &BackendId) -> Error {
    Error::new(ErrorKind::Foreign, format!("{id} exists and belongs to somebody else")).for_customer()
}

fn inconsistent(id: &BackendId, what: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, format!("{id}: {what}"))
}

fn compare(id: &BackendId, wanted: &Limits, found: &Limits) -> Result<()> {
    for (component, wanted) in wanted {
        if let Some(found) = found.get(component)
            && !same(*wanted, *found)
        {
            let text = format!("the limit of {component} was set to {wanted} but reads {found}");
            return Err(inconsistent(id, &text));
        }
    }
    Ok(())
}

/// Equal up to one part in 100,000: back ends round to their own blocks (a kibibyte, a millicore).
pub(crate) fn same(a: Limit, b: Limit) -> bool {
    match (a, b) {
        (Limit::Unlimited, Limit::Unlimited) => true,
        (Limit::At(a), Limit::At(b)) => {
            let (a, b) = (a.decimal(), b.decimal());
            (a - b).abs() <= a.abs().max(b.abs()) * Decimal::new(1, 5)
        }
        _ => false,
    }
}

/// Work that may outlast the call.
#[derive(Debug)]
#[must_use]
pub enum Progress<T> {
    /// Finished.
    Done(T),
    /// Going on. The handle is stored with the order; [`PendingOrders::check`](super::PendingOrders::check) is asked
    /// about it in later passes.
    Pending {
        /// The back end's own id of the work, at most 255 bytes.
        handle: String,
        /// How long to wait before the first question.
        poll_after: Option<Duration>,
    },
}

/// Results by id: one failing object says nothing about the others.
pub type ById<T> = BTreeMap<BackendId, Result<T>>;
