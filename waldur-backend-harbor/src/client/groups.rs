//! User groups (harbor.md §3, calls 14 to 16).

use http::Method;
use serde_json::json;
use waldur_sdk::{Error, ErrorKind, Result, rest::Pager};

use super::{
    HarborClient,
    ids::{GroupId, GroupName},
    listing, location,
    model::{Group, GroupType},
};

/// Calls on user groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a>(pub(super) &'a HarborClient);

impl Groups<'_> {
    /// The groups whose name contains `part`, as Harbor compares: `_` and `%` stand for other characters there.
    pub fn list(&self, part: &str) -> Pager<Group> {
        let call = self.0.call(Method::GET, "groups.list", "/usergroups", &[]).query("group_name", part);
        listing::pages(call, "group_name", |group: Group| group, |group| group.id.to_string())
    }

    /// The group of exactly this name if it is among the first hundred that contain it, of whatever type. One call, which
    /// needs nothing but a login. `None` proves nothing where many are called alike; making the group does, since Harbor
    /// refuses a second one of a name.
    ///
    /// # Errors
    /// When the search fails.
    pub async fn search(&self, name: &GroupName) -> Result<Option<Group>> {
        self.search_page(name).await.map(|(found, _)| found)
    }

    /// The group of exactly this name, of whatever type; `None` when there is none. Reads no further than to it.
    ///
    /// Needs the right to list groups. Without it, the search that is open to everybody is asked, which shows the first
    /// hundred alone: among more, the group may be there and not be shown.
    ///
    /// # Errors
    /// `Inconsistent` when nobody can tell; whatever keeps both lists from being read.
    pub async fn find(&self, name: &GroupName) -> Result<Option<Group>> {
        let mut pages = self.list(name.as_str());
        loop {
            match pages.next_page().await {
                Ok(None) => return Ok(None),
                Ok(Some(page)) => {
                    if let Some(bad) = page.bad.into_iter().find(|row| row.id.as_deref() == Some(name.as_str())) {
                        return Err(bad.error);
                    }
                    if let Some(found) = page.items.into_iter().find(|group| group.name == name.as_str()) {
                        return Ok(Some(found));
                    }
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return self.in_search(name).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn in_search(&self, name: &GroupName) -> Result<Option<Group>> {
        match self.search_page(name).await? {
            (None, true) => {
                let text =
                    format!("too many groups are called like {name} to find it without the right user-group:list");
                Err(Error::new(ErrorKind::Inconsistent, text).with_operation("groups.search"))
            }
            (found, _) => Ok(found),
        }
    }

    /// The group, and whether the page is full. One page and no other: from 2.14 on, every page of a search is the first.
    async fn search_page(&self, name: &GroupName) -> Result<(Option<Group>, bool)> {
        let call = self.0.call(Method::GET, "groups.search", "/usergroups/search", &[]);
        let call = call.query("groupname", name).query("page_size", listing::PAGE_SIZE);
        let (rows, _headers) = call.send_rows::<Group>("group_name").await?;
        let is_full = (rows.items.len() + rows.bad.len()) as u64 >= listing::PAGE_SIZE;
        if let Some(bad) = rows.bad.into_iter().find(|row| row.id.as_deref() == Some(name.as_str())) {
            return Err(bad.error);
        }
        Ok((rows.items.into_iter().find(|group| group.name == name.as_str()), is_full))
    }

    /// Makes a group, and answers with its number where Harbor tells it.
    ///
    /// Never repeated once it may have arrived: after an error whose effect is unknown, [look](Self::find).
    ///
    /// # Errors
    /// `AlreadyExists` when there is one of that name, of whatever type.
    pub async fn create(&self, name: &GroupName, kind: GroupType) -> Result<Option<GroupId>> {
        let body = json!({ "group_name": name, "group_type": kind });
        let answer = self.0.call(Method::POST, "groups.create", "/usergroups", &[]).json(&body).send().await?;
        Ok(location::number(answer.headers()).map(GroupId::new))
    }

    /// Deletes a group **and all its memberships**. Deleting what is gone succeeds.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn delete(&self, id: GroupId) -> Result<()> {
        self.0.call(Method::DELETE, "groups.delete", "/usergroups/{group}", &[&id.to_string()]).send_unit().await
    }

    /// Asks for a group without a name: who may create groups is told that it needs one (400).
    ///
    /// # Errors
    /// `PermissionDenied`, and whatever is no answer to the question.
    pub(crate) async fn probe_create(&self) -> Result<()> {
        let body = json!({ "group_name": "", "group_type": GroupType::OIDC });
        let call = self.0.call(Method::POST, "groups.probe_create", "/usergroups", &[]).json(&body);
        match call.send_unit().await {
            Err(error) if error.kind() == ErrorKind::InvalidRequest => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(Error::new(ErrorKind::Inconsistent, "Harbor made a group without a name")),
        }
    }

    /// Asks for one group.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to list groups.
    pub(crate) async fn probe(&self) -> Result<()> {
        let call = self.0.call(Method::GET, "groups.list", "/usergroups", &[]).query("page_size", 1);
        call.send_rows::<Group>("group_name").await.map(drop)
    }
}
