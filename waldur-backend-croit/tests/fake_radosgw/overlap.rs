//! Writes to one user that are in flight at the same time. Measured on 16.2.15 unless a recording is named; there it is
//! luck who meets whom, here the futures of one `join` do.

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use secrecy::ExposeSecret;
use waldur_backend_croit::testing::{FakeRadosGw, SeedUser};

use super::support::{Answer, Bench, Recorded};

async fn at_once(bench: &Bench, calls: &[&str]) -> Vec<Answer> {
    join_all(calls.iter().map(|call| bench.call(call))).await
}

fn verdicts(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(Answer::verdict).collect()
}

/// The key pair in the answer to a create, and whether it can log in.
fn login(gateway: &FakeRadosGw, answer: &Answer) -> Result<String, String> {
    let key = &answer.json()["keys"][0];
    let secret = key["secret_key"].as_str().unwrap().to_owned().into();
    gateway.login(key["access_key"].as_str().unwrap(), &secret).map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn recorded_race_for_keys_has_one_winner_and_changes_nothing_for_the_loser() {
    let recorded = Recorded::section("t10_race");
    let [loser, other_loser, winner, late] = recorded.as_slice() else { panic!("{}", recorded.len()) };
    let bench = Bench::new();
    bench.set_clock(loser.seconds());
    bench.gateway.add_user(SeedUser::new("race")).unwrap();
    assert_eq!(bench.verdict("PUT user?key&uid=race&access-key=RC0&secret-key=s").await, "200");

    let first = bench.signed(
        "PUT user?key&uid=race&access-key=RC2&secret-key=s",
        (bench.gateway.access_key(), bench.gateway.secret_key().expose_secret()),
        b"",
    );
    let answers = join_all([bench.send(first), bench.send(loser.request())]).await;
    assert_eq!(verdicts(&answers), ["200", &loser.answer().verdict()]);

    let answers = join_all([bench.send(winner.request()), bench.send(other_loser.request())]).await;
    assert_eq!(answers[0].text, winner.answer);
    assert_eq!(verdicts(&answers)[1], other_loser.answer().verdict());
    assert_eq!(bench.send(late.request()).await.text, late.answer);

    assert_eq!(bench.verdict("GET user?access-key=RC1").await, "403 AccessDenied");
    assert!(bench.gateway.login("RC6", &"s".into()).is_err());
    assert_eq!(bench.send(other_loser.request()).await.status, 200, "the name is still free");
}

#[tokio::test]
async fn any_two_writes_to_one_user_collide_and_writes_to_two_do_not() {
    let writes = [
        "POST user?uid=a&max-buckets=5",
        "PUT user?key&uid=a",
        "PUT user?caps&uid=a&user-caps=usage%3Dread",
        "PUT user?quota&uid=a&quota-type=user&max-objects=5",
    ];
    for first in writes {
        for second in writes {
            let bench = Bench::new();
            bench.gateway.add_user(SeedUser::new("a")).unwrap();
            bench.gateway.add_user(SeedUser::new("b")).unwrap();
            let elsewhere = second.replace("uid=a", "uid=b");
            let answers = at_once(&bench, &[first, second, &elsewhere]).await;
            assert_eq!(verdicts(&answers), ["200", "500 UnknownError", "200"], "{first} {second}");
        }
    }
}

#[tokio::test]
async fn overlapping_creates_all_succeed_and_the_last_one_stands() {
    let bench = Bench::new();
    let creates: Vec<_> = (0..8).map(|number| format!("PUT user?uid=twice&display-name=D{number}")).collect();
    let creates: Vec<_> = creates.iter().map(String::as_str).collect();
    let answers = at_once(&bench, &creates).await;
    assert_eq!(verdicts(&answers), ["200"; 8]);
    assert_eq!(bench.gateway.user("twice").unwrap().display_name, "D7");
    let (last, others) = answers.split_last().unwrap();
    assert_eq!(login(&bench.gateway, last), Ok("twice".to_owned()));
    for other in others {
        assert_eq!(login(&bench.gateway, other), Err("403 InvalidAccessKeyId".to_owned()));
        // The index still leads to the user, although its record does not hold the key.
        let access_key = other.json()["keys"][0]["access_key"].as_str().unwrap().to_owned();
        assert_eq!(bench.call(&format!("GET user?access-key={access_key}")).await.json()["user_id"], "twice");
    }
}

#[tokio::test]
async fn creates_can_be_made_exclusive() {
    let bench = Bench::with(|builder| builder.exclusive_creates(true));
    let create = "PUT user?uid=once&display-name=x";
    let answers = at_once(&bench, &[create, create, create]).await;
    assert_eq!(verdicts(&answers), ["200", "409 UserAlreadyExists", "409 UserAlreadyExists"]);
    assert_eq!(login(&bench.gateway, &answers[0]), Ok("once".to_owned()));
}

#[tokio::test]
async fn neither_email_nor_access_key_is_unique_under_overlap() {
    let bench = Bench::new();
    let stamp = "email=waldur-0f0c94a6-6f3b-4f9f-9d24-8f5f3f1f0001-x%40invalid";
    let answers = at_once(
        &bench,
        &[
            &format!("PUT user?uid=a&display-name=x&{stamp}"),
            &format!("PUT user?uid=b&display-name=x&{stamp}&access-key=SAME&secret-key=s"),
            "PUT user?uid=c&display-name=x&access-key=SAME&secret-key=s",
        ],
    )
    .await;
    assert_eq!(verdicts(&answers), ["200", "200", "200"]);
    let duplicates = bench.gateway.duplicate_stamps();
    assert_eq!(duplicates.values().collect::<Vec<_>>(), [&["a", "b"]]);
    assert_eq!(bench.gateway.login("SAME", &"s".into()), Ok("c".to_owned()));
    let again = bench.verdict(&format!("PUT user?uid=d&display-name=x&{stamp}")).await;
    assert_eq!(again, "409 EmailExists");
}

#[tokio::test]
async fn a_delete_that_overlaps_a_change_leaves_the_user_with_dead_keys() {
    let bench = Bench::new();
    bench.gateway.add_user(SeedUser::new("a").email("a@x").key("AK", "s")).unwrap();
    let answers = at_once(&bench, &["DELETE user?uid=a", "POST user?uid=a&max-buckets=5"]).await;
    assert_eq!(verdicts(&answers), ["200", "200"]);
    assert_eq!(bench.gateway.user("a").unwrap().max_buckets, 5);
    assert!(bench.gateway.login("AK", &"s".into()).is_err());
    assert_eq!(bench.verdict("GET user?access-key=AK").await, "403 AccessDenied");
    assert_eq!(bench.verdict("PUT user?uid=b&display-name=x&email=a%40x").await, "200");
}

#[tokio::test]
async fn overlapping_deletes_all_succeed() {
    let bench = Bench::new();
    bench.gateway.add_user(SeedUser::new("a")).unwrap();
    let answers = at_once(&bench, &["DELETE user?uid=a"; 8]).await;
    assert_eq!(verdicts(&answers), ["200"; 8]);
    assert_eq!(bench.verdict("DELETE user?uid=a").await, "404 NoSuchUser");
}

#[tokio::test]
async fn overlap_can_be_turned_off() {
    let bench = Bench::with(|builder| builder.write_overlap(false));
    let create = "PUT user?uid=a&display-name=x&generate-key=false";
    let answers = at_once(&bench, &[create, create, "PUT user?key&uid=a", "PUT user?key&uid=a"]).await;
    assert_eq!(verdicts(&answers), ["200", "409 UserAlreadyExists", "200", "200"]);
    assert_eq!(bench.gateway.user("a").unwrap().keys.len(), 2);
}

#[tokio::test]
async fn more_rounds_let_later_writes_in() {
    for (rounds, second) in [(1, "200"), (2, "500 UnknownError")] {
        let bench = Bench::with(|builder| builder.write_overlap_rounds(rounds));
        bench.gateway.add_user(SeedUser::new("a")).unwrap();
        let late = async {
            tokio::task::yield_now().await;
            bench.verdict("PUT user?key&uid=a").await
        };
        let (first, late) = join(bench.verdict("PUT user?key&uid=a"), late).await;
        assert_eq!((first.as_str(), late.as_str()), ("200", second), "{rounds}");
    }
}

#[tokio::test]
async fn a_dropped_write_was_not_carried_out() {
    let bench = Bench::new();
    assert!(bench.call("PUT user?uid=a&display-name=x").now_or_never().is_none());
    assert!(bench.gateway.user("a").is_none());
    assert_eq!(bench.gateway.request_count("user.create"), 1);
}
