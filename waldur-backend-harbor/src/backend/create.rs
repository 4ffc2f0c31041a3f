//! Making a project, or finishing what an earlier attempt began (harbor.md §5.1).

use futures_util::future::join;
use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
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
    client::{Allowlist, Group, GroupName, HarborClient, NewProject, Project, ProjectId, ProjectName, StorageLimit},
    names,
};

/// What a creation is to end in.
struct Wanted {
    name: ProjectName,
    group: GroupName,
    /// An error where the order names none and the default does not fit: what is there already does without.
    storage: Result<(Limit, StorageLimit)>,
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

    /// Whether nobody has ever been handed it: it was made just now, or by an attempt that died over it.
    fn is_unfinished(&self) -> bool {
        match self {
            Self::New(_) => true,
            Self::There(project) => {
                let is_unstamped =
                    project.cve_allowlist.as_ref().is_some_and(|list| stamp::read(list).stamp == Mark::None);
                is_unstamped && stamp::born_with(project) != Mark::None && project.repo_count == Some(0)
            }
        }
    }
}

impl Inner {
    /// The project is asked for at once, while its group is looked for: Harbor refuses a name that is taken and leaves
    /// everything as it is then.
    pub(super) async fn create_project(&self, cx: &OpContext, request: &CreateRequest) -> Result<Verified<Created>> {
        let (name, client) = self.target(cx, &request.backend_id)?;
        let mut storage = self.storage.of_create(request);
        if request.origin != Origin::Recorded || Storage::is_named(&request.limits) {
            storage = Ok(storage?);
        }
        let group = names::group(&self.settings.group_prefix, &request.resource)?;
        let wanted = Wanted { name, group, storage };
        cx.step("project");
        let groups = client.groups();
        let making = self.ensure_project(&client, &wanted, request);
        let (group, place) = join(groups.search(&wanted.group), making).await;
        let place = place?;
        let finished = self.finish(cx, &client, &wanted, request, group, &place).await;
        match unless_gone(&client, &wanted.name, finished).await {
            Err(error) if place.is_unfinished() && !error.is_passing() => {
                // The order fails, so nobody would ever come back to it.
                match self.take_back(&client, &wanted.name, request).await {
                    // What came of it is known: nothing is left.
                    Ok(()) => Err(error.with_effect(Effect::NotApplied)),
                    Err(left) => Err(error.with_source(format!("{} was made, and is left: {left}", wanted.name))),
                }
            }
            outcome => outcome,
        }
    }

    /// Deletes a project that was made for this order and cannot be finished, unless another resource has taken it meanwhile.
    /// Harbor keeps one with anything in it.
    async fn take_back(&self, client: &HarborClient, name: &ProjectName, request: &CreateRequest) -> Result<()> {
        let Some(project) = client.projects().find(name).await? else { return Ok(()) };
        if stamp::of(&project).stamp != Mark::Stamp(request.resource.stamp()) {
            return Ok(());
        }
        client.projects().delete(name).await?;
        self.forget(name);
        Ok(())
    }

    /// Puts the stamp on; then everything is read back, and the group bound beside it. Not before: who has a role in it may
    /// write over what it was born with.
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
            Place::There(_) => {
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
        // One of another number than that on record was made by an attempt that died.
        let is_on_record = |id| stamp::recorded_id(&request.resource).is_none_or(|recorded| recorded == id);
        let is_older = matches!(place, Place::There(project)
            if stamp::born_with(project) == Mark::None && is_on_record(project.id));
        if request.origin == Origin::Recorded && is_older && !Storage::is_named(&request.limits) {
            // What it is scaled down to is not the limit that it has.
            let limit = seen.limit().filter(|_| !seen.facts.marks.downscaled);
            let limit = limit.map(|limit| self.storage.limit(limit)).transpose()?;
            return Ok((seen, limit));
        }
        let (limit, quota) = wanted.storage.clone()?;
        let mut seen = self.ensure_quota(cx, client, &wanted.name, seen, quota).await?;
        // Not before: a small quota without the note would be nobody's to raise again.
        if seen.facts.marks.downscaled && !self.is_small(quota)? {
            seen = self.note(client, &wanted.name, &request.resource, seen, |marks| marks.downscaled = false).await?;
        }
        Ok((seen, Some(limit)))
    }

