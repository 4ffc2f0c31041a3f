//! What exists on the back end and not in Waldur, as [`ResourceImport`] says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use super::{
    ServedOffering,
    failure::{describe, shielded, waits, write_error, write_not_reported},
};
use crate::{
    backend::{Aspects, Importable, Inspection, OpContext, ResourceBackend},
    client::{
        BackendResourceQuery, BackendResourceRequestState, NewBackendResource, ResourceQuery, ResourceState,
        WaldurClient,
    },
    error::{Error, ErrorKind, Result},
    settings::{AgentSettings, OfferingSettings},
    types::{
        BackendId, BackendResourceRequestUuid, BackendResourceUuid, Limits, OfferingUuid, ProjectUuid, ResourceUuid,
    },
};

/// How many calls about single objects are under way at once.
const CONCURRENCY: usize = 8;

/// Whatever still has its object. The Python agent leaves out the last two, and would offer a resource for import while
/// an order changes it.
const ALIVE: [ResourceState; 5] = [
    ResourceState::Ok,
    ResourceState::Erred,
    ResourceState::Creating,
    ResourceState::Updating,
    ResourceState::Terminating,
];

/// Offers what exists on the back end of one [offering](ServedOffering) for import into Waldur.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::ResourceImport};
///
/// let import = ResourceImport::new(waldur, backend, offering).with_project_prefix("hpc_");
/// for item in import.discover(&OpContext::new("import")).await? {
///     println!("{}: {}", item.backend_id, item.fate);
/// }
/// # Ok(()) }
/// ```
///
/// What exists on the back end and not in Waldur, offered for import (core.md §2.12).
///
/// A provider asks in Waldur for a list, and the agent makes it. The provider can import each row with a click. Offered
/// is every object of the back end
///
/// - that no resource of the offering has;
/// - that carries no stamp;
/// - whose parent on the back end belongs to a project of Waldur.
///
/// Nothing is changed on the back end, and rows that exist are left alone.
#[derive(Clone, Debug)]
pub struct ResourceImport {
    served: ServedOffering,
    project_prefix: String,
    expose_error_details: bool,
}

/// What came of the request for a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportReport {
    /// How it ended.
    pub outcome: ImportOutcome,
    /// The objects without a resource in Waldur, and what became of each. Empty when the lists could not be read.
    pub items: Vec<ImportItem>,
}

/// The end of the request for a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportOutcome {
    /// The list is there.
    Done,
    /// It was ended before, by this agent or another.
    AlreadyFinished,
    /// It is about another offering.
    OtherOffering,
    /// It failed, and Waldur was told why.
    Erred(Error),
    /// It failed, and telling Waldur failed as well: first the failure, then why it was not reported.
    NotReported(Error, Error),
    /// Waldur does not let this account work on it. Another run would end in the same way: somebody has to look.
    Refused(Error),
    /// Left as it is; another run goes on with it.
    Deferred(Error),
}

/// An object without a resource in Waldur.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportItem {
    /// Its id.
    pub backend_id: BackendId,
    /// What it belongs to on the back end.
    pub parent: Option<String>,
    /// What became of it.
    pub fate: ImportFate,
}

/// What became of an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportFate {
    /// It can be offered for this project.
    Ready(ProjectUuid),
    /// It is offered now.
    Offered(BackendResourceUuid),
    /// It was offered before.
    AlreadyOffered,
    /// It belongs to nothing that this agent makes for projects.
    NotOfAProject,
    /// It carries the stamp of a resource: one of another offering on the same system, or one of this offering that is known
    /// by another name or has ended.
    BelongsTo(ResourceUuid),
    /// There is no such project, or none that this account may see: its slug.
    NoSuchProject(String),
    /// It could not be offered.
    Failed(Error),
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for ImportFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(project) => write!(f, "can be imported into project {project}"),
            Self::Offered(_) => f.write_str("offered for import"),
            Self::AlreadyOffered => f.write_str("offered for import before"),
            Self::BelongsTo(resource) => write!(f, "belongs to resource {resource}"),
            Self::NotOfAProject => f.write_str("belongs to no project"),
            Self::NoSuchProject(slug) => write!(f, "no project has the slug {slug:?}"),
            Self::Failed(error) => write_error(f, "failed", error),
        }
    }
}

