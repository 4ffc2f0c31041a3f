//! Names as Waldur spells them, where a back end does not tell spellings apart (faults.md row 94).

use std::{borrow::Cow, collections::HashMap};

use super::{
    MembershipSync,
    pass::{Around, Pass},
};
use crate::{client::Resource, naming::Comparison, rest::Complete, types::Personal};

impl MembershipSync {
    /// Who has access, each by the name that Waldur has for whom the back end means. `None` where spellings count, so
    /// that the list is good as it is. A name that Waldur does not have stays as it is spelt.
    pub(super) fn respelt(
        &self,
        pass: &Pass,
        row: &Resource,
        around: Around<'_>,
        present: Option<&Complete<String>>,
    ) -> Option<Complete<String>> {
        let comparison = self.backend().capabilities().member_names;
        let present = present.filter(|_| comparison != Comparison::Exact)?;
        let accounts = around.accounts.of(row.project_uuid);
        let shared = pass.names_of_sharers(row);
        let people = around.team.into_iter().flat_map(|team| &team.candidates);
        // Whoever is wanted comes first: that is the spelling that the comparison looks for.
        let wanted = people.map(|candidate| &candidate.grant.username).chain(&accounts.active);
        let others = accounts.other.iter().chain(&accounts.closed).chain(&shared);
        let mut ours: HashMap<Cow<'_, str>, String> = HashMap::new();
        let protected = self.policy().protected_usernames.iter().map(Personal::as_str);
        for name in wanted.chain(others).map(String::as_str).chain(protected) {
            ours.entry(comparison.key(name)).or_insert_with(|| name.to_owned());
        }
        // Who has left is known by name all the same.
        let strange = present.items().iter().map(|name| comparison.key(name)).filter(|key| !ours.contains_key(key));
        let strange: Vec<Cow<'_, str>> = strange.collect();
        let known = self.remember(|memory| memory.spellings(comparison, &strange));
        ours.extend(known.into_iter().map(|(key, name)| (Cow::Owned(key), name)));
        Some(present.clone().map(|name| match ours.get(&comparison.key(&name)) {
            Some(ours) => ours.clone(),
            None => name,
        }))
    }
}
