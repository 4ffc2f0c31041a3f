//! Recordings of a Waldur of October 2024 that no typed call has for an answer (see [`crate::recorded`]): each has a
//! reason, and where it is a row of something that the client reads elsewhere, it is read as that.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;
use waldur_sdk::client::{ComponentUsage, Offering, OfferingUser, Order, Plan};

/// Numbers of exchanges, and why no typed call has them for an answer.
const EXCUSED: &[(&str, &[u32])] = &[
    (
        "what no client asks: a list's head, methods and paths that the server does not have",
        &[25, 34, 66, 95, 115, 116, 191],
    ),
    ("the public side of offerings", &[49, 50, 177]),
    (
        "the customer's side of orders and resources",
        &[
            98, 99, 100, 101, 102, 104, 105, 106, 107, 108, 121, 122, 130, 142, 296, 298, 312, 314, 326, 327, 339, 342,
            343, 344, 345, 346, 347,
        ],
    ),
    ("what people write", &[189, 190]),
    ("one row of usage by itself", &[217]),
    (
        "accounts at offerings: names are in `user_access`",
        &[223, 224, 226, 231, 232, 233, 235, 236, 237, 238, 239, 240, 255, 340, 341],
    ),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/waldur-2024.10")
}

fn number(file: &str) -> u32 {
    file.split('_').next().unwrap().parse().unwrap()
}

#[test]
fn every_recording_has_a_typed_call_or_a_reason() {
    let called: BTreeSet<u32> = include_str!("../client_support/recordings.txt").lines().map(number).collect();
    let excused: BTreeSet<u32> = EXCUSED.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
    assert!(called.is_disjoint(&excused), "{:?}", called.intersection(&excused));
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<u32> = files.map(|file| number(&file)).collect();
    assert_eq!(there, called.union(&excused).copied().collect());
}

/// The answers of the exchanges of these numbers, each as a `T`; lists row by row.
fn rows<T: DeserializeOwned>(numbers: &[u32]) -> Vec<(T, Value)> {
    let mut read = Vec::new();
    for file in fs::read_dir(folder()).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        if numbers.contains(&number(&name)) {
            let exchange: Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
            let rows = match exchange["response"]["json"].clone() {
                Value::Array(rows) => rows,
                row => vec![row],
            };
            let typed = |row: &Value| serde_json::from_value(row.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
            read.extend(rows.into_iter().map(|row| (typed(&row), row)));
        }
    }
    assert!(read.len() >= numbers.len());
    read
}

fn same(uuid: &impl ToString, row: &Value) -> bool {
    uuid.to_string().replace('-', "") == row["uuid"].as_str().unwrap()
}

#[test]
fn what_others_were_answered_is_read_as_what_it_is() {
    for (order, row) in rows::<Order>(&[102, 104, 106, 108, 342]) {
        assert!(same(&order.uuid, &row) && order.state.as_str() == row["state"].as_str().unwrap());
        assert_eq!(order.offering_uuid.is_some(), row["offering_uuid"].is_string());
    }
    for (account, row) in rows::<OfferingUser>(&[231, 232, 233, 340, 341]) {
        let name = account.username.as_ref().map(waldur_sdk::types::Personal::as_str);
        assert_eq!((same(&account.uuid, &row), name), (true, row["username"].as_str().filter(|name| !name.is_empty())));
    }
    for (usage, row) in rows::<ComponentUsage>(&[217]) {
        assert!(same(&usage.uuid, &row) && usage.kind == row["type"].as_str().unwrap());
    }
    for (offering, row) in rows::<Offering>(&[49, 177]) {
        assert_eq!(offering.components.len(), row["components"].as_array().unwrap().len());
    }
    for (plan, row) in rows::<Plan>(&[50]) {
        assert!(same(&plan.uuid, &row), "{row}");
    }
}