impl ImportReport {
    /// Whether the list is there, or is somebody else's to make, and nothing of it failed.
    pub fn is_clean(&self) -> bool {
        let failed = |item: &ImportItem| matches!(item.fate, ImportFate::Failed(_));
        self.outcome.is_good() && !self.items.iter().any(failed)
    }
}

impl ImportOutcome {
    /// Whether it came to a good end or waits as it should.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Done | Self::AlreadyFinished | Self::OtherOffering => true,
            Self::Deferred(error) => waits(error),
            Self::Erred(_) | Self::NotReported(..) | Self::Refused(_) => false,
        }
    }
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for ImportOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::AlreadyFinished => f.write_str("already finished"),
            Self::OtherOffering => f.write_str("left to the agent of its offering"),
            Self::Erred(error) => write_error(f, "erred", error),
            Self::NotReported(error, cause) => write_not_reported(f, error, cause),
            Self::Refused(error) => write_error(f, "refused", error),
            Self::Deferred(error) => write_error(f, "deferred", error),
        }
    }
}

impl ResourceImport {
    /// The short way to [`ServedOffering::import`], where nothing else is served and no more is known of the offering: see
    /// [`ServedOffering::new`].
    pub fn new(waldur: WaldurClient, backend: Arc<dyn ResourceBackend>, offering: OfferingUuid) -> Self {
        ServedOffering::new(waldur, backend, offering).import()
    }

    pub(super) fn of(served: ServedOffering) -> Self {
        Self { served, project_prefix: String::new(), expose_error_details: true }
    }

