//! Who has a role in a project (harbor.md §3, calls 17 to 20).

use http::Method;
use serde_json::json;
use waldur_sdk::{
    ErrorKind, Result,
    rest::{Call, Pager},
};

use super::{
    HarborClient,
    ids::{GroupId, GroupName, MemberId, ProjectName},
    listing, location,
    model::{Member, Role},
};

const LIST: &str = "/projects/{project}/members";
const ONE: &str = "/projects/{project}/members/{member}";

/// Calls on the members of projects. The person who made a project is one of them; leave that one alone.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a>(pub(super) &'a HarborClient);

/// What came of adding a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is a member now; with the number of the membership, where Harbor tells it.
    New(Option<MemberId>),
    /// It was one already, with whatever role.
    Already,
}

impl Members<'_> {
    /// Everybody with a role in the project.
    pub fn list(&self, project: &ProjectName) -> Pager<Member> {
        let call = self.call(Method::GET, "members.list", LIST, project, None);
        listing::pages(call, "id", |member: Member| member, |member| member.id.to_string())
    }

    /// The membership of the group of exactly this name; a person who is called like it does not count.
    ///
    /// One call: Harbor compares the whole name, so that there are two rows at most, whatever the count in the header
    /// says (it is that of all members). Of a server that does not filter, the whole list is read.
    ///
    /// # Errors
    /// As [`Projects::get`](super::Projects::get).
    pub async fn group(&self, project: &ProjectName, group: &GroupName) -> Result<Option<Member>> {
        let call = self.call(Method::GET, "members.group", LIST, project, None);
        let call = call.query("entityname", group).query("page_size", listing::PAGE_SIZE);
        let (rows, _headers) = call.send_rows::<Member>("id").await?;
        if let Some(bad) = rows.bad.into_iter().next() {
            return Err(bad.error);
        }
        let is_filtered = rows.items.iter().all(|member| member.name.as_str() == group.as_str());
        let rows = if is_filtered { rows.items } else { self.list(project).all().await? };
        Ok(rows.into_iter().find(|member| member.is_group(group.as_str())))
    }

    /// Gives a group a role.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such group; `PermissionDenied`.
    pub async fn add_group(&self, project: &ProjectName, group: GroupId, role: Role) -> Result<Added> {
        let body = json!({ "role_id": role, "member_group": { "id": group } });
        let call = self.call(Method::POST, "members.add_group", LIST, project, None).json(&body);
        match call.send().await {
            Ok(answer) => Ok(Added::New(location::number(answer.headers()).map(MemberId::new))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Added::Already),
            Err(error) => Err(error),
        }
    }

    /// Changes a role. Harbor acknowledges it for memberships that do not exist, too: read it back.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn set_role(&self, project: &ProjectName, member: MemberId, role: Role) -> Result<()> {
        let call = self.call(Method::PUT, "members.set_role", ONE, project, Some(member));
        call.json(&json!({ "role_id": role })).send_unit().await
    }

    /// Takes a membership away. Taking away what is gone succeeds.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn remove(&self, project: &ProjectName, member: MemberId) -> Result<()> {
        self.call(Method::DELETE, "members.remove", ONE, project, Some(member)).send_unit().await
    }

    fn call(
        self,
        method: Method,
        operation: &'static str,
        template: &'static str,
        project: &ProjectName,
        member: Option<MemberId>,
    ) -> Call {
        let member = member.map(|member| member.to_string());
        let arguments: Vec<&str> = std::iter::once(project.as_str()).chain(member.as_deref()).collect();
        self.0.named(method, operation, template, &arguments)
    }
}
