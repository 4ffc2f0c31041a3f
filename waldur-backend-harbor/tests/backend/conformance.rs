//! The contract of a back end, held against ours over the fake Harbor.

use std::sync::Arc;

use async_trait::async_trait;
use waldur_backend_harbor::testing::SeedProject;
use waldur_sdk::{
    backend::{MarketplaceResource, Party, Period, ResourceBackend},
    rest::TransportErrorKind,
    testing::conformance::{self, Subject, Verdict},
    types::{BackendId, Limits, OfferingUuid, Uuid},
};

use crate::common::{Failure, GIB, Gate, OTHER_STAMP, backend, storage};

struct Registry {
    gate: Gate,
}

#[async_trait]
impl Subject for Registry {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        Arc::new(backend(&self.gate))
    }

    fn limits(&self) -> Limits {
        storage(20)
    }

    fn other_limits(&self) -> Limits {
        storage(50)
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

#[tokio::test(start_paused = true)]
async fn a_registry_keeps_the_contract() {
    let registry = Registry { gate: Gate::new() };
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
}
