//! Every mode on one offering, with a back end that can do everything, in virtual time.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_examples::{
    agent::{Crew, Event, Pass, Schedule, Unit, pass},
    exit::Exit,
    modes::{Mode, Periods},
    site::Site,
};
use waldur_sdk::{
    Result,
    backend::{BackendFactory, BuildEnv, OpContext, ResourceBackend},
    rest::{Environment, HttpOptions},
    settings::{AgentSettings, Warning},
    testing::{
        Faults, MemoryBackend, MemoryService, op, status,
        waldur::{Billing, FakeWaldur, Generation, OfferingUserState, ResourceState},
    },
    types::{OfferingUuid, ResourceUuid},
};

use crate::{
    exchanges::fake_waldur,
    passes::{environment, to},
};

/// `memory`: whatever the environment reaches is a memory service.
struct MemoryFactory;

impl BackendFactory for MemoryFactory {
    fn backend_types(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let backend = MemoryBackend::through(environment.http(&HttpOptions::default())?)?;
        Ok((Arc::new(backend.with_members().with_status().with_usage()), Vec::new()))
    }
}

/// The middle of a month, so that no zone changes it.
fn at_mid_month() -> Environment {
    environment().with_wall(|| "2026-03-15T12:00:00Z".parse().unwrap())
}

struct Offer {
    waldur: FakeWaldur,
    memory: MemoryService,
    offering: OfferingUuid,
    resource: ResourceUuid,
}

impl Offer {
    fn new() -> Self {
        let now: Timestamp = "2026-03-15T12:00:00Z".parse().unwrap();
        let waldur = fake_waldur(Generation::V8).with_wall(move || now);
        let memory = MemoryService::new();
        let offering = waldur
            .offering()
            .plugin_option("username_generation_policy", "service_provider")
            .plugin_option("service_provider_can_create_offering_user", true)
            .component("cpu", Billing::Usage)
            .create();
        let resource =
            waldur.resource(offering).name("cluster").backend_id("cluster-1").state(ResourceState::Ok).create();
        memory.seed("cluster-1", Some(resource));
        memory.count_usage("cluster-1", "2026-03", "cpu", 12);
        let member =
            waldur.user("ada").name("Ada", "Lovelace").project_role(waldur.default_project(), "PROJECT.MEMBER");
        let member = member.create();
        waldur.offering_user(offering, member).without_username().state(OfferingUserState::Requested).create();
        Self { waldur, memory, offering, resource }
    }

    fn settings(&self, more: &[(&str, Value)]) -> AgentSettings {
        let mut offering = json!({
            "name": "Cluster",
            "waldur_api_url": self.waldur.base_url(),
            "waldur_api_token": self.waldur.token().expose_secret(),
            "waldur_offering_uuid": self.offering.hex(),
            "backend_type": "memory",
            "order_processing_backend": "memory",
            "membership_sync_backend": "memory",
            "reporting_backend": "memory",
            "username_management_backend": "full_name",
            "backend_components": { "cpu": { "label": "CPU", "measured_unit": "h", "accounting_type": "usage" } },
        });
        for (key, value) in more {
            offering[*key] = value.clone();
        }
        AgentSettings::from_value(&json!({ "offerings": [offering] })).unwrap().0
    }

    fn units(&self, modes: &[Mode], dry_run: bool) -> Vec<Unit> {
        self.site().units(&self.settings(&[]), modes, dry_run).unwrap().0
    }

    fn site(&self) -> Site {
        Site::over(to(self.waldur.clone()), to(self.memory.clone()), at_mid_month()).with_factory(MemoryFactory)
    }
}

