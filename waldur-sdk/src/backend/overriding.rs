//! Replaces single methods of a back end: [`Override`], [`Overridden`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{
    ApiKeys, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, EndDate, Evaluation, Finding, Grant,
    Importable, Importer, Inspection, IssuedKey, LimitChange, MarketplaceResource, MemberDirectory, MemberOutcome,
    MembershipPlan, OpContext, OptionChange, PendingOrder, PendingOrders, PendingWork, Period, PlanChange, Progress,
    Removed, ResourceBackend, ResourceState, ResourceUpkeep, Settled, Status, StatusControl, Surroundings, Usage,
    UsageSource, UserLimits, UsernameRequest, Verified,
    operations::{Answer, ids, operations},
};
use crate::{
    error::Result,
    rest::Complete,
    types::{BackendId, Limits, OfferingUserUuid, Personal},
};

macro_rules! overriding {
    (
        to {}
        about { $($about:ident($($key:ident: $value:ty),*) -> $is:ty;)* }
        own { $(
            $_access:ident $_name:literal: $own:ident($($arg:ident: $type:ty),*) -> $answer:ty $(, each $_ids:expr)?;
        )* }
        $($accessor:ident: $facet:ident { $(
            $_facet_access:ident $_facet_name:literal: $hook:ident =>
                $method:ident($($with:ident: $with_type:ty),*) -> $result:ty $(, each $ids:expr)?;
        )* })*
    ) => {
        /// Changes single methods of a back end. Methods that you do not write go to [`Override::inner`].
        /// [`Overridden`] turns it into a back end.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use async_trait::async_trait;
        /// use waldur_sdk::{
        ///     Error, Result,
        ///     backend::{CreateRequest, Created, OpContext, Overridden, Override, Progress, ResourceBackend, Verified},
        /// };
        ///
        /// /// Makes nothing on Mondays.
        /// struct OutOfOrder(Arc<dyn ResourceBackend>);
        ///
        /// #[async_trait]
        /// impl Override for OutOfOrder {
        ///     fn inner(&self) -> &dyn ResourceBackend {
        ///         &self.0
        ///     }
        ///     async fn create(&self, _: &OpContext, _: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        ///         Err(Error::not_ready("it is Monday"))
        ///     }
        /// }
        ///
        /// fn back_end(sound: Arc<dyn ResourceBackend>) -> impl ResourceBackend {
        ///     Overridden(OutOfOrder(sound))
        /// }
        /// ```
        ///
        /// Methods of facets have the names of the `Operation`s in [`layers`](super::layers), with `_` for `.`:
        /// `members_apply` for `members.apply`. To add a facet that the inner back end lacks, write its accessor and an
        /// implementation of its trait.
        #[async_trait]
        pub trait Override: Send + Sync + 'static {
            /// The back end that does everything else.
            fn inner(&self) -> &dyn ResourceBackend;

            $(
                #[doc = concat!("See [`ResourceBackend::", stringify!($about), "`].")]
                fn $about(&self $(, $key: $value)*) -> $is {
                    self.inner().$about($($key),*)
                }
            )*
            $(
                #[doc = concat!("See [`ResourceBackend::", stringify!($own), "`].")]
                async fn $own(&self, cx: &OpContext $(, $arg: $type)*) -> $answer {
                    self.inner().$own(cx $(, $arg)*).await
                }
            )*
            $(
                #[doc = concat!("See [`ResourceBackend::", stringify!($accessor), "`].")]
                fn $accessor(&self) -> Option<&dyn $facet> {
                    self.inner().$accessor()
                }
                $(
                    #[doc = concat!("See [`", stringify!($facet), "::", stringify!($method), "`].")]
                    async fn $hook(&self, cx: &OpContext $(, $with: $with_type)*) -> $result {
                        match self.$accessor() {
                            Some(facet) => facet.$method(cx $(, $with)*).await,
                            None => Answer::no_facet(ids!($($ids)?)),
                        }
                    }
                )*
            )*
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<O: Override> ResourceBackend for Overridden<O> {
            $(fn $about(&self $(, $key: $value)*) -> $is {
                self.0.$about($($key),*)
            })*
            $(async fn $own(&self, cx: &OpContext $(, $arg: $type)*) -> $answer {
                self.0.$own(cx $(, $arg)*).await
            })*
            $(fn $accessor(&self) -> Option<&dyn $facet> {
                self.0.$accessor().map(|_| self as _)
            })*
        }

        $(
            #[async_trait]
            #[deny(clippy::missing_trait_methods)]
            impl<O: Override> $facet for Overridden<O> {
                $(async fn $method(&self, cx: &OpContext $(, $with: $with_type)*) -> $result {
                    self.0.$hook(cx $(, $with)*).await
                })*
            }
        )*
    };
}

operations!(overriding);

/// The back end that an [`Override`] makes of another.
#[derive(Clone, Debug)]
pub struct Overridden<O>(pub O);
