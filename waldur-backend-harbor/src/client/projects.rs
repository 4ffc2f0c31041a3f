//! Projects (harbor.md §3, calls 4 to 10).

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Call, Pager},
    types::lenient,
};

use super::{
    HarborClient, error,
    ids::{ProjectId, ProjectName},
    listing, location,
    model::{Allowlist, Project, StorageLimit, Summary, WireSummary, the_same},
};

const TEMPLATE: &str = "/projects/{project}";

/// Calls on projects.
#[derive(Clone, Copy, Debug)]
pub struct Projects<'a>(pub(super) &'a HarborClient);

impl Projects<'_> {
    /// Whether there is a project of exactly this name. Up to now that needs nothing but a valid login (harbor.md §2.3).
    /// Where Harbor wants the right to read the project for this as well, robots are told "forbidden" of what does not
    /// exist; then a list says it, of an account that is shown everything.
    ///
    /// # Errors
    /// Whenever that is unclear: an answer that is not Harbor's proves no absence.
    pub async fn exists(&self, name: &ProjectName) -> Result<bool> {
        let call = self.0.call(Method::HEAD, error::EXISTS, "/projects", &[]).query("project_name", name);
        match call.send().await {
            // What answers a page where Harbor answers nothing would do so for every name.
            Ok(answer) if answer.headers().get("content-type").is_some_and(|kind| is_page(kind.as_bytes())) => {
                let text = "an HTML page came instead of Harbor's answer";
                Err(Error::new(ErrorKind::WrongContent, text).with_operation(error::EXISTS))
            }
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => self.is_listed(name, error).await,
            Err(error) => Err(error),
        }
    }

    /// Whether a list names the project. A login that was good a moment ago may have expired, and who may not see all
    /// projects is shown a part of them: so the last call needs the login, and tells how many quotas there are in the
    /// whole system. There cannot be more of them than of the projects that are shown, if those are all. (That proves as much as
    /// there are quotas: a project that was made while Harbor kept none, and is hidden from the account, is taken for absent.
    /// An account with the right `project:list` is shown everything.)
    async fn is_listed(self, name: &ProjectName, forbidden: Error) -> Result<bool> {
        let call = self.0.call(Method::GET, "projects.named", "/projects", &[]).query("q", format!("name={name}"));
        let (rows, headers) = call.query("page_size", 1).send_rows::<Project>("name").await?;
        if rows.items.iter().any(|project| project.name == name.as_str()) {
            return Ok(true);
        }
        let is_empty = rows.items.is_empty() && rows.bad.is_empty() && listing::total(&headers) == Some(0);
        let shown = self.count().await?;
        let quotas = self.0.quotas().count().await?;
        if is_empty && quotas.is_some_and(|quotas| (1..=shown).contains(&quotas)) { Ok(false) } else { Err(forbidden) }
    }

    /// Reads a project.
    ///
    /// # Errors
    /// `NotFound` to administrators. To robots a project that does not exist is `PermissionDenied`, as is one that they
    /// have no rights to; [`Self::find`] tells them apart.
    pub async fn get(&self, name: &ProjectName) -> Result<Project> {
        let project: Project = self.named(Method::GET, "projects.get", TEMPLATE, name).send_json().await?;
        the_same("project", name.as_str(), &project.name)?;
        Ok(project)
    }

    /// Reads a project; `Ok(None)` is proven absence. One call, and more where Harbor says "forbidden".
    ///
    /// # Errors
    /// `PermissionDenied` when it is there and may not be read; as [`Self::exists`].
    pub async fn find(&self, name: &ProjectName) -> Result<Option<Project>> {
        match self.get(name).await {
            Ok(project) => Ok(Some(project)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                if self.exists(name).await? {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// All projects that the account sees, by name. Callers with a wrong password are shown the public ones, so that
    /// this proves neither a login nor an absence.
    pub fn list(&self) -> Pager<Project> {
        self.list_as(|project| project, |project| project.id.to_string())
    }

    /// As [`Self::list`]; of each project is kept what `keep` makes of it, as soon as its page is there.
    pub(crate) fn list_as<T: Send + 'static>(
        self,
        keep: impl Fn(Project) -> T + Clone + Send + Sync + 'static,
        key: fn(&T) -> String,
    ) -> Pager<T> {
        let call = self.0.call(Method::GET, "projects.list", "/projects", &[]);
        listing::pages(call, "name", keep, key)
    }

    /// How many projects the account sees.
    ///
    /// # Errors
    /// `Inconsistent` when Harbor does not say.
    pub async fn count(&self) -> Result<u64> {
        let call = self.0.call(Method::GET, "projects.count", "/projects", &[]);
        let (_, headers) = call.query("page_size", 1).query("with_detail", false).send_rows::<Project>("name").await?;
        listing::total(&headers)
            .ok_or_else(|| Error::new(ErrorKind::Inconsistent, "Harbor does not say how many projects there are"))
    }

    /// Makes a private project with its quota, and answers with its number where Harbor tells it.
    ///
    /// Never repeated once it may have arrived: after an error whose [effect](Error::effect) is unknown, read the
    /// project. Where the account has no right to choose quotas, Harbor takes its own default without a word.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `InvalidRequest` for a name or a limit that Harbor does not take.
    pub async fn create(&self, new: &NewProject) -> Result<Option<ProjectId>> {
        let answer = self.0.call(Method::POST, "projects.create", "/projects", &[]).json(new).send().await?;
        Ok(location::number(answer.headers()).map(ProjectId::new))
    }

    /// Replaces the list of vulnerabilities that do not count in the project.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied`.
    pub async fn set_allowlist(&self, name: &ProjectName, list: &Allowlist) -> Result<()> {
        let call = self.named(Method::PUT, "projects.set_allowlist", TEMPLATE, name);
        call.json(&json!({ "cve_allowlist": wire(list) })).send_unit().await
    }

    /// The same, and puts an honest no in the place of [the text that the project was made
    /// with](NewProject::with_auto_scan_text). `public` is what it is: Harbor writes down nothing where that is left out.
    ///
    /// # Errors
    /// As [`Self::set_allowlist`].
    pub(crate) async fn set_allowlist_without_auto_scan(
        &self,
        name: &ProjectName,
        list: &Allowlist,
        public: &str,
    ) -> Result<()> {
        let call = self.named(Method::PUT, "projects.set_allowlist", TEMPLATE, name);
        let metadata = json!({ "public": public, "auto_scan": "false" });
        call.json(&json!({ "cve_allowlist": wire(list), "metadata": metadata })).send_unit().await
    }

    /// Whether the project could be deleted now.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn deletable(&self, name: &ProjectName) -> Result<Deletable> {
        self.named(Method::GET, "projects.deletable", "/projects/{project}/_deletable", name).send_json().await
    }

    /// Deletes a project without repositories. Its name is free afterwards.
    ///
    /// # Errors
    /// `Conflict` with [`error::PRECONDITION`] while there are repositories; for the rest as [`Self::get`].
    pub async fn delete(&self, name: &ProjectName) -> Result<()> {
        self.named(Method::DELETE, "projects.delete", TEMPLATE, name).send_unit().await
    }

    /// What is in the project, all together.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn summary(&self, name: &ProjectName) -> Result<Summary> {
        let call = self.named(Method::GET, "projects.summary", "/projects/{project}/summary", name);
        call.send_json::<WireSummary>().await.map(Summary::from)
    }

    /// Asks for a project that cannot be: whoever may create projects is told so (400), everybody else that they may
    /// not. Nothing is made.
    ///
    /// # Errors
    /// `PermissionDenied`, and whatever is no answer to the question.
    pub(crate) async fn probe_create(&self) -> Result<()> {
        let call = self.0.call(Method::POST, "projects.create", "/projects", &[]);
        let body = json!({ "project_name": "No Project's Name", "metadata": { "public": "false" } });
        match call.json(&body).send_unit().await {
            Err(error) if error.kind() == ErrorKind::InvalidRequest => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(Error::new(ErrorKind::Inconsistent, "Harbor took a name that is none")),
        }
    }

    fn named(self, method: Method, operation: &'static str, template: &'static str, name: &ProjectName) -> Call {
        self.0.named(method, operation, template, &[name.as_str()])
    }
}