fn outcome(pass: &Pass, word: &str) -> u64 {
    let summary = pass.outcome.as_ref().unwrap_or_else(|error| panic!("{:?}", error.chain()));
    summary.outcomes.get(word).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn usage_is_reported_once_and_again_when_it_changes() {
    let offer = Offer::new();
    let mut units = offer.units(&[Mode::Report], false);
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    assert_eq!(outcome(&passes[0], "submitted"), 1, "{:?}", passes[0]);
    assert_eq!(offer.waldur.usage_of(offer.resource)[0].amount, 12.into());

    let before = offer.waldur.writes().len();
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(outcome(&passes[0], "unchanged"), 1, "{:?}", passes[0]);
    assert_eq!(offer.waldur.writes().len(), before, "nothing new, nothing written");

    offer.memory.fail_usage("cluster-1", true);
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_ne!(passes[0].exit(), Exit::Done);
    assert_eq!(passes[0].outcome.as_ref().unwrap().unreadable_usage, 1);
    assert_eq!(offer.waldur.writes().len(), before, "unknown is never zero");
}

#[tokio::test(start_paused = true)]
async fn people_get_names_and_access_and_an_idle_pass_writes_nothing() {
    let offer = Offer::new();
    let mut units = offer.units(&[Mode::MembershipSync], false);
    for _ in 0..3 {
        let passes = pass(&mut units, &OpContext::new("test")).await;
        assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    }
    let members = offer.memory.object("cluster-1").unwrap().members;
    assert_eq!(members.len(), 1, "{members:?}");
    let before = (offer.waldur.writes().len(), offer.memory.writes());
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(outcome(&passes[0], "synced"), 1, "{:?}", passes[0]);
    assert_eq!((offer.waldur.writes().len(), offer.memory.writes()), before);
}

#[tokio::test(start_paused = true)]
async fn c37_a_run_of_one_pass_takes_the_second_look_at_removals_itself() {
    for (single_pass, left) in [(false, 7), (true, 1)] {
        let offer = Offer::new();
        let mut object = offer.memory.object("cluster-1").unwrap();
        object.members = (0..6).map(|number| format!("gone{number}")).collect();
        offer.memory.put("cluster-1", object);
        let site = offer.site().with_single_pass(single_pass);
        let mut units = site.units(&offer.settings(&[]), &[Mode::MembershipSync], false).unwrap().0;
        let begin = tokio::time::Instant::now();
        let passes = pass(&mut units, &OpContext::new("test")).await;
        assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
        let (held, removed) = (outcome(&passes[0], "removals_held"), outcome(&passes[0], "members_removed"));
        assert_eq!((held, removed), if single_pass { (0, 6) } else { (6, 0) });
        assert_eq!(offer.memory.object("cluster-1").unwrap().members.len(), left);
        assert_eq!(begin.elapsed() >= Duration::from_secs(10), single_pass, "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_in_any_mode() {
    let offer = Offer::new();
    offer.waldur.order(offer.offering).create_resource("another").pending();
    let mut units = offer.units(&Mode::ALL, true);
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(passes.len(), 3);
    for pass in &passes {
        assert_eq!(pass.exit(), Exit::Done, "{pass:?}");
    }
    assert_eq!(outcome(&passes[1], "dry_run"), 1, "{:?}", passes[1]);
    assert!(offer.waldur.writes().is_empty(), "{:?}", offer.waldur.writes());
    assert_eq!(offer.memory.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn all_modes_run_side_by_side_and_what_they_remember_outlives_the_hour() {
    let offer = Offer::new();
    let units = offer.units(&Mode::ALL, false);
    let crew = Crew::new(units, Schedule::Every(Periods::all(Duration::from_mins(10))));
    let stop = stream::once(tokio::time::sleep(Duration::from_mins(155))).map(|()| Event::Stop).boxed();
    assert_eq!(crew.run(stop).await, Exit::Done);
    assert_eq!(offer.waldur.usage_of(offer.resource).len(), 1);
    assert_eq!(offer.memory.object("cluster-1").unwrap().members.len(), 1);
    let posts = offer.waldur.writes();
    let posts = posts.iter().filter(|request| request.path.ends_with("/set_usage/")).count();
    assert_eq!(posts, 1, "sixteen reports, and one thing to say");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_way_to_name_people_is_warned_of_and_names_nobody() {
    let offer = Offer::new();
    let site = Site::over(to(offer.waldur.clone()), to(offer.memory.clone()), at_mid_month());
    let settings = offer.settings(&[("username_management_backend", json!("ldap_of_the_site"))]);
    let (mut units, warnings) =
        site.with_factory(MemoryFactory).units(&settings, &[Mode::MembershipSync], false).unwrap();
    let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.contains("username_management_backend: is not one of")), "{told:?}");
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    assert!(offer.memory.object("cluster-1").unwrap().members.is_empty());
}

/// A number of an earlier report would be a lie, and 0 another.
#[tokio::test(start_paused = true)]
async fn f134_how_much_was_unreadable_is_unknown_after_a_report_that_failed_as_a_whole() {
    let offer = Offer::new();
    offer.memory.fail_usage("cluster-1", true);
    let way = Faults::new(offer.waldur.clone()).on(op("provider_resources.list").nth(2), status(403));
    let site = Site::over(to(way.clone()), to(offer.memory.clone()), at_mid_month()).with_factory(MemoryFactory);
    let mut units = site.units(&offer.settings(&[]), &[Mode::Report], false).unwrap().0;
    let series = "waldur_agent_usage_unreadable_resources{offering=\"Cluster\",mode=\"report\"}";
    for (known, found) in [("unreadable", Some("1")), ("failed", None), ("unreadable again", Some("1"))] {
        pass(&mut units, &OpContext::new("test")).await;
        let text = site.metrics().text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)).map(str::trim);
        assert_eq!(value, found, "{known}");
    }
    assert!(way.idle_rules().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f134_how_long_usage_could_not_be_read_is_a_number_to_alert_on() {
    let offer = Offer::new();
    let site = offer.site();
    let mut units = site.units(&offer.settings(&[]), &[Mode::Report], false).unwrap().0;
    let series = "waldur_agent_usage_stale_reports{offering=\"Cluster\",mode=\"report\"}";
    offer.memory.fail_usage("cluster-1", true);
    let mut shown = Vec::new();
    for well in [false, false, false, true] {
        offer.memory.fail_usage("cluster-1", !well);
        pass(&mut units, &OpContext::new("test")).await;
        let text = site.metrics().text();
        shown.extend(text.lines().find_map(|line| line.strip_prefix(series)).map(|value| value.trim().to_owned()));
    }
    assert_eq!(shown, ["1", "2", "3", "0"]);
}

/// An object may be gone. That none of many is there says something of the back end.
#[tokio::test(start_paused = true)]
async fn f108_a_back_end_that_has_nothing_of_many_is_no_pass_that_went_well() {
    for (resources, exit) in [(5, Exit::Done), (6, Exit::Failed)] {
        let offer = Offer::new();
        offer.waldur.change_resource(offer.resource, |row| row.backend_id("gone-0"));
        for number in 1..resources {
            let id = format!("gone-{number}");
            offer.waldur.resource(offer.offering).name(&id).slug(&id).backend_id(&id).create();
        }
        let passes = pass(&mut offer.units(&[Mode::MembershipSync], false), &OpContext::new("test")).await;
        assert_eq!((outcome(&passes[0], "missing"), passes[0].exit()), (resources, exit));
    }
}
