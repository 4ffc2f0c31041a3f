//! Resources, kept small while they wait for their turn.

use std::{collections::HashMap, sync::Arc};

use rust_decimal::Decimal;

use crate::{
    backend::{MarketplaceResource, Records},
    client::{Resource, ResourceState},
    process::convert::marketplace,
    types::{BackendId, JsonObject, OfferingUuid, ProjectUuid, ResourceUuid, Uuid},
};

/// A resource of a list. What it brings along as free JSON (attributes, metadata, options of the offering, the same in
/// every row) is kilobytes as a tree and some hundred bytes as text; it is a tree only while the resource has its turn. So
/// is the map of its limits.
pub(super) struct Row {
    /// Without what is packed.
    light: Resource,
    packed: Option<Box<str>>,
    limits: Box<[(String, Decimal)]>,
}

/// What is packed.
type Objects = (JsonObject, JsonObject, JsonObject, JsonObject);

impl Row {
    pub(super) fn pack(mut resource: Resource) -> Self {
        let take = std::mem::take::<JsonObject>;
        let objects = (
            take(&mut resource.offering_plugin_options),
            take(&mut resource.attributes),
            take(&mut resource.options),
            take(&mut resource.backend_metadata),
        );
        // A number that would come back another one makes all of them stay as they are.
        let text = serde_json::to_string(&objects).ok();
        let packed = text.filter(|text| unpack(text).is_some_and(|again| again == objects)).map(String::into_boxed_str);
        if packed.is_none() {
            put(&mut resource, objects);
        }
        let limits = std::mem::take(&mut resource.limits).into_iter().collect();
        Self { light: resource, packed, limits }
    }

    /// The resource as it was listed.
    pub(super) fn whole(&self) -> Resource {
        let mut resource = self.light.clone();
        if let Some(objects) = self.packed.as_deref().and_then(unpack) {
            put(&mut resource, objects);
        }
        resource.limits = self.limits.iter().cloned().collect();
        resource
    }

    pub(super) fn uuid(&self) -> ResourceUuid {
        self.light.uuid
    }

    pub(super) fn backend_id(&self) -> Option<&BackendId> {
        self.light.backend_id.as_ref()
    }

    pub(super) fn offering(&self) -> Option<OfferingUuid> {
        self.light.offering_uuid
    }

    /// Whether it is in one of these states, or tells none.
    pub(super) fn is_in(&self, states: &[ResourceState]) -> bool {
        self.light.state.as_ref().is_none_or(|state| states.contains(state))
    }

    pub(super) fn project(&self) -> Option<ProjectUuid> {
        self.light.project_uuid
    }

    /// Whether the members of the resource are locked out.
    pub(super) fn is_restricted(&self) -> bool {
        self.light.restrict_member_access == Some(true)
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::of(&self.light)
    }
}

fn unpack(text: &str) -> Option<Objects> {
    serde_json::from_str(text).ok()
}

fn put(resource: &mut Resource, objects: Objects) {
    (resource.offering_plugin_options, resource.attributes, resource.options, resource.backend_metadata) = objects;
}

/// Whose team it is: that of a project, asked for by one of its resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) resource: ResourceUuid,
    pub(super) project: Option<ProjectUuid>,
}

impl Owner {
    pub(super) fn of(resource: &Resource) -> Self {
        Self { resource: resource.uuid, project: resource.project_uuid }
    }

    /// The project, or the resource itself where it names none.
    pub(super) fn key(self) -> Uuid {
        self.project.map_or_else(|| self.resource.uuid(), ProjectUuid::uuid)
    }
}

/// Listed resources as the back end may ask for them: each is unpacked when it does.
pub(super) struct RecordsOf<'a> {
    rows: HashMap<&'a BackendId, Vec<&'a Row>>,
    offering: OfferingUuid,
}

impl<'a> RecordsOf<'a> {
    pub(super) fn new(all: &'a [Arc<Row>], offering: OfferingUuid) -> Self {
        let mut rows: HashMap<_, Vec<&Row>> = HashMap::new();
        for row in all {
            if let Some(id) = row.backend_id() {
                rows.entry(id).or_default().push(row);
            }
        }
        Self { rows, offering }
    }
}

impl Records for RecordsOf<'_> {
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource> {
        let rows = self.rows.get(id).into_iter().flatten();
        rows.map(|row| marketplace(&row.whole(), self.offering)).collect()
    }
}

/// One resource as the back end may ask for it.
pub(super) struct RecordOf<'a> {
    pub(super) resource: &'a Resource,
    pub(super) offering: OfferingUuid,
}

