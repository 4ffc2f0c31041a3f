//! The server itself: health, what it is, what it holds, and its users.

use serde_json::{Value, json};

use super::{
    access::{Call, Caller},
    body::Body,
    pages::Page,
    projects::Detail,
    query::{contains, keywords},
    records::{Project, User},
    refused::Refused,
    state::{State, next, time},
    wire::{Outcome, Reply},
};

/// The parts that `health` looks at.
pub(super) const COMPONENTS: [&str; 7] =
    ["core", "database", "jobservice", "portal", "redis", "registry", "registryctl"];

impl State {
    /// Plain text only.
    pub(super) fn ping(call: &Call<'_>) -> Outcome {
        let accepted = call.asked.header("accept").unwrap_or("*/*");
        if accepted.contains("text/plain") || accepted.contains("*/*") || accepted.contains("text/*") {
            return Ok(Reply::Text("Pong"));
        }
        Err(Refused::invalid(&["unsupported media type requested, only [text/plain] are available".to_owned()]))
    }

    /// For everybody, and 200 whatever the state.
    pub(super) fn health(&self) -> Reply {
        let component = |name: &&str| match self.unhealthy.get(*name) {
            Some(error) => json!({ "error": error, "name": name, "status": "unhealthy" }),
            None => json!({ "name": name, "status": "healthy" }),
        };
        let status = if self.unhealthy.is_empty() { "healthy" } else { "unhealthy" };
        Reply::Json(json!({ "components": COMPONENTS.iter().map(component).collect::<Vec<_>>(), "status": status }))
    }

    /// Whoever is not logged in learns little; recorded from 2.9, of which a build that is no release tells its version to
    /// everybody.
    pub(super) fn system_info(&self, call: &Call<'_>) -> Reply {
        let settings = &self.settings;
        let mut info = json!({
            "auth_mode": settings.auth_mode,
            "banner_message": "",
            "primary_auth_mode": false,
            "self_registration": false,
        });
        let Some(members) = info.as_object_mut() else { return Reply::Json(info) };
        if !settings.is_since(2, 10) {
            members.insert("harbor_version".to_owned(), json!(settings.version));
        }
        if settings.is_since(2, 12) {
            members.insert("oidc_provider_name".to_owned(), json!(""));
        }
        if call.caller != Caller::Nobody {
            let more = json!({
                "current_time": time(Some(self.now())),
                "external_url": settings.external_url,
                "harbor_version": settings.version,
                "has_ca_root": false,
                "notification_enable": true,
                "project_creation_restriction": settings.project_creation_restriction,
                "read_only": settings.read_only,
                "registry_storage_provider_name": "filesystem",
                "registry_url": settings.registry(),
            });
            members.extend(more.as_object().cloned().unwrap_or_default());
        }
        Reply::Json(info)
    }

    /// Only administrators learn about everything; robots about public projects.
    pub(super) fn statistic(&self, call: &Call<'_>) -> Outcome {
        call.require_login()?;
        let count = |wanted: &dyn Fn(&&Project) -> bool| {
            let found: Vec<&Project> = self.projects.values().filter(wanted).collect();
            (found.len(), found.iter().map(|project| project.repositories.len()).sum::<usize>())
        };
        let admin = self.is_admin(call.caller);
        let public = count(&|project| project.is_public());
        let private = count(&|project| {
            !project.is_public()
                && (admin || (matches!(call.caller, Caller::User(_)) && self.shows(call.caller, project)))
        });
        let total = if admin { (public.0 + private.0, public.1 + private.1) } else { (0, 0) };
        // The same piece in two projects is stored once.
        let blobs: std::collections::BTreeMap<&str, u64> =
            self.projects.values().filter(|_| admin).flat_map(Project::blobs).collect();
        Ok(Reply::Json(json!({
            "private_project_count": private.0,
            "private_repo_count": private.1,
            "public_project_count": public.0,
            "public_repo_count": public.1,
            "total_project_count": total.0,
            "total_repo_count": total.1,
            "total_storage_consumption": blobs.values().sum::<u64>(),
        })))
    }

