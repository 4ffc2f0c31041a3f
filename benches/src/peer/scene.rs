//! What is there before a cycle, and what must be there after it.
//!
//! Every resource is in a project of its own, and the same five people are members of all projects: what performance.md
//! measured. Names have a fixed width, so that none of them is part of another: the Python plugin for Harbor looks
//! projects up by a part of their name, ten at a time.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::testing::{FakeCroit, FakeRadosGw, SeedUser};
use waldur_backend_harbor::testing::{FakeHarbor, Permission, SeedProject, SeedRobot};
use waldur_sdk::{
    rest::HttpTransport,
    testing::waldur::{Billing, FakeWaldur, Generation, OrderState, ResourceView},
    types::{Decimal, OfferingUuid, OrderUuid, ProjectUuid, ResourceUuid},
};

use super::{Agent, Mode, System, ours::Setup, socket::Door};
use crate::Result;

const GIB: i64 = 1 << 30;

/// What is ordered, in GiB. Not what the back ends take when nothing was ordered.
const ORDERED: i64 = 20;

/// The limit that there is already, in GiB, and the one that the back end takes when nothing was ordered. They are the
/// same because the Python plugin for Harbor sets every quota to its default in every cycle of `membership_sync`; with
/// any other limit ([`Scene::holding`]) the two agents cannot end in the same state.
const HELD: i64 = 10;

/// What may be stored, in GiB, and in how many objects.
const CEILING: (i64, i64) = (100, 10_000);

const PEOPLE: usize = 5;

/// A developer.
const ROLE: i64 = 2;

/// A marketplace and a back end.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The marketplace.
    pub waldur: FakeWaldur,
    backend: Backend,
    offering: OfferingUuid,
    mode: Mode,
    held: i64,
    orders: Vec<OrderUuid>,
    resources: Vec<ResourceUuid>,
}

#[derive(Clone, Debug)]
enum Backend {
    Harbor(FakeHarbor),
    CephS3(FakeRadosGw),
    CroitS3(FakeCroit),
}

impl Scene {
    /// A scene for a mode: `count` pending orders, or `count` resources in use.
    ///
    /// # Errors
    /// When the back end refuses what it is to begin with.
    pub fn new(system: System, mode: Mode, count: usize) -> Result<Self> {
        Self::holding(system, mode, count, HELD)
    }

    /// The same, with another limit of what there is already, in GiB.
    ///
    /// # Errors
    /// When the back end refuses what it is to begin with.
    pub fn holding(system: System, mode: Mode, count: usize, held: i64) -> Result<Self> {
        let waldur = FakeWaldur::new(Generation::V8).with_wall(Timestamp::now);
        let (backend, offering) = match system {
            System::Harbor => {
                let offering = waldur.offering().name("Registry").component("storage", Billing::Limit).create();
                // The Python plugin also reads quotas, in the summaries of projects.
                let rights = [Permission::needed(), vec![Permission::all_projects(&["quota:read"])]].concat();
                let harbor = FakeHarbor::builder().robot(SeedRobot::system("waldur", rights)).build();
                (Backend::Harbor(harbor), offering)
            }
            System::CephS3 | System::CroitS3 => {
                let offering = waldur.offering().name("Object storage").component("s3_storage", Billing::Usage);
                let offering = offering.component("s3_objects", Billing::Usage).create();
                let backend = match system {
                    System::CroitS3 => Backend::CroitS3(FakeCroit::new()),
                    _ => Backend::CephS3(FakeRadosGw::new()),
                };
                (backend, offering)
            }
        };
        let mut scene = Self { waldur, backend, offering, mode, held, orders: Vec::new(), resources: Vec::new() };
        let projects = scene.projects(count);
        for (number, project) in projects.into_iter().enumerate() {
            match mode {
                Mode::OrderProcess => scene.order(number, project),
                Mode::Report | Mode::MembershipSync => scene.resource(number, project)?,
            }
        }
        Ok(scene)
    }

    /// The projects, with their members.
    fn projects(&self, count: usize) -> Vec<ProjectUuid> {
        let project = |number| self.waldur.project(&format!("Project {number}")).slug(project_slug(number)).create();
        let projects: Vec<ProjectUuid> = (0..count).map(project).collect();
        for number in 0..PEOPLE {
            let user = self.waldur.user(&format!("person{number}"));
            let member = projects.iter().fold(user, |user, project| user.project_role(*project, "PROJECT.MEMBER"));
            let member = member.create();
            self.waldur.offering_user(self.offering, member).create();
        }
        projects
    }

