//! `/robots`.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    access::{Call, Caller, Permission},
    body::Body,
    pages::Page,
    projects::is_valid,
    query::{Wanted, keywords},
    records::{Project, Robot},
    refused::Refused,
    rights,
    state::{State, next, time},
    wire::{Outcome, Reply},
};

/// How many days a robot lives of which nobody says how long it shall.
const DAYS: i64 = 30;

/// What was sent for a robot, checked as far as it can be without looking at what there is.
struct Wish {
    name: String,
    description: String,
    duration: i64,
    level: String,
    disabled: bool,
    permissions: Vec<Permission>,
}

impl State {
    pub(super) fn list_robots(&self, call: &Call<'_>) -> Outcome {
        let page = Page::read(call.asked)?;
        call.require_login()?;
        let (mut level, mut project, mut names) = (None, None, Vec::new());
        for (key, wanted) in keywords(call.asked)? {
            match (key.as_str(), wanted) {
                ("Level" | "level", Wanted::Exactly(word)) => level = Some(word),
                ("ProjectID" | "project_id", Wanted::Exactly(id)) => project = Some(id),
                ("name", wanted) => names.push(wanted),
                _ => return Err(Refused::unmodelled()),
            }
        }
        let project = match level.as_deref() {
            None | Some("system") => {
                self.require(call, "robot", "list")?;
                0
            }
            Some("project") => {
                let id = project.ok_or_else(|| Refused::bad("must with project ID when to query project robots"))?;
                let id: i64 = id.parse().map_err(|_| Refused::bad("ProjectID must be a positive integer"))?;
                self.require_in(call, id, "list")?;
                id
            }
            Some(_) => return Err(Refused::bad("bad request error level input")),
        };
        let mut found: Vec<&Robot> = self.robots.values().filter(|robot| robot.project == project).collect();
        found.retain(|robot| names.iter().all(|wanted| wanted.fits(&robot.name)));
        found.sort_by_key(|robot| std::cmp::Reverse((robot.created, robot.id)));
        Ok(page.reply(call.asked, &found, |robot| robot.render(&self.settings.robot_prefix)))
    }

    fn require_in(&self, call: &Call<'_>, project: i64, action: &str) -> Result<(), Refused> {
        if self.may_in(call.caller, self.projects.get(&project), "robot", action) {
            return Ok(());
        }
        Err(Refused::forbidden("forbidden"))
    }

    fn robot_for(&self, call: &Call<'_>, action: &str) -> Result<&Robot, Refused> {
        let id = call.number(0, "robot_id")?;
        call.require_login()?;
        let robot = self.robots.get(&id).ok_or_else(|| Refused::missing(format!("robot {id} not found")))?;
        if robot.is_of_the_system() {
            self.require(call, "robot", action)?;
        } else {
            self.require_in(call, robot.project, action)?;
        }
        Ok(robot)
    }

    pub(super) fn get_robot(&self, call: &Call<'_>) -> Outcome {
        Ok(Reply::Json(self.robot_for(call, "read")?.render(&self.settings.robot_prefix)))
    }

    pub(super) fn delete_robot(&mut self, call: &Call<'_>) -> Outcome {
        let id = self.robot_for(call, "delete")?.id;
        self.robots.remove(&id);
        Ok(Reply::Empty)
    }

    pub(super) fn create_robot(&mut self, call: &Call<'_>) -> Outcome {
        let wish = self.wish(&Body::read(call.asked, "robot", "RobotCreate")?)?;
        if !is_valid(&wish.name) {
            return Err(Refused::bad("robot name is not in lower case or contains illegal characters"));
        }
        self.check(&wish)?;
        let (project, name) = if wish.level == "system" {
            self.require(call, "robot", "create")?;
            (0, wish.name.clone())
        } else {
            let project = self.home_of(call, &wish)?;
            (project.id, format!("{}+{}", project.name, wish.name))
        };
        let id = next(&mut self.counters.robot);
        if self.robots.values().any(|robot| robot.name == name && robot.project == project) {
            return Err(Refused::conflict(format!("robot account {project}:{name} already exists")));
        }
        let robot = self.new_robot(id, project, name, wish);
        let body = json!({
            "creation_time": time(Some(robot.created)),
            "expires_at": robot.expires_at,
            "id": id,
            "name": format!("{}{}", self.settings.robot_prefix, robot.name),
            "secret": robot.secret.expose_secret(),
        });
        self.robots.insert(id, robot);
        Ok(Reply::Created(format!("{}/{id}", call.asked.full_path()), Some(body)))
    }

    /// The project that a robot is to belong to.
    fn home_of(&self, call: &Call<'_>, wish: &Wish) -> Result<&Project, Refused> {
        let namespace = wish.permissions.first().map(|first| first.namespace.as_str()).unwrap_or_default();
        call.require_login()?;
        match self.find_project(namespace, false) {
            Some(project) => self.require_in(call, project.id, "create").map(|()| project),
            None if self.is_admin(call.caller) => Err(Refused::missing(format!("project {namespace} not found"))),
            None => Err(Refused::forbidden("forbidden")),
        }
    }

    fn new_robot(&mut self, id: i64, project: i64, name: String, wish: Wish) -> Robot {
        let (now, secret) = (self.now(), self.mint_secret());
        Robot {
            id,
            name,
            secret,
            description: wish.description,
            duration: wish.duration,
            expires_at: expiry(now, wish.duration),
            disabled: wish.disabled,
            project,
            permissions: wish.permissions,
            created: now,
            updated: now,
        }
    }

    /// A secret of the form that the server asks for.
    pub(super) fn mint_secret(&mut self) -> SecretString {
        self.counters.secret += 1;
        format!("Robot{:027}", self.counters.secret).into()
    }

