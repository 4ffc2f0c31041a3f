//! `/projects/…/repositories`, their artifacts, and the tags of these.

use serde_json::{Value, json};

use super::{
    access::Call,
    body::Body,
    pages::Page,
    query::{keywords, sort},
    records::{Artifact, Project, Repository, Tag},
    refused::Refused,
    state::{State, next, time},
    wire::{Outcome, Reply, decode},
};

/// The icon of every image.
const ICON: &str = "sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06";

impl State {
    /// The newest first.
    pub(super) fn list_repositories(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        let project = self.project_by_name(call, "repository", "list")?;
        let words = keywords(asked)?;
        if words.iter().any(|(key, _)| key != "name") {
            return Err(Refused::unmodelled());
        }
        let whole = |name: &str| format!("{}/{name}", project.name);
        let mut found: Vec<(&String, &Repository)> = project.repositories.iter().collect();
        found.retain(|(name, _)| words.iter().all(|(_, wanted)| wanted.fits(&whole(name))));
        sort(
            asked,
            &mut found,
            |one, other| (other.1.created, other.1.id).cmp(&(one.1.created, one.1.id)),
            |key, one, other| match key {
                "name" => Some(one.0.cmp(other.0)),
                "creation_time" => Some(one.1.created.cmp(&other.1.created)),
                "update_time" => Some(one.1.updated.cmp(&other.1.updated)),
                _ => None,
            },
        )?;
        Ok(page.reply(asked, &found, |(name, repository)| repository.render(project, name)))
    }

    /// The project and the repository that the path names. The name is decoded a second time.
    fn repository_for(
        &self,
        call: &Call<'_>,
        resource: &str,
        action: &str,
    ) -> Result<(&Project, String, &Repository), Refused> {
        let project = self.project_by_name(call, resource, action)?;
        let name = decode(call.segment(1));
        let whole = format!("{}/{name}", project.name);
        let repository = project.repositories.get(&name);
        let repository = repository.ok_or_else(|| Refused::missing(format!("repository {whole} not found")))?;
        Ok((project, name, repository))
    }

    pub(super) fn get_repository(&self, call: &Call<'_>) -> Outcome {
        let (project, name, repository) = self.repository_for(call, "repository", "read")?;
        Ok(Reply::Json(repository.render(project, &name)))
    }

    /// One artifact after the other: where a tag cannot be deleted, what came before it is gone.
    pub(super) fn delete_repository(&mut self, call: &Call<'_>) -> Outcome {
        let (project, name, repository) = self.repository_for(call, "repository", "delete")?;
        let (id, digests) = (project.id, newest_first(repository));
        let digests: Vec<String> = digests.into_iter().map(|artifact| artifact.digest.clone()).collect();
        for digest in digests {
            self.remove_artifact(id, &name, &digest)?;
        }
        if let Some(project) = self.projects.get_mut(&id) {
            project.repositories.remove(&name);
        }
        self.usage_changed(id);
        Ok(Reply::Empty)
    }

    pub(super) fn remove_artifact(&mut self, project: i64, name: &str, reference: &str) -> Result<(), Refused> {
        let repository = self.projects.get_mut(&project).and_then(|project| project.repositories.get_mut(name));
        let Some(repository) = repository else { return Ok(()) };
        let Some(artifact) = repository.artifact(reference) else { return Ok(()) };
        if let Some(tag) = artifact.tags.iter().find(|tag| tag.immutable) {
            let message = format!("the tag {} configured as immutable, cannot be deleted", tag.name);
            return Err(Refused::precondition(message));
        }
        let id = artifact.id;
        repository.artifacts.retain(|artifact| artifact.id != id);
        self.usage_changed(project);
        Ok(())
    }

    pub(super) fn list_artifacts(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        let (project, name, repository) = self.repository_for(call, "artifact", "list")?;
        if asked.parameter("q").is_some_and(|q| !q.is_empty()) {
            return Err(Refused::unmodelled());
        }
        Ok(page.reply(asked, &newest_first(repository), |artifact| render(project, &name, artifact)))
    }

    pub(super) fn get_artifact(&self, call: &Call<'_>) -> Outcome {
        let (project, name, artifact) = self.artifact_for(call, "artifact", "read")?;
        Ok(Reply::Json(render(project, &name, artifact)))
    }

    fn artifact_for(
        &self,
        call: &Call<'_>,
        resource: &str,
        action: &str,
    ) -> Result<(&Project, String, &Artifact), Refused> {
        let (project, name, repository) = self.repository_for(call, resource, action)?;
        let reference = call.segment(2);
        let between = if reference.starts_with("sha256:") { '@' } else { ':' };
        let missing = || Refused::missing(format!("artifact {}/{name}{between}{reference} not found", project.name));
        let artifact = repository.artifact(reference).ok_or_else(missing)?;
        Ok((project, name, artifact))
    }