    fn order(&mut self, number: usize, project: ProjectUuid) {
        let order = self.waldur.order(self.offering).create_resource(format!("Resource {number}")).project(project);
        let order = order.resource(|seed| seed.slug(slug(number)));
        self.orders.push(match &self.backend {
            Backend::Harbor(_) => order.limits([("storage", ORDERED)]).pending(),
            Backend::CephS3(_) | Backend::CroitS3(_) => order.attributes(attributes()).pending(),
        });
    }

    fn resource(&mut self, number: usize, project: ProjectUuid) -> Result<()> {
        let id = backend_id(number);
        let resource = self.waldur.resource(self.offering).name(format!("Resource {number}")).project(project);
        let resource = resource.slug(slug(number)).backend_id(&id);
        let uuid = match &self.backend {
            Backend::Harbor(harbor) => {
                let uuid = resource.limits([("storage", self.held)]).create();
                let project = SeedProject::new(&id).quota(self.held * GIB).used(u64::try_from(stored(number) * GIB)?);
                let group = format!("waldur-{}", project_slug(number));
                // The marks of the SDK's back end; the Python plugin does not look at them.
                let marked = project.group(&group, ROLE).tolerates(&format!("waldur-resource-{}", uuid.hex()));
                harbor.add_project(marked.tolerates(&format!("waldur-group-{group}")))?;
                uuid
            }
            Backend::CephS3(gateway) => {
                let uuid = resource.attributes(attributes()).create();
                seed(gateway, number, uuid)?;
                uuid
            }
            Backend::CroitS3(croit) => {
                let uuid = resource.attributes(attributes()).create();
                seed(croit.gateway(), number, uuid)?;
                let (from, until) = span();
                croit.stores(&id, from, u64::try_from(stored(number) * GIB)?);
                croit.stores(&id, until, 0);
                uuid
            }
        };
        self.resources.push(uuid);
        Ok(())
    }

    /// What Harbor grants to each resource and what Waldur has sold of it, both in GiB.
    pub fn granted_and_sold(&self) -> Vec<(Option<i64>, Option<i64>)> {
        let resources = self.resources.iter().enumerate();
        let pair = |(number, resource): (usize, &ResourceUuid)| {
            let granted = match &self.backend {
                Backend::Harbor(harbor) => harbor.quota_of(&backend_id(number)).map(|quota| quota.hard / GIB),
                Backend::CephS3(_) | Backend::CroitS3(_) => None,
            };
            (granted, self.waldur.resource_view(*resource).limits.get("storage").and_then(Value::as_i64))
        };
        resources.map(pair).collect()
    }

    /// Of how many resources Waldur has been told something by this name.
    pub fn published(&self, name: &str) -> usize {
        let told =
            |resource: &&ResourceUuid| self.waldur.resource_view(**resource).backend_metadata.get(name).is_some();
        self.resources.iter().filter(told).count()
    }

    /// What has to be served: Waldur, and the back end.
    pub fn transports(&self) -> [Arc<dyn HttpTransport>; 2] {
        let backend: Arc<dyn HttpTransport> = match &self.backend {
            Backend::Harbor(harbor) => Arc::new(harbor.clone()),
            Backend::CephS3(gateway) => Arc::new(gateway.clone()),
            Backend::CroitS3(croit) => Arc::new(croit.clone()),
        };
        [Arc::new(self.waldur.clone()), backend]
    }

    /// What an agent needs to know, once the scene is served behind `waldur` and `backend`.
    pub fn setup(&self, waldur: &Door, backend: &Door) -> Setup {
        Setup {
            system: self.system(),
            mode: self.mode,
            waldur: waldur.url.clone(),
            token: self.waldur.token().expose_secret().to_owned(),
            offering: self.offering,
            backend: backend.url.clone(),
        }
    }

    fn system(&self) -> System {
        match &self.backend {
            Backend::Harbor(_) => System::Harbor,
            Backend::CephS3(_) => System::CephS3,
            Backend::CroitS3(_) => System::CroitS3,
        }
    }

    /// `backend_settings`, for both agents.
    pub fn settings(&self, url: &str) -> Value {
        let url = url.trim_end_matches('/');
        match &self.backend {
            Backend::Harbor(harbor) => json!({
                "harbor_url": url,
                "robot_username": harbor.robot_login(),
                "robot_password": harbor.robot_secret().expose_secret(),
                "default_storage_quota_gb": HELD,
                "oidc_group_prefix": "waldur-",
                "project_role_id": ROLE,
                "allocation_prefix": "waldur-",
            }),
            Backend::CephS3(gateway) => json!({
                "flavour": "radosgw",
                "s3_endpoint": url,
                "admin_access_key": gateway.access_key(),
                "admin_secret_key": gateway.secret_key().expose_secret(),
                "allocation_prefix": "waldur-",
                // Ours; the Python plugin knows no other way, and no such key.
                "naming": "processor",
            }),
            Backend::CroitS3(croit) => json!({
                "flavour": "croit",
                "api_url": url,
                "token": croit.token().expose_secret(),
                "s3_endpoint": "https://s3.example.org",
                "allocation_prefix": "waldur-",
                // Ours, all three. The plugin measures so where it reports, and has API keys alone.
                "naming": "processor",
                "usage_model": "gb_days",
                "credentials_mode": "api_keys",
            }),
        }
    }

