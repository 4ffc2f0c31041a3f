//! One at a time on one resource, whichever processor it is.

use crate::{rest::Serial, types::ResourceUuid};

/// The lanes of resources: an order and a membership synchronisation of one resource run one after the other, and
/// neither decides by what the other is changing. Usage and imports write nothing that needs them. The processors of
/// one [`ServedOffering`](super::ServedOffering) share their lanes. Cheap to clone; clones are the same lanes.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Serial<ResourceUuid>);

impl Lanes {
    /// Lanes with nothing in them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` after everything that came before it for `resource`. See [`Serial::run`].
    pub async fn run<T: Send + 'static>(
        &self,
        resource: ResourceUuid,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.0.run(resource, work).await
    }
}
