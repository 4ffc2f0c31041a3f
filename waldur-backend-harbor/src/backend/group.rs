//! The group of a Waldur project, and its role in a project of Harbor (harbor.md §5.1, §5.5).

use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
    backend::{CONSISTENCY, OpContext, read_back},
};

use super::{Inner, sight::inconsistent};
use crate::client::{Added, Group, GroupId, GroupName, GroupType, HarborClient, Member, ProjectName};

impl Inner {
    /// The number of the group, which was `found` or is made now.
    pub(super) async fn ensure_group(
        &self,
        client: &HarborClient,
        name: &GroupName,
        found: Option<Group>,
    ) -> Result<GroupId> {
        if let Some(group) = found {
            return usable(&group);
        }
        let doubt = match client.groups().create(name, GroupType::OIDC).await {
            Ok(Some(id)) => return Ok(id),
            Ok(None) => None,
            Err(error) if error.kind() == ErrorKind::AlreadyExists || error.effect() == Effect::Unknown => Some(error),
            Err(error) => return Err(error),
        };
        match (client.groups().find(name).await?, doubt) {
            (Some(group), _) => usable(&group),
            (None, Some(error)) => Err(error.with_retryable(true)),
            (None, None) => {
                let text = format!("the group {name} was made and does not show");
                Err(Error::new(ErrorKind::Inconsistent, text).with_retryable(true))
            }
        }
    }

    /// Gives the group the role that it is to have. `true`: something was written.
    pub(super) async fn ensure_binding(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        project: &ProjectName,
        group: &GroupName,
    ) -> Result<bool> {
        if let Some(member) = client.members().group(project, group).await? {
            return self.ensure_role(cx, client, project, group, &member).await;
        }
        cx.checkpoint()?;
        cx.step("group");
        let found = client.groups().search(group).await?;
        let id = self.ensure_group(client, group, found).await?;
        self.add(cx, client, project, group, id).await
    }

    /// Makes the group a member. Harbor says so with 201, which is proof enough: no later answer undoes it.
    pub(super) async fn add(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        project: &ProjectName,
        group: &GroupName,
        id: GroupId,
    ) -> Result<bool> {
        let added = match client.members().add_group(project, id, self.settings.role).await {
            Ok(added) => added,
            // Whether it arrived is read back below.
            Err(error) if error.effect() == Effect::Unknown => match client.members().group(project, group).await? {
                Some(_) => Added::Already,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        match added {
            Added::New(_) => Ok(true),
            Added::Already => {
                let member = client.members().group(project, group).await?;
                let member = member.ok_or_else(|| inconsistent(project, "its group is a member, and does not show"))?;
                self.ensure_role(cx, client, project, group, &member).await
            }
        }
    }

    async fn ensure_role(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        project: &ProjectName,
        group: &GroupName,
        member: &Member,
    ) -> Result<bool> {
        let role = self.settings.role;
        if member.role == role {
            return Ok(false);
        }
        cx.checkpoint()?;
        cx.step("role");
        client.members().set_role(project, member.id, role).await?;
        // Harbor acknowledges changes of memberships that are gone.
        read_back(cx, client.environment(), CONSISTENCY, || async {
            let member = client.members().group(project, group).await?;
            if member.is_some_and(|member| member.role == role) {
                Ok(())
            } else {
                Err(inconsistent(project, "the role of its group was set, but reads otherwise"))
            }
        })
        .await?;
        Ok(true)
    }
}

/// A group of another type has other people in it.
pub(super) fn usable(group: &Group) -> Result<GroupId> {
    if group.kind == GroupType::OIDC {
        Ok(group.id)
    } else {
        let text = format!(
            "the group {} exists with type {} and not 3 (OIDC), and names of groups are unique: choose another \
             oidc_group_prefix, or have it removed",
            group.name,
            group.kind.wire()
        );
        Err(Error::config(text))
    }
}
