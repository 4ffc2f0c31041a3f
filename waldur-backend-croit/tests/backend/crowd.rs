//! One user among a thousand that look like it (faults.md row 123).

use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::rest::TransportErrorKind;

use crate::common::{Failure, GIB, Gate, On, STAMP, UID, create, quotas, request, server_error, usage_components};

/// More than any page holds: names that begin or end like ours, or differ in case, and stamps of other resources that
/// are for a name like ours.
fn crowd(gate: &Gate) -> Vec<String> {
    let alike = |number: usize| match number {
        0 => UID.to_uppercase(),
        1 => format!("{UID}-"),
        2 => UID[..UID.len() - 1].to_owned(),
        _ if number.is_multiple_of(2) => format!("{UID}{number}"),
        _ => format!("{number}{UID}"),
    };
    let names: Vec<String> = (0..1001).map(alike).collect();
    for (number, name) in names.iter().enumerate() {
        let stamp = format!("waldur-{:032x}-{name}@invalid", 0x0bad_0000 + number);
        gate.fake.add_user(SeedUser::new(name).email(&stamp).key(&format!("KEY{number}"), "secret")).unwrap();
    }
    names
}

#[tokio::test(start_paused = true)]
async fn f123_in_a_crowd_of_look_alikes_a_creation_whose_answer_was_lost_makes_one_user() {
    for (on, made) in [(On::RadosGw, "PUT /admin/user?uid="), (On::Croit, "POST /api/s3/users")] {
        for failure in [server_error(), Failure::Transport(TransportErrorKind::Interrupted)] {
            let gate = Gate::on(on);
            let names = crowd(&gate);
            let before: Vec<String> = names.iter().map(|name| format!("{:?}", gate.fake.user(name))).collect();
            gate.lose_answer(made, 1, failure);
            // A process that did not hear that it had made the user, and one that comes after it.
            for attempt in ["first", "replayed"] {
                let backend = gate.backend(json!({}), &usage_components());
                create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
                assert_eq!(gate.fake.users().len(), names.len() + 1, "{on:?} {attempt}");
            }
            assert_eq!((gate.fake.user(UID).unwrap().email.as_str(), quotas(&gate)), (STAMP, [(true, 5 * GIB, -1); 2]));
            let after: Vec<String> = names.iter().map(|name| format!("{:?}", gate.fake.user(name))).collect();
            assert!(before == after, "{on:?}: nobody else's user was touched");
        }
    }
}
