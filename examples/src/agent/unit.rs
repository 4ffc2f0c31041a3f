//! One offering in one mode: everything it needs, kept from pass to pass.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::join};
use tracing::{error, info, warn};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OfferingFacts, OpContext, ResourceBackend, UsernameBackend, layers},
    client::WaldurClient,
    process::{OfferingContext, ServedOffering},
    rest::Environment,
    settings::{AgentSettings, Components, OfferingSettings},
};

use super::pulse::{Pulse, Watch};
use crate::{
    exit::Exit,
    modes::{self, Mode, Parts, Summary, Work, exit_of},
    registration::register,
    site::{Draft, Site},
};

/// How long the components and options of an offering are taken to be as they were read.
const CONTEXT_LIFETIME: Duration = Duration::from_hours(1);

/// One offering in one mode.
#[derive(Debug)]
pub struct Unit {
    site: Site,
    settings: AgentSettings,
    offering: OfferingSettings,
    mode: Mode,
    backend_type: String,
    waldur: WaldurClient,
    pulse: Arc<Pulse>,
    dry_run: bool,
    registered: bool,
    ready: Option<Ready>,
}

#[derive(Debug)]
struct Ready {
    loaded: Instant,
    built: Built,
    work: Box<dyn Work>,
}

/// Back ends, and what they were built from beside the settings. They are kept as long as that is the same, and with them
/// what they remember.
#[derive(Clone)]
struct Built {
    components: Components,
    facts: OfferingFacts,
    backend: Arc<dyn ResourceBackend>,
    usernames: Option<Arc<dyn UsernameBackend>>,
}

impl Built {
    fn fits(&self, context: &OfferingContext) -> bool {
        self.components == context.components && self.facts == context.facts()
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").finish_non_exhaustive()
    }
}

/// What became of a unit in one pass.
#[derive(Debug)]
pub struct Pass {
    /// The offering's name.
    pub offering: String,
    /// What was done for it.
    pub mode: Mode,
    /// What it came to, or why it came to nothing.
    pub outcome: Result<Summary>,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it ended by a defect of somebody's code.
    pub panicked: bool,
}

impl Pass {
    /// What it means for a program that ends with it.
    pub fn exit(&self) -> Exit {
        self.outcome.as_ref().map_or_else(exit_of, |summary| summary.exit)
    }
}

impl Unit {
    pub(crate) fn new(
        site: &Site,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        mode: Mode,
        backend_type: &str,
        dry_run: bool,
    ) -> Result<Self> {
        let pulse = Arc::new(Pulse::new(&offering.name, mode, site.metrics(), site.environment()));
        Ok(Self {
            site: site.clone(),
            waldur: site.waldur(settings, offering, mode.agent_mode(), Watch(pulse.clone()))?,
            settings: settings.clone(),
            offering: offering.clone(),
            mode,
            backend_type: backend_type.to_owned(),
            pulse,
            dry_run,
            registered: dry_run,
            ready: None,
        })
    }

    /// The offering's name.
    pub fn name(&self) -> &str {
        &self.offering.name
    }

