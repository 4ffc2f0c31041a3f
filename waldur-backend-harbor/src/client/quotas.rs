//! Quotas (harbor.md §3, calls 11 to 13; §3.1).

use http::Method;
use serde_json::json;
use waldur_sdk::{Error, ErrorKind, Result, rest::Pager};

use super::{
    HarborClient,
    ids::{ProjectId, ProjectName, QuotaId},
    listing,
    model::{Quota, StorageLimit, WireQuota},
};

/// Calls on quotas.
#[derive(Clone, Copy, Debug)]
pub struct Quotas<'a>(pub(super) &'a HarborClient);

/// A quota that was shown to be the one of a project. Only [`Quotas::of_project`] makes one, so that no other project's
/// is ever changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectQuota(Quota);

impl ProjectQuota {
    /// The quota.
    pub fn get(&self) -> &Quota {
        &self.0
    }
}

impl Quotas<'_> {
    /// The quotas of all projects.
    pub fn list(&self) -> Pager<Quota> {
        self.list_as(|quota| quota, |quota| quota.id.to_string())
    }

    /// As [`Self::list`]; of each quota is kept what `keep` makes of it, as soon as its page is there.
    pub(crate) fn list_as<T: Send + 'static>(
        self,
        keep: impl Fn(Quota) -> T + Clone + Send + Sync + 'static,
        key: fn(&T) -> String,
    ) -> Pager<T> {
        let call = self.0.call(Method::GET, "quotas.list", "/quotas", &[]).query("reference", "project");
        listing::pages(call, "id", move |row: WireQuota| keep(Quota::from(row)), key)
    }

    /// The quota of a project; `None` when it has none, as on a Harbor whose quotas are switched off. An empty answer
    /// is no proof that the project is gone.
    ///
    /// # Errors
    /// `Inconsistent` when Harbor answers with another project's, or with several.
    pub async fn of_project(&self, id: ProjectId, name: &ProjectName) -> Result<Option<ProjectQuota>> {
        let call = self.0.call(Method::GET, "quotas.of_project", "/quotas", &[]);
        let call = call.query("reference", "project").query("reference_id", id);
        let (rows, _headers) = call.send_rows::<WireQuota>("id").await?;
        if let Some(bad) = rows.bad.into_iter().next() {
            return Err(bad.error);
        }
        let mut quotas = rows.items.into_iter().map(Quota::from);
        let Some(quota) = quotas.next() else { return Ok(None) };
        let its = quota.project == Some(id) && quota.project_name.as_deref().is_none_or(|its| its == name.as_str());
        if !its || quotas.next().is_some() {
            let text =
                format!("asked for the quota of project {name}, Harbor answered with another one or with several");
            return Err(Error::new(ErrorKind::Inconsistent, text).with_operation("quotas.of_project"));
        }
        Ok(Some(ProjectQuota(quota)))
    }

    /// Reads a quota.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: QuotaId) -> Result<Quota> {
        let call = self.0.call(Method::GET, "quotas.get", "/quotas/{quota}", &[&id.to_string()]);
        call.send_json::<WireQuota>().await.map(Quota::from)
    }

    /// Changes how much may be stored. Less than is stored already is taken: pushes fail then.
    ///
    /// Repeated when another writer was faster (500), since it sets an absolute value.
    ///
    /// # Errors
    /// `NotFound` when the quota is gone.
    pub async fn set(&self, quota: &ProjectQuota, limit: StorageLimit) -> Result<()> {
        let call = self.0.call(Method::PUT, "quotas.set", "/quotas/{quota}", &[&quota.0.id.to_string()]);
        call.json(&json!({ "hard": { "storage": limit.wire() } })).send_unit().await
    }

    /// The cheapest call that needs valid credentials, and the right to see quotas.
    ///
    /// # Errors
    /// `Unauthenticated`, `PermissionDenied`, and whatever is in the way.
    pub async fn probe(&self) -> Result<()> {
        self.count().await.map(drop)
    }

    /// How many quotas there are in the whole system; `None` when Harbor does not say.
    ///
    /// # Errors
    /// As [`Self::probe`].
    pub(crate) async fn count(&self) -> Result<Option<u64>> {
        let call = self.0.call(Method::GET, "quotas.probe", "/quotas", &[]).query("page_size", 1);
        let (_rows, headers) = call.send_rows::<WireQuota>("id").await?;
        Ok(listing::total(&headers))
    }

    /// Asks to change the quota of number 0, which there never is: who may change quotas is told that it is missing.
    ///
    /// # Errors
    /// `PermissionDenied`, and whatever is no answer to the question.
    pub(crate) async fn probe_update(&self) -> Result<()> {
        let call = self.0.call(Method::PUT, "quotas.probe_update", "/quotas/{quota}", &["0"]);
        match call.json(&json!({ "hard": { "storage": -1 } })).send_unit().await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidRequest) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(Error::new(ErrorKind::Inconsistent, "Harbor has a quota of number 0")),
        }
    }
}