    pub(super) fn search(&self, call: &Call<'_>) -> Outcome {
        let part = call.asked.required("q")?;
        let seen: Vec<&Project> = self.projects_by_name().filter(|project| self.shows(call.caller, project)).collect();
        let projects = seen.iter().filter(|project| contains(&project.name, part));
        let projects: Vec<Value> =
            projects.map(|project| self.render_project(call.caller, project, Detail::Found)).collect();
        let mut repositories = Vec::new();
        for project in seen {
            for (name, repository) in &project.repositories {
                let name = format!("{}/{name}", project.name);
                if contains(&name, part) {
                    repositories.push(json!({
                        "artifact_count": repository.artifacts.len(),
                        "project_id": project.id,
                        "project_name": project.name,
                        "project_public": project.is_public(),
                        "pull_count": 0,
                        "repository_name": name,
                    }));
                }
            }
        }
        Ok(Reply::Json(json!({ "project": projects, "repository": repositories })))
    }

    /// Only for its own parts.
    pub(super) fn internal_configuration() -> Outcome {
        Err(Refused::new(401, "UNAUTHORIZED", "only internal service is allowed to call this API"))
    }

    /// Nothing is there that could be asked.
    pub(super) fn ping_oidc(&self, call: &Call<'_>) -> Outcome {
        Body::read(call.asked, "endpoint", "PingOIDCBody")?;
        self.require(call, "configuration", "update")?;
        Err(Refused::bad("failed to verify connection"))
    }

    /// Labels are counted, and not kept.
    pub(super) fn create_label(&mut self, call: &Call<'_>) -> Outcome {
        Body::read(call.asked, "label", "Label")?;
        self.require(call, "label", "create")?;
        let id = next(&mut self.counters.label);
        Ok(Reply::created(&format!("labels/{id}")))
    }

    /// A robot is no user.
    pub(super) fn current_user(&self, call: &Call<'_>) -> Outcome {
        match call.caller {
            Caller::Nobody => Err(Refused::unauthorized()),
            Caller::Robot(_) => {
                Err(Refused::precondition("get current user not available for security context: robot"))
            }
            Caller::User(id) => Ok(Reply::Json(self.users.get(&id).ok_or_else(Refused::internal)?.render())),
        }
    }

    pub(super) fn list_users(&self, call: &Call<'_>) -> Outcome {
        let page = Page::read(call.asked)?;
        self.require(call, "user", "list")?;
        let words = keywords(call.asked)?;
        if words.iter().any(|(key, _)| key != "username") {
            return Err(Refused::unmodelled());
        }
        let found: Vec<&User> =
            self.users.values().filter(|user| words.iter().all(|(_, wanted)| wanted.fits(&user.name))).collect();
        Ok(page.reply(call.asked, &found, |user| user.render()))
    }

    pub(super) fn search_users(&self, call: &Call<'_>) -> Outcome {
        let page = Page::read(call.asked)?;
        let part = call.asked.required("username")?;
        call.require_login()?;
        let found: Vec<&User> = self.users.values().filter(|user| contains(&user.name, part)).collect();
        Ok(page.reply(call.asked, &found, |user| json!({ "user_id": user.id, "username": user.name })))
    }

    pub(super) fn create_user(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "userReq", "UserCreationReq")?;
        let (name, email) = (body.text("username")?.to_owned(), body.text("email")?.to_owned());
        let (realname, comment) = (body.text("realname")?.to_owned(), body.text("comment")?.to_owned());
        let password = body.text("password")?.to_owned();
        self.require(call, "user", "create")?;
        let mode = &self.settings.auth_mode;
        if mode != "db_auth" {
            return Err(Refused::forbidden(format!("creating local user is not allowed under auth mode: {mode}")));
        }
        if self.users.values().any(|user| user.name == name || (!email.is_empty() && user.email == email)) {
            next(&mut self.counters.user);
            return Err(Refused::conflict(format!("user {name} or email {email} already exists")));
        }
        let id = self.insert_user(&name, password, false);
        if let Some(user) = self.users.get_mut(&id) {
            (user.email, user.realname, user.comment) = (email, realname, comment);
        }
        Ok(Reply::created(&format!("users/{id}")))
    }

    pub(super) fn insert_user(
        &mut self,
        name: &str,
        password: impl Into<secrecy::SecretString>,
        is_admin: bool,
    ) -> i64 {
        let (now, id) = (self.now(), next(&mut self.counters.user));
        let user = User {
            id,
            name: name.to_owned(),
            password: password.into(),
            email: String::new(),
            realname: String::new(),
            comment: String::new(),
            is_admin,
            created: now,
            updated: now,
        };
        self.users.insert(id, user);
        id
    }
}
