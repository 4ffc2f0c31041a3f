//! One offering, with everything that its processors share.

use std::{fmt, sync::Arc};

use super::{
    KeyProcessor, Lanes, MembershipSync, OfferingContext, OrderProcessor, ResourceImport, UsageReporter,
    keys::KeyMemory,
};
use crate::{
    backend::{OpContext, ResourceBackend},
    client::{AgentMode, WaldurClient},
    settings::Components,
    types::{OfferingUuid, ServiceProviderUuid},
};

/// An offering as it is served: Waldur on one side, the back end on the other, and what is sold. Make all its
/// processors from one value. Then they share two things: the [lanes](Lanes), in which the work on one resource is done
/// one thing after the other, and what is remembered of keys. Cheap to clone; clones share both.
///
/// If the client is in the [mode](AgentMode) of a processor, each processor gets a client in its own mode. A client in
/// another mode, or in none, stays so.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{
///     backend::OpContext,
///     process::{OfferingContext, ServedOffering},
///     settings::Components,
/// };
///
/// let context = OfferingContext::load(&waldur, offering, &Components::default()).await?;
/// let offering = ServedOffering::new(waldur, backend, offering).with_context(&context);
/// let (orders, keys, members, usage) = (offering.orders(), offering.keys(), offering.members(), offering.usage());
///
/// println!("{}", orders.run_once(&OpContext::new("orders")).await?.is_clean());
/// println!("{}", keys.reconcile_stuck(&OpContext::new("keys")).await?.is_clean());
/// println!("{}", members.run_once(&OpContext::new("members")).await?.is_clean());
/// println!("{}", usage.run_once(&OpContext::new("usage")).await?.is_clean());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ServedOffering {
    pub(super) waldur: WaldurClient,
    pub(super) backend: Arc<dyn ResourceBackend>,
    pub(super) offering: OfferingUuid,
    pub(super) components: Components,
    pub(super) service_provider: Option<ServiceProviderUuid>,
    pub(super) lanes: Lanes,
    pub(super) key_memory: KeyMemory,
}

impl ServedOffering {
    /// An offering without components and service provider. [`Self::with_components`] and
    /// [`Self::with_service_provider`] say what they are for.
    pub fn new(waldur: WaldurClient, backend: Arc<dyn ResourceBackend>, offering: OfferingUuid) -> Self {
        let (components, lanes, key_memory) = (Components::default(), Lanes::default(), KeyMemory::default());
        Self { waldur, backend, offering, components, service_provider: None, lanes, key_memory }
    }

    /// Sets what Waldur and the provider know of it: the components and the service provider.
    #[must_use]
    pub fn with_context(self, context: &OfferingContext) -> Self {
        let with_components = self.with_components(context.components.clone());
        Self { service_provider: context.service_provider, ..with_components }
    }

    /// Sets its components: those of the settings merged with Waldur's. Without them prepaid components are not
    /// recomputed, a soft end sets to zero whatever has a limit, fixed components too, no limits are compared, and usage is
    /// reported by the names that the back end has for it (no `target_components`).
    #[must_use]
    pub fn with_components(self, components: Components) -> Self {
        Self { components, ..self }
    }

    /// Sets the service provider that sells it. Without it, no back end is told SSH keys of users, or anything but the
    /// name of a project ([`Capabilities::source_project`](crate::backend::Capabilities::source_project)).
    #[must_use]
    pub fn with_service_provider(self, provider: ServiceProviderUuid) -> Self {
        Self { service_provider: Some(provider), ..self }
    }

    /// Replaces the back end, for one that was built anew since the offering changed.
    #[must_use]
    pub fn with_backend(self, backend: Arc<dyn ResourceBackend>) -> Self {
        Self { backend, ..self }
    }

    /// Shares lanes between several values, for example if each mode has a back end of its own. What is remembered of keys
    /// is not shared: take orders and keys from one value.
    #[must_use]
    pub fn with_lanes(self, lanes: &Lanes) -> Self {
        Self { lanes: lanes.clone(), ..self }
    }

