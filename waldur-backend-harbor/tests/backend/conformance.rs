//! The contract of a back end, held against ours over the fake Harbor.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use waldur_backend_harbor::testing::{FakeHarborBuilder, SeedProject};
use waldur_sdk::{
    ErrorClass,
    backend::{MarketplaceResource, Party, Period, ResourceBackend, Surroundings},
    client::WaldurClient,
    process::ResourceImport,
    rest::{Environment, TransportErrorKind},
    settings::Components,
    testing::{
        Life,
        conformance::{self, Subject, Verdict},
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{BackendId, Limits, OfferingUuid, Uuid},
};

use crate::common::{
    Failure, GIB, GROUP, Gate, NAME, OTHER_STAMP, backend, backend_with, components, count, cx, environment, http, id,
    now, pass_time, resource, storage,
};

const CYCLE: Duration = Duration::from_secs(300);

/// A registry that sells `limits`, and `other` at an update.
pub(crate) struct Registry {
    pub(crate) gate: Gate,
    pub(crate) limits: u32,
    pub(crate) other: u32,
    /// Settings beside the usual ones.
    pub(crate) more: Value,
}

impl Registry {
    pub(crate) fn new() -> Self {
        // No tick between the halves of a change of a quota: whoever is killed there has changed nothing.
        Self::at(Gate::with(|harbor| harbor.quota_overlap(false)))
    }

    fn at(gate: Gate) -> Self {
        Self { gate, limits: 20, other: 50, more: json!({}) }
    }

    /// As harbors are about to be, where it matters what is absent; projects are deleted with what is in them.
    pub(crate) fn strict() -> Self {
        let strict = |harbor: FakeHarborBuilder| harbor.configure(|settings| settings.head_needs_right = true);
        let gate = Gate::with(|harbor| strict(harbor.quota_overlap(false)));
        Self { more: json!({ "force_delete_repositories": true }), ..Self::at(gate) }
    }
}

#[async_trait]
impl Subject for Registry {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        Arc::new(backend_with(self.gate.clone(), &self.gate.fake, self.more.clone()))
    }

    fn backend_over(&self, life: &Life) -> Option<Arc<dyn ResourceBackend>> {
        Some(Arc::new(backend_with(life.around(self.gate.clone()), &self.gate.fake, self.more.clone())))
    }

    fn environment(&self) -> Environment {
        environment()
    }

    fn limits(&self) -> Limits {
        storage(self.limits)
    }

    fn other_limits(&self) -> Limits {
        storage(self.other)
    }

    fn components(&self) -> Components {
        components()
    }

    fn shown(&self) -> Option<Vec<String>> {
        let fake = &self.gate.fake;
        assert!(fake.unmodelled().is_empty());
        assert_eq!((fake.refused_logins(), fake.requests_with_cookie()), (0, 0));
        let project = |name: String| {
            let project = fake.project(&name).unwrap();
            let (quota, groups) = (project.quota.map(|quota| quota.hard), project.groups());
            format!("{name} {quota:?} {groups:?} {:?} {:?}", project.allowlist, project.repositories)
        };
        let groups = fake.groups().into_iter().map(|group| format!("group {}", group.name));
        Some(fake.projects().into_iter().map(project).chain(groups).collect())
    }

    /// Without the time, which is of its creation.
    fn published(&self, metadata: &Value) -> String {
        let mut metadata = metadata.clone();
        metadata.as_object_mut().unwrap().remove("creation_time");
        metadata.to_string()
    }

    /// Acknowledged as Harbor does, without a body. Not the membership of a group: every hour upkeep looks at it.
    fn lose_write(&self, kind: usize) -> bool {
        let kinds =
            [("POST /projects ", 201), ("PUT /projects/", 200), ("PUT /quotas/", 200), ("DELETE /projects/", 200)];
        let Some((pattern, status)) = kinds.into_iter().nth(kind) else { return false };
        self.gate.fail(pattern, 1, Failure::Status(status, String::new()));
        true
    }

    /// A stranger's project has something in it; an empty one could be what an attempt of ours has left.
    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        let stranger = SeedProject::new(id.as_str()).quota(5 * GIB).used(7);
        let stranger = if stamped { stranger.tolerates(OTHER_STAMP) } else { stranger };
        self.gate.fake.add_project(stranger).is_ok()
    }

    fn set_outage(&self, broken: bool) -> bool {
        self.gate.mend();
        if broken {
            self.gate.fail("", u32::MAX, Failure::Transport(TransportErrorKind::Connect));
        }
        true
    }

    async fn use_up(&self, id: &BackendId, _period: Period) -> bool {
        let image = waldur_backend_harbor::testing::Image::new("v1").layer("data", 5 << 30);
        self.gate.fake.push(id.as_str(), "data", image).is_ok()
    }

    async fn objects(&self) -> Option<usize> {
        Some(self.gate.fake.projects().len())
    }

    /// With the limits that Waldur has on record, by which one that was scaled down is scaled up again.
    fn resource(&self, n: u32) -> MarketplaceResource {
        let uuid = |kind: u128| Uuid::from_u128((kind << 96) | (u128::from(n) << 32) | 0x4000_8000);
        let offering = OfferingUuid::new(Uuid::from_u128(0x0ffe));
        let (name, slug) = (format!("Resource {n}"), format!("res-{n}"));
        let mut resource = MarketplaceResource::new(uuid(0x7e50).into(), offering, name, slug);
        resource.project = Party { uuid: None, name: format!("Project {n}"), slug: format!("project-{n}") };
        resource.limits = self.limits();
        resource
    }
}

