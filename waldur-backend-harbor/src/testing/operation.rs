//! Which call a request is.

use http::Method;

use super::{refused::Refused, wire::Asked};

macro_rules! operations {
    ($($operation:ident = $method:ident $template:literal $name:literal;)*) => {
        /// One call of the API, named as in its contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Operation {
            $($operation,)*
            /// In the contract, and not here.
            Unmodelled,
        }

        const ROUTES: &[(Operation, Method, &str)] = &[$((Operation::$operation, Method::$method, $template),)*];

        impl Operation {
            /// The name under which it is counted: that of the contract.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)*
                    Self::Unmodelled => "unmodelled",
                }
            }
        }
    };
}

// What is spelled out comes before what has a place for an id.
operations! {
    Ping = GET "ping" "getPing";
    Health = GET "health" "getHealth";
    SystemInfo = GET "systeminfo" "getSystemInfo";
    Statistic = GET "statistics" "getStatistic";
    Search = GET "search" "search";
    HeadProject = HEAD "projects" "headProject";
    ListProjects = GET "projects" "listProjects";
    CreateProject = POST "projects" "createProject";
    GetProject = GET "projects/*" "getProject";
    UpdateProject = PUT "projects/*" "updateProject";
    DeleteProject = DELETE "projects/*" "deleteProject";
    GetDeletable = GET "projects/*/_deletable" "getProjectDeletable";
    GetSummary = GET "projects/*/summary" "getProjectSummary";
    ListMembers = GET "projects/*/members" "listProjectMembers";
    CreateMember = POST "projects/*/members" "createProjectMember";
    GetMember = GET "projects/*/members/*" "getProjectMember";
    UpdateMember = PUT "projects/*/members/*" "updateProjectMember";
    DeleteMember = DELETE "projects/*/members/*" "deleteProjectMember";
    ListRepositories = GET "projects/*/repositories" "listRepositories";
    GetRepository = GET "projects/*/repositories/*" "getRepository";
    DeleteRepository = DELETE "projects/*/repositories/*" "deleteRepository";
    ListArtifacts = GET "projects/*/repositories/*/artifacts" "listArtifacts";
    GetArtifact = GET "projects/*/repositories/*/artifacts/*" "getArtifact";
    DeleteArtifact = DELETE "projects/*/repositories/*/artifacts/*" "deleteArtifact";
    ListTags = GET "projects/*/repositories/*/artifacts/*/tags" "listTags";
    CreateTag = POST "projects/*/repositories/*/artifacts/*/tags" "createTag";
    DeleteTag = DELETE "projects/*/repositories/*/artifacts/*/tags/*" "deleteTag";
    ListQuotas = GET "quotas" "listQuotas";
    GetQuota = GET "quotas/*" "getQuota";
    UpdateQuota = PUT "quotas/*" "updateQuota";
    ListGroups = GET "usergroups" "listUserGroups";
    CreateGroup = POST "usergroups" "createUserGroup";
    SearchGroups = GET "usergroups/search" "searchUserGroups";
    GetGroup = GET "usergroups/*" "getUserGroup";
    UpdateGroup = PUT "usergroups/*" "updateUserGroup";
    DeleteGroup = DELETE "usergroups/*" "deleteUserGroup";
    ListRobots = GET "robots" "ListRobot";
    CreateRobot = POST "robots" "CreateRobot";
    GetRobot = GET "robots/*" "GetRobotByID";
    UpdateRobot = PUT "robots/*" "UpdateRobot";
    RefreshSecret = PATCH "robots/*" "RefreshSec";
    DeleteRobot = DELETE "robots/*" "DeleteRobot";
    ListUsers = GET "users" "listUsers";
    CreateUser = POST "users" "createUser";
    CurrentUser = GET "users/current" "getCurrentUserInfo";
    SearchUsers = GET "users/search" "searchUsers";
    GetConfiguration = GET "configurations" "getConfigurations";
    UpdateConfiguration = PUT "configurations" "updateConfigurations";
    InternalConfiguration = GET "internalconfig" "getInternalconfig";
    Permissions = GET "permissions" "getPermissions";
    CreateLabel = POST "labels" "CreateLabel";
    PingOidc = POST "system/oidc/ping" "pingOIDC";
}

/// What paths of the contract begin with that are not modelled as a whole.
const KNOWN: &[&str] = &[
    "audit-logs",
    "auditlog-exts",
    "export",
    "icons",
    "jobservice",
    "labels",
    "ldap",
    "p2p",
    "permissions",
    "quotas",
    "registries",
    "replication",
    "repositories",
    "retentions",
    "robots",
    "scanners",
    "schedules",
    "security",
    "system",
    "systeminfo",
    "usergroups",
    "users",
    "webhook",
];

/// What follows a project in paths that are not modelled.
const KNOWN_BELOW_PROJECTS: &[&str] = &[
    "artifacts",
    "auditlog-exts",
    "immutabletagrules",
    "logs",
    "metadatas",
    "preheat",
    "robots",
    "scanner",
    "webhook",
];

impl Operation {
    /// The call, and the variable segments of its path.
    pub(super) fn of(asked: &Asked) -> Result<(Self, Vec<&str>), Refused> {
        let segments = asked.segments();
        let mut allowed = Vec::new();
        for (operation, method, template) in ROUTES {
            let Some(variables) = variables(template, &segments) else { continue };
            if asked.method == method {
                return Ok((*operation, variables));
            }
            // `users/current` is a path of its own, although `users/*` would fit as well.
            allowed.push(method.as_str());
        }
        let missing = || Refused::missing(format!("path {} was not found", asked.full_path()));
        match segments.as_slice() {
            _ if !allowed.is_empty() => {
                let message = format!("method {} is not allowed, but [{}] are", asked.method, allowed.join(","));
                Err(Refused::new(405, "METHOD_NOT_ALLOWED", message))
            }
            ["projects", _, below, ..] if KNOWN_BELOW_PROJECTS.contains(below) => Ok((Self::Unmodelled, Vec::new())),
            // A repository whose name was encoded once falls apart into segments that mean nothing.
            ["projects", ..] | [_, "search" | "current", ..] => Err(missing()),
            [first, ..] if KNOWN.contains(first) => Ok((Self::Unmodelled, Vec::new())),
            _ => Err(missing()),
        }
    }
}

/// The variable segments, if the template fits.
fn variables<'a>(template: &str, segments: &[&'a str]) -> Option<Vec<&'a str>> {
    let wanted = template.split('/');
    if wanted.clone().count() != segments.len() {
        return None;
    }
    let mut variables = Vec::new();
    for (wanted, segment) in wanted.zip(segments) {
        match wanted {
            "*" if !segment.is_empty() => variables.push(*segment),
            wanted if wanted == *segment => {}
            _ => return None,
        }
    }
    Some(variables)
}
