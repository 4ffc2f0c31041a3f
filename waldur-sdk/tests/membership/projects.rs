//! What comes along with a member or a resource: the mask of home directories, and what providers are told of projects
//! (core.md §3.1 step 1, §3.8, §6.6; `requires_source_project`).

use serde_json::json;
use waldur_sdk::{
    backend::{Capabilities, SourceProject},
    client::{OfferingUserQuery, WaldurClient},
    process::MembershipSync,
    rest::Http,
    testing::{Action, Counting, Faults, MemoryBackend, op, status, waldur::Generation},
    types::ServiceProviderUuid,
};

use crate::{
    watching::{Seen, Watching, watched},
    world::{Agent, Site, assert_synced, only, run, warned},
};

#[tokio::test(start_paused = true)]
async fn c33_whoever_gets_access_gets_the_mask_of_home_directories() {
    for umask in [None, Some(0o027)] {
        let site = Site::new(Generation::V8);
        site.member("a");
        site.waldur().service_account(site.project(), "svc").create();
        site.resource("one", &[]);
        let seen = Seen::default();
        watched(&site, &seen).policy(|policy| policy.homedir_umask = umask).run().await;
        let grants = seen.grants();
        assert_eq!(grants.iter().map(|grant| grant.umask).collect::<Vec<_>>(), [umask, umask]);
        assert_eq!(site.access("one"), "a svc");
        assert!(!format!("{grants:?}").contains("svc"), "the mask is no name");
    }
}

/// The provider that sells the offering.
async fn provider(site: &Site) -> ServiceProviderUuid {
    let http = Http::new(site.waldur().clone()).with_environment(site.environment());
    let waldur =
        WaldurClient::builder(site.waldur().base_url()).http(http).token(site.waldur().token()).build().unwrap();
    assert!(waldur.offering_users().list(&OfferingUserQuery::default()).collect().await.is_ok());
    waldur.service_providers().list().collect().await.unwrap().items()[0].uuid
}

fn wanting(site: &Site, seen: &Seen) -> Agent {
    let (seen, capabilities) = (seen.clone(), Capabilities::default().with_source_project());
    let memory = move |memory: MemoryBackend| memory.with_capabilities(capabilities);
    site.agent().memory(memory).around(move |backend| Watching::over(backend, seen))
}

/// The projects that the back end was told of in a pass.
async fn told(agent: &MembershipSync, seen: &Seen) -> Vec<Option<SourceProject>> {
    assert_synced(&run(agent).await);
    seen.edit(|told| told.about.drain(..).map(|about| about.source_project).collect())
}

#[tokio::test(start_paused = true)]
async fn what_providers_are_told_of_a_project_reaches_a_back_end_that_wants_to_know() {
    let site = Site::new(Generation::V8);
    let other = site.waldur().project("other").create();
    for id in ["one", "two"] {
        site.resource(id, &[]);
    }
    site.resource_in(other, "three", &[]);
    let row = json!([{
        "uuid": site.project().hex(), "oecd_fos_2007_code": "1.3", "is_industry": true,
        "science_sub_domain_code": "PHYS.1", "end_date_updated_at": "2026-01-01T00:00:00Z",
    }]);
    let of_one = waldur_sdk::testing::when("the default project", {
        let project = site.project().hex();
        move |request| request.uri().query().is_some_and(|query| query.contains(&format!("query={project}")))
    });
    let faults = Faults::new(site.waldur().clone()).on(of_one, status(200).json(&row).header("x-result-count", "1"));
    let waldur = Counting::new(faults);
    let seen = Seen::default();
    let agent = wanting(&site, &seen).waldur(waldur.clone()).provider(provider(&site).await).build();
    let about = told(&agent, &seen).await;
    let known: Vec<_> = about.iter().flatten().filter(|project| project.oecd_fos_2007_code.is_some()).collect();
    assert_eq!((about.len(), known.len()), (3, 2), "{about:#?}");
    let project = known[0];
    assert_eq!((project.oecd_fos_2007_code.as_deref(), project.is_industry), (Some("1.3"), Some(true)));
    assert_eq!(project.science_sub_domain_code.as_deref(), Some("PHYS.1"));
    assert!(project.end_date_updated_at.is_some());
    // The list of resources, the two projects once each; what an agent that asks for nothing asks for is less.
    assert_eq!(waldur.counts().total, 3, "{}", waldur.counts());
    let seen = Seen::default();
    let watching = seen.clone();
    let quiet = site.agent().memory(|memory| memory).around(move |backend| Watching::over(backend, watching));
    let quiet = quiet.provider(provider(&site).await).build();
    let before = site.world.count("service_providers.projects");
    assert_eq!(told(&quiet, &seen).await, [None, None, None]);
    assert_eq!(site.world.count("service_providers.projects"), before);
}

#[tokio::test(start_paused = true)]
async fn a_project_that_cannot_be_read_holds_nothing_up() {
    let site = Site::new(Generation::V8);
    site.resource("one", &[]);
    let seen = Seen::default();
    let faults = Faults::new(site.waldur().clone()).on(op("service_providers.projects"), Action::refuse(status(403)));
    let agent = || wanting(&site, &seen).waldur(faults.clone());
    for agent in [agent(), agent().provider(provider(&site).await)] {
        let report = run(&agent.build()).await;
        assert_synced(&report);
        assert_eq!(warned(&report), ["source project"]);
        assert!(seen.edit(|told| told.about.pop()).unwrap().source_project.is_none());
        assert!(only(&report).held.is_none());
    }
}