    pub(super) fn delete_artifact(&mut self, call: &Call<'_>) -> Outcome {
        let (project, name, artifact) = self.artifact_for(call, "artifact", "delete")?;
        let (project, digest) = (project.id, artifact.digest.clone());
        self.remove_artifact(project, &name, &digest)?;
        Ok(Reply::Empty)
    }

    pub(super) fn list_tags(&self, call: &Call<'_>) -> Outcome {
        let page = Page::read(call.asked)?;
        let (_, _, artifact) = self.artifact_for(call, "tag", "list")?;
        Ok(page.reply(call.asked, &artifact.tags, |tag| render_tag(artifact, tag)))
    }

    pub(super) fn create_tag(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "tag", "Tag")?;
        let tag = body.text("name")?.to_owned();
        let (project, name, artifact) = self.artifact_for(call, "tag", "create")?;
        let (project, repository, digest) = (project.id, artifact.repository, artifact.digest.clone());
        let known = self.projects.get(&project).and_then(|project| project.repositories.get(&name));
        if known.is_some_and(|known| {
            known.artifacts.iter().flat_map(|artifact| &artifact.tags).any(|known| known.name == tag)
        }) {
            return Err(Refused::conflict(format!("tag {tag} already exists under the repository {repository}")));
        }
        self.put_tag(project, &name, &digest, &tag);
        let place = call.asked.full_path();
        Ok(Reply::Created(format!("{}/{tag}", place.trim_end_matches('/')), None))
    }

    pub(super) fn put_tag(&mut self, project: i64, repository: &str, digest: &str, name: &str) {
        let (now, id) = (self.now(), next(&mut self.counters.tag));
        let project = self.projects.get_mut(&project);
        let repository = project.and_then(|project| project.repositories.get_mut(repository));
        let Some(repository) = repository else { return };
        for artifact in &mut repository.artifacts {
            artifact.tags.retain(|tag| tag.name != name);
        }
        if let Some(artifact) = repository.artifact_mut(digest) {
            artifact.tags.push(Tag { id, name: name.to_owned(), immutable: false, pushed: now });
        }
    }

    pub(super) fn delete_tag(&mut self, call: &Call<'_>) -> Outcome {
        let (project, name, artifact) = self.artifact_for(call, "tag", "delete")?;
        let (project, digest, wanted) = (project.id, artifact.digest.clone(), call.segment(3).to_owned());
        let Some(tag) = artifact.tags.iter().find(|tag| tag.name == wanted) else {
            let message = format!("tag {wanted} attached to artifact {} not found", artifact.id);
            return Err(Refused::missing(message));
        };
        if tag.immutable {
            let message = format!("the tag {wanted} configured as immutable, cannot be deleted");
            return Err(Refused::precondition(message));
        }
        let project = self.projects.get_mut(&project);
        let repository = project.and_then(|project| project.repositories.get_mut(&name));
        if let Some(artifact) = repository.and_then(|repository| repository.artifact_mut(&digest)) {
            artifact.tags.retain(|tag| tag.name != wanted);
        }
        Ok(Reply::Empty)
    }
}

fn newest_first(repository: &Repository) -> Vec<&Artifact> {
    let mut artifacts: Vec<&Artifact> = repository.artifacts.iter().collect();
    artifacts.sort_by_key(|artifact| (std::cmp::Reverse(artifact.pushed), std::cmp::Reverse(artifact.id)));
    artifacts
}

fn render(project: &Project, repository: &str, artifact: &Artifact) -> Value {
    let repository = repository.replace('/', "%252F");
    let history = format!(
        "/api/v2.0/projects/{}/repositories/{repository}/artifacts/{}/additions/build_history",
        project.name, artifact.digest
    );
    json!({
        "accessories": null,
        "addition_links": { "build_history": { "absolute": false, "href": history } },
        "digest": artifact.digest,
        "extra_attrs": { "architecture": "amd64", "author": "", "config": {}, "created": null, "os": "linux" },
        "icon": ICON,
        "id": artifact.id,
        "labels": null,
        "manifest_media_type": "application/vnd.docker.distribution.manifest.v2+json",
        "media_type": "application/vnd.docker.container.image.v1+json",
        "project_id": project.id,
        "pull_time": time(None),
        "push_time": time(Some(artifact.pushed)),
        "references": null,
        "repository_id": artifact.repository,
        "size": artifact.blobs.values().sum::<u64>(),
        "tags": artifact.tags.iter().map(|tag| render_tag(artifact, tag)).collect::<Vec<_>>(),
        "type": "IMAGE",
    })
}

fn render_tag(artifact: &Artifact, tag: &Tag) -> Value {
    json!({
        "artifact_id": artifact.id,
        "id": tag.id,
        "immutable": tag.immutable,
        "name": tag.name,
        "pull_time": time(None),
        "push_time": time(Some(tag.pushed)),
        "repository_id": artifact.repository,
    })
}