    /// Sets what the name of a project's account begins with, before its slug (`project_prefix`).
    #[must_use]
    pub fn with_project_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.project_prefix = prefix.into();
        self
    }

    /// Whether Waldur is told what went wrong in technical words (`expose_backend_error_details`). Default yes.
    #[must_use]
    pub fn with_error_details(mut self, expose: bool) -> Self {
        self.expose_error_details = expose;
        self
    }

    /// Takes the prefix and the rest from the settings file.
    #[must_use]
    pub fn with_settings(self, agent: &AgentSettings, offering: &OfferingSettings) -> Self {
        let prefix = offering.backend_settings.core.project_prefix.clone();
        self.with_project_prefix(prefix).with_error_details(agent.expose_backend_error_details)
    }

    /// Says what could be imported, and writes nothing.
    ///
    /// # Errors
    /// When the back end cannot list its objects, or either list is not proven whole.
    pub async fn discover(&self, cx: &OpContext) -> Result<Vec<ImportItem>> {
        let found = self.strangers(cx).await?;
        Ok(found.into_iter().map(|(_, item)| item).collect())
    }

    /// Carries out the request for a list, as the event `importable_resources` asks. May be repeated: what was offered
    /// before is not offered again, and a request that was left half done is continued.
    ///
    /// # Errors
    /// When the request cannot be read.
    pub async fn run(&self, cx: &OpContext, request: BackendResourceRequestUuid) -> Result<ImportReport> {
        let cx = &cx.child(request.hex());
        let waldur = self.served.waldur(cx);
        let requests = waldur.backend_resource_requests();
        let wish = requests.get(request).await?;
        let end = |outcome| Ok(ImportReport { outcome, items: Vec::new() });
        if wish.offering.is_some_and(|offering| offering != self.served.offering) {
            return end(ImportOutcome::OtherOffering);
        }
        match &wish.state {
            Some(BackendResourceRequestState::Done | BackendResourceRequestState::Erred) => {
                return end(ImportOutcome::AlreadyFinished);
            }
            // Ours, cut short, or another agent's, which ends as this one does.
            Some(BackendResourceRequestState::Processing) => {}
            _ => {
                if let Err(error) = requests.start_processing(request).await {
                    return end(not_now(error));
                }
            }
        }
        let (failure, items) = match self.offer_all(cx).await {
            Ok(items) => match cx.checkpoint() {
                Ok(()) => (None, items),
                Err(stopped) => (Some(stopped), items),
            },
            Err(error) => (Some(error), Vec::new()),
        };
        let outcome = match failure {
            None => match requests.set_done(request).await {
                Ok(()) => ImportOutcome::Done,
                Err(error) if error.kind() == ErrorKind::Conflict => ImportOutcome::AlreadyFinished,
                Err(error) => not_now(error),
            },
            Some(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::DeadlineExceeded) => {
                ImportOutcome::Deferred(error)
            }
            Some(error) => match requests.set_erred(request, &describe(&error, self.expose_error_details)).await {
                Ok(()) => ImportOutcome::Erred(error),
                Err(cause) => ImportOutcome::NotReported(error, cause),
            },
        };
        Ok(ImportReport { outcome, items })
    }

    /// One object's failure is its own.
    async fn offer_all(&self, cx: &OpContext) -> Result<Vec<ImportItem>> {
        let strangers = self.strangers(cx).await?;
        let ready = |item: &ImportItem| matches!(item.fate, ImportFate::Ready(_));
        let limits = self.limits(cx, strangers.iter().filter(|(_, item)| ready(item)).map(|(object, _)| object)).await;
        cx.step("offer");
        let offers = strangers.into_iter().map(|(_, item)| {
            let limits = limits.get(&item.backend_id);
            async move {
                let ImportFate::Ready(project) = item.fate else { return item };
                let fate = match self.offer(cx, &item.backend_id, project, limits).await {
                    Ok(row) => ImportFate::Offered(row),
                    Err(error) => ImportFate::Failed(error),
                };
                ImportItem { fate, ..item }
            }
        });
        Ok(stream::iter(offers).buffered(CONCURRENCY).collect().await)
    }

    async fn offer(
        &self,
        cx: &OpContext,
        id: &BackendId,
        project: ProjectUuid,
        limits: Option<&Result<Limits>>,
    ) -> Result<BackendResourceUuid> {
        cx.checkpoint()?;
        let mut metadata = Map::new();
        match limits {
            // Unknown limits would be imported as none.
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(limits)) => metadata.insert("limits".to_owned(), Value::Object(numbers(limits))),
            None => None,
        };
        let row = NewBackendResource::new(self.served.offering, project, id.clone()).metadata(metadata);
        Ok(self.served.waldur(cx).backend_resources().create(&row).await?.uuid)
    }

    /// The limits of objects: those that came with the list, and for the others what the back end says of each.
    async fn limits<'a>(
        &self,
        cx: &OpContext,
        objects: impl Iterator<Item = &'a Importable>,
    ) -> BTreeMap<BackendId, Result<Limits>> {
        let (with, without): (Vec<_>, Vec<_>) = objects.partition(|object| !object.limits.is_empty());
        let mut limits: BTreeMap<_, _> =
            with.into_iter().map(|object| (object.backend_id.clone(), Ok(object.limits.clone()))).collect();
        let ids: Vec<_> = without.into_iter().map(|object| object.backend_id.clone()).collect();
        if !ids.is_empty() {
            let mut aspects = Aspects::EXISTENCE;
            aspects.limits = true;
            let states =
                shielded(async { Ok(self.served.backend.inspect(cx, &Inspection::of(&ids, aspects)).await) }).await;
            let mut states = states.unwrap_or_else(|bug| ids.iter().map(|id| (id.clone(), Err(bug.clone()))).collect());
            for id in ids {
                let gone = || Error::new(ErrorKind::NotFound, format!("{id} is gone"));
                let state = states.remove(&id).unwrap_or_else(|| Err(Error::not_ready(format!("{id} is not known"))));
                let read = state.and_then(|state| state.map(|state| state.limits).ok_or_else(gone));
                limits.insert(id, read);
            }
        }
        limits
    }

    /// What exists on the back end and has no resource, and what can be done about it. All lists are proven whole: a
    /// resource that is missing from one would be offered for a second import.
    async fn strangers(&self, cx: &OpContext) -> Result<Vec<(Importable, ImportItem)>> {
        let importer =
            self.served.backend.importer().ok_or_else(|| Error::unsupported("listing what could be imported"))?;
        let waldur = self.served.waldur(cx);
        cx.step("list");
        let query = ResourceQuery::offering(self.served.offering).states(ALIVE);
        let resources = waldur.provider_resources().list(&query).all().await?;
        let offered =
            waldur.backend_resources().list(&BackendResourceQuery::offering(self.served.offering)).all().await?;
        let known: BTreeSet<_> = resources.iter().filter_map(|resource| resource.backend_id.as_ref()).collect();
        let offered: BTreeSet<_> = offered.into_iter().filter_map(|row| row.backend_id).collect();
        let objects = shielded(importer.list(cx)).await?;
        let strangers: Vec<_> =
            objects.into_items().into_iter().filter(|object| !known.contains(&object.backend_id)).collect();
        let is_nobodys = |object: &&Importable| object.stamp.is_none() && object.failure.is_none();
        let new = strangers.iter().filter(|object| !offered.contains(&object.backend_id)).filter(is_nobodys);
        let slugs: BTreeSet<_> = new.filter_map(|object| self.slug(object)).collect();
        let projects = self.projects(cx, slugs).await;
        Ok(strangers
            .into_iter()
            .map(|object| {
                let fate = match (object.stamp, &object.failure, self.slug(&object)) {
                    (Some(stamp), ..) => ImportFate::BelongsTo(stamp.0),
                    (None, Some(failure), _) => ImportFate::Failed(failure.clone()),
                    _ if offered.contains(&object.backend_id) => ImportFate::AlreadyOffered,
                    (None, None, None) => ImportFate::NotOfAProject,
                    (None, None, Some(slug)) => match projects.get(&slug) {
                        Some(Ok(Some(project))) => ImportFate::Ready(*project),
                        Some(Err(error)) => ImportFate::Failed(error.clone()),
                        _ => ImportFate::NoSuchProject(slug),
                    },
                };
                let item = ImportItem { backend_id: object.backend_id.clone(), parent: object.parent.clone(), fate };
                (object, item)
            })
            .collect())
    }

    fn slug(&self, object: &Importable) -> Option<String> {
        let slug = object.parent.as_deref()?.strip_prefix(self.project_prefix.as_str())?;
        (!slug.is_empty()).then(|| slug.to_owned())
    }

    /// The projects of these slugs; each is asked for once.
    async fn projects(&self, cx: &OpContext, slugs: BTreeSet<String>) -> BTreeMap<String, Result<Option<ProjectUuid>>> {
        let waldur = &self.served.waldur(cx);
        stream::iter(slugs)
            .map(|slug| async move {
                let found = waldur.projects().find_by_slug(&slug).await;
                let found = found.map(|project| project.map(|project| project.uuid));
                (slug, found)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }
}

/// What a refusal by Waldur comes to. A conflict is another agent that was faster, at which the next run looks.
fn not_now(error: Error) -> ImportOutcome {
    if error.is_passing() || error.kind() == ErrorKind::Conflict {
        ImportOutcome::Deferred(error)
    } else {
        ImportOutcome::Refused(error)
    }
}

/// Limits as Waldur writes them: whole numbers where they are whole.
fn numbers(limits: &Limits) -> Map<String, Value> {
    let number = |text: String| text.parse().map_or(Value::Null, Value::Number);
    limits.iter().map(|(name, limit)| (name.clone(), number(limit.to_waldur().normalize().to_string()))).collect()
}