    /// What is done for it.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn environment(&self) -> &Environment {
        self.site.environment()
    }

    /// One pass. The first one makes the agent known to Waldur; a failure of that is logged, and tried again with the
    /// next. A panic of whatever code takes part ends the pass and nothing else.
    pub async fn run_once(&mut self, cx: &OpContext) -> Pass {
        let begin = self.environment().instant();
        let cx = cx.child(self.name());
        self.pulse.begin();
        let guarded = AssertUnwindSafe(self.try_once(&cx)).catch_unwind().await;
        let panicked = guarded.is_err();
        let outcome = guarded.unwrap_or_else(|_what_it_says_may_be_secret| {
            // What is half done inside may not be used again.
            self.ready = None;
            Err(Error::new(ErrorKind::Other, "a defect ended the pass; a line of its own says where"))
        });
        let elapsed = self.environment().instant().saturating_duration_since(begin);
        let pass = Pass { offering: self.name().to_owned(), mode: self.mode, outcome, elapsed, panicked };
        if let Err(error) = &pass.outcome {
            error!(offering = self.name(), mode = %self.mode, "the pass failed: {error:#}");
        }
        self.pulse.end(&pass);
        pass
    }

    async fn try_once(&mut self, cx: &OpContext) -> Result<Summary> {
        let (registered, renewed) = join(self.register(), self.renewed()).await;
        self.registered = registered;
        if let Some(ready) = renewed? {
            self.ready = Some(ready);
        }
        match &self.ready {
            Some(ready) => ready.work.pass(cx).await,
            None => Err(Error::new(ErrorKind::Other, "the offering was never read")),
        }
    }

    async fn register(&self) -> bool {
        if self.registered {
            return true;
        }
        let (waldur, offering, mode) = (self.waldur.clone(), self.offering.clone(), self.mode);
        let (backend_type, started) = (self.backend_type.clone(), self.site.started());
        let registration = async move { register(&waldur, &offering, mode, &backend_type, started).await };
        match self.site.registrations.run(self.offering.offering_uuid, registration).await {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                info!(offering = self.name(), "this Waldur keeps no register of agents");
                true
            }
            Err(error) => {
                warn!(offering = self.name(), "the agent could not be registered: {error:#}");
                false
            }
        }
    }

    /// The work that knows the offering as it is now; `None` as long as what is known is young enough.
    async fn renewed(&self) -> Result<Option<Ready>> {
        let now = self.environment().instant();
        let is_young = |ready: &Ready| now.saturating_duration_since(ready.loaded) < CONTEXT_LIFETIME;
        if self.ready.as_ref().is_some_and(is_young) {
            return Ok(None);
        }
        let context =
            OfferingContext::load(&self.waldur, self.offering.offering_uuid, &self.offering.components).await?;
        self.warn_of(&context);
        let built = match self.ready.as_ref().filter(|ready| ready.built.fits(&context)) {
            Some(ready) => ready.built.clone(),
            None => self.build(&context)?,
        };
        let uuid = self.offering.offering_uuid;
        let parts = Parts {
            settings: &self.settings,
            offering: &self.offering,
            served: ServedOffering::new(self.waldur.clone(), built.backend.clone(), uuid)
                .with_context(&context)
                .with_lanes(&self.site.lanes(uuid)),
            usernames: built.usernames.clone(),
            dry_run: self.dry_run,
            single_pass: self.site.is_single_pass(),
        };
        let work = match &self.ready {
            Some(ready) => ready.work.renewed(&parts),
            None => modes::work(self.mode, &parts),
        };
        Ok(Some(Ready { loaded: now, built, work }))
    }

    fn build(&self, context: &OfferingContext) -> Result<Built> {
        let draft = || Draft { components: &context.components, facts: context.facts() };
        let watch = || Watch(self.pulse.clone());
        let (mut backend, _told_at_start) =
            self.site.backend(&self.settings, &self.offering, &self.backend_type, draft(), watch())?;
        let usernames = match self.mode {
            Mode::MembershipSync => Some(self.site.usernames(&self.settings, &self.offering, draft(), watch())?.0),
            Mode::OrderProcess | Mode::Report => None,
        };
        if self.dry_run {
            backend = Arc::new(layers::dry_run(backend));
        }
        let (components, facts) = (context.components.clone(), context.facts());
        Ok(Built { components, facts, backend, usernames })
    }

    fn warn_of(&self, context: &OfferingContext) {
        for warning in &context.warnings {
            warn!(offering = self.name(), "{warning}");
        }
        let unknown = context.unknown_to_waldur();
        if !unknown.is_empty() {
            let components = unknown.join(", ");
            warn!(offering = self.name(), components, "Waldur does not have these components; see load-components");
        }
    }
}