    /// `backend_components`, for both agents.
    pub fn component_settings(&self) -> Value {
        match &self.backend {
            Backend::Harbor(_) => json!({
                "storage": {
                    "measured_unit": "GB", "unit_factor": 1, "accounting_type": "limit", "label": "Storage",
                },
            }),
            Backend::CephS3(_) | Backend::CroitS3(_) => json!({
                "s3_storage": {
                    "measured_unit": "GB", "unit_factor": GIB, "accounting_type": "usage", "label": "Storage",
                    "backend_name": "storage",
                },
                "s3_objects": {
                    "measured_unit": "objects", "unit_factor": 1, "accounting_type": "usage", "label": "Objects",
                    "backend_name": "objects",
                },
            }),
        }
    }

    /// What is not as it must be after the duty was done by `agent`.
    pub fn problems(&self, agent: Agent) -> Vec<String> {
        let mut problems = self.foreign_to_the_fakes();
        match self.mode {
            Mode::OrderProcess => self.ordered(agent, &mut problems),
            Mode::Report => self.reported(agent, &mut problems),
            Mode::MembershipSync => self.kept(&mut problems),
        }
        problems
    }

    /// Calls that the fakes do not know: they would have to learn them.
    fn foreign_to_the_fakes(&self) -> Vec<String> {
        let mut unserved = self.waldur.unserved();
        unserved.extend(match &self.backend {
            Backend::Harbor(harbor) => harbor.unmodelled(),
            Backend::CephS3(gateway) => gateway.unmodelled(),
            Backend::CroitS3(croit) => croit.gateway().unmodelled(),
        });
        unserved.sort();
        unserved.dedup();
        unserved.into_iter().map(|call| format!("not served: {call}")).collect()
    }

    fn ordered(&self, agent: Agent, problems: &mut Vec<String>) {
        for (number, order) in self.orders.iter().enumerate() {
            let view = self.waldur.order_view(*order);
            let resource = self.waldur.resource_view(view.resource);
            if view.state != OrderState::Done || resource.backend_id != backend_id(number) {
                let (state, id) = (view.state, &resource.backend_id);
                problems.push(format!("order {number} is {state:?}, its resource {id:?}: {}", view.error_message));
                continue;
            }
            problems.extend(match &self.backend {
                Backend::Harbor(harbor) => made_project(harbor, number, agent),
                Backend::CephS3(gateway) => made_user(gateway, number, &resource),
                Backend::CroitS3(croit) => made_user(croit.gateway(), number, &resource),
            });
        }
    }

    /// What is stored is what Waldur has of this month; of croit, times the days. The Python plugin for S3 never reports
    /// from a gateway.
    fn reported(&self, agent: Agent, problems: &mut Vec<String>) {
        for (number, resource) in self.resources.iter().enumerate() {
            let storage = Decimal::from(stored(number));
            let wanted = match (&self.backend, agent) {
                (Backend::Harbor(_), _) => vec![("storage", storage)],
                (Backend::CephS3(_), Agent::Python) => Vec::new(),
                (Backend::CephS3(_), Agent::Sdk) => vec![("s3_objects", Decimal::ONE), ("s3_storage", storage)],
                (Backend::CroitS3(_), _) => vec![("s3_storage", storage * days())],
            };
            // Statistics are averages of several minutes.
            let slack = if self.system() == System::CroitS3 { storage / Decimal::from(20) } else { Decimal::ZERO };
            let rows = self.waldur.usage_of(*resource);
            let mut found: Vec<_> = rows.iter().map(|row| (row.component.as_str(), row.amount)).collect();
            found.sort_unstable();
            let same = |(found, wanted): (&(&str, Decimal), &(&str, Decimal))| {
                found.0 == wanted.0 && (found.1 - wanted.1).abs() <= slack
            };
            if found.len() != wanted.len() || !found.iter().zip(&wanted).all(same) {
                problems.push(format!("of resource {number} Waldur has {found:?} and not {wanted:?}"));
            }
        }
    }