    fn wish(&self, body: &Body) -> Result<Wish, Refused> {
        let mut permissions = Vec::new();
        for sent in body.objects("permissions")? {
            let mut access = Vec::new();
            for pair in sent.objects("access")? {
                access.push((pair.text("resource")?.to_owned(), pair.text("action")?.to_owned()));
            }
            let (kind, namespace) = (sent.text("kind")?.to_owned(), sent.text("namespace")?.to_owned());
            permissions.push(Permission { kind, namespace, access });
        }
        let duration = body.integer("duration")?.unwrap_or_default();
        Ok(Wish {
            name: body.text("name")?.to_owned(),
            description: body.text("description")?.to_owned(),
            // 2.9 takes 0 for what is configured.
            duration: if duration == 0 && !self.settings.is_since(2, 10) { DAYS } else { duration },
            level: body.text("level")?.to_owned(),
            disabled: body.flag("disable")?.unwrap_or_default(),
            permissions,
        })
    }

    /// From 2.10 on, a robot can only be given what is in a table, which has grown since.
    fn check(&self, wish: &Wish) -> Result<(), Refused> {
        let strict = self.settings.is_since(2, 10);
        if wish.duration != -1 && wish.duration <= 0 {
            let message = format!("bad request error duration input: {}", wish.duration);
            let more = if strict { ", duration must be either -1(Never) or a positive integer" } else { "" };
            return Err(Refused::bad(message + more));
        }
        if !matches!(wish.level.as_str(), "system" | "project") {
            return Err(Refused::bad(format!("bad request error level input: {}", wish.level)));
        }
        if wish.permissions.is_empty() {
            return Err(Refused::bad("bad request empty permission"));
        }
        if wish.permissions.iter().any(|permission| permission.access.is_empty()) {
            return Err(Refused::bad("bad request empty access"));
        }
        if wish.level == "project" && wish.permissions.len() > 1 {
            return Err(Refused::bad("bad request permission"));
        }
        if strict {
            self.check_rights(&wish.permissions)?;
        }
        Ok(())
    }

    pub(super) fn check_rights(&self, permissions: &[Permission]) -> Result<(), Refused> {
        for permission in permissions {
            let known = match permission.kind.as_str() {
                "system" => rights::system(&self.settings),
                "project" => rights::project(&self.settings),
                other => return Err(Refused::bad(format!("bad request permission level: {other}"))),
            };
            for (resource, action) in &permission.access {
                if !known.contains(&(resource, action)) {
                    return Err(Refused::bad(format!("bad request permission: {resource}:{action}")));
                }
            }
        }
        Ok(())
    }

    /// Name and level cannot change; when the days change, they count from the beginning.
    pub(super) fn update_robot(&mut self, call: &Call<'_>) -> Outcome {
        let wish = self.wish(&Body::read(call.asked, "robot", "Robot")?)?;
        let robot = self.robot_for(call, "update")?;
        let id = robot.id;
        self.check(&wish)?;
        let name = format!("{}{}", self.settings.robot_prefix, robot.name);
        if wish.level != robot.level() || wish.name != name {
            return Err(Refused::bad("cannot update the level or name of robot"));
        }
        let now = self.now();
        if let Some(robot) = self.robots.get_mut(&id) {
            if robot.duration != wish.duration {
                robot.duration = wish.duration;
                robot.expires_at = expiry(robot.created, wish.duration);
            }
            robot.description = wish.description;
            robot.disabled = wish.disabled;
            robot.permissions = wish.permissions;
            robot.updated = now;
        }
        Ok(Reply::Empty)
    }

    /// A secret of the caller's choice is not repeated, one of the server's is.
    pub(super) fn refresh_secret(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "robotSec", "RobotSec")?;
        let sent = body.text("secret")?.to_owned();
        let id = self.robot_for(call, "update")?.id;
        let (secret, answer) = if sent.is_empty() {
            let minted = self.mint_secret();
            let answer = json!({ "secret": minted.expose_secret() });
            (minted, answer)
        } else if is_strong(&sent) {
            (SecretString::from(sent), Value::Object(serde_json::Map::new()))
        } else {
            return Err(Refused::bad(
                "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase \
                 letter and 1 number",
            ));
        };
        if let Some(robot) = self.robots.get_mut(&id) {
            robot.secret = secret;
        }
        Ok(Reply::Json(answer))
    }

    /// What robots can be given: for whoever administers the system.
    pub(super) fn get_permissions(&self, call: &Call<'_>) -> Outcome {
        if !self.settings.is_since(2, 10) {
            return Err(Refused::missing(format!("path {} was not found", call.asked.full_path())));
        }
        call.require_login()?;
        if !matches!(call.caller, Caller::User(_)) || !self.is_admin(call.caller) {
            return Err(Refused::forbidden("forbidden"));
        }
        let list = |rights: Vec<(&str, &str)>| {
            let row = |(resource, action): (&str, &str)| json!({ "action": action, "resource": resource });
            rights.into_iter().map(row).collect::<Vec<_>>()
        };
        let (system, project) = (rights::system(&self.settings), rights::project(&self.settings));
        Ok(Reply::Json(json!({ "project": list(project), "system": list(system) })))
    }
}

/// So many days on.
pub(super) fn expiry(from: Timestamp, days: i64) -> i64 {
    if days == -1 {
        return -1;
    }
    let day = from.to_zoned(TimeZone::UTC).checked_add(days.days());
    day.map_or(i64::MAX, |day| day.timestamp().as_second())
}

fn is_strong(secret: &str) -> bool {
    (8..=128).contains(&secret.chars().count())
        && secret.chars().any(char::is_uppercase)
        && secret.chars().any(char::is_lowercase)
        && secret.chars().any(|letter| letter.is_ascii_digit())
}
