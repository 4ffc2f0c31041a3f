//! The fake's database, its clock and its ids.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{
    integrations::Integrations,
    log::RecordedRequest,
    model::{
        AgentIdentity, AgentProcessor, AgentService, ComponentUsage, Customer, Offering, OfferingUser, Order,
        PlanPeriod, Project, ProjectAccount, Resource, Role, ServiceProvider, SshKey, Table, UsageKey, User, UserLimit,
        UserUsage,
    },
    oidc::Issuer,
    words::{Backfilling, Generation},
};
use crate::types::{CustomerUuid, OfferingUuid, OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid};

/// The type of offerings that a site agent serves, in both generations.
pub(super) const SITE_AGENT: &str = "Marketplace.Slurm";

pub(super) type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where the fake answers.
pub(super) struct Base {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// The path before `/api/`, without a slash at the end.
    pub(super) prefix: String,
}

impl Base {
    pub(super) fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }
}

impl Default for Base {
    fn default() -> Self {
        let (scheme, host) = ("https".to_owned(), "waldur.example.org".to_owned());
        Self { scheme, host, port: None, prefix: String::new() }
    }
}

impl From<&Url> for Base {
    fn from(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port(),
            prefix: url.path().trim_end_matches('/').to_owned(),
        }
    }
}

/// Everything that the fake knows.
pub(super) struct State {
    pub(super) generation: Generation,
    pub(super) base: Base,
    pub(super) wall: Wall,
    pub(super) approval_delay: u32,
    pub(super) team_delay: u32,
    pub(super) backfilling: Backfilling,
    pub(super) issuer: Option<Issuer>,

    pub(super) customers: Table<Customer>,
    pub(super) providers: Table<ServiceProvider>,
    pub(super) projects: Table<Project>,
    pub(super) users: Table<User>,
    pub(super) roles: Table<Role>,
    pub(super) keys: Table<SshKey>,
    pub(super) offerings: Table<Offering>,
    pub(super) resources: Table<Resource>,
    pub(super) orders: Table<Order>,
    pub(super) offering_users: Table<OfferingUser>,
    pub(super) accounts: Table<ProjectAccount>,
    pub(super) user_limits: Table<UserLimit>,
    pub(super) member_statuses: HashMap<ResourceUuid, Vec<Value>>,
    /// Who does not consent to the terms of what.
    pub(super) refusals: HashSet<(UserUuid, OfferingUuid)>,
    pub(super) plan_periods: Table<PlanPeriod>,
    pub(super) usages: Table<ComponentUsage>,
    pub(super) usage_places: HashMap<UsageKey, Uuid>,
    pub(super) user_usages: Table<UserUsage>,
    pub(super) identities: Table<AgentIdentity>,
    pub(super) services: Table<AgentService>,
    pub(super) processors: Table<AgentProcessor>,
    pub(super) integrations: Integrations,

    pub(super) log: Vec<RecordedRequest>,
    pub(super) unserved: Vec<String>,
    pub(super) done_without_backend_id: Vec<OrderUuid>,
    clock: Timestamp,
    seed: u32,
    ids: u64,
    slugs: HashMap<(&'static str, String), u32>,
}

impl State {
    pub(super) fn new(generation: Generation, seed: u32) -> Self {
        Self {
            generation,
            base: Base::default(),
            wall: ticking(),
            clock: Timestamp::UNIX_EPOCH,
            seed,
            approval_delay: 0,
            team_delay: 0,
            backfilling: Backfilling::Everything,
            issuer: None,
            customers: Table::default(),
            providers: Table::default(),
            projects: Table::default(),
            users: Table::default(),
            roles: Table::default(),
            keys: Table::default(),
            offerings: Table::default(),
            resources: Table::default(),
            orders: Table::default(),
            offering_users: Table::default(),
            accounts: Table::default(),
            user_limits: Table::default(),
            member_statuses: HashMap::new(),
            refusals: HashSet::new(),
            plan_periods: Table::default(),
            usages: Table::default(),
            usage_places: HashMap::new(),
            user_usages: Table::default(),
            identities: Table::default(),
            services: Table::default(),
            processors: Table::default(),
            integrations: Integrations::default(),
            log: Vec::new(),
            unserved: Vec::new(),
            done_without_backend_id: Vec::new(),
            ids: 0,
            slugs: HashMap::new(),
        }
    }

    /// Looks at the clock: once per request and once per row that a test seeds.
    pub(super) fn tick(&mut self) -> Timestamp {
        self.clock = (self.wall)();
        self.clock
    }

    /// The time of the last look.
    pub(super) fn now(&self) -> Timestamp {
        self.clock
    }

    /// The next id: the seed in front, a counter behind, so that it can be read in a failing test.
    pub(super) fn uuid(&mut self) -> Uuid {
        self.ids += 1;
        // Version 4 and the standard variant, so that whoever checks those is content.
        let bits = (u128::from(self.seed) << 96) | (0x4000 << 64) | (0x8000 << 48) | u128::from(self.ids);
        Uuid::from_u128(bits)
    }

    /// The next slug for a name: its first eight characters and a number (recorded: `alloc-pending` → `alloc-pe-1`).
    pub(super) fn slug(&mut self, table: &'static str, name: &str) -> String {
        let stem: String = slugified(name).chars().take(8).collect();
        let number = self.slugs.entry((table, stem.clone())).or_default();
        *number += 1;
        format!("{stem}-{number}")
    }

    pub(super) fn customer(&self, uuid: CustomerUuid) -> Option<&Customer> {
        self.customers.get(uuid.uuid())
    }

    pub(super) fn project(&self, uuid: ProjectUuid) -> Option<&Project> {
        self.projects.get(uuid.uuid())
    }

    pub(super) fn user(&self, uuid: UserUuid) -> Option<&User> {
        self.users.get(uuid.uuid())
    }

    pub(super) fn offering(&self, uuid: OfferingUuid) -> Option<&Offering> {
        self.offerings.get(uuid.uuid())
    }

    pub(super) fn resource(&self, uuid: ResourceUuid) -> Option<&Resource> {
        self.resources.get(uuid.uuid())
    }

    pub(super) fn order(&self, uuid: OrderUuid) -> Option<&Order> {
        self.orders.get(uuid.uuid())
    }

    /// The offering that has a plan.
    pub(super) fn offering_of_plan(&self, plan: PlanUuid) -> Option<&Offering> {
        self.offerings.iter().find(|offering| offering.plan(plan).is_some())
    }

    /// The orders of a resource that have not come to an end.
    pub(super) fn open_orders(&self, resource: ResourceUuid) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |order| order.resource == resource && !order.state.is_terminal())
    }
}

/// A clock that begins at a fixed instant and goes on by a millisecond whenever it is looked at, so that rows have
/// different ages and every run has the same times.
fn ticking() -> Wall {
    const BEGIN: i64 = 1_767_225_600;
    let ticks = AtomicI64::new(0);
    Arc::new(move || {
        let elapsed = SignedDuration::from_millis(ticks.fetch_add(1, Ordering::Relaxed));
        Timestamp::new(BEGIN, 0).ok().and_then(|begin| begin.checked_add(elapsed).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
    })
}

/// Lower case, with one dash for every run of anything but ASCII letters and digits.
fn slugified(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if letter.is_ascii() && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
