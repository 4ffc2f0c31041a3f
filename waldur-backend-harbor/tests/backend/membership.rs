//! Membership over Harbor: the group keeps its role, nobody is added or removed, nothing is restored (harbor.md §5.5,
//! §5.6).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_harbor::{
    HarborBackend,
    testing::{FakeHarbor, SeedProject},
};
use waldur_sdk::{
    backend::{OpContext, ResourceBackend as _},
    client::WaldurClient,
    process::{MembershipReport, MembershipSync, ResourceSync, ServedOffering, SyncOutcome, UsageOutcome},
    rest::HttpTransport,
    testing::{
        Bounds, Cycle, Life, Scenario, drop_points, kill_points,
        waldur::{Billing, FakeWaldur, Generation, OrderState},
    },
    types::{OfferingUuid, ProjectUuid, ResourceUuid},
};

use crate::common::{
    ALWAYS, Failure, GIB, Gate, URL, backend_with, components, count, environment, http, now, pass_time,
};

pub(crate) const NAME: &str = "waldur-images";
pub(crate) const GROUP: &str = "waldur-team";
pub(crate) const GROUP_NOTE: &str = "waldur-group-waldur-team";
/// Turns come at most so far apart.
const TURN: Duration = Duration::from_secs(70 * 60);

/// A Waldur and a Harbor that agree about one resource.
pub(crate) struct Site {
    pub(crate) waldur: FakeWaldur,
    pub(crate) gate: Gate,
    pub(crate) offering: OfferingUuid,
    pub(crate) project: ProjectUuid,
    pub(crate) resource: ResourceUuid,
    pub(crate) backend: HarborBackend,
}

impl Site {
    pub(crate) fn new(gib: i64, role: i64) -> Self {
        Self::of(Generation::V8, gib, role)
    }

    pub(crate) fn of(generation: Generation, gib: i64, role: i64) -> Self {
        let waldur = FakeWaldur::new(generation).with_wall(now);
        let offering = waldur.offering().component("storage", Billing::Limit).create();
        let project = waldur.project("Team").slug("team").create();
        let resource = waldur.resource(offering).name("Images").slug("images").backend_id(NAME).project(project);
        let resource = resource.limits([("storage", gib)]).create();
        let gate = Gate::over(FakeHarbor::builder().clock(now).build());
        let stamp = format!("waldur-resource-{}", resource.hex());
        gate.fake
            .add_project(
                SeedProject::new(NAME).quota(gib * GIB).group(GROUP, role).tolerates(&stamp).tolerates(GROUP_NOTE),
            )
            .unwrap();
        let backend = backend_with(gate.clone(), &gate.fake, json!({}));
        Self { waldur, gate, offering, project, resource, backend }
    }

    fn agent(&self) -> MembershipSync {
        sync(&self.waldur, self.waldur.clone(), self.backend.clone(), self.offering)
    }

    /// A pass, so long after the one before that every project has had its turn since.
    pub(crate) async fn pass(&self) -> MembershipReport {
        pass_time(TURN).await;
        self.agent().run_once(&OpContext::new("pass")).await.unwrap()
    }
}

/// A site whose project the Python plugin has made: without stamp, notes and group.
pub(crate) fn taken_over() -> Site {
    let site = Site::new(20, 2);
    let number = site.gate.fake.project(NAME).unwrap().id;
    site.gate.fake.remove_group_role(NAME, GROUP);
    site.gate.fake.set_allowlist(NAME, &[]);
    site.waldur.change_resource(site.resource, |row| row.backend_metadata(json!({ "harbor_project_id": number })));
    site
}

pub(crate) fn sync(
    waldur: &FakeWaldur,
    transport: impl HttpTransport,
    backend: HarborBackend,
    offering: OfferingUuid,
) -> MembershipSync {
    let client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http(transport)).build().unwrap();
    ServedOffering::new(client, Arc::new(backend), offering).with_components(components()).members()
}

