//! Resources are read and compared a portion at a time; what is decided by all of them is decided by all of them.

use waldur_sdk::{
    backend::Capabilities,
    process::HoldReason,
    testing::{Action, Faults, MemoryBackend, op, status, waldur::Generation, when},
};

use crate::{
    watching::{Seen, Watching},
    world::{Agent, MINUTE, Site, assert_synced, pass_time, run},
};

/// More than one portion of resources.
const MANY: usize = 520;

/// An agent whose back end says that it reads objects one by one.
fn singly(site: &Site, seen: &Seen) -> Agent {
    let (seen, capabilities) = (seen.clone(), Capabilities::default().with_portions());
    let memory = move |memory: MemoryBackend| memory.with_members().with_capabilities(capabilities);
    site.agent().memory(memory).around(move |backend| Watching::over(backend, seen))
}

/// So many resources of one project, each with the same member.
fn of_one_project(site: &Site, resources: usize) {
    site.member("m");
    for number in 0..resources {
        site.resource(&format!("r{number:04}"), &["m"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_end_that_is_asked_in_portions_is_asked_for_a_portion_at_a_time_and_any_other_once() {
    let site = Site::new(Generation::V8);
    of_one_project(&site, MANY);
    let seen = Seen::default();
    assert_synced(&run(&singly(&site, &seen).build()).await);
    assert_eq!(seen.edit(|told| std::mem::take(&mut told.looks)), [512, 8]);
    // The project's one team serves all portions.
    assert_eq!(site.world.count("provider_resources.team"), 1);
    let watching = seen.clone();
    let whole = site.agent().around(move |backend| Watching::over(backend, watching));
    assert_synced(&run(&whole.build()).await);
    assert_eq!(seen.edit(|told| std::mem::take(&mut told.looks)), [MANY]);
    assert_eq!((site.service().writes(), site.world.count("provider_resources.team")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn f152_few_in_every_portion_are_many_in_all() {
    let site = Site::new(Generation::V8);
    for number in 0..3 {
        // A project with a stranger in its last resource each: one of six, three of six in all.
        let project = site.waldur().project(&format!("p{number}")).create();
        site.member_of(project, &format!("m{number}"));
        for place in 0..180 {
            let gone = [format!("m{number}"), format!("gone{number}a"), format!("gone{number}b")];
            let members: Vec<&str> = gone.iter().map(String::as_str).collect();
            site.resource_in(project, &format!("r{number}{place:03}"), if place == 179 { &members } else { &[] });
        }
    }
    site.waldur().forget_requests();
    let agent = singly(&site, &Seen::default()).build();
    let report = run(&agent).await;
    let held: Vec<_> = report.resources.iter().filter_map(|resource| resource.held.as_ref()).collect();
    assert_eq!(held.len(), 3, "six of nine would go, two from each");
    assert!(held.iter().all(|held| matches!(held.reason, HoldReason::TooManyOverall)), "{held:?}");
    pass_time(MINUTE).await;
    let report = run(&agent).await;
    assert_eq!(report.resources.iter().map(|resource| resource.removed.len()).sum::<usize>(), 6);
}

/// The first and the last of the many: whatever comes before or after them is in another portion than one of the two.
const ENDS: [&str; 2] = ["r0000", "r0519"];

/// Resources of another project that have the back-end ids of two of the many; `m` is wanted by the many, `other` there.
fn shared_beyond_a_portion() -> Site {
    let site = Site::new(Generation::V8);
    let other = site.waldur().project("other").create();
    site.member_of(other, "other");
    for id in ENDS {
        site.resource_in(other, id, &[]);
    }
    of_one_project(&site, MANY);
    for id in ENDS {
        site.edit(id, |object| {
            object.stamp = None;
            object.members = ["m", "other", "gone"].map(str::to_owned).into();
        });
    }
    site
}

#[tokio::test(start_paused = true)]
async fn c33_whom_either_resource_of_an_id_wants_stays_whatever_portions_they_are_in() {
    for is_single in [true, false] {
        let site = shared_beyond_a_portion();
        let agent = if is_single { singly(&site, &Seen::default()) } else { site.agent() };
        let report = run(&agent.build()).await;
        for id in ENDS {
            assert_eq!(site.access(id), "m other", "{is_single}");
        }
        assert_synced(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn c33_nobody_goes_while_it_is_unknown_whom_the_other_resource_of_an_id_wants() {
    let site = Site::new(Generation::V8);
    let other = site.waldur().project("other").create();
    site.member("a");
    site.member_of(other, "b");
    let there = site.resource_in(other, "one", &[]);
    let here = site.resource("one", &["a", "b", "gone"]);
    let team = || {
        when("the team of the other", move |request| {
            request.uri().path().contains(&there.hex()) && request.uri().path().ends_with("/team/")
        })
    };
    let faults = Faults::new(site.waldur().clone()).on(team(), Action::refuse(status(500)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert_eq!(site.access("one"), "a b gone");
    let held = report.resources.iter().filter_map(|resource| resource.held.as_ref());
    assert!(held.clone().count() > 0 && held.clone().all(|held| matches!(held.reason, HoldReason::Incomplete(_))));
    // Not even where the members of this one are locked out.
    site.waldur().change_resource(here, |row| row.restrict_member_access(true));
    let team = Faults::new(site.waldur().clone()).on(team(), Action::refuse(status(500)));
    site.agent().waldur(team).sending_once().run().await;
    assert_eq!(site.access("one"), "a b gone");
    site.pass().await;
    assert_eq!(site.access("one"), "b");
}

#[tokio::test(start_paused = true)]
async fn f103_a_portion_that_cannot_be_read_fails_its_own_resources_and_no_other() {
    let site = Site::new(Generation::V8);
    of_one_project(&site, MANY);
    let faults = Faults::new(site.service().clone()).on(op("objects.list").nth(1), Action::refuse(status(500)));
    let report = run(&singly(&site, &Seen::default()).service(faults).sending_once().build()).await;
    let strays = report.resources.iter().filter(|resource| !resource.is_clean()).count();
    assert_eq!((report.resources.len(), strays), (MANY, 512));
}
