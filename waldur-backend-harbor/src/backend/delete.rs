//! Deleting a project (harbor.md §5.4). Its group stays: it is that of the whole Waldur project.

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{CONSISTENCY, DeleteRequest, OpContext, Ownership, Removed, ResourceState, Verified, read_back},
};

use super::{Inner, sight::Facts};
use crate::client::{HarborClient, ProjectName, RepositoryName, error};

/// How many repositories are deleted at a time.
const AT_A_TIME: usize = 4;

/// How often a project is emptied, into which somebody goes on pushing.
const ROUNDS: u32 = 3;

impl Inner {
    pub(super) async fn delete_project(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Verified<Removed>> {
        let id = &request.backend_id;
        let (name, client) = self.target(cx, id)?;
        let Some(project) = client.projects().find(&name).await? else {
            self.forget(&name);
            return Verified::removed(id, Removed::AlreadyAbsent, None);
        };
        let seen = self.seen(project, None);
        let ownership = self.owned(id, &request.resource, &seen.facts)?;
        cx.checkpoint()?;
        cx.step("delete");
        let removed = match self.empty_and_delete(cx, &client, &name, ownership, &seen.facts).await {
            // To robots, what is gone is forbidden: somebody else was faster.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !client.projects().exists(&name).await? => {
                Removed::AlreadyAbsent
            }
            outcome => outcome?,
        };
        self.forget(&name);
        cx.step("verify");
        read_back(cx, client.environment(), CONSISTENCY, || async {
            let left = is_left(&client, &name, removed).await?.then(|| ResourceState::new(id.clone()));
            Verified::removed(id, removed, left.as_ref())
        })
        .await
    }

    /// Empties the project where it has to be, and deletes it; Harbor knows whether it is empty.
    async fn empty_and_delete(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        name: &ProjectName,
        ownership: Ownership,
        facts: &Facts,
    ) -> Result<Removed> {
        if facts.repositories.is_none_or(|count| count > 0) {
            self.empty(cx, client, name, ownership, facts.repositories).await?;
        }
        let mut round = 1;
        loop {
            match client.projects().delete(name).await {
                Ok(()) => return Ok(Removed::Deleted),
                Err(error) if error.is_not_found() => return Ok(Removed::AlreadyAbsent),
                Err(refused) if refused.code() == Some(error::PRECONDITION) && round < ROUNDS => {
                    self.empty(cx, client, name, ownership, None).await?;
                    round += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes all repositories, where the settings allow it and the project is proven to be the resource's.
    async fn empty(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        name: &ProjectName,
        ownership: Ownership,
        count: Option<u64>,
    ) -> Result<()> {
        if !self.settings.force_delete_repositories {
            let count = match count {
                Some(count) => Some(count),
                None => client.projects().get(name).await.ok().and_then(|project| project.repo_count),
            };
            return Err(not_empty(name, count, "Delete them first."));
        }
        // A name alone is no proof, and what is deleted is gone.
        if ownership != Ownership::Ours {
            let why = "They are not deleted with it, because nothing on the project shows that it was made for this \
                       resource.";
            return Err(not_empty(name, count, why));
        }
        // Somebody may push while this is read: what is deleted is known by name, and Harbor knows whether all are.
        let (listed, unreadable, gap) = client.repositories().list(name).collect().await?.into_parts();
        if listed.is_empty()
            && let Some(error) = gap.or_else(|| unreadable.into_iter().next().map(|row| row.error))
        {
            return Err(error);
        }
        let total = listed.len() as u64;
        let deletions = listed.into_iter().map(|repository| async move {
            cx.checkpoint()?;
            delete_repository(client, name, &repository.name).await
        });
        let deletions: Vec<_> = deletions.collect();
        let mut outcomes = stream::iter(deletions).buffer_unordered(AT_A_TIME);
        let (mut done, mut failed) = (0, None);
        while let Some(outcome) = outcomes.next().await {
            done += 1;
            cx.advance("repositories", done, Some(total));
            failed = failed.or(outcome.err());
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Whether the project is there still. Harbor is about to treat this question like all others and forbid it to robots
/// about what does not exist; of a project that the same account has just read and deleted, that is an answer.
async fn is_left(client: &HarborClient, name: &ProjectName, removed: Removed) -> Result<bool> {
    match client.projects().exists(name).await {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && removed == Removed::Deleted => Ok(false),
        outcome => outcome,
    }
}

async fn delete_repository(client: &HarborClient, project: &ProjectName, full: &str) -> Result<()> {
    match client.repositories().delete(project, &RepositoryName::within(project, full)?).await {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let text = format!(
                "The repository {full} has images that may not be deleted, as by a rule for immutable tags. Remove the \
                 rule or the repository first."
            );
            Err(Error::rejected(text).with_code(error::PRECONDITION).with_source(error))
        }
        outcome => outcome,
    }
}

fn not_empty(name: &ProjectName, count: Option<u64>, what_to_do: &str) -> Error {
    let count = match count {
        Some(1) => "1 repository".to_owned(),
        Some(count) if count > 0 => format!("{count} repositories"),
        _ => "repositories".to_owned(),
    };
    Error::rejected(format!("The project {name} still contains {count}. {what_to_do}")).with_code(error::PRECONDITION)
}
