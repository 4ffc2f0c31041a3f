//! Groups that cannot be read (faults.md row 156).

use waldur_sdk::{ErrorClass, rest::TransportErrorKind};

use crate::common::{ALWAYS, Failure, GIB, GROUP, Gate, NAME, backend, count, create, request, storage};

/// Unknown is not absent: a group that nobody could look for is not made, whatever stood in the way.
#[tokio::test(start_paused = true)]
async fn f156_a_group_that_cannot_be_read_is_not_created() {
    let failures = [
        Failure::error(503, "UNAVAILABLE", "the registry is starting"),
        Failure::Status(503, "<html>no healthy upstream</html>".to_owned()),
        Failure::internal(),
        Failure::Transport(TransportErrorKind::Interrupted),
    ];
    for there_already in [false, true] {
        for failure in failures.clone() {
            let gate = Gate::new();
            if there_already {
                gate.fake.add_group(GROUP, 3).unwrap();
            }
            gate.fail("GET /usergroups", ALWAYS, failure);
            let backend = backend(&gate);
            let error = create(&backend, &request(storage(20))).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Transient, "{error}");
            let log = gate.take_log();
            assert!(count(&log, "GET /usergroups") >= 1, "{log:#?}");
            assert_eq!(count(&log, "POST /usergroups"), 0, "{log:#?}");

            gate.mend();
            create(&backend, &request(storage(20))).await.unwrap();
            assert_eq!(count(&gate.take_log(), "POST /usergroups"), usize::from(!there_already));
            let project = gate.fake.project(NAME).unwrap();
            assert_eq!((project.groups(), project.quota.unwrap().hard), (vec![(GROUP, 2)], 20 * GIB));
        }
    }
}