    /// Which offering it is.
    pub fn uuid(&self) -> OfferingUuid {
        self.offering
    }

    /// The processor of its orders, with the default policy.
    pub fn orders(&self) -> OrderProcessor {
        OrderProcessor::of(self)
    }

    /// The processor of its members, with the default policy and without anybody who gives names.
    pub fn members(&self) -> MembershipSync {
        MembershipSync::of(self)
    }

    /// The reporter of its usage, with the default policy.
    pub fn usage(&self) -> UsageReporter {
        UsageReporter::of(self)
    }

    /// The processor of its customers' keys, with the default policy.
    pub fn keys(&self) -> KeyProcessor {
        KeyProcessor::of(self)
    }

    /// The import of what is not in Waldur, where projects have accounts called by their slug.
    pub fn import(&self) -> ResourceImport {
        ResourceImport::of(self.clone())
    }

    pub(super) fn waldur(&self, cx: &OpContext) -> WaldurClient {
        self.waldur.until(cx.deadline).stopped_by(cx.waldur_breaker())
    }

    pub(super) fn in_mode(&self, mode: AgentMode) -> Self {
        Self { waldur: self.waldur.in_mode(mode), ..self.clone() }
    }

    /// With the back end and the context of another value of the same offering; what processors share, and by which client
    /// they call, stays.
    pub(super) fn renew(&mut self, by: &Self) {
        if by.offering != self.offering {
            return;
        }
        self.backend = by.backend.clone();
        self.components = by.components.clone();
        self.service_provider = by.service_provider;
    }
}

impl fmt::Debug for ServedOffering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedOffering")
            .field("offering", &self.offering)
            .field("backend_type", &self.backend.backend_type())
            .finish_non_exhaustive()
    }
}

/// What every processor is made of: an `Inner` with what is served, a policy, and what it has besides, which can be empty.
macro_rules! processor {
    ($name:ident, $policy:ident, $mode:ident, $make:literal, [$($memory:ident),*]) => {
        impl $name {
            #[doc = concat!("The short way to [`ServedOffering::", $make, "`](crate::process::ServedOffering::", $make, "),")]
            /// where nothing else is served and no more is known of the offering: see
            /// [`ServedOffering::new`](crate::process::ServedOffering::new).
            pub fn new(
                waldur: $crate::client::WaldurClient,
                backend: Arc<dyn $crate::backend::ResourceBackend>,
                offering: $crate::types::OfferingUuid,
            ) -> Self {
                Self::of(&$crate::process::ServedOffering::new(waldur, backend, offering))
            }

            pub(in $crate::process) fn of(served: &$crate::process::ServedOffering) -> Self {
                let served = served.in_mode($crate::client::AgentMode::$mode);
                Self(Arc::new(Inner { served, policy: $policy::default(), $($memory: Default::default()),* }))
            }

            /// Replaces the policy.
            #[must_use]
            pub fn with_policy(self, policy: $policy) -> Self {
                self.edit(|inner| inner.policy = policy)
            }

            /// Goes on with an offering that was read anew or a back end that was built anew. Keeps the client, the
            /// lanes and what is remembered. Another offering's value changes nothing.
            #[must_use]
            pub fn with_offering(self, offering: &$crate::process::ServedOffering) -> Self {
                self.edit(|inner| inner.served.renew(offering))
            }

            /// Which offering it works on.
            pub fn offering(&self) -> $crate::types::OfferingUuid {
                self.0.served.offering
            }

            fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
                change(Arc::make_mut(&mut self.0));
                self
            }

            fn waldur(&self, cx: &OpContext) -> $crate::client::WaldurClient {
                self.0.served.waldur(cx)
            }

            fn backend(&self) -> &dyn $crate::backend::ResourceBackend {
                &*self.0.served.backend
            }

            fn policy(&self) -> &$policy {
                &self.0.policy
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let policy = &self.0.policy;
                f.debug_tuple(stringify!($name)).field(&self.0.served).field(policy).finish()
            }
        }
    };
}
pub(super) use processor;
