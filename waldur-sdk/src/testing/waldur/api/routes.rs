//! Which path does what, since when.

use super::{
    Route, accounts, agent_events, agents, api_keys, directory, disabled, imports, new_orders, offering_users,
    offerings, orders, people, provider, resources, usages, user_usages,
};
use crate::testing::waldur::{
    incoming::Verb::{Delete, Get, Patch, Post, Put},
    words::Generation,
};

/// The route of a path below `/api/`, and the segments in place of its `{}`.
pub(in crate::testing::waldur) fn find(segments: &[String]) -> Option<(&'static Route, Vec<String>)> {
    ROUTES.iter().find_map(|route| Some((route, route.matches(segments)?)))
}

/// Every method and path that a generation serves, with `{}` for an id.
pub(in crate::testing::waldur) fn served(generation: Generation) -> Vec<(&'static str, &'static str)> {
    let routes = ROUTES.iter().filter(|route| route.is_of(generation));
    routes.flat_map(|route| route.on.iter().map(|(verb, _)| (verb.as_str(), route.path))).collect()
}

const ROUTES: &[Route] = &[
    // Identity and discovery.
    Route { allow: "GET, OPTIONS", ..Route::read("version", &[(Get, people::version)]) },
    Route::read("users/me", &[(Get, people::me)]),
    Route::list("users", &[(Get, directory::list_users)]),
    Route::detail("users/{}", &[(Get, directory::retrieve_user)]),
    Route::list("roles", &[(Get, directory::list_roles)]),
    Route::list("customers", &[(Get, directory::list_customers)]),
    Route::detail("customers/{}", &[(Get, directory::retrieve_customer)]),
    Route::read("customers/{}/list_users", &[(Get, directory::customer_users)]),
    Route::list("projects", &[(Get, people::list_projects)]),
    Route::detail("projects/{}", &[(Get, people::retrieve_project)]),
    Route::read("projects/{}/list_users", &[(Get, directory::project_users)]),
    Route::list("marketplace-service-providers", &[(Get, people::list_providers)]),
    Route::detail("marketplace-service-providers/{}", &[(Get, people::retrieve_provider)]),
    Route::read("marketplace-service-providers/{}/keys", &[(Get, people::provider_keys)]),
    Route::read("marketplace-service-providers/{}/projects", &[(Get, people::provider_projects)]),
    Route::read("marketplace-service-providers/{}/project_permissions", &[(Get, provider::project_permissions)]),
    Route::read("marketplace-service-providers/{}/customers", &[(Get, provider::customers)]),
    Route::read("marketplace-service-providers/{}/users", &[(Get, provider::users)]),
    Route::act("marketplace-service-providers/{}/set_offerings_username", &[(Post, provider::set_offerings_username)]),
    // Offerings and plans.
    Route::list("marketplace-provider-offerings", &[(Get, offerings::list)]),
    Route::detail("marketplace-provider-offerings/{}", &[(Get, offerings::retrieve), (Put, disabled)]),
    Route::act("marketplace-provider-offerings/{}/create_offering_component", &[(Post, offerings::create_component)]),
    Route::act("marketplace-provider-offerings/{}/update_offering_component", &[(Post, offerings::update_component)]),
    Route::act(
        "marketplace-provider-offerings/{}/check_unique_backend_id",
        &[(Post, offerings::check_unique_backend_id)],
    )
    .since_8(),
    Route::read("marketplace-provider-offerings/{}/user-attribute-config", &[(Get, offerings::attribute_config)])
        .since_8(),
    Route::read("marketplace-provider-offerings/{}/list_project_service_accounts", &[(Get, accounts::of_services)])
        .since_8(),
    Route::read("marketplace-provider-offerings/{}/list_course_accounts", &[(Get, accounts::of_courses)]).since_8(),
    Route::read("marketplace-public-offerings/{}", &[(Get, offerings::retrieve_public)]),
    Route::read("marketplace-public-offerings/{}/plans", &[(Get, offerings::public_plans)]),
    Route::detail("marketplace-plans/{}", &[(Get, offerings::retrieve_plan)]),
    // Orders.
    Route::list("marketplace-orders", &[(Get, orders::list), (Post, new_orders::create)]),
    Route::detail(
        "marketplace-orders/{}",
        &[(Get, orders::retrieve), (Delete, orders::delete), (Patch, orders::patch), (Put, orders::patch)],
    ),
    Route::act("marketplace-orders/{}/approve_by_consumer", &[(Post, orders::approve_by_consumer)]),
    Route::act("marketplace-orders/{}/approve_by_provider", &[(Post, orders::approve_by_provider)]),
    Route::act("marketplace-orders/{}/reject_by_provider", &[(Post, orders::reject_by_provider)]),
    Route::act("marketplace-orders/{}/cancel", &[(Post, orders::cancel)]),
    Route::act("marketplace-orders/{}/set_state_executing", &[(Post, orders::set_state_executing)]),
    Route::act("marketplace-orders/{}/set_state_done", &[(Post, orders::set_state_done)]),
    Route::act("marketplace-orders/{}/set_state_erred", &[(Post, orders::set_state_erred)]),
    Route::act("marketplace-orders/{}/unlink", &[(Post, orders::unlink)]),
    Route::act("marketplace-orders/{}/set_backend_id", &[(Post, orders::set_backend_id)]).since_8(),
    Route::act("marketplace-orders/{}/set_provider_info", &[(Post, orders::set_provider_info)]).since_8(),
    // Resources, as their provider sees them.
    Route::list("marketplace-provider-resources", &[(Get, resources::list)]),
    Route::detail(
        "marketplace-provider-resources/{}",
        &[(Get, resources::retrieve), (Patch, resources::patch), (Delete, disabled)],
    ),
    Route::read("marketplace-provider-resources/{}/team", &[(Get, resources::team)]),
    Route::read("marketplace-provider-resources/{}/offering", &[(Get, resources::offering)]),
    Route::act("marketplace-provider-resources/{}/set_backend_id", &[(Post, resources::set_backend_id)]),
    Route::act("marketplace-provider-resources/{}/set_backend_metadata", &[(Post, resources::set_backend_metadata)]),
    Route::act("marketplace-provider-resources/{}/set_as_erred", &[(Post, resources::set_as_erred)]),
    Route::act("marketplace-provider-resources/{}/terminate", &[(Post, new_orders::terminate)]),
    Route::act("marketplace-provider-resources/{}/set_as_ok", &[(Post, resources::set_as_ok)]).since_8(),
    Route::act("marketplace-provider-resources/{}/set_limits", &[(Post, resources::set_limits)]).since_8(),
    Route::act("marketplace-provider-resources/{}/set_endpoints", &[(Post, resources::set_endpoints)]).since_8(),
    Route::act("marketplace-provider-resources/{}/refresh_last_sync", &[(Post, resources::refresh_last_sync)])
        .since_8(),
    Route::act("marketplace-provider-resources/{}/set_membership_sync_statuses", &[(Post, accounts::set_statuses)])
        .since_8(),
    Route::act("marketplace-provider-resources/{}/set_effective_id", &[(Post, provider::set_effective_id)]).since_8(),
    Route::act("marketplace-provider-resources/{}/set_end_date", &[(Post, provider::set_end_date)]).since_8(),
    Route::act("marketplace-slurm-remote/{}/set_limits", &[(Post, resources::set_limits_of_allocation)]).until_2024(),
    // Resources, as their users see them.
    Route::list("marketplace-resources", &[(Get, resources::list_seen)]),
    Route::detail("marketplace-resources/{}", &[(Get, resources::retrieve_seen)]),
    Route::read("marketplace-resources/{}/team", &[(Get, resources::team)]),
    Route::read("marketplace-resources/{}/offering", &[(Get, resources::offering)]),
    Route::act("marketplace-resources/{}/update_limits", &[(Post, new_orders::update_limits)]),
    Route::act("marketplace-resources/{}/terminate", &[(Post, new_orders::terminate)]),
    // Offering users.
    Route::list("marketplace-offering-users", &[(Get, offering_users::list), (Post, offering_users::create)]),
    Route::detail(
        "marketplace-offering-users/{}",
        &[
            (Get, offering_users::retrieve),
            (Patch, offering_users::patch),
            (Put, offering_users::put),
            (Delete, offering_users::delete),
        ],
    ),
    Route::act("marketplace-offering-users/{}/update_restricted", &[(Post, offering_users::update_restricted)]),
    Route::act("marketplace-offering-users/{}/update_comments", &[(Patch, offering_users::update_comments)]).since_8(),
    Route::act("marketplace-offering-users/{}/begin_creating", &[(Post, offering_users::begin_creating)]).since_8(),
    Route::act("marketplace-offering-users/{}/set_error_creating", &[(Post, offering_users::set_error_creating)])
        .since_8(),
    Route::act(
        "marketplace-offering-users/{}/set_pending_account_linking",
        &[(Post, offering_users::set_pending_account_linking)],
    )
    .since_8(),
    Route::act(
        "marketplace-offering-users/{}/set_pending_additional_validation",
        &[(Post, offering_users::set_pending_additional_validation)],
    )
    .since_8(),
    Route::act(
        "marketplace-offering-users/{}/set_validation_complete",
        &[(Post, offering_users::set_validation_complete)],
    )
    .since_8(),
    Route::act("marketplace-offering-users/{}/request_deletion", &[(Post, offering_users::request_deletion)]).since_8(),
    Route::act("marketplace-offering-users/{}/set_deleting", &[(Post, offering_users::set_deleting)]).since_8(),
    Route::act("marketplace-offering-users/{}/set_deleted", &[(Post, offering_users::set_deleted)]).since_8(),
    Route::act("marketplace-offering-users/{}/set_error_deleting", &[(Post, offering_users::set_error_deleting)])
        .since_8(),
    Route::act("marketplace-offering-users/{}/set_ok", &[(Post, offering_users::set_ok)]).since_8(),
    // Usage.
    Route::list("marketplace-component-usages", &[(Get, usages::list)]),
    Route::act("marketplace-component-usages/set_usage", &[(Post, usages::set_usage)]),
    Route::detail("marketplace-component-usages/{}", &[(Get, usages::retrieve)]),
    Route::act("marketplace-component-usages/{}/set_user_usage", &[(Post, user_usages::set_user_usage)]),
    Route::act("marketplace-component-usages/{}/set_user_usages", &[(Post, user_usages::set_user_usages)]).since_8(),
    Route::list("marketplace-component-user-usages", &[(Get, user_usages::list)]),
    Route::read("marketplace-provider-resources/{}/plan_periods", &[(Get, usages::plan_periods)]),
    Route::read("marketplace-resources/{}/plan_periods", &[(Get, usages::plan_periods)]),
    // Site agents.
    Route::list("marketplace-site-agent-identities", &[(Get, agents::list), (Post, agents::create)]).since_8(),
    Route::detail("marketplace-site-agent-identities/{}", &[(Get, agents::retrieve), (Put, agents::put)]).since_8(),
    Route::act("marketplace-site-agent-identities/{}/register_service", &[(Post, agents::register_service)]).since_8(),
    Route::act("marketplace-site-agent-identities/{}/register_queue", &[(Post, agent_events::register_queue)])
        .since_8(),
    Route::act(
        "marketplace-site-agent-identities/{}/register_event_subscription",
        &[(Post, agent_events::register_event_subscription)],
    )
    .since_8(),
    Route::act("marketplace-site-agent-services/{}/register_processor", &[(Post, agents::register_processor)])
        .since_8(),
    Route::act("marketplace-site-agent-services/{}/set_statistics", &[(Post, agents::set_statistics)]).since_8(),
    Route::list("marketplace-site-agent-logs", &[(Post, agent_events::ship_logs)]).since_8(),
    Route::act("event-subscriptions/{}/create_queue", &[(Post, agent_events::create_queue)]).since_8(),
    // Parts of generation 8 that the fake does not play; generation 2024 has nothing there (core.md §1.6).
    Route::list("component-user-usage-limits", &[(Get, accounts::user_limits)]).since_8(),
    Route::list("backend-resources", &[(Get, imports::list), (Post, imports::create)]).since_8(),
    Route::list("backend-resource-requests", &[(Get, imports::list_requests)]).since_8(),
    Route::read("backend-resource-requests/{}", &[(Get, imports::retrieve_request)]).since_8(),
    Route::act("backend-resource-requests/{}/start_processing", &[(Post, imports::start_processing)]).since_8(),
    Route::act("backend-resource-requests/{}/set_done", &[(Post, imports::set_done)]).since_8(),
    Route::act("backend-resource-requests/{}/set_erred", &[(Post, imports::set_erred)]).since_8(),
    Route::list("marketplace-resource-api-keys", &[(Get, api_keys::list)]).since_8(),
    Route::act("marketplace-resource-api-keys/report_created", &[(Post, api_keys::report_created)]).since_8(),
    Route::act("marketplace-resource-api-keys/{}/set_key", &[(Post, api_keys::set_key)]).since_8(),
    Route::act("marketplace-resource-api-keys/{}/set_erred", &[(Post, api_keys::set_erred)]).since_8(),
    Route::act(
        "marketplace-slurm-periodic-usage-policies/{}/report-command-result",
        &[(Post, provider::report_command_result)],
    )
    .since_8(),
];