    /// Nothing that was there before has changed.
    fn kept(&self, problems: &mut Vec<String>) {
        for (number, resource) in self.resources.iter().enumerate() {
            let (id, view) = (backend_id(number), self.waldur.resource_view(*resource));
            let held = match &self.backend {
                Backend::Harbor(harbor) => {
                    let limits = view.limits.get("storage").and_then(Value::as_i64);
                    let quota = harbor.quota_of(&id).map(|quota| quota.hard);
                    limits == Some(self.held) && quota == Some(self.held * GIB)
                }
                Backend::CephS3(gateway) => has_ceilings(gateway, &id),
                Backend::CroitS3(croit) => has_ceilings(croit.gateway(), &id),
            };
            if !held || view.backend_id != id {
                problems.push(format!("resource {number} is not as it was: {view:?}"));
            }
        }
    }
}

/// The Python processor calls the generic creation of its base class, which never binds the group (harbor.md §5.1).
fn made_project(harbor: &FakeHarbor, number: usize, agent: Agent) -> Option<String> {
    let id = backend_id(number);
    let Some(project) = harbor.project(&id) else { return Some(format!("there is no project {id}")) };
    let group = format!("waldur-{}", project_slug(number));
    let bound: &[(&str, i64)] = match agent {
        Agent::Python => &[],
        Agent::Sdk => &[(&group, ROLE)],
    };
    let hard = project.quota.map(|quota| quota.hard);
    let right = hard == Some(ORDERED * GIB) && !project.public && project.groups() == bound;
    (!right).then(|| format!("project {id} is {project:?}"))
}

fn made_user(gateway: &FakeRadosGw, number: usize, resource: &ResourceView) -> Option<String> {
    let id = backend_id(number);
    let Some(user) = gateway.user(&id) else { return Some(format!("there is no user {id}")) };
    let right = is_ceiling(user.user_quota)
        && is_ceiling(user.bucket_quota)
        && user.email.starts_with("waldur-")
        && !user.keys.is_empty()
        && resource.endpoint("S3 endpoint").is_some();
    (!right).then(|| format!("user {id} is {user:?}"))
}

/// A user as an earlier order made it, with something stored.
fn seed(gateway: &FakeRadosGw, number: usize, resource: ResourceUuid) -> Result<()> {
    let id = backend_id(number);
    let stamp = format!("waldur-{}-{id}@invalid", resource.uuid());
    let user = SeedUser::new(&id).email(&stamp).key(&format!("SCENE{number:015}"), "0123456789".repeat(4));
    gateway.add_user(user).map_err(|refused| format!("{refused:?}"))?;
    gateway
        .edit_user(&id, |user| {
            for quota in [user.user_quota, user.bucket_quota] {
                (quota.enabled, quota.max_size, quota.max_objects) = (true, CEILING.0 * GIB, CEILING.1);
            }
        })
        .map_err(|refused| format!("{refused:?}"))?;
    let bucket = format!("bucket-{number}");
    let size = u64::try_from(stored(number) * GIB)?;
    let put = gateway.create_bucket(&id, &bucket).and_then(|()| gateway.put_object(&id, &bucket, "data", size));
    put.map_err(|refused| format!("{refused:?}").into())
}

/// From when until when users of croit's have stored something: most of a day, as far as it lies in this month.
fn span() -> (Timestamp, Timestamp) {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let month = now.date().first_of_month().to_zoned(TimeZone::UTC).unwrap_or_else(|_| now.clone());
    let (begin, end) = (now.timestamp() - 25.hours(), now.timestamp() - 1.hour());
    (begin.max(month.timestamp()), end.max(month.timestamp()))
}

fn days() -> Decimal {
    let (from, until) = span();
    Decimal::from(until.as_second() - from.as_second()) / Decimal::from(86_400)
}

fn has_ceilings(gateway: &FakeRadosGw, id: &str) -> bool {
    gateway.quota(id).is_some_and(|(user, bucket)| is_ceiling(user) && is_ceiling(bucket))
}

fn is_ceiling(quota: waldur_backend_croit::testing::Quota) -> bool {
    quota.enabled && quota.max_size == CEILING.0 * GIB && quota.max_objects == CEILING.1
}

fn attributes() -> Value {
    json!({ "max_storage_limit": CEILING.0, "max_object_limit": CEILING.1 })
}

/// What a resource stores, in GiB: more than nothing, less than it may.
fn stored(number: usize) -> i64 {
    i64::try_from(number % 7).unwrap_or_default() + 1
}

fn slug(number: usize) -> String {
    format!("res{number:05}")
}

fn project_slug(number: usize) -> String {
    format!("prj{number:05}")
}

fn backend_id(number: usize) -> String {
    format!("waldur-{}", slug(number))
}
