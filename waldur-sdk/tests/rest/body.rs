//! Bodies that are not what they should be (faults 78, 82–90; security S33).

use crate::virtual_time::{client, script};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Rows, decode_rows, decode_rows_in, redact},
    testing::Answer,
};

#[derive(Debug, PartialEq, Deserialize)]
struct Row {
    uuid: String,
    name: String,
    #[serde(default)]
    limit: Option<i64>,
}

async fn json<T: DeserializeOwned>(answer: Answer) -> Result<T> {
    let script = script().then(answer);
    client(&script).get("rows.get", "/rows/", &[]).send_json().await
}

async fn rows(body: impl Into<Bytes>) -> Result<Rows<Row>> {
    let script = script().then(Answer::status(200).with_body(body));
    client(&script).get("rows.list", "/rows/", &[]).send_rows("uuid").await.map(|(rows, _)| rows)
}

/// The names that could be read, and the ids that could not.
fn told(rows: &Rows<Row>) -> (Vec<&str>, Vec<Option<&str>>) {
    (rows.items.iter().map(|row| row.name.as_str()).collect(), rows.bad.iter().map(|row| row.id.as_deref()).collect())
}

#[tokio::test(start_paused = true)]
async fn f078_truncated_json_is_an_error_and_no_short_list() {
    let whole = br#"[{"uuid": "1", "name": "a"}, {"uuid": "2", "name": "b"}]"#;
    for length in 1..whole.len() {
        let error = rows(&whole[..length]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{length}");
        let error = json::<Vec<Row>>(Answer::status(200).with_body(&whole[..length])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{length}");
    }
    assert_eq!(rows(&whole[..]).await.unwrap().items.len(), 2);
    let error = rows(format!("{}x", String::from_utf8_lossy(whole))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode, "nor is a list with something behind it");
}

#[tokio::test(start_paused = true)]
async fn f082_a_hundred_thousand_levels_do_not_overflow_the_stack() {
    let deep = "[".repeat(100_000);
    let error = json::<Value>(Answer::status(200).with_body(deep.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let row = format!(r#"[{{"uuid": "1", "name": "a", "x": {deep}{}}}, {{}}]"#, "]".repeat(100_000));
    let read = decode_rows::<Value>(row.as_bytes(), "uuid").unwrap();
    assert_eq!((read.items.len(), read.bad[0].id.as_deref()), (1, Some("1")));
    assert_eq!(told(&rows(row).await.unwrap()).0, ["a"], "what nobody reads is skipped without recursion");
}

#[test]
fn sec33_the_recursion_limit_is_kept() {
    let nested = |levels: usize| format!("[{}{}]", "[".repeat(levels), "]".repeat(levels));
    assert!(decode_rows::<Value>(nested(127).as_bytes(), "id").unwrap().bad.is_empty());
    assert_eq!(decode_rows::<Value>(nested(128).as_bytes(), "id").unwrap().bad.len(), 1);
    let excerpt = redact::excerpt("[".repeat(100_000).as_bytes(), &[]);
    assert_eq!(excerpt.len(), redact::EXCERPT_LIMIT, "an excerpt recurses no deeper");
}

#[tokio::test(start_paused = true)]
async fn f083_broken_utf8_costs_one_record() {
    let body =
        b"[{\"uuid\":\"1\",\"name\":\"a\"},{\"uuid\":\"2\xff\",\"name\":\"\xc3\x28\"},{\"uuid\":\"3\",\"name\":\"c\"}]";
    assert_eq!(told(&rows(&body[..]).await.unwrap()), (vec!["a", "c"], vec![Some("2\u{fffd}")]));
    let unread = b"[{\"uuid\":\"1\",\"name\":\"a\",\"note\":\"\xff\"}]";
    assert_eq!(
        told(&rows(&unread[..]).await.unwrap()),
        (vec!["a"], vec![]),
        "a member that nobody reads costs nothing"
    );
    let alone = json::<Row>(Answer::status(200).with_body(&b"{\"uuid\":\"1\",\"name\":\"\xff\"}"[..])).await;
    assert_eq!(alone.unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn f084_sec27_hidden_characters_are_escaped_in_logs_and_refused_in_paths() {
    let hostile = [
        "a\0b",
        "a\r\nb",
        "a\u{7f}",
        "\u{1b}[31mred",
        "\u{202e}gpj.exe",
        "\u{2066}x",
        "a\u{200b}b",
        "\u{2028}",
        "\u{feff}",
    ];
    for name in hostile {
        let script = script().otherwise(Answer::status(400).with_json(&serde_json::json!({ "detail": name })));
        let client = client(&script);
        let refused = client.get("things.get", "/things/{name}/", &[name]).send_unit().await.unwrap_err();
        assert_eq!((refused.kind(), script.sent()), (ErrorKind::Config, 0), "{name:?}");
        let error = client.get("things.get", "/things/", &[]).send_unit().await.unwrap_err();
        let told = Error::rejected(format!("no {name}")).with_code(name);
        for shown in [error.to_string(), error.http().unwrap().body.clone().unwrap(), told.to_string()] {
            let hidden = name.chars().find(|c| !c.is_ascii_graphic() && shown.contains(*c));
            assert_eq!(hidden, None, "{shown:?}");
        }
        let body = serde_json::json!([{ "uuid": name, "name": 5 }]).to_string();
        let bad = rows(body).await.unwrap().bad.remove(0);
        assert!(!bad.id.unwrap().contains(name), "an id that is only there for the log");
    }
}

#[tokio::test(start_paused = true)]
async fn f085_a_byte_order_mark_is_dropped_and_a_foreign_charset_refused() {
    let row = r#"{"uuid": "1", "name": "é"}"#;
    assert_eq!(json::<Row>(Answer::status(200).with_body(format!("\u{feff}{row}"))).await.unwrap().name, "é");
    for charset in ["utf-8", "UTF-8", "\"utf-8\"", "us-ascii"] {
        let kind = format!("application/json; charset={charset}");
        let answer = Answer::status(200).with_header("content-type", kind).with_body(row);
        assert_eq!(json::<Row>(answer).await.unwrap().name, "é", "{charset}");
    }
    for charset in ["iso-8859-1", "Latin1", "utf-16", "windows-1252"] {
        let kind = format!("application/json;Charset={charset}");
        // ASCII alone, which would decode: what is not understood is not guessed.
        let answer = Answer::status(200).with_header("content-type", kind).with_body(r#"{"uuid":"1","name":"e"}"#);
        let error = json::<Row>(answer).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Decode && error.message().contains("charset"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn f086_numbers_that_are_none_cost_their_record() {
    for number in ["NaN", "Infinity", "-Infinity", "1e400", "-0", "01", "+1", "0x10", "1."] {
        let body = format!(r#"[{{"uuid":"1","name":"a","limit":{number}}},{{"uuid":"2","name":"b","limit":7}}]"#);
        let rows = rows(body).await.unwrap();
        assert_eq!(told(&rows), (vec!["b"], vec![Some("1")]), "{number}");
        assert_eq!((rows.bad[0].error.kind(), rows.items[0].limit), (ErrorKind::Decode, Some(7)));
    }
}

#[tokio::test(start_paused = true)]
async fn f087_sec35_integers_are_exact_or_an_error() {
    let limit = |text: &str| rows(format!(r#"[{{"uuid":"1","name":"a","limit":{text}}}]"#));
    for exact in [9_007_199_254_740_993, i64::MAX, i64::MIN, -1, 0] {
        assert_eq!(limit(&exact.to_string()).await.unwrap().items[0].limit, Some(exact));
    }
    for wrong in ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e3", "1.5", "\"5\"", "true"]
    {
        assert_eq!(told(&limit(wrong).await.unwrap()), (vec![], vec![Some("1")]), "{wrong}");
    }
    assert_eq!(json::<u64>(Answer::status(200).with_body("18446744073709551615")).await.unwrap(), u64::MAX);
}

#[tokio::test(start_paused = true)]
async fn f089_a_member_that_appears_twice_is_an_error_of_typed_records() {
    let twice = r#"{"uuid":"1","name":"a","name":"b"}"#;
    let error = json::<Row>(Answer::status(200).with_body(twice)).await.unwrap_err();
    assert!(error.message().contains("duplicate field `name`"), "{error}");
    assert_eq!(told(&rows(format!("[{twice}]")).await.unwrap()), (vec![], vec![Some("1")]));
    let unread = r#"{"uuid":"1","name":"a","note":1,"note":2}"#;
    assert_eq!(json::<Row>(Answer::status(200).with_body(unread)).await.unwrap().name, "a");
    assert_eq!(json::<Value>(Answer::status(200).with_body(twice)).await.unwrap()["name"], "b", "untyped: the last");
    let rows = decode_rows_in::<Value>(br#"{"rows":[1],"rows":[2,3]}"#, "rows", "id").unwrap();
    assert_eq!(rows.items, [2, 3], "and so for a list inside an object");
}

#[tokio::test(start_paused = true)]
async fn f090_missing_null_and_extra_members() {
    let body = r#"[{"uuid":"1"},{"uuid":"2","name":null},{"name":"c"},{"uuid":"4","name":"d","limit":null,"new":{}},
        {"uuid":"5","name":"e"},null,7,"six",[]]"#;
    let rows = rows(body).await.unwrap();
    let ids = vec![Some("1"), Some("2"), None, None, Some("7"), Some("six"), None];
    assert_eq!(told(&rows), (vec!["d", "e"], ids));
    let told: Vec<_> = rows.bad.iter().map(|row| row.error.to_string()).collect();
    let at = "[GET https://api.example.org/rows/ -> 200]";
    assert_eq!(
        told[0],
        format!("rows.list: entry 0 of the list does not decode at `.`: missing field `name` (line 1, column 12) {at}")
    );
    assert!(told[1].contains("does not decode at `name`: expected a string"), "{}", told[1]);
    assert!(told[2].contains("entry 2 ") && told[2].contains("missing field `uuid`"), "{}", told[2]);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_the_place_and_never_the_value() {
    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(rename = "rows")]
        _rows: Vec<Row>,
    }
    let error =
        |body: &'static str| async move { json::<Outer>(Answer::status(200).with_body(body)).await.unwrap_err() };
    let wrong = error(r#"{"rows": [{"uuid": "1", "name": "a", "limit": "canary"}]}"#).await;
    assert!(wrong.message().contains("at `rows[0].limit`: expected i64"), "{wrong}");
    assert!(!wrong.to_string().contains("canary"), "{wrong}");
    let html = error("  <HTML><head><title>Sign in</title></head></HTML>").await;
    assert_eq!(html.kind(), ErrorKind::WrongContent);
    let page = Answer::status(200).with_header("content-type", "text/html").with_body("Please log in");
    assert_eq!(json::<Row>(page).await.unwrap_err().kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn a_list_inside_an_object_is_read_with_what_stands_beside_it() {
    #[derive(Debug, Deserialize)]
    struct Beside {
        truncated: bool,
    }
    let body = r#"{"servers": [{"uuid":"1","name":"a"},{"uuid":2}], "truncated": true}"#;
    let script = script().otherwise(Answer::status(200).with_body(body));
    let call = || client(&script).get("servers.list", "/servers/", &[]);
    let (rows, beside) = call().send_rows_in::<Row, Beside>("servers", "uuid").await.unwrap();
    assert_eq!((told(&rows), beside.truncated), ((vec!["a"], vec![Some("2")]), true));
    let error = call().send_rows_in::<Row, Beside>("volumes", "uuid").await.unwrap_err();
    assert!(error.message().contains("no list `volumes`"), "{error}");
    let error = call().send_rows_in::<Row, Beside>("truncated", "uuid").await.unwrap_err();
    assert_eq!(error.message(), "the answer's `truncated` is not a list");
}

#[test]
fn rows_of_one_answer_are_whole_when_each_could_be_read() {
    let whole = decode_rows::<u64>(b"[1, 2, 3]", "id").unwrap().complete().unwrap();
    // What is left out is left out of a whole list.
    assert_eq!(whole.filter_map(|number| (number != 2).then_some(number * 10)).into_items(), [10, 30]);
    assert_eq!(decode_rows::<u64>(b"[1, {}, 3]", "id").unwrap().complete().unwrap_err().kind(), ErrorKind::Decode);
}
