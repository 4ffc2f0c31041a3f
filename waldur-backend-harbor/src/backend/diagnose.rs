//! Is Harbor there, are we let in, may we do what we need, is it set up for what is sold? (harbor.md §5.8, §7)

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Finding, Outcome},
};

use super::{
    metadata,
    rights::{self, NEEDED},
};
use crate::{
    client::{HarborClient, Role, SystemInfo},
    settings::{ADMIN_WARNING, HarborSettings},
};

/// What the login of a robot begins with, unless the server is set up otherwise.
const ROBOT: &str = "robot$";

/// The first version that grants robots the rights on groups, members and quotas.
const ROBOTS_SUFFICE: (u32, u32) = (2, 12);

/// The cheapest call that needs the credentials. Health and lists of projects are answered to everybody.
pub(super) async fn ping(client: &HarborClient) -> Result<()> {
    client.quotas().probe().await
}

pub(super) async fn findings(client: &HarborClient, settings: &HarborSettings) -> Vec<Finding> {
    let login = ping(client).await;
    let is_in = login.as_ref().map_or_else(|error| error.kind() == ErrorKind::PermissionDenied, |()| true);
    let mut findings = vec![credentials(settings, login.as_ref().err().filter(|_| !is_in)), health(client).await];
    if is_in {
        let info = client.system().info().await;
        findings.extend(server(&info, settings));
        findings.push(projects(client).await);
        findings.extend(rights_of(client, settings, login, info.ok().as_ref()).await);
    }
    findings.extend(choices(settings));
    findings
}

fn credentials(settings: &HarborSettings, error: Option<&Error>) -> Finding {
    match error {
        None => Finding::passed("credentials", format!("{} is let in at {}", settings.username, settings.url)),
        Some(error) => {
            let remedy = match error.kind() {
                ErrorKind::Unauthenticated => "check robot_username and robot_password; robot accounts expire",
                ErrorKind::Config | ErrorKind::WrongContent => "check harbor_url",
                _ => "check that Harbor can be reached at harbor_url",
            };
            Finding::of_result("credentials", Err(error.clone())).with_remedy(remedy)
        }
    }
}

/// What everybody is told, and with 200 even when nothing works.
async fn health(client: &HarborClient) -> Finding {
    match client.system().health().await {
        Ok(health) if health.is_healthy() => Finding::passed("health", "Harbor says that it is well"),
        Ok(health) => {
            let sick = health.sick().collect::<Vec<_>>().join(", ");
            Finding::new("health", Outcome::Warning, format!("Harbor says that it is not well: {sick}"))
        }
        Err(error) => Finding::of_result("health", Err(error)),
    }
}

fn server(info: &Result<SystemInfo>, settings: &HarborSettings) -> Vec<Finding> {
    let info = match info {
        Ok(info) => info,
        Err(error) => return vec![Finding::of_result("version", Err(error.clone()))],
    };
    let mut findings = vec![version(info, settings), auth_mode(info)];
    findings.extend(address(info, settings));
    if info.read_only == Some(true) {
        let detail = "Harbor is in read-only mode: no order can be carried out";
        findings.push(Finding::new("read_only", Outcome::Failed, detail).with_remedy("end the read-only mode"));
    }
    findings
}

fn version(info: &SystemInfo, settings: &HarborSettings) -> Finding {
    let told = info.harbor_version.as_deref().unwrap_or("a version that it does not tell");
    let is_robot = settings.username.starts_with(ROBOT);
    match info.version() {
        Some(version) if is_robot && version < ROBOTS_SUFFICE => {
            let detail = format!(
                "{told}: before 2.12 a robot account cannot be given the permissions on user groups (user-group:*), \
                 members and quotas"
            );
            let remedy = "log in as a local administrator, or update Harbor to 2.12";
            Finding::new("version", Outcome::Warning, detail).with_remedy(remedy)
        }
        Some(_) => Finding::passed("version", told),
        None => Finding::new("version", Outcome::Skipped, format!("Harbor is of {told}")),
    }
}

fn auth_mode(info: &SystemInfo) -> Finding {
    match info.auth_mode.as_deref() {
        Some("oidc_auth") => Finding::passed("auth_mode", "oidc_auth"),
        Some(other) => {
            let detail = format!("{other}: groups of an identity provider have no members here");
            Finding::new("auth_mode", Outcome::Warning, detail).with_remedy("set up OIDC authentication in Harbor")
        }
        None => Finding::new("auth_mode", Outcome::Skipped, "Harbor does not tell"),
    }
}

