//! Where requests go: base URLs, path segments, queries, header values (C01, fault 20, security S18, S23, S26).

use crate::virtual_time::{base, client, http, script};
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use waldur_sdk::{
    Error, ErrorKind,
    rest::{Anonymous, BaseUrl, MAX_SEGMENT, PlainHttp, RestClient, StaticHeader, check_segment},
    testing::Answer,
};

fn parse(url: &str) -> Result<BaseUrl, Error> {
    BaseUrl::parse("api_url", url, PlainHttp::default())
}

#[tokio::test(start_paused = true)]
async fn c01_f162_base_url_loses_one_trailing_api_segment_and_nothing_else() {
    let urls = [
        ("https://my.host.pa/api/", "https://my.host.pa/api/x/"),
        ("https://my.host.pa/api", "https://my.host.pa/api/x/"),
        ("https://my.host.pa/", "https://my.host.pa/api/x/"),
        ("https://my.host.pa", "https://my.host.pa/api/x/"),
        ("https://marketplace.hpc-asia/api/", "https://marketplace.hpc-asia/api/x/"),
        ("https://h/waldur/api/", "https://h/waldur/api/x/"),
        ("https://h/waldur/api", "https://h/waldur/api/x/"),
        ("https://h/waldur", "https://h/waldur/api/x/"),
        ("https://h/waldur/", "https://h/waldur/api/x/"),
        ("https://h/api/api/", "https://h/api/api/x/"),
        ("https://h/xapi/", "https://h/xapi/api/x/"),
        ("https://h/API/", "https://h/API/api/x/"),
        ("https://h:8443/api/", "https://h:8443/api/x/"),
        ("  https://h/api/\n", "https://h/api/x/"),
        ("http://127.0.0.1:8000/api/", "http://127.0.0.1:8000/api/x/"),
    ];
    for (configured, asked) in urls {
        let script = script().then(Answer::status(200));
        let base = parse(configured).unwrap().without_trailing_segment("api");
        let client = RestClient::new(http(&script), base, Anonymous);
        client.get("test", "/api/x/", &[]).send_unit().await.unwrap();
        assert_eq!(script.requests()[0].uri.to_string(), asked, "{configured}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_one_segment_is_encoded_twice_and_checked_part_by_part() {
    let ask = async |argument: &str| {
        let script = script().then(Answer::status(200));
        let sent = client(&script).delete("test", "/p/{project}/r/{name/}", &["p", argument]).send_unit().await;
        sent.map(|()| script.requests()[0].path().to_owned())
    };
    for (argument, path) in [("c", "/p/p/r/c"), ("a/b", "/p/p/r/a%252Fb"), ("a b/c/d", "/p/p/r/a%2520b%252Fc%252Fd")] {
        assert!(ask(argument).await.unwrap().ends_with(path), "{argument}");
    }
    for argument in ["", "/", "a/", "/a", "a//b", "a/../b", "a/%2e%2e/b", "a/b%2fc", "a/\u{202e}b"] {
        let error = ask(argument).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0), "{argument}");
    }
}

#[test]
fn f020_plain_http_is_refused_unless_it_is_allowed() {
    for url in ["http://waldur.example.org/", "http://10.0.0.1/", "http://localhost.example.org/", "http://[fe80::1]/"]
    {
        let error = parse(url).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().starts_with("api_url: must be https"), "{url}");
        assert!(BaseUrl::parse("api_url", url, PlainHttp::Allowed).is_ok());
    }
    for url in
        ["http://localhost:80/", "http://x.localhost/", "http://127.0.0.1/", "http://127.1.2.3/", "http://[::1]/"]
    {
        assert!(parse(url).is_ok(), "{url} does not leave the machine");
    }
}

#[test]
fn sec18_a_base_url_is_checked_by_its_structure() {
    let wrong = [
        ("", "absolute URL"),
        ("canary.example.org", "absolute URL"),
        ("//canary.example.org/", "absolute URL"),
        ("/canary/", "absolute URL"),
        ("https://", "valid host"),
        ("https:///", "valid host"),
        ("ftp://canary.example.org/", "must begin with https://"),
        ("file:///canary", "must begin with https://"),
        ("data:canary", "must begin with https://"),
        ("https://user@canary.example.org/", "user name or password"),
        ("https://user:canary@h.example.org/", "user name or password"),
        ("https://:canary@h.example.org/", "user name or password"),
        ("https://h.example.org/?token=canary", "a query"),
        ("https://h.example.org/#canary", "a fragment"),
        ("https://h.example.org/?", "a query"),
        ("https://canary.example.org:99999/", "port"),
        ("https://ca nary.example.org/", "valid host"),
    ];
    for (url, rule) in wrong {
        let error = parse(url).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().contains(rule), "{url}: {error}");
        assert!(
            !format!("{error:?} {:?}", error.chain()).contains("canary"),
            "the value may hold a password: {error:?}"
        );
    }
    // What the URL standard makes of it stays below the host that was named.
    for (url, seen) in [
        ("https://h.example.org/a/../b", "https://h.example.org/b/"),
        ("https://h.example.org/%2e%2e/b", "https://h.example.org/b/"),
        ("HTTPS://H.Example.Org\\b", "https://h.example.org/b/"),
        ("https://h.example.org:443/", "https://h.example.org/"),
    ] {
        assert_eq!(parse(url).unwrap().to_string(), seen);
    }
}