impl Records for RecordOf<'_> {
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource> {
        let is_meant = self.resource.backend_id.as_ref() == Some(id);
        is_meant.then(|| marketplace(self.resource, self.offering)).into_iter().collect()
    }
}

/// How many resources are read and compared at a time.
const AT_A_TIME: usize = 512;

/// When each resource had its turn last; 0 for never.
pub(super) type Turns = HashMap<ResourceUuid, u32>;

/// The resources in portions, those of one project one after another: they have one team. What waits longest comes first;
/// where nobody has had a turn yet, whoever `start` says, so that of a process that lives for one pass only it is not the
/// same ones each time.
pub(super) fn portions(mut rows: Vec<Arc<Row>>, turns: &Turns, start: usize) -> Vec<Vec<Arc<Row>>> {
    let turn = |row: &Row| turns.get(&row.uuid()).copied().unwrap_or_default();
    let mut waiting: HashMap<Uuid, u32> = HashMap::new();
    for row in &rows {
        let since = waiting.entry(row.owner().key()).or_insert(u32::MAX);
        *since = turn(row).min(*since);
    }
    rows.sort_by_key(|row| (waiting.get(&row.owner().key()).copied(), row.owner().key(), turn(row)));
    if turns.values().all(|turn| *turn == 0) {
        let key = |place: usize| rows.get(place).map(|row| row.owner().key());
        let begin = (start..rows.len()).find(|place| place.checked_sub(1).and_then(key) != key(*place));
        rows.rotate_left(begin.unwrap_or_default());
    }
    rows.chunks(AT_A_TIME).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn resource(metadata: &str) -> Resource {
        let row = json!({
            "uuid": "000000a50000400080000000000000a5", "backend_id": "one", "attributes": { "size": 3 },
            "offering_plugin_options": { "flag": true }, "options": { "name": "Zürich" },
        });
        let mut resource: Resource = serde_json::from_value(row).unwrap();
        resource.backend_metadata = serde_json::from_str(metadata).unwrap();
        resource.limits =
            [("cpu".to_owned(), "0.10".parse().unwrap()), ("mem".to_owned(), Decimal::NEGATIVE_ONE)].into();
        resource
    }

    #[test]
    fn what_is_packed_comes_back_as_it_was() {
        // The last one is a number that a reader of JSON may take for its neighbour.
        for metadata in
            ["{}", r#"{"a":{"b":[1,-2,null,"c"]},"d":18446744073709551615}"#, r#"{"n":1.0715660391109193e83}"#]
        {
            let before = resource(metadata);
            let row = Row::pack(before.clone());
            let after = row.whole();
            assert_eq!(after.backend_metadata, before.backend_metadata, "{metadata}");
            assert_eq!((&after.attributes, &after.options), (&before.attributes, &before.options));
            assert_eq!((after.offering_plugin_options, after.limits), (before.offering_plugin_options, before.limits));
            assert_eq!((after.uuid, after.backend_id), (before.uuid, before.backend_id));
        }
        let light = Row::pack(resource("{}")).light;
        assert!(light.attributes.is_empty() && light.limits.is_empty(), "they are packed");
    }

    #[test]
    fn a_portion_is_no_larger_than_it_may_be() {
        let rows = (0..1100).map(|_| Arc::new(Row::pack(resource("{}")))).collect();
        let portions = portions(rows, &Turns::new(), 0);
        assert_eq!(portions.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512, 76]);
    }

    #[test]
    fn f028_who_waits_longest_comes_first_and_a_project_stays_together() {
        let uuid = |number: u128| Uuid::from_u128(number << 96 | 0x4000_8000);
        let row = |number: u128| {
            let mut resource = resource("{}");
            (resource.uuid, resource.project_uuid) = (uuid(number).into(), Some(uuid(100 + number / 2).into()));
            Arc::new(Row::pack(resource))
        };
        // Three projects, of two resources each.
        let order = |turns: [u32; 6], start| {
            let turns = turns.into_iter().zip(0..).map(|(turn, number)| (uuid(number).into(), turn)).collect();
            let portions = portions((0..6).map(row).collect(), &turns, start);
            portions.concat().iter().map(|row| row.uuid().uuid().as_u128() >> 96).collect::<Vec<_>>()
        };
        assert_eq!(order([2, 2, 2, 1, 2, 2], 0), [3, 2, 0, 1, 4, 5]);
        assert_eq!(order([1, 1, 1, 1, 1, 0], 3), [5, 4, 0, 1, 2, 3], "chance decides where nobody had a turn alone");
        assert_eq!(order([0; 6], 1), [2, 3, 4, 5, 0, 1]);
        assert_eq!([order([0; 6], 4), order([0; 6], 5)], [[4, 5, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]);
    }
}