/// Customers are told `harbor_url`, which may be an address that only this agent can reach.
fn address(info: &SystemInfo, settings: &HarborSettings) -> Option<Finding> {
    const CHECK: &str = "docker_login";
    let told = info.registry_url.as_deref()?.trim_end_matches('/');
    let told = told.split_once("://").map_or(told, |(_, host)| host);
    let ours = metadata::registry(settings);
    // The port that goes without saying.
    let host = |text: &str| text.trim_end_matches(":443").trim_end_matches(":80").to_ascii_lowercase();
    if host(told) == host(&ours) {
        return Some(Finding::passed(CHECK, ours));
    }
    let detail = format!("customers are told {ours}, Harbor calls itself {told}");
    let remedy = "set harbor_url to an address that customers can reach, unless this is one";
    Some(Finding::new(CHECK, Outcome::Warning, detail).with_remedy(remedy))
}

async fn projects(client: &HarborClient) -> Finding {
    match client.projects().count().await {
        Ok(count) => Finding::passed("projects", format!("the account sees {count} projects")),
        Err(error) => Finding::of_result("projects", Err(error)),
    }
}

/// One finding for each right. A robot's own record tells most; where it cannot be read, and for administrators, rights
/// are tried by calls that change nothing.
async fn rights_of(
    client: &HarborClient,
    settings: &HarborSettings,
    quotas: Result<()>,
    info: Option<&SystemInfo>,
) -> Vec<Finding> {
    if settings.username.starts_with(ROBOT)
        && let Ok(listed) = client.system().robots().collect().await
        && let Some(robot) = listed.items().iter().find(|robot| robot.name == settings.username)
    {
        let mut findings = vec![rights::expiry(robot, client.environment().now())];
        findings.extend(rights::of_robot(robot, settings));
        return findings;
    }
    let create = client.projects().probe_create().await;
    let tried = [
        ("quota:list", quotas),
        ("quota:update", client.quotas().probe_update().await),
        ("user-group:list", client.groups().probe().await),
        ("user-group:create", client.groups().probe_create().await),
    ];
    let mut findings = vec![create_right(create, info)];
    findings.extend(tried.into_iter().map(|(right, result)| tried_right(right, result)));
    let told = NEEDED.iter().filter(|right| right.is_of_projects()).map(|right| right.name());
    let told = told.collect::<Vec<_>>().join(", ");
    let detail = format!("cannot be tried without changing a project: {told}");
    findings.push(Finding::new("rights on projects", Outcome::Skipped, detail));
    findings
}

/// Where everybody may make projects, being let is no proof of the right. Without it, Harbor gives a new project its own
/// default of a quota in the place of the one that was ordered.
fn create_right(result: Result<()>, info: Option<&SystemInfo>) -> Finding {
    const RIGHT: &str = "project:create";
    let restriction = info.and_then(|info| info.project_creation_restriction.as_deref());
    if result.is_ok() && restriction != Some("adminonly") {
        let detail = "cannot be tried where everybody may create projects; without it, new projects have Harbor's own \
                      quota for a moment";
        return Finding::new(RIGHT, Outcome::Skipped, detail);
    }
    tried_right(RIGHT, result)
}

fn tried_right(right: &str, result: Result<()>) -> Finding {
    let is_denied = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let finding = Finding::of_result(right, result);
    if is_denied { finding.with_remedy(format!("give the account {right} on the system")) } else { finding }
}

fn choices(settings: &HarborSettings) -> Vec<Finding> {
    let detail = format!(
        "new projects: {}…, limited to {} unless ordered otherwise; groups: {}…, with role {}",
        settings.allocation_prefix, settings.default_limit, settings.group_prefix, settings.role
    );
    let mut findings = vec![Finding::passed("settings", detail)];
    let mut warn = |check: &str, detail: &str, remedy: &str| {
        findings.push(Finding::new(check, Outcome::Warning, detail).with_remedy(remedy));
    };
    if settings.allocation_prefix.is_empty() {
        warn("allocation_prefix", "projects are named among everybody's on the registry", "set allocation_prefix");
    }
    if settings.group_prefix.trim().is_empty() {
        let detail = "a project has the group of the identity provider that is called like its slug, whoever is in it";
        warn("oidc_group_prefix", detail, "set oidc_group_prefix");
    }
    if settings.role == Role::ADMIN {
        warn("project_role_id", ADMIN_WARNING, "use 4 (maintainer), unless that is meant");
    }
    if settings.force_delete_repositories {
        let detail = "terminating a resource deletes all its images";
        warn("force_delete_repositories", detail, "leave it out unless that is meant");
    }
    if !settings.verify_ssl {
        warn("verify_ssl", "Harbor's certificate is not verified", "put its authority into ca_certificates");
    }
    if settings.url.as_url().scheme() == "http" {
        warn("harbor_url", "the password travels over plain http", "use https");
    }
    findings
}
