//! The closed vocabularies of the fake. The client reads open ones; a server knows its own words.

use std::fmt;

use serde_json::Value;

macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Word for $name {
            fn read(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, word: &&str) -> bool {
                self.as_str() == *word
            }
        }

        impl From<$name> for Value {
            fn from(word: $name) -> Self {
                word.as_str().into()
            }
        }
    };
}

/// A member of a closed vocabulary.
pub(super) trait Word: Sized {
    /// Reads the word; letters count as they are written.
    fn read(word: &str) -> Option<Self>;
}

/// Which server is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Waldur Mastermind of October 2024, as recorded.
    V2024,
    /// Waldur 8.x, by its published schema (8.0.5) and core.md §1.
    V8,
}

words! {
    /// The state of an order (core.md §1.5).
    pub enum OrderState {
        /// The customer's side has to approve.
        PendingConsumer = "pending-consumer",
        /// The provider's side has to approve.
        PendingProvider = "pending-provider",
        /// The project has not begun.
        PendingProject = "pending-project",
        /// The order's own start date has not come.
        PendingStartDate = "pending-start-date",
        /// The provider is at work.
        Executing = "executing",
        /// Carried out.
        Done = "done",
        /// Failed.
        Erred = "erred",
        /// Withdrawn.
        Canceled = "canceled",
        /// Refused by either side.
        Rejected = "rejected",
    }
}

impl OrderState {
    /// Whether nothing happens to the order any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Erred | Self::Canceled | Self::Rejected)
    }
}

words! {
    /// What an order asks for (core.md §1.5).
    pub enum OrderKind {
        /// A new resource.
        Create = "Create",
        /// Other limits, another plan, other options.
        Update = "Update",
        /// The end of the resource.
        Terminate = "Terminate",
        /// The resource back after its end.
        Restore = "Restore",
    }
}

words! {
    /// The state of a resource (core.md §1.5).
    pub enum ResourceState {
        /// Ordered, not there yet.
        Creating = "Creating",
        /// In use.
        Ok = "OK",
        /// Something failed.
        Erred = "Erred",
        /// A change is being carried out.
        Updating = "Updating",
        /// Its end is being carried out.
        Terminating = "Terminating",
        /// Gone.
        Terminated = "Terminated",
    }
}

words! {
    /// The state of an offering user (core.md §1.5). Generation 2024 has none.
    pub enum OfferingUserState {
        /// Nobody has begun yet.
        Requested = "Requested",
        /// The username is being made.
        Creating = "Creating",
        /// The user has to link an account.
        PendingAccountLinking = "Pending account linking",
        /// The user has to be validated.
        PendingAdditionalValidation = "Pending additional validation",
        /// In use.
        Ok = "OK",
        /// To be deleted.
        RequestedDeletion = "Requested deletion",
        /// Being deleted.
        Deleting = "Deleting",
        /// Gone.
        Deleted = "Deleted",
        /// Making the username failed.
        ErrorCreating = "Error creating",
        /// Deleting failed.
        ErrorDeleting = "Error deleting",
    }
}

words! {
    /// How a component is billed (core.md §1.5).
    pub enum Billing {
        /// By the amount in the plan.
        Fixed = "fixed",
        /// By what was used.
        Usage = "usage",
        /// By what was ordered.
        Limit = "limit",
        /// Once.
        One = "one",
        /// At each change of plan.
        Few = "few",
    }
}

/// What generation 8 lets a provider report for a month that is over. Its schema says that this is for staff, and for
/// providers where components are billed by limit; core.md §4.6 knows the refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backfilling {
    /// Everything.
    #[default]
    Everything,
    /// Components that are billed by limit. A report with another one is refused as a whole.
    Limits,
    /// Nothing.
    Nothing,
}

words! {
    /// What a limit counts over (core.md §1.5).
    pub enum LimitPeriod {
        /// A month.
        Month = "month",
        /// Three months.
        Quarterly = "quarterly",
        /// A year.
        Annual = "annual",
        /// The resource's whole life.
        Total = "total",
    }
}

words! {
    /// The state of an offering (core.md §1.5).
    pub enum OfferingState {
        /// Not on sale yet.
        Draft = "Draft",
        /// On sale.
        Active = "Active",
        /// Not on sale for now.
        Paused = "Paused",
        /// No longer on sale.
        Archived = "Archived",
        /// Out of order.
        Unavailable = "Unavailable",
    }
}

words! {
    /// The state of an account that no person has (core.md §1.5).
    pub enum AccountState {
        /// In use.
        Ok = "OK",
        /// Not in use any more.
        Closed = "Closed",
        /// Something failed.
        Erred = "Erred",
        /// Not there yet; of a course.
        Pending = "Pending",
    }
}

words! {
    /// The state of a customer's key (core.md §1.5).
    pub enum ApiKeyState {
        /// Being made.
        Creating = "Creating",
        /// In use.
        Ok = "OK",
        /// To be replaced.
        Updating = "Updating",
        /// Something failed.
        Erred = "Erred",
    }
}

words! {
    /// How far the wish for a list of importable objects is (core.md §1.5).
    pub enum ImportState {
        /// Nobody has begun yet.
        Sent = "Sent",
        /// An agent is at work.
        Processing = "Processing",
        /// The list is there.
        Done = "Done",
        /// It could not be made.
        Erred = "Erred",
    }
}