    /// Makes the project, or finds the one that an earlier attempt made.
    async fn ensure_project(&self, client: &HarborClient, wanted: &Wanted, request: &CreateRequest) -> Result<Place> {
        let quota = match &wanted.storage {
            Ok((_, quota)) => *quota,
            Err(unfit) => {
                let found = client.projects().find(&wanted.name).await?;
                return found.map_or_else(|| Err(unfit.clone()), |project| self.adopt(request, project));
            }
        };
        let stamp = stamp::text(request.resource.stamp());
        let new = NewProject::new(wanted.name.clone()).with_storage_limit(quota).with_auto_scan_text(stamp);
        let refused = match client.projects().create(&new).await {
            Ok(id) => return Ok(Place::New(id)),
            Err(refused) => refused,
        };
        let taken = refused.kind() == ErrorKind::AlreadyExists;
        if !taken && refused.effect() == Effect::NotApplied {
            return Err(refused);
        }
        match client.projects().find(&wanted.name).await {
            Ok(Some(project)) => self.adopt(request, project),
            // It was there a moment ago: the next attempt finds the name free.
            Ok(None) if taken => Err(refused.with_retryable(true)),
            Ok(None) => Err(refused),
            Err(unread) if unread.is_passing() => Err(unread),
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

    /// Takes a project that is there already, if it is ours to finish: an attempt that died left its stamp on it.
    fn adopt(&self, request: &CreateRequest, project: Project) -> Result<Place> {
        if ownership(&request.resource, &self.seen(project.clone(), None).facts).permits(request.origin) {
            return Ok(Place::There(Box::new(project)));
        }
        Err(self.refuse(request, &project))
    }

    fn refuse(&self, request: &CreateRequest, project: &Project) -> Error {
        let facts = self.seen(project.clone(), None).facts;
        let state = self.state(&request.backend_id, &facts, None);
        state.map_or_else(|error| error, |state| state.foreign_to(request.resource.stamp()))
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
            Place::There(project) => allowlist(project)?,
        };
        // What a new project says of itself is what was asked for.
        let (is_newborn, public) = match place {
            Place::New(_) => (true, "false"),
            Place::There(project) => {
                (stamp::born_with(project) != Mark::None, project.metadata.public.as_deref().unwrap_or("false"))
            }
        };
        let mut marks = stamp::read(before).stamped(request.resource.stamp());
        if matches!(place, Place::There(_)) {
            marks.groups = upkeep::given_groups(&request.resource, marks.groups);
        }
        // Last, as everywhere: those before it are to have it no more.
        let group = wanted.group.as_str();
        marks.groups.retain(|known| known != group);
        marks.groups.push(group.to_owned());
        match stamp::written(before, &marks) {
            list if is_newborn => {
                let list = list.as_ref().unwrap_or(before);
                client.projects().set_allowlist_without_auto_scan(&wanted.name, list, public).await
            }
            Some(list) => client.projects().set_allowlist(&wanted.name, &list).await,
            None => Ok(()),
        }
    }

    /// Reads the project back, with our stamp on its list.
    async fn stamped(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        wanted: &Wanted,
        request: &CreateRequest,
        place: &Place,
    ) -> Result<Seen> {
        let seen = read_back(cx, client.environment(), CONSISTENCY, || async {
            let seen = self.look_with(client, &wanted.name, place.id()).await?;
            let seen = seen.ok_or_else(|| inconsistent(&wanted.name, "it was created but cannot be read"))?;
            match stamp::read(allowlist(&seen.project)?).stamp {
                Mark::None => Err(inconsistent(&wanted.name, "it was stamped, but the stamp does not show")),
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
