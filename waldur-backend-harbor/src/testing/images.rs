//! The other side of a registry: images come and go.

use std::collections::BTreeMap;

use super::{
    FakeHarbor,
    quotas::exceeded,
    records::{Artifact, Repository, new_bytes},
    refused::Refused,
    state::{State, next},
};

/// An image: layers, and a tag for it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Image {
    tag: String,
    digest: Option<String>,
    layers: BTreeMap<String, u64>,
}

impl Image {
    /// An image of nothing yet.
    pub fn new(tag: &str) -> Self {
        Self { tag: tag.to_owned(), digest: None, layers: BTreeMap::new() }
    }

    /// A layer, by a name of the test's own. Two layers of one name are the same, in whatever image they are.
    pub fn layer(mut self, name: &str, bytes: u64) -> Self {
        self.layers.insert(name.to_owned(), bytes);
        self
    }

    /// Its digest; otherwise it follows from the layers, so that the same image has the same digest.
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(digest.to_owned());
        self
    }

    fn known_as(&self) -> String {
        let layers: Vec<String> = self.layers.iter().map(|(name, bytes)| format!("{name}:{bytes}")).collect();
        self.digest.clone().unwrap_or_else(|| format!("sha256:{}", scrambled(&layers.join("\n"))))
    }
}

/// 64 hexadecimal digits that are as good as a hash where nobody cheats.
fn scrambled(text: &str) -> String {
    let quarter = |round: u64| {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        format!("{:016x}", hash ^ (hash >> 31))
    };
    (0..4).map(quarter).collect()
}

impl State {
    /// Stores an image, whatever the quota says. Its digest.
    pub(super) fn put_image(&mut self, project: i64, repository: &str, image: Image) -> String {
        let (now, digest) = (self.now(), image.known_as());
        let (fresh, id) = (self.counters.repository + 1, self.counters.artifact + 1);
        let Some(stored) = self.projects.get_mut(&project) else { return digest };
        stored.loose.retain(|layer, _| !image.layers.contains_key(layer));
        let is_new = !stored.repositories.contains_key(repository);
        let new = || Repository { id: fresh, artifacts: Vec::new(), created: now, updated: now };
        let rows = stored.repositories.entry(repository.to_owned()).or_insert_with(new);
        rows.updated = now;
        let known = rows.artifacts.iter().any(|artifact| artifact.digest == digest);
        if !known {
            let repository = rows.id;
            let blobs = image.layers;
            rows.artifacts.push(Artifact {
                id,
                repository,
                digest: digest.clone(),
                blobs,
                tags: Vec::new(),
                pushed: now,
            });
        }
        if is_new {
            next(&mut self.counters.repository);
        }
        if !known {
            next(&mut self.counters.artifact);
        }
        self.put_tag(project, repository, &digest, &image.tag);
        digest
    }
}

impl FakeHarbor {
    /// Pushes an image. Layers that the project has already cost nothing.
    ///
    /// # Errors
    /// 404 without the project; 412 when the tag cannot be moved; 403 `DENIED` when it does not fit, or nothing may be
    /// written.
    pub fn push(&self, project: &str, repository: &str, image: Image) -> Result<String, Refused> {
        let mut state = self.state();
        let missing = || Refused::missing(format!("project {project} not found"));
        let found = state.project_named(project).ok_or_else(missing)?;
        if state.settings.read_only {
            return Err(Refused::denied("The system is in read only mode. Any modification is prohibited."));
        }
        let tagged = found.repositories.get(repository).and_then(|repository| repository.artifact(&image.tag));
        let tag = tagged.and_then(|artifact| artifact.tags.iter().find(|tag| tag.name == image.tag));
        if tag.is_some_and(|tag| tag.immutable) && tagged.is_some_and(|artifact| artifact.digest != image.known_as()) {
            let place = format!("{project}/{repository}:{}", image.tag);
            let message = format!("Failed to process request due to '{place}' configured as immutable.");
            return Err(Refused::precondition(message));
        }
        let (id, stored, adding) = (found.id, found.stored(), new_bytes(found, &image.layers));
        if let Some(quota) = state.quota_of(id).filter(|quota| quota.hard != -1 && state.settings.quota_per_project) {
            let after = stored.saturating_add(i64::try_from(adding).unwrap_or(i64::MAX));
            if adding > 0 && after > quota.hard {
                return Err(exceeded(adding, stored, quota.hard));
            }
        }
        let digest = state.put_image(id, repository, image);
        state.usage_changed(id);
        Ok(digest)
    }

    /// Uploads a layer that no image refers to, as is left of a push that broke off. It counts all the same. Is the project
    /// there?
    pub fn upload(&self, project: &str, layer: &str, bytes: u64) -> bool {
        let mut state = self.state();
        let Some(found) = state.project_named_mut(project) else { return false };
        found.loose.insert(layer.to_owned(), bytes);
        let id = found.id;
        state.usage_changed(id);
        true
    }

    /// Removes a repository, whatever its tags. Was it there?
    pub fn remove_repository(&self, project: &str, repository: &str) -> bool {
        let mut state = self.state();
        let Some(found) = state.project_named_mut(project) else { return false };
        let (id, removed) = (found.id, found.repositories.remove(repository).is_some());
        state.usage_changed(id);
        removed
    }

    /// Makes a tag immutable: from now on neither it nor its image nor its repository can be removed over the API. Is it
    /// there?
    pub fn make_immutable(&self, project: &str, repository: &str, tag: &str) -> bool {
        let mut state = self.state();
        let found = state.project_named_mut(project).and_then(|project| project.repositories.get_mut(repository));
        found.and_then(|repository| repository.tag_mut(tag)).map(|tag| tag.immutable = true).is_some()
    }

    /// Writes down what every project uses, as the server does now and then where
    /// [`Settings::late_usage`](super::Settings::late_usage) is set.
    pub fn flush_usage(&self) {
        let mut state = self.state();
        let projects: Vec<i64> = state.projects.keys().copied().collect();
        for project in projects {
            state.count_usage(project);
        }
    }
}