fn wire(list: &Allowlist) -> Value {
    let mut body = json!({ "items": list.items });
    if let (Some(end), Some(body)) = (list.expires_at, body.as_object_mut()) {
        body.insert("expires_at".to_owned(), end.into());
    }
    body
}

fn is_page(kind: &[u8]) -> bool {
    kind.to_ascii_lowercase().starts_with(b"text/html")
}

/// A private project to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewProject {
    #[serde(rename = "project_name")]
    name: ProjectName,
    metadata: NewMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_limit: Option<i64>,
}

/// Harbor wants text here, for truths too.
#[derive(Clone, Debug, Serialize)]
struct NewMetadata {
    public: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_scan: Option<String>,
}

impl NewProject {
    /// A private project with the quota that Harbor gives by default.
    pub fn new(name: ProjectName) -> Self {
        Self { name, metadata: NewMetadata { public: "false", auto_scan: None }, storage_limit: None }
    }

    /// Writes something on it in the very request that makes it, where everybody finds it who finds the project: in the
    /// place of the word whether images are scanned as they come ([`ProjectMetadata::auto_scan`]). Of what a request for a
    /// project carries, Harbor keeps nothing else of free form; it keeps this as it is (by its source of 2026; what is
    /// recorded is that it takes any text in a change), and only `true` and `1` mean yes.
    /// [`Projects::set_allowlist_without_auto_scan`] puts an honest no in its place.
    ///
    /// [`ProjectMetadata::auto_scan`]: super::ProjectMetadata::auto_scan
    #[must_use]
    pub(crate) fn with_auto_scan_text(mut self, text: impl Into<String>) -> Self {
        self.metadata.auto_scan = Some(text.into());
        self
    }

    /// Gives it a quota.
    #[must_use]
    pub fn with_storage_limit(mut self, limit: StorageLimit) -> Self {
        self.storage_limit = Some(limit.wire());
        self
    }
}

/// Whether a project could be deleted, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Deletable {
    /// What is in the way.
    #[serde(default, deserialize_with = "lenient::text")]
    pub message: Option<String>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    deletable: Option<bool>,
}

impl Deletable {
    /// Whether it could. Harbor leaves the member out when it could not.
    pub fn is_deletable(&self) -> bool {
        self.deletable == Some(true)
    }
}
