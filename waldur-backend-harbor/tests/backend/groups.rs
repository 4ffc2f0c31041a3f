//! Which groups a project knows to have a role from us, and who is left behind by a resource that moves (harbor.md §5.5).

use std::{sync::Arc, time::Duration};

use serde_json::json;
use waldur_backend_harbor::testing::{Image, SeedProject};
use waldur_sdk::{
    backend::{OpContext, Origin, ResourceBackend as _, Surroundings},
    client::WaldurClient,
    process::{ServedOffering, SyncOutcome},
    testing::waldur::Generation,
};

use crate::{
    common::{
        self, ALWAYS, Failure, GIB, Gate, OTHER_STAMP, backend, backend_with, components, create, cx, http, id,
        pass_time, request, storage,
    },
    membership::{GROUP, GROUP_NOTE, NAME, Site, assert_synced, sync, taken_over},
};

/// Every turn of two hours comes, in a process that goes on.
async fn turns(backend: &waldur_backend_harbor::HarborBackend, resource: waldur_sdk::backend::MarketplaceResource) {
    for _turn in 0..24 {
        pass_time(Duration::from_secs(300)).await;
        let about = Surroundings::new(resource.clone());
        backend.upkeep().unwrap().sync_project(&cx(), &id(common::NAME), &about).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_group_that_a_project_is_given_later_is_known_when_its_resource_moves() {
    let site = taken_over();
    for _pass in 0..3 {
        assert_synced(&site.pass().await);
    }
    let project = site.gate.fake.project(NAME).unwrap();
    let stamp = format!("waldur-resource-{}", site.resource.hex());
    assert_eq!((project.groups(), project.allowlist.clone()), (vec![(GROUP, 2)], vec![stamp, GROUP_NOTE.to_owned()]));
    assert_eq!(site.waldur.resource_view(site.resource).backend_metadata["oidc_group"], GROUP);
    let other = site.waldur.project("Other").slug("other").create();
    site.waldur.change_resource(site.resource, |resource| resource.project(other));
    for _pass in 0..3 {
        assert_synced(&site.pass().await);
    }
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [("waldur-other", 2)]);
    assert_eq!(site.waldur.resource_view(site.resource).backend_metadata["oidc_group"], "waldur-other");
    site.gate.take_log();
    assert_synced(&site.pass().await);
    assert!(site.gate.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_alone_does_not_become_a_proof_when_metadata_are_published() {
    let site = Site::new(20, 2);
    site.gate.fake.set_allowlist(NAME, &[]);
    site.gate.fake.push(NAME, "data", Image::new("v1").layer("x", 5)).unwrap();
    for _pass in 0..3 {
        site.pass().await;
    }
    let published = site.waldur.resource_view(site.resource).backend_metadata;
    assert_eq!((published.get("harbor_project_id"), &published["repository_count"]), (None, &json!(1)), "{published}");
    let force = backend_with(site.gate.clone(), &site.gate.fake, json!({ "force_delete_repositories": true }));
    let order = site.waldur.order_on(site.resource).terminate().pending();
    let client = WaldurClient::builder(site.waldur.base_url()).token(site.waldur.token());
    let client = client.http(http(site.waldur.clone())).build().unwrap();
    let orders = ServedOffering::new(client, Arc::new(force), site.offering).with_components(components()).orders();
    orders.run_once(&cx()).await.unwrap();
    let told = site.waldur.order_view(order).error_message;
    assert!(told.contains("still contains 1 repository"), "{told}");
    assert_eq!(site.gate.fake.repositories_of(NAME).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_former_group_cannot_be_removed_the_present_one_is_published() {
    let site = Site::new(20, 2);
    assert_synced(&site.pass().await);
    let other = site.waldur.project("Other").slug("other").create();
    site.waldur.change_resource(site.resource, |resource| resource.project(other));
    let refusal = Failure::error(403, "FORBIDDEN", "forbidden");
    site.gate.fail("DELETE /projects/waldur-images/members", ALWAYS, refusal);
    for image in ["a", "b", "c"] {
        site.gate.fake.push(NAME, image, Image::new("v1").layer(image, 5)).unwrap();
        site.pass().await;
    }
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups().len(), 2);
    let published = site.waldur.resource_view(site.resource).backend_metadata;
    assert_eq!((&published["oidc_group"], &published["repository_count"]), (&json!("waldur-other"), &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn a_restoration_after_a_move_forgets_no_group() {
    let gate = Gate::new();
    // Made in another project, before groups were noted.
    let seed = SeedProject::new(common::NAME).quota(20 * GIB).group("waldur-before", 2).tolerates(common::STAMP);
    gate.fake.add_project(seed).unwrap();
    let mut restored = request(storage(20)).with_origin(Origin::Recorded);
    restored.resource.metadata.insert("oidc_group".to_owned(), "waldur-before".into());
    let created = create(&backend(&gate), &restored).await.unwrap();
    assert_eq!(created.metadata.text("oidc_group"), Some(common::GROUP));
    let mut moved = common::resource();
    moved.metadata.insert("oidc_group".to_owned(), common::GROUP.into());
    turns(&backend(&gate), moved).await;
    let project = gate.fake.project(common::NAME).unwrap();
    assert_eq!((project.groups(), project.allowlist.len()), (vec![(common::GROUP, 2)], 2));
}

#[tokio::test(start_paused = true)]
async fn a_changed_prefix_takes_the_role_from_the_group_of_the_old_name() {
    let gate = Gate::new();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    let renamed = backend_with(gate.clone(), &gate.fake, json!({ "oidc_group_prefix": "idp-" }));
    turns(&renamed, common::resource()).await;
    assert_eq!(gate.fake.project(common::NAME).unwrap().groups(), [("idp-test-project", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_waldur_that_names_no_project_is_told_of_and_guessed_by_nobody() {
    let site = Site::of(Generation::V2024, 20, 2);
    site.gate.fake.remove_group_role(NAME, GROUP);
    site.gate.fake.set_allowlist(NAME, &[&format!("waldur-resource-{}", site.resource.hex())]);
    let (mut told, mut cycles) = (0, 0);
    while cycles < 24 {
        pass_time(Duration::from_secs(300)).await;
        let agent = sync(&site.waldur, site.waldur.clone(), site.backend.clone(), site.offering);
        let report = agent.run_once(&OpContext::new("pass")).await.unwrap();
        let resource = &report.resources[0];
        if resource.warnings.iter().any(|warning| warning.step == "project") {
            assert!(matches!(&resource.outcome, SyncOutcome::Deferred(error) if error.message().contains("slug")));
            told += 1;
        } else {
            assert!(matches!(resource.outcome, SyncOutcome::Synced), "{report:?}");
        }
        cycles += 1;
    }
    assert_eq!(told, 2, "once an hour");
    assert!(site.gate.fake.project(NAME).unwrap().groups().is_empty());
    // With the group that was published it is as elsewhere.
    site.waldur.change_resource(site.resource, |resource| resource.backend_metadata(json!({ "oidc_group": GROUP })));
    for _pass in 0..2 {
        assert_synced(&site.pass().await);
    }
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_second_stamp_does_not_make_a_proven_project_nobodys() {
    let site = Site::new(20, 2);
    assert_synced(&site.pass().await);
    let stamp = format!("waldur-resource-{}", site.resource.hex());
    for false_one in [OTHER_STAMP, "waldur-resource-x"] {
        site.gate.fake.set_allowlist(NAME, &[false_one, &stamp, GROUP_NOTE]);
        let report = site.pass().await;
        let resource = &report.resources[0];
        assert!(matches!(resource.outcome, SyncOutcome::Synced), "{report:?}");
        assert!(
            resource.warnings.iter().any(|warning| warning.error.message().contains("beside its own")),
            "{report:?}"
        );
        assert_eq!(site.gate.fake.project(NAME).unwrap().allowlist, [stamp.as_str(), GROUP_NOTE]);
        assert_synced(&site.pass().await);
        assert!(site.pass().await.resources[0].warnings.is_empty());
    }
    // Without the number, or without the stamp of ours, it proves nothing.
    let others = ["waldur-resource-00000000000000000000000000000007", OTHER_STAMP];
    site.gate.fake.set_allowlist(NAME, &others);
    let report = site.pass().await;
    assert!(matches!(report.resources[0].outcome, SyncOutcome::Foreign), "{report:?}");
    site.gate.fake.set_allowlist(NAME, &[OTHER_STAMP, &stamp]);
    site.waldur.change_resource(site.resource, |resource| resource.backend_metadata(json!({})));
    let report = site.pass().await;
    assert!(matches!(report.resources[0].outcome, SyncOutcome::Foreign), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_stamp_does_not_keep_a_resource_from_being_changed_and_removed() {
    let gate = Gate::new();
    let number = gate.fake.add_project(common::seed(20 * GIB).tolerates(OTHER_STAMP)).unwrap().id;
    let mut resource = common::resource();
    let change = |resource: &waldur_sdk::backend::MarketplaceResource| {
        waldur_sdk::backend::LimitChange::new(resource.clone(), id(common::NAME), storage(5))
    };
    assert!(backend(&gate).set_limits(&cx(), &change(&resource)).await.is_err(), "by nothing but two stamps");
    resource.metadata.insert("harbor_project_id".to_owned(), number.into());
    drop(backend(&gate).set_limits(&cx(), &change(&resource)).await.unwrap());
    assert_eq!(common::hard(&gate), Some(5 * GIB));
    gate.fake.set_allowlist(common::NAME, &[common::STAMP, OTHER_STAMP]);
    let removal = waldur_sdk::backend::DeleteRequest::new(common::order(), resource, id(common::NAME));
    drop(backend(&gate).delete(&cx(), &removal).await.unwrap());
    assert!(gate.fake.projects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_cut_short_anywhere_is_remembered_by_the_next_one() {
    for cut in
        ["PUT /projects/waldur-images {", "POST /projects/waldur-images/members", "DELETE /projects/waldur-images"]
    {
        let site = Site::new(20, 2);
        let [other, third] = ["other", "third"].map(|slug| site.waldur.project(slug).slug(slug).create());
        site.waldur.change_resource(site.resource, |resource| resource.project(other));
        site.gate.fail(cut, ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
        site.pass().await;
        assert!(!matches!(site.pass().await.resources[0].outcome, SyncOutcome::Synced), "{cut}");
        site.gate.mend();
        // It moves on before the next process comes.
        site.waldur.change_resource(site.resource, |resource| resource.project(third));
        let next = Site { backend: backend_with(site.gate.clone(), &site.gate.fake, json!({})), ..site };
        next.pass().await;
        assert_synced(&next.pass().await);
        let project = next.gate.fake.project(NAME).unwrap();
        assert_eq!(project.groups(), [("waldur-third", 2)], "{cut}");
        assert_eq!(project.allowlist.last().map(String::as_str), Some("waldur-group-waldur-third"), "{cut}");
    }
}
