//! Making a project, or finishing what an earlier attempt began (harbor.md §5.1).

use futures_util::future::join;
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind, Result,
    backend::{CONSISTENCY, CreateRequest, Created, OpContext, Origin, Ownership, Verified, read_back},
    types::Limit,
};

use super::{
    Inner, metadata,
    sight::{Seen, allowlist, inconsistent, ownership, unless_gone},
    stamp::{self, Mark},
    storage::Storage,
};
use crate::{
    client::{
        Allowlist, EntityType, Group, GroupName, HarborClient, NewProject, Project, ProjectId, ProjectName,
        StorageLimit,
    },
    names,
};

/// What a creation is to end in.
struct Wanted {
    name: ProjectName,
    group: GroupName,
    limit: Limit,
    quota: StorageLimit,
}

/// Where the project is, and whether this very attempt made it.
enum Place {
    New(Option<ProjectId>),
    There(Box<Project>),
}

impl Place {
    fn id(&self) -> Option<ProjectId> {
        match self {
            Self::New(id) => *id,
            Self::There(project) => Some(project.id),
        }
    }
}

impl Inner {
    /// The project is asked for at once, while its group is looked for: Harbor refuses a name that is taken and leaves
    /// everything as it is then.
    pub(super) async fn create_project(&self, cx: &OpContext, request: &CreateRequest) -> Result<Verified<Created>> {
        let (name, client) = self.target(cx, &request.backend_id)?;
        let (limit, quota) = self.storage.of_create(request)?;
        let group = names::group(&self.settings.group_prefix, &request.resource)?;
        let wanted = Wanted { name, group, limit, quota };
        cx.step("project");
        let groups = client.groups();
        let making = self.ensure_project(&client, &wanted, request);
        let (group, place) = join(groups.glance(&wanted.group), making).await;
        let place = place?;
        let finished = self.finish(cx, &client, &wanted, request, group, &place).await;
        match unless_gone(&client, &wanted.name, finished).await {
            Err(error) if matches!(place, Place::New(_)) && is_final(&error) => {
                // The order fails, so nobody would ever come back to it. Harbor keeps a project with anything in it.
                let _as_it_is = client.projects().delete(&wanted.name).await;
                self.forget(&wanted.name);
                Err(error)
            }
            outcome => outcome,
        }
    }

    /// Quota, stamp and group, side by side; then everything is read back.
    async fn finish(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        group: Result<Option<Group>>,
        place: &Place,
    ) -> Result<Verified<Created>> {
        let group = group?;
        cx.checkpoint()?;
        cx.step("quota and group");
        let settled = self.settle(cx, client, wanted, request, place);
        let (seen, bound) = join(settled, self.bind(cx, client, wanted, group, place)).await;
        let (seen, _) = (seen?, bound?);
        let mut created = Created::default()
            .with_metadata(self.metadata_with_group(&wanted.name, &seen, &wanted.group))
            .with_endpoint("Harbor project", metadata::page(&self.settings, seen.facts.id));
        if let Some(limits) = Storage::told(wanted.limit, &request.limits) {
            created = created.with_limits(limits);
        }
        Verified::created(created, request, Some(&self.state(&request.backend_id, &seen.facts, seen.limit())?))
    }

    /// Makes the project, or finds the one that an earlier attempt made.
    async fn ensure_project(&self, client: &HarborClient, wanted: &Wanted, request: &CreateRequest) -> Result<Place> {
        let new = NewProject::new(wanted.name.clone()).with_storage_limit(wanted.quota);
        let refused = match client.projects().create(&new).await {
            Ok(id) => return Ok(Place::New(id)),
            Err(refused) => refused,
        };
        let taken = refused.kind() == ErrorKind::AlreadyExists;
        if !taken && refused.effect() == Effect::NotApplied {
            return Err(refused);
        }
        match client.projects().find(&wanted.name).await {
            Ok(Some(project)) => {
                self.adopt(client, wanted, request, &project).await?;
                Ok(Place::There(Box::new(project)))
            }
            // It was there a moment ago: the next attempt finds the name free.
            Ok(None) if taken => Err(refused.with_retryable(true)),
            Ok(None) => Err(refused),
            Err(unread) if matches!(unread.class(), ErrorClass::Transient | ErrorClass::NotReady) => Err(unread),
            // Never adopted on doubt, nor given up: `AlreadyExists` would make the processor take another name and
            // forget this one, and a project of our own would be orphaned.
            Err(unread) => {
                let text =
                    format!("{} {}, and cannot be read", wanted.name, if taken { "exists" } else { "may exist" });
                let error = Error::not_ready(text).with_effect(Effect::Unknown);
                Err(error.with_operation(unread.operation()).with_source(unread))
            }
        }
    }