/// Lets time pass until a process that runs once looks at a project of the resource.
async fn turn_of(resource: &MarketplaceResource) {
    for _cycle in 0..12 {
        let gate = Gate::new();
        gate.fake.add_project(SeedProject::new("probe").group("waldur-probe", 2)).unwrap();
        let about = Surroundings::new(resource.clone());
        let _looked = backend(&gate).upkeep().unwrap().sync_project(&cx(), &id("probe"), &about).await;
        if !gate.take_log().is_empty() {
            return;
        }
        pass_time(CYCLE).await;
    }
    panic!("its turn does not come within the hour");
}

#[tokio::test(start_paused = true)]
async fn a_registry_keeps_the_contract() {
    let registry = Registry::at(Gate::new());
    // The one that is looked after there.
    turn_of(&registry.resource(72)).await;
    let verdicts = conformance::run(&registry).await;
    assert!(verdicts.passed(), "{verdicts}");
    assert!(registry.gate.fake.unmodelled().is_empty());
    let skipped: Vec<_> = verdicts
        .iter()
        .filter_map(|(check, verdict)| match verdict {
            Verdict::Skipped(_) => Some(*check),
            _ => None,
        })
        .collect();
    // Members, limits of users and keys are none of Harbor's; there is no pause, and nothing is closed by 0.
    let pauses = ["status_is_set_and_restored", "a_pause_is_read_back_and_leaves_members_alone"];
    assert!(pauses.iter().all(|check| skipped.contains(check)), "{verdicts}");
    assert!(skipped.contains(&"restored_object_has_its_limits_again"), "{verdicts}");
    for shown in [
        "downscaling_is_set_again_and_restored",
        "upkeep_of_what_is_in_step_changes_nothing",
        "measured_usage_is_what_was_used",
        "import_lists_what_was_created",
        "metadata_stay_as_they_are",
    ] {
        assert!(!skipped.contains(&shown), "{verdicts}");
    }
    let looks = count(&registry.gate.take_log(), "/projects/waldur-res-72/members?entityname=waldur-project-72");
    assert!(looks > 0, "what is in step was looked at");
}

#[tokio::test(start_paused = true)]
async fn upkeep_leaves_a_strangers_project_alone_when_its_turn_comes() {
    let ours = resource();
    let strangers =
        [SeedProject::new(NAME).tolerates(OTHER_STAMP), SeedProject::new(NAME).tolerates(OTHER_STAMP).group(GROUP, 3)];
    for stranger in strangers {
        turn_of(&ours).await;
        let gate = Gate::new();
        gate.fake.add_project(stranger).unwrap();
        let before = gate.fake.project(NAME);
        let about = Surroundings::new(ours.clone());
        let error = backend(&gate).upkeep().unwrap().sync_project(&cx(), &id(NAME), &about).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
        assert!(gate.take_writes().is_empty());
        assert_eq!(gate.fake.project(NAME), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_is_offered_to_the_waldur_project_whose_group_it_has() {
    let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let team = waldur.project("Team").slug("team").create();
    waldur.change_user(waldur.agent(), |user| user.project_role(team, "PROJECT.MANAGER"));
    let gate = Gate::new();
    let plant = |name: &str, groups: &[&str]| {
        let seed = SeedProject::new(name).quota(5 * GIB);
        gate.fake.add_project(groups.iter().fold(seed, |seed, group| seed.group(group, 2))).unwrap();
    };
    plant("waldur-a", &["waldur-team", "guests"]);
    plant("waldur-b", &["waldur-team", "waldur-other"]);
    plant("waldur-c", &["guests"]);
    plant("waldur-d", &["waldur-gone"]);
    plant("other", &["waldur-team"]);
    let client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http(waldur.clone()));
    let import = ResourceImport::new(client.build().unwrap(), Arc::new(backend(&gate)), offering);
    let found = import.discover(&cx()).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|item| (item.backend_id.as_str(), item.fate.to_string())).collect();
    found.sort();
    let expected = [
        ("waldur-a", format!("can be imported into project {team}")),
        ("waldur-b", "belongs to no project".to_owned()),
        ("waldur-c", "belongs to no project".to_owned()),
        ("waldur-d", "no project has the slug \"gone\"".to_owned()),
    ];
    assert_eq!(found, expected);
    assert!(gate.take_writes().is_empty());
}
