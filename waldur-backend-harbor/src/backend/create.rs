//! Making a project, or finishing what an earlier attempt began (harbor.md §5.1).

use std::time::Duration;

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
    upkeep,
};
use crate::{
    client::{
        Allowlist, EntityType, Group, GroupName, HarborClient, Member, NewProject, Project, ProjectId, ProjectName,
        Role, StorageLimit,
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
    There {
        project: Box<Project>,
        /// It carried no stamp, so that another creation may be about to take it for its own as well.
        is_contested: bool,
    },
}

impl Place {
    fn id(&self) -> Option<ProjectId> {
        match self {
            Self::New(id) => *id,
            Self::There { project, .. } => Some(project.id),
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
        let making = self.ensure_project(cx, &client, &wanted, request);
        let (group, place) = join(groups.glance(&wanted.group), making).await;
        let place = place?;
        let finished = self.finish(cx, &client, &wanted, request, group, &place).await;
        match unless_gone(&client, &wanted.name, finished).await {
            Err(error) if matches!(place, Place::New(_)) && is_final(&error) => {
                // The order fails, so nobody would ever come back to it.
                match self.take_back(&client, &wanted.name, request).await {
                    Ok(()) => Err(error),
                    Err(left) => Err(error.with_source(format!("{} was made, and is left: {left}", wanted.name))),
                }
            }
            outcome => outcome,
        }
    }

    /// Deletes a project that this attempt made and cannot finish, unless another resource has taken it meanwhile.
    /// Harbor keeps one with anything in it.
    async fn take_back(&self, client: &HarborClient, name: &ProjectName, request: &CreateRequest) -> Result<()> {
        let Some(project) = client.projects().find(name).await? else { return Ok(()) };
        match stamp::read(allowlist(&project)?).stamp {
            Mark::Stamp(stamp) if stamp != request.resource.stamp() => return Ok(()),
            Mark::Broken | Mark::Unknown => return Ok(()),
            Mark::Stamp(_) | Mark::None => {}
        }
        client.projects().delete(name).await?;
        self.forget(name);
        Ok(())
    }

    /// Puts the stamp on; then everything is read back, and the group bound beside it. Not before: until it is stamped,
    /// a project is given up as somebody else's as soon as there is anything in it.
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
        cx.step("stamp and group");
        let stamping = self.put_stamp(client, wanted, request, place);
        let (stamped, group) = join(stamping, self.ensure_group(client, &wanted.group, group)).await;
        let group = group?;
        stamped?;
        cx.step("verify");
        let seen = self.stamped(cx, client, wanted, request, place);
        let seen = match place {
            // Nobody but its maker is a member of a new project.
            Place::New(_) => {
                let (seen, bound) = join(seen, self.add(cx, client, &wanted.name, &wanted.group, group)).await;
                let seen = seen?;
                bound?;
                seen
            }
            Place::There { .. } => {
                let seen = seen.await?;
                self.ensure_binding(cx, client, &wanted.name, &wanted.group).await?;
                seen
            }
        };
        let (seen, limit) = self.ensure_limit(cx, client, wanted, request, place, seen).await?;
        let mut created = Created::default()
            .with_metadata(self.metadata_with_group(&wanted.name, &seen, &wanted.group))
            .with_endpoint("Harbor project", metadata::page(&self.settings, seen.facts.id));
        if let Some(limits) = limit.and_then(|limit| Storage::told(limit, &request.limits)) {
            created = created.with_limits(limits);
        }
        Verified::created(created, request, Some(&self.state(&request.backend_id, &seen.facts, seen.limit())?))
    }

    /// Gives it the quota that was ordered, and tells the limit that it has then, as far as that is known. What was there
    /// before the order keeps its own where the order names none: the default is for new projects.
    async fn ensure_limit(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        place: &Place,
        seen: Seen,
    ) -> Result<(Seen, Option<Limit>)> {
        let is_older = request.origin == Origin::Recorded && matches!(place, Place::There { is_contested: false, .. });
        if is_older && !Storage::is_named(&request.limits) {
            // What it is scaled down to is not the limit that it has.
            let limit = seen.limit().filter(|_| !seen.facts.marks.downscaled);
            let limit = limit.map(|limit| self.storage.limit(limit)).transpose()?;
            return Ok((seen, limit));
        }
        let mut seen = self.ensure_quota(cx, client, &wanted.name, seen, wanted.quota).await?;
        // Not before: a small quota without the note would be nobody's to raise again.
        if seen.facts.marks.downscaled && !self.is_small(wanted.quota)? {
            seen = self.note(client, &wanted.name, &request.resource, seen, |marks| marks.downscaled = false).await?;
        }
        Ok((seen, Some(wanted.limit)))
    }

    /// Makes the project, or finds the one that an earlier attempt made.
    async fn ensure_project(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
    ) -> Result<Place> {
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
            // One that nobody has stamped can only be ours if this attempt or an earlier one may have made it.
            Ok(Some(project)) => self.adopt(cx, client, wanted, request, project, !taken || request.resumes).await,
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

    /// Takes a project that is there already, if it is ours to finish. One without a stamp may be what an attempt of ours
    /// has left, or what another process is just making, for this very order or for another resource of the same name:
    /// that one gets the time to put its stamp on.
    async fn adopt(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        project: Project,
        may_be_ours: bool,
    ) -> Result<Place> {
        let whose = self.judge(request, &project);
        if whose.permits(request.origin) {
            return Ok(Place::There { project: Box::new(project), is_contested: false });
        }
        if !is_leftover(request, &project) || self.has_others(client, wanted).await? {
            return Err(self.refuse(request, &project));
        }
        cx.pause(client.environment(), RIVAL).await?;
        let has_others = self.has_others(client, wanted).await?;
        // Last, so that the stamp follows at once.
        let project = client.projects().find(&wanted.name).await?;
        let project = project.ok_or_else(|| Error::not_ready(format!("{}: it is gone again", wanted.name)))?;
        let whose = self.judge(request, &project);
        let is_contested = may_be_ours && is_leftover(request, &project) && !has_others;
        if is_contested || whose.permits(request.origin) {
            return Ok(Place::There { project: Box::new(project), is_contested });
        }
        Err(self.refuse(request, &project))
    }

    fn judge(&self, request: &CreateRequest, project: &Project) -> Ownership {
        ownership(&request.resource, &self.seen(project.clone(), None).facts)
    }

    fn refuse(&self, request: &CreateRequest, project: &Project) -> Error {
        let facts = self.seen(project.clone(), None).facts;
        let state = self.state(&request.backend_id, &facts, None);
        state.map_or_else(|error| error, |state| state.foreign_to(request.resource.stamp()))
    }

    /// Whether anybody has a role in the project but the group which is to have it, and the one person whom Harbor makes
    /// the administrator of a new project.
    async fn has_others(&self, client: &HarborClient, wanted: &Wanted) -> Result<bool> {
        let members = client.members().list(&wanted.name).collect().await?.complete()?;
        let others = members.items().iter().filter(|member| !member.is_group(wanted.group.as_str()));
        let is_maker = |member: &Member| member.kind == EntityType::User && member.role == Role::ADMIN;
        let others: Vec<_> = others.collect();
        Ok(others.len() > 1 || !others.into_iter().all(is_maker))
    }

    /// Puts the stamp on, and notes the group beside it before that has its role; of a project that was there before,
    /// also the one that was published as its group: that may have the role still.
    async fn put_stamp(
        &self,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        place: &Place,
    ) -> Result<()> {
        let empty = Allowlist::default();
        let before = match place {
            Place::New(_) => &empty,
            Place::There { project, .. } => allowlist(project)?,
        };
        let mut marks = stamp::read(before).stamped(request.resource.stamp());
        if matches!(place, Place::There { .. }) {
            marks.groups = upkeep::given_groups(&request.resource, marks.groups);
        }
        let group = wanted.group.as_str();
        if !marks.groups.iter().any(|known| known == group) {
            marks.groups.push(group.to_owned());
        }
        match stamp::written(before, &marks) {
            Some(list) => client.projects().set_allowlist(&wanted.name, &list).await,
            None => Ok(()),
        }
    }

    /// Reads the project back, with our stamp on it. Of two creations that found it without, the later stamp counts; the
    /// earlier one is read when the later must have been written.
    async fn stamped(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        place: &Place,
    ) -> Result<Seen> {
        if matches!(place, Place::There { is_contested: true, .. }) {
            cx.pause(client.environment(), RIVAL).await?;
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
            return Err(self.refuse(request, &seen.project));
        }
        Ok(seen)
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
}

/// How long another process may take from making a project to its stamp.
const RIVAL: Duration = Duration::from_secs(2);

/// Whether a project is in the very state that an interrupted creation leaves: nothing in it or on it, private (harbor.md
/// §5.1), and younger than the one that Waldur has on record, if there is one. (Of an order that is no creation that one
/// was found missing; numbers are never used again.)
fn is_leftover(request: &CreateRequest, project: &Project) -> bool {
    let is_bare = project.cve_allowlist.as_ref().is_some_and(|list| list.items.is_empty());
    let is_younger = stamp::recorded_id(&request.resource).is_none_or(|before| project.id.get() > before.get());
    project.repo_count == Some(0) && project.is_public() == Some(false) && is_bare && is_younger
}

/// Whether the order fails for this.
fn is_final(error: &Error) -> bool {
    !matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady)
}