#[track_caller]
pub(crate) fn assert_synced(report: &MembershipReport) {
    assert!(report.warnings.is_empty(), "{report:?}");
    let bad = report.resources.iter().find(|resource| !matches!(resource.outcome, SyncOutcome::Synced));
    assert!(bad.is_none() && !report.resources.is_empty(), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn h10_a_role_that_drifted_is_set_again() {
    let site = Site::new(20, 3);
    site.pass().await;
    site.gate.take_log();
    assert_synced(&site.pass().await);
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
    let writes = site.gate.take_writes();
    assert!(writes.len() == 1 && writes[0].ends_with(r#" {"role_id":2}"#), "{writes:#?}");
    assert_synced(&site.pass().await);
    assert!(site.gate.take_writes().is_empty());
    for drifted in [1, 4, 5] {
        site.gate.fake.set_group_role(NAME, GROUP, drifted);
        assert_synced(&site.pass().await);
        assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
        let writes = site.gate.take_writes();
        assert!(writes.len() == 1 && writes[0].starts_with("PUT /projects/waldur-images/members/"), "{writes:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn h10_a_group_that_was_taken_away_is_bound_again() {
    let site = Site::new(20, 2);
    site.pass().await;
    site.gate.fake.remove_group_role(NAME, GROUP);
    assert_synced(&site.pass().await);
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
    // Deleted altogether: made again.
    site.gate.fake.remove_group(GROUP);
    assert_synced(&site.pass().await);
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
}

#[tokio::test(start_paused = true)]
async fn h12_among_many_members_the_group_is_found() {
    let site = Site::new(20, 2);
    for number in 0..25 {
        site.gate.fake.set_group_role(NAME, &format!("a-{number:02}"), 3);
        site.gate.fake.set_group_role(NAME, &format!("waldur-team-{number:02}"), 3);
    }
    site.gate.take_log();
    site.pass().await;
    assert_synced(&site.pass().await);
    assert!(site.gate.take_writes().iter().all(|line| !line.contains("/members")));
}

#[tokio::test(start_paused = true)]
async fn h12_on_the_third_page_of_a_server_that_does_not_filter_the_group_is_found() {
    let site = Site::new(20, 2);
    for number in 0..250 {
        site.gate.fake.set_group_role(NAME, &format!("a-{number:03}"), 3);
    }
    let page = async |page: u32| {
        let call = format!("{URL}/api/v2.0/projects/{NAME}/members?page={page}&page_size=100");
        let login = BASE64_STANDARD.encode(format!("admin:{}", site.gate.fake.admin_password().expose_secret()));
        let request = http::Request::get(call).header("authorization", format!("Basic {login}"));
        let answer = site.gate.fake.send(request.body(bytes::Bytes::new()).unwrap()).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap()
    };
    assert!(page(3).await.to_string().contains(GROUP) && !page(2).await.to_string().contains(GROUP));
    // As if the name had not been asked for: everybody on the first page comes.
    site.gate.fail("entityname=", ALWAYS, Failure::ok(&page(1).await));
    site.pass().await;
    site.gate.take_log();
    assert_synced(&site.pass().await);
    let log = site.gate.take_log();
    assert!(count(&log, "entityname=") > 0 && count(&log, "members?page=3&") > 0, "{log:#?}");
    assert!(log.iter().all(|line| !line.starts_with("POST ") && !line.starts_with("PUT ")), "{log:#?}");
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups().len(), 251);
}

#[tokio::test(start_paused = true)]
async fn h11_nobody_elses_membership_is_touched() {
    let site = Site::new(20, 2);
    site.gate.fake.add_user("ann", "Secret123", false).unwrap();
    site.gate.fake.set_user_role(NAME, "ann", 4);
    site.gate.fake.set_group_role(NAME, "waldur-another-team", 1);
    site.gate.fake.remove_group_role(NAME, GROUP);
    let before = site.gate.fake.members_of(NAME);
    site.pass().await;
    assert_synced(&site.pass().await);
    let after = site.gate.fake.members_of(NAME);
    assert!(before.iter().all(|member| after.contains(member)) && after.len() == before.len() + 1, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_strangers_project_gets_no_group() {
    let site = Site::new(20, 2);
    site.gate.fake.remove_group_role(NAME, GROUP);
    site.gate.fake.set_allowlist(NAME, &[crate::common::OTHER_STAMP]);
    for _pass in 0..2 {
        let report = site.pass().await;
        assert!(matches!(report.resources[0].outcome, SyncOutcome::Foreign), "{report:?}");
    }
    assert!(site.gate.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h38_people_come_and_go_and_harbor_is_not_asked() {
    let site = Site::new(20, 2);
    assert!(site.backend.members().is_none());
    site.pass().await;
    site.pass().await;
    site.gate.take_log();
    site.agent().run_once(&OpContext::new("before")).await.unwrap();
    let before = site.gate.take_log();
    for name in ["u1", "u2"] {
        let user = site.waldur.user(name).project_role(site.project, "PROJECT.MEMBER").create();
        site.waldur.offering_user(site.offering, user).username(name).create();
    }
    for _again in 0..3 {
        let report = site.agent().run_once(&OpContext::new("after")).await.unwrap();
        assert_synced(&report);
        assert!(report.resources[0].changes.is_empty(), "{report:?}");
        assert_eq!(site.gate.take_log(), before, "nobody is new, and nobody is stale");
    }
}

/// A site whose resource was made in one project and is in another.
fn moved(published: &str) -> Site {
    let site = Site::new(20, 2);
    site.gate.fake.set_group_role(NAME, "waldur-before", 2);
    site.gate.fake.set_group_role(NAME, "other-before", 2);
    site.gate.fake.set_group_role(NAME, "waldur-guests", 3);
    // As before groups were noted.
    site.gate.fake.set_allowlist(NAME, &[&format!("waldur-resource-{}", site.resource.hex())]);
    site.waldur
        .change_resource(site.resource, |resource| resource.backend_metadata(json!({ "oidc_group": published })));
    site
}

#[tokio::test(start_paused = true)]
async fn the_group_of_a_project_that_a_resource_has_left_loses_its_role() {
    // Unknown to the project: nobody loses anything. Named by other settings: what we bound is ours to unbind.
    for (published, left) in [("waldur-nobody", 4), (GROUP, 4), ("other-before", 3)] {
        let site = moved(published);
        site.pass().await;
        assert_synced(&site.pass().await);
        let groups = site.gate.fake.project(NAME).unwrap().groups().len();
        assert_eq!(groups, left, "{published}");
    }
    let site = moved("waldur-before");
    site.pass().await;
    assert_synced(&site.pass().await);
    let expected = [(GROUP, 2), ("other-before", 2), ("waldur-guests", 3)];
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), expected);
    assert!(site.gate.fake.group("waldur-before").is_some(), "the group itself is the other project's");
    // Waldur is told, and then the turn of a project that has moved costs no more than that of any other.
    site.pass().await;
    assert_eq!(site.waldur.resource_view(site.resource).backend_metadata["oidc_group"], GROUP);
    site.gate.take_log();
    site.pass().await;
    let log = site.gate.take_log();
    assert_eq!((count(&log, "/members"), count(&log, "PUT "), log.len()), (1, 0, 3), "{log:#?}");
    // Whoever gives it a role on purpose now is left alone.
    site.gate.fake.set_group_role(NAME, "waldur-before", 5);
    site.pass().await;
    assert_synced(&site.pass().await);
    assert!(site.gate.fake.project(NAME).unwrap().groups().contains(&("waldur-before", 5)));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_moves_there_and_back_leaves_nobody_with_access() {
    let site = Site::new(20, 2);
    site.waldur.change_resource(site.resource, |resource| resource.backend_metadata(json!({ "oidc_group": GROUP })));
    let [other, third] = ["other", "third"].map(|slug| site.waldur.project(slug).slug(slug).create());
    for (project, group) in
        [(other, "waldur-other"), (third, "waldur-third"), (site.project, GROUP), (other, "waldur-other")]
    {
        site.waldur.change_resource(site.resource, |resource| resource.project(project));
        // Each time by another process.
        let backend = backend_with(site.gate.clone(), &site.gate.fake, json!({}));
        for _pass in 0..15 {
            pass_time(Duration::from_secs(300)).await;
            let agent = sync(&site.waldur, site.waldur.clone(), backend.clone(), site.offering);
            assert_synced(&agent.run_once(&OpContext::new("pass")).await.unwrap());
        }
        assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(group, 2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_membership_that_does_not_go_is_no_success_and_tried_again() {
    let site = moved("waldur-before");
    site.gate.fail("DELETE /projects/waldur-images/members", ALWAYS, Failure::ok(&json!({})));
    site.pass().await;
    let report = site.pass().await;
    assert!(report.resources[0].warnings.iter().any(|warning| warning.step == "project"), "{report:?}");
    site.gate.mend();
    // In the next cycle, and not in the next hour.
    pass_time(Duration::from_secs(300)).await;
    assert_synced(&site.agent().run_once(&OpContext::new("again")).await.unwrap());
    assert!(!site.gate.fake.project(NAME).unwrap().groups().contains(&("waldur-before", 2)));
}

/// The project goes, and somebody else makes one of the same name, with images.
fn recycle(site: &Site) {
    site.gate.fake.remove_project(NAME);
    let theirs = SeedProject::new(NAME).quota(3 * GIB).group("strangers", 1).used(2 << 30);
    site.gate.fake.add_project(theirs).unwrap();
}

#[tokio::test(start_paused = true)]
async fn h14_a_name_that_was_given_to_a_strangers_project_stays_the_strangers() {
    for others in [0, 10] {
        let site = Site::new(20, 2);
        // With more, states come from the listings.
        for number in 0..others {
            let name = format!("waldur-other-{number}");
            let resource = site.waldur.resource(site.offering).name(&name).slug(&name).backend_id(&name);
            let resource = resource.project(site.project).limits([("storage", 20)]).create();
            let stamp = format!("waldur-resource-{}", resource.hex());
            let seed = SeedProject::new(&name).quota(20 * GIB).group(GROUP, 2).tolerates(&stamp).tolerates(GROUP_NOTE);
            site.gate.fake.add_project(seed).unwrap();
        }
        assert_synced(&site.pass().await);
        let number = site.waldur.resource_view(site.resource).backend_metadata["harbor_project_id"].clone();
        recycle(&site);
        let before = site.gate.fake.project(NAME).unwrap();
        assert_ne!(number, json!(before.id));
        site.gate.take_log();
        for process in [site.backend.clone(), backend_with(site.gate.clone(), &site.gate.fake, json!({}))] {
            for _pass in 0..2 {
                pass_time(TURN).await;
                let agent = sync(&site.waldur, site.waldur.clone(), process.clone(), site.offering);
                let report = agent.run_once(&OpContext::new("pass")).await.unwrap();
                let ours = report.resources.iter().find(|resource| resource.resource == site.resource).unwrap();
                assert!(matches!(ours.outcome, SyncOutcome::Foreign), "{report:?}");
            }
        }
        assert_eq!(site.waldur.resource_view(site.resource).backend_metadata["harbor_project_id"], number);
        // Neither is it limited, nor deleted with its images.
        let force = backend_with(site.gate.clone(), &site.gate.fake, json!({ "force_delete_repositories": true }));
        let client = WaldurClient::builder(site.waldur.base_url()).token(site.waldur.token());
        let client = client.http(http(site.waldur.clone())).build().unwrap();
        let orders = ServedOffering::new(client, Arc::new(force), site.offering).with_components(components()).orders();
        for order in [
            site.waldur.order_on(site.resource).update_limits([("storage", 5_u32)]).pending(),
            site.waldur.order_on(site.resource).terminate().pending(),
        ] {
            orders.run_once(&OpContext::new("orders")).await.unwrap();
            let view = site.waldur.order_view(order);
            assert_eq!(view.state, OrderState::Erred, "{}", view.error_message);
        }
        assert_eq!(site.gate.fake.project(NAME), Some(before));
        assert!(site.gate.take_writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn sec47_a_strangers_usage_is_billed_to_nobody() {
    let report_by = async |site: &Site, backend: HarborBackend| {
        let client = WaldurClient::builder(site.waldur.base_url()).token(site.waldur.token());
        let client = client.http(http(site.waldur.clone())).build().unwrap();
        let offering = ServedOffering::new(client, Arc::new(backend), site.offering).with_components(components());
        let report = offering.usage().run_once(&OpContext::new("report")).await.unwrap();
        let last = report.resources[0].periods.last().unwrap();
        match &last.outcome {
            UsageOutcome::Unreadable(error) => format!("{:?}", error.kind()),
            outcome => format!("{outcome:?}"),
        }
    };
    let report = async |site: &Site| report_by(site, site.backend.clone()).await;
    // A process that does nothing but report sees no stamps, and tells by the number that was published.
    let fresh = async |site: &Site| report_by(site, backend_with(site.gate.clone(), &site.gate.fake, json!({}))).await;
    // Another resource's, by its stamp.
    let site = Site::new(20, 2);
    site.gate.fake.set_allowlist(NAME, &[crate::common::OTHER_STAMP]);
    site.pass().await;
    assert_eq!(report(&site).await, "Foreign");
    // One that was given the name, whether a synchronisation has seen that or not.
    for seen in [true, false] {
        let site = Site::new(20, 2);
        site.pass().await;
        assert_ne!(report(&site).await, "Foreign");
        assert_ne!(fresh(&site).await, "Foreign");
        recycle(&site);
        site.gate.take_log();
        assert_eq!(fresh(&site).await, "Foreign");
        assert_eq!(site.gate.take_log(), ["GET /quotas?reference=project&page=1&page_size=100"]);
        if seen {
            site.pass().await;
        }
        for _again in 0..2 {
            assert_eq!(report(&site).await, "Foreign", "{seen}");
        }
    }
    // A process that only reports goes by what is on record now: somebody has put the new number there.
    let site = Site::new(20, 2);
    site.pass().await;
    let reporter = backend_with(site.gate.clone(), &site.gate.fake, json!({}));
    assert_ne!(report_by(&site, reporter.clone()).await, "Foreign");
    recycle(&site);
    assert_eq!(report_by(&site, reporter.clone()).await, "Foreign");
    let number = site.gate.fake.project(NAME).unwrap().id;
    site.waldur.change_resource(site.resource, |row| row.backend_metadata(json!({ "harbor_project_id": number })));
    assert_ne!(report_by(&site, reporter).await, "Foreign");
    let told = Site::new(20, 2);
    told.pass().await;
    report(&told).await;
    assert!(told.waldur.writes().iter().any(|request| request.path.contains("usage")));
}

/// Scaling down, or up again, by processes that die.
struct Scaling {
    down: bool,
}

impl Scenario for Scaling {
    type World = Site;
    type Agent = MembershipSync;
    type Verdict = (Option<i64>, Vec<String>, serde_json::Value);

    fn world(&self) -> Site {
        let site = Site::new(20, 2);
        if !self.down {
            let stamp = format!("waldur-resource-{}", site.resource.hex());
            site.gate.fake.set_allowlist(NAME, &[&stamp, "waldur-downscaled", GROUP_NOTE]);
            site.gate.fake.set_quota(NAME, GIB);
        }
        site.waldur.change_resource(site.resource, |resource| resource.downscaled(self.down));
        site
    }

    fn start(&self, site: &Site, life: &Life) -> MembershipSync {
        let backend = backend_with(life.around(site.gate.clone()), &site.gate.fake, json!({}));
        sync(&site.waldur, life.around(site.waldur.clone()), backend, site.offering)
    }

    async fn cycle(&self, agent: &mut MembershipSync) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.warnings.is_empty() && report.resources.iter().all(is_idle) => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, site: &Site) -> Self::Verdict {
        let project = site.gate.fake.project(NAME).unwrap();
        let limits = json!(site.waldur.resource_view(site.resource).limits);
        let kinds = project.allowlist.iter().map(|entry| entry.split('-').take(2).collect::<Vec<_>>().join("-"));
        (project.quota.map(|quota| quota.hard), kinds.collect(), limits)
    }
}

fn is_idle(resource: &ResourceSync) -> bool {
    resource.changes.is_empty() && matches!(resource.outcome, SyncOutcome::Synced)
}

/// Scaling down by a process that dies, and before the next one comes, Waldur has thought better of it.
struct Lifted;

impl Scenario for Lifted {
    type World = (Site, AtomicU32);
    type Agent = MembershipSync;
    type Verdict = <Scaling as Scenario>::Verdict;

    fn world(&self) -> Self::World {
        (Scaling { down: true }.world(), AtomicU32::new(0))
    }

    fn start(&self, (site, lives): &Self::World, life: &Life) -> MembershipSync {
        let down = lives.fetch_add(1, Ordering::Relaxed) == 0;
        site.waldur.change_resource(site.resource, |resource| resource.downscaled(down));
        Scaling { down }.start(site, life)
    }

    async fn cycle(&self, agent: &mut MembershipSync) -> Cycle {
        Scaling { down: true }.cycle(agent).await
    }

    fn verdict(&self, (site, lives): &Self::World) -> Self::Verdict {
        let (hard, notes, limits) = Scaling { down: true }.verdict(site);
        if lives.load(Ordering::Relaxed) > 1 {
            return (hard, notes, limits);
        }
        // Without a death it is scaled down; after one, wherever, it is to be as it was.
        assert_eq!((hard, notes.len()), (Some(GIB), 3));
        (Some(20 * GIB), vec!["waldur-resource".to_owned(), "waldur-group".to_owned()], limits)
    }
}

#[tokio::test(start_paused = true)]
async fn h29_a_small_quota_is_raised_again_wherever_its_process_died() {
    let bounds = Bounds::default().with_environment(environment()).around_writes();
    let sweep = kill_points(&Lifted, &bounds).await.unwrap();
    assert!(sweep.points >= 4, "{} points", sweep.points);
}

#[tokio::test(start_paused = true)]
async fn h29_scaling_survives_the_death_of_its_process_anywhere() {
    for down in [true, false] {
        let bounds = Bounds::default().with_environment(environment()).around_writes();
        let sweep = kill_points(&Scaling { down }, &bounds).await.unwrap();
        assert!(sweep.points >= 4, "{down}: {} points", sweep.points);
        drop_points(&Scaling { down }, &bounds).await.unwrap();
        let site = Scaling { down }.world();
        let agent = site.agent();
        agent.run_once(&OpContext::new("once")).await.unwrap();
        let hard = site.gate.fake.quota_of(NAME).unwrap().hard;
        assert_eq!(hard, if down { GIB } else { 20 * GIB });
    }
}

#[tokio::test(start_paused = true)]
async fn h28_the_quota_of_a_healthy_resource_is_nobodys_to_reset() {
    // The Python plugin sets it to the default of 10 in every cycle, whatever was ordered, and Waldur's limit after it.
    let site = Site::new(500, 2);
    for _pass in 0..5 {
        assert_synced(&site.pass().await);
        assert_eq!(site.gate.fake.quota_of(NAME).unwrap().hard, 500 * GIB);
    }
    assert!(site.gate.take_writes().is_empty());
    assert_eq!(json!(site.waldur.resource_view(site.resource).limits), json!({ "storage": 500 }));
}

#[tokio::test(start_paused = true)]
async fn h29_scaled_down_and_up_by_waldurs_word() {
    let site = Site::new(500, 2);
    site.pass().await;
    site.waldur.change_resource(site.resource, |resource| resource.downscaled(true));
    for _pass in 0..3 {
        assert_synced(&site.pass().await);
        assert_eq!(site.gate.fake.quota_of(NAME).unwrap().hard, GIB);
    }
    assert_eq!(site.gate.take_writes().len(), 2, "once, and not in every cycle");
    site.waldur.change_resource(site.resource, |resource| resource.downscaled(false));
    for _pass in 0..3 {
        assert_synced(&site.pass().await);
        assert_eq!(site.gate.fake.quota_of(NAME).unwrap().hard, 500 * GIB);
    }
    assert_eq!(site.gate.take_writes().len(), 2);
    assert_eq!(json!(site.waldur.resource_view(site.resource).limits), json!({ "storage": 500 }));
}

#[tokio::test(start_paused = true)]
async fn h30_a_pause_is_a_warning_and_changes_nothing() {
    let site = Site::new(500, 2);
    site.pass().await;
    site.waldur.change_resource(site.resource, |resource| resource.paused(true));
    let report = site.pass().await;
    assert!(report.resources[0].warnings.iter().any(|warning| warning.step == "status"), "{report:?}");
    assert!(site.gate.take_writes().is_empty());
    assert_eq!(site.gate.fake.quota_of(NAME).unwrap().hard, 500 * GIB);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_follows_what_is_stored() {
    let site = Site::new(500, 2);
    site.pass().await;
    let image = waldur_backend_harbor::testing::Image::new("v1").layer("data", 5 << 30);
    site.gate.fake.push(NAME, "app", image).unwrap();
    site.pass().await;
    let metadata = site.waldur.resource_view(site.resource).backend_metadata;
    assert_eq!((&metadata["storage_used_bytes"], &metadata["repository_count"]), (&json!(5_i64 << 30), &json!(1)));
    site.waldur.forget_requests();
    site.pass().await;
    let told = site.waldur.writes().into_iter().filter(|request| request.path.contains("metadata"));
    assert_eq!(told.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn h25_a_project_that_is_gone_is_missing_and_not_made_again() {
    let site = Site::new(500, 2);
    site.pass().await;
    site.gate.fake.remove_project(NAME);
    let report = site.pass().await;
    assert!(matches!(report.resources[0].outcome, SyncOutcome::Missing), "{report:?}");
    assert!(site.gate.take_writes().is_empty() && site.gate.fake.projects().is_empty());
}