    /// Whether a project that is there already is ours to finish.
    async fn adopt(
        &self,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        project: &Project,
    ) -> Result<()> {
        let facts = self.seen(project.clone(), None).facts;
        let ownership = ownership(&request.resource, &facts);
        let ours = ownership.permits(request.origin)
            || (ownership == Ownership::Unmarked
                && request.origin == Origin::Reserved
                && is_untouched(client, wanted, project).await?);
        if ours {
            return Ok(());
        }
        Err(self.state(&request.backend_id, &facts, None)?.foreign_to(request.resource.stamp()))
    }

    /// Puts the stamp on, and brings the quota to what is wanted.
    async fn settle(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        place: &Place,
    ) -> Result<Seen> {
        let empty = Allowlist::default();
        let before = match place {
            Place::New(_) => &empty,
            Place::There(project) => allowlist(project)?,
        };
        if let Some(list) = stamp::written(before, request.resource.stamp(), false) {
            client.projects().set_allowlist(&wanted.name, &list).await?;
        }
        let seen = read_back(cx, client.environment(), CONSISTENCY, || async {
            let seen = self.look_with(client, &wanted.name, place.id()).await?;
            let seen = seen.ok_or_else(|| inconsistent(&wanted.name, "it was created but cannot be read"))?;
            match seen.facts.marks.stamp {
                Mark::None | Mark::Unknown => {
                    Err(inconsistent(&wanted.name, "it was stamped, but the stamp does not show"))
                }
                _ => Ok(seen),
            }
        })
        .await?;
        if ownership(&request.resource, &seen.facts) != Ownership::Ours {
            let state = self.state(&request.backend_id, &seen.facts, None)?;
            return Err(state.foreign_to(request.resource.stamp()));
        }
        self.ensure_quota(cx, client, &wanted.name, seen, wanted.quota).await
    }

    /// As [`Self::look`], both calls at once where the number is known already.
    async fn look_with(
        &self,
        client: &HarborClient,
        name: &ProjectName,
        id: Option<ProjectId>,
    ) -> Result<Option<Seen>> {
        let Some(id) = id else { return self.look(client, name).await };
        let (project, quota) = join(client.projects().find(name), client.quotas().of_project(id, name)).await;
        match project? {
            Some(project) if project.id == id => Ok(Some(self.seen(project, quota?))),
            // The number was not to be relied on.
            Some(_) => self.look(client, name).await,
            None => Ok(None),
        }
    }

    async fn bind(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        group: Option<Group>,
        place: &Place,
    ) -> Result<bool> {
        match place {
            // Nobody but its maker is a member of a new project.
            Place::New(_) => {
                let id = self.ensure_group(client, &wanted.group, group).await?;
                self.add(cx, client, &wanted.name, &wanted.group, id).await
            }
            Place::There(_) => {
                self.ensure_group(client, &wanted.group, group).await?;
                self.ensure_binding(cx, client, &wanted.name, &wanted.group).await
            }
        }
    }
}

/// Whether a project without a stamp is in the very state that an interrupted creation leaves: nothing in it, private,
/// and no group in it but the one that is to be there (harbor.md §5.1).
async fn is_untouched(client: &HarborClient, wanted: &Wanted, project: &Project) -> Result<bool> {
    if project.repo_count != Some(0) || project.is_public() != Some(false) || !allowlist(project)?.items.is_empty() {
        return Ok(false);
    }
    let members = client.members().list(&wanted.name).collect().await?.complete()?;
    Ok(members.items().iter().all(|member| member.kind != EntityType::Group || member.is_group(wanted.group.as_str())))
}

/// Whether the order fails for this.
fn is_final(error: &Error) -> bool {
    !matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady)
}
