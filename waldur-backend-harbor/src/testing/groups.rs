//! `/usergroups`, and who is a member of a project.

use serde_json::{Value, json};

use super::{
    access::Call,
    body::Body,
    pages::Page,
    query::{contains, like},
    records::{Entity, Group, Member, OIDC, role_name},
    refused::Refused,
    state::{State, next},
    wire::{Outcome, Reply},
};

const LDAP: i64 = 1;

impl State {
    /// In the order of the table, which is that of no name and of no number once a group was renamed.
    fn groups_in_place(&self) -> Vec<&Group> {
        let mut all: Vec<&Group> = self.groups.values().collect();
        all.sort_by_key(|group| group.place);
        all
    }

    pub(super) fn list_groups(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        self.require(call, "user-group", "list")?;
        let part = asked.parameter("group_name").unwrap_or_default();
        let mut found = self.groups_in_place();
        found.retain(|group| contains(&group.name, part) && self.is_of_mode(group));
        Ok(page.reply(asked, &found, |group| group.render()))
    }

    /// Two modes list groups of their own kind only.
    fn is_of_mode(&self, group: &Group) -> bool {
        match self.settings.auth_mode.as_str() {
            "ldap_auth" => group.kind == LDAP,
            "http_auth" => group.kind == 2,
            _ => true,
        }
    }

    /// Any login will do. Up to 2.13 a page of what contains the text, the best match of that page first; from 2.14 on
    /// the text is a pattern, the shortest name comes first, and there is only one page although more are announced.
    pub(super) fn search_groups(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        let part = asked.required("groupname")?;
        call.require_login()?;
        let mut found = self.groups_in_place();
        let total = found.iter().filter(|group| contains(&group.name, part)).count();
        if total == 0 {
            return Ok(page.counted(asked, Vec::new(), 0));
        }
        let rank = |group: &&Group| (group.name != part, group.name.len(), group.name.clone());
        let found: Vec<&Group> = if self.settings.is_since(2, 14) {
            found.retain(|group| like(&group.name, &format!("%{part}%")));
            found.sort_by_key(|group| (group.name.len(), group.name.clone()));
            page.first().cut(found).collect()
        } else {
            found.retain(|group| contains(&group.name, part));
            let mut cut: Vec<&Group> = page.cut(found).collect();
            cut.sort_by_key(rank);
            cut
        };
        let row = |group: &&Group| json!({ "group_name": group.name, "group_type": group.kind, "id": group.id });
        Ok(page.counted(asked, found.iter().map(row).collect(), total))
    }

    pub(super) fn get_group(&self, call: &Call<'_>) -> Outcome {
        let id = call.number(0, "group_id")?;
        self.require(call, "user-group", "read")?;
        let group = self.groups.get(&id).ok_or_else(|| missing(id))?;
        // It does not repeat the id.
        let mut row = group.render();
        row.as_object_mut().and_then(|row| row.remove("id"));
        Ok(Reply::Json(row))
    }