/// The path that is asked for with one segment, or nothing if it is refused before a request.
fn path_with(segment: &str) -> Option<String> {
    let script = script().then(Answer::status(200));
    let call = RestClient::new(http(&script), base("https://h.example.org/pre/fix/"), Anonymous)
        .get("test", "/api/things/{thing}/do/", &[segment])
        .query("q", segment);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(call.send_unit());
    let requests = script.requests();
    assert_eq!(outcome.is_ok(), requests.len() == 1, "{outcome:?}");
    let request = requests.first()?;
    let query = request.query().strip_prefix("q=").unwrap();
    assert_eq!(percent_decode_str(query).decode_utf8().unwrap(), segment);
    assert!(!query.contains(['&', '=', '#', '+', ' ']));
    assert_eq!(request.uri.host(), Some("h.example.org"));
    Some(request.path().to_owned())
}

proptest! {
    #[test]
    fn sec23_no_value_leaves_its_segment(text in ".{0,12}", raw in "(%2e|%2F|%5c|%25|%00|[.]|[a-z/%\\\\?#&;=+@: é\u{1}\u{85}\u{202e}\u{ff0e}]){0,5}") {
        for segment in [text, raw] {
            let Some(path) = path_with(&segment) else {
                prop_assert!(check_segment("thing", &segment).is_err());
                continue;
            };
            prop_assert!(check_segment("thing", &segment).is_ok());
            let parts: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(parts.len(), 8, "{}", path);
            prop_assert_eq!(&parts[..5], &["", "pre", "fix", "api", "things"][..]);
            prop_assert_eq!(&parts[6..], &["do", ""][..]);
            prop_assert_eq!(percent_decode_str(parts[5]).decode_utf8().unwrap(), segment.as_str());
            // However often somebody behind decodes it.
            let mut decoded = segment.clone();
            for _ in 0..4 {
                prop_assert!(!matches!(decoded.as_str(), "" | "." | "..") && !decoded.contains(['/', '\\', '\0', '\n']));
                decoded = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
            }
        }
    }
}

/// Small languages of servers (`q=name=~x`, wildcards, lists) begin where their characters are not encoded.
#[tokio::test(start_paused = true)]
async fn sec24_no_value_leaves_its_parameter() {
    for value in ["a&state=OK", "a=b", "x#y", "../..", "a b+c", "%26%3d", "name=~x,y=(1 2)", "*?[a]{b}", "é\0\r\n", ""]
    {
        let script = script().then(Answer::status(200));
        let client = RestClient::new(http(&script), base("https://h.example.org/"), Anonymous);
        client.get("test", "/api/things/", &[]).query("q", value).query("page", 1).send_unit().await.unwrap();
        let requests = script.requests();
        let query = requests[0].query();
        let (first, last) = query.split_once('&').unwrap();
        assert_eq!(last, "page=1", "{query}");
        let sent = first.strip_prefix("q=").unwrap();
        assert_eq!(percent_decode_str(sent).decode_utf8().unwrap(), value);
        assert!(!sent.contains(|c: char| "&=#+,~()[]{}*?/ ".contains(c) && c != '~'), "{sent}");
    }
}

#[test]
fn a_segment_is_refused_by_what_it_can_become() {
    let long = "é".repeat(128);
    let refused = [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "../x",
        "a\\b",
        "a\0",
        "a\nb",
        "%2e",
        "%2E%2e",
        ".%2e",
        "%2f",
        "a%5Cb",
        "%00",
        "%252e%252e",
        "%25252f",
        "x%0d%0ay",
        "\u{202e}x",
        "%e2%80%ae",
        long.as_str(),
    ];
    for segment in refused {
        let error = check_segment("slug", segment).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().starts_with("slug: must not"), "{segment}");
        assert!(segment.len() < 4 || !error.to_string().contains(segment), "the value is not repeated");
    }
    for segment in ["...", "a.b", "a%b", "100%", "%zz", "ümlaut", "a b", "a?b#c", "tenant$user", "a;b=c", "~", "日本"]
    {
        check_segment("slug", segment).unwrap();
    }
    check_segment("slug", &"x".repeat(MAX_SEGMENT)).unwrap();
    assert_eq!(path_with("tenant$üser name").unwrap(), "/pre/fix/api/things/tenant%24%C3%BCser%20name/do/");
}

#[tokio::test(start_paused = true)]
async fn a_template_takes_exactly_its_arguments() {
    let script = script().otherwise(Answer::status(200));
    let client = client(&script);
    for arguments in [&[][..], &["a"], &["a", "b", "c"]] {
        let error = client.get("test", "/x/{one}/y/{two}/", arguments).send_unit().await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "test"));
    }
    assert_eq!(script.sent(), 0);
    client.get("test", "/x/{one}/y/{two}", &["a", "b"]).send_unit().await.unwrap();
    assert_eq!(script.requests()[0].path(), "/x/a/y/b");
}

#[tokio::test(start_paused = true)]
async fn sec26_f160_header_values_cannot_carry_line_breaks() {
    for text in ["canary\r\nX-Evil: 1", "canary\n", "\rcanary", "canary\0", "canary\u{7f}"] {
        let script = script();
        let client = client(&script);
        let errors = [
            client.with_user_agent(text).unwrap_err(),
            StaticHeader::new(HeaderName::from_static("x-auth-token"), &text.into()).unwrap_err(),
            StaticHeader::waldur_token(&format!("a{text}b").into()).unwrap_err(),
            StaticHeader::bearer(&format!("a{text}b").into()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?} {:?}", error.chain()).contains("canary"), "{error:?}");
        }
        assert!(HeaderValue::from_str(text).is_err(), "a call takes nothing but such values");
    }
    assert!(StaticHeader::basic("a:b", &"x".into()).is_err());
    assert!(StaticHeader::waldur_token(&"  ".into()).is_err());
}