    pub(super) fn create_group(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "usergroup", "UserGroup")?;
        let (name, dn) = (body.text("group_name")?, body.text("ldap_group_dn")?);
        let kind = body.integer("group_type")?.unwrap_or_default();
        self.require(call, "user-group", "create")?;
        if name.is_empty() {
            return Err(Refused::wordless(400));
        }
        if kind == LDAP && (dn.is_empty() || !matches!(self.settings.auth_mode.as_str(), "oidc_auth" | "ldap_auth")) {
            return Err(Refused::bad(format!("LDAP Group DN is not found: DN:{dn}")));
        }
        if name.chars().count() > 255 {
            // The column is no longer.
            return Err(Refused::internal());
        }
        if self.group_named(name).is_some() {
            let message = format!("duplicate user group, group name:{name}, group type: {kind}, ldap group DN: {dn}");
            return Err(Refused::conflict(message));
        }
        let id = self.insert_group(name, kind, dn);
        if let Some(group) = self.groups.get_mut(&id) {
            group.by_request = true;
        }
        Ok(Reply::created(&format!("usergroups/{id}")))
    }

    pub(super) fn update_group(&mut self, call: &Call<'_>) -> Outcome {
        let id = call.number(0, "group_id")?;
        let body = Body::read(call.asked, "usergroup", "UserGroup")?;
        let name = body.text("group_name")?.to_owned();
        self.require(call, "user-group", "update")?;
        if name.is_empty() {
            return Err(Refused::wordless(400));
        }
        if self.group_named(&name).is_some_and(|group| group.id != id) {
            return Err(Refused::internal());
        }
        if self.rename_group(id, name) { Ok(Reply::Empty) } else { Err(missing(id)) }
    }

    /// 200 for one that is not there, too.
    pub(super) fn delete_group(&mut self, call: &Call<'_>) -> Outcome {
        let id = call.number(0, "group_id")?;
        self.require(call, "user-group", "delete")?;
        if id <= 0 {
            return Err(Refused::bad("the group id should be provided"));
        }
        self.remove_group(id);
        Ok(Reply::Empty)
    }

    /// The name is exact; the total is that of all members, whatever name was asked for.
    pub(super) fn list_members(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        let project = self.project_for(call, "member", "list")?;
        let mut rows = self.listed_members(project);
        if let Some(name) = asked.parameter("entityname").filter(|name| !name.is_empty()) {
            rows.retain(|(entity, _)| *entity == name);
        }
        let rows = page.cut(rows).map(|(_, row)| row).collect();
        Ok(page.counted(asked, rows, project.members.len()))
    }

    pub(super) fn get_member(&self, call: &Call<'_>) -> Outcome {
        let id = call.number(1, "mid")?;
        let project = self.project_for(call, "member", "read")?;
        let rows = self.listed_members(project);
        let row = rows.into_iter().find(|(_, row)| row.get("id").and_then(Value::as_i64) == Some(id));
        let missing = || {
            let (project, id) = (project.id, id);
            Refused::missing(format!("the project member is not found, project id {project}, member id {id}"))
        };
        row.map(|(_, row)| Reply::Json(row)).ok_or_else(missing)
    }

    /// A user or a group, by id or by name. A group whose name and kind nobody has yet is made, as one of OIDC, whatever
    /// kind was asked for.
    pub(super) fn create_member(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "project_member", "ProjectMember")?;
        let role = body.integer("role_id")?.unwrap_or_default();
        let project = self.project_for(call, "member", "create")?.id;
        let entity = self.member_of(&body)?;
        let taken = |project: &super::records::Project| project.members.iter().any(|known| known.entity == entity);
        if self.projects.get(&project).is_some_and(taken) {
            return Err(Refused::conflict("The project member specified already exist"));
        }
        if role_name(role).is_none() {
            return Err(Refused::bad("Failed to update project member, role is not in 1,2,3"));
        }
        let id = self.insert_member(project, entity, role);
        Ok(Reply::created(&format!("projects/{}/members/{id}", call.segment(0))))
    }

    pub(super) fn insert_member(&mut self, project: i64, entity: Entity, role: i64) -> i64 {
        let id = next(&mut self.counters.member);
        if let Some(project) = self.projects.get_mut(&project) {
            project.members.push(Member { id, entity, role });
        }
        id
    }

    fn member_of(&mut self, body: &Body) -> Result<Entity, Refused> {
        let (user, group) = (body.object("member_user")?, body.object("member_group")?);
        let number = |body: &Option<Body>, name| body.as_ref().map_or(Ok(None), |body| body.integer(name));
        let (user_id, group_id) = (number(&user, "user_id")?, number(&group, "id")?);
        if let Some(id) = user_id.filter(|id| *id > 0) {
            let known = self.users.contains_key(&id);
            return if known { Ok(Entity::User(id)) } else { Err(Refused::bad(format!("User {id} not found"))) };
        }
        if let Some(id) = group_id.filter(|id| *id > 0) {
            let known = self.groups.contains_key(&id);
            return if known { Ok(Entity::Group(id)) } else { Err(Refused::bad(format!("Group {id} not found"))) };
        }
        if let Some(user) = &user {
            let name = user.text("username")?;
            if !name.is_empty() {
                let known = self.users.values().find(|user| user.name == name);
                let known = known.map(|user| Entity::User(user.id));
                return known.ok_or_else(|| Refused::missing(format!("{name} not found: not supported")));
            }
        }
        let Some(group) = &group else { return Err(Refused::internal()) };
        if !group.text("ldap_group_dn")?.is_empty() {
            return Err(Refused::unmodelled());
        }
        let (name, kind) = (group.text("group_name")?, group.integer("group_type")?.unwrap_or_default());
        match self.group_named(name) {
            Some(known) if known.kind == kind => Ok(Entity::Group(known.id)),
            // The name is taken by a group of another kind, and unique in the table.
            Some(_) => Err(Refused::internal()),
            None if name.is_empty() => Err(Refused::internal()),
            None if self.settings.auth_mode == "oidc_auth" => Ok(Entity::Group(self.insert_group(name, OIDC, ""))),
            None => Err(Refused::missing(format!("{name} not found: not supported"))),
        }
    }

    /// Whatever role: a row with one that does not exist is in no list from then on. 200 for a member that is not there.
    pub(super) fn update_member(&mut self, call: &Call<'_>) -> Outcome {
        let id = call.number(1, "mid")?;
        let body = Body::read(call.asked, "role", "RoleRequest")?;
        let role = body.integer("role_id")?.unwrap_or_default();
        let project = self.project_for(call, "member", "update")?.id;
        let members = self.projects.get_mut(&project).map(|project| &mut project.members);
        if let Some(member) = members.and_then(|members| members.iter_mut().find(|member| member.id == id)) {
            member.role = role;
        }
        Ok(Reply::Empty)
    }

    /// 200 for one that is not there, too.
    pub(super) fn delete_member(&mut self, call: &Call<'_>) -> Outcome {
        let id = call.number(1, "mid")?;
        let project = self.project_for(call, "member", "delete")?.id;
        if let Some(project) = self.projects.get_mut(&project) {
            project.members.retain(|member| member.id != id);
        }
        Ok(Reply::Empty)
    }
}

fn missing(id: i64) -> Refused {
    Refused::missing(format!("the user group with id {id} is not found"))
}
