//! Signatures: those of the recordings, and what a signer may and may not do.

use bytes::Bytes;
use http::{HeaderValue, Request};
use waldur_backend_croit::testing::{Caps, SeedUser};

use super::support::{ADMIN, Bench, Recorded, SECTIONS};

/// The codes by which a signature is refused, where they cannot mean anything else.
const REFUSALS: [&str; 6] = [
    "403 SignatureDoesNotMatch",
    "403 RequestTimeTooSkewed",
    "403 UserSuspended",
    "403 InvalidAccessKeyId",
    "400 InvalidArgument",
    "501 NotImplemented",
];

#[tokio::test]
async fn recorded_signatures_verify_and_refused_ones_are_refused_alike() {
    let mut counted = (0, 0);
    for section in SECTIONS {
        for recorded in Recorded::section(section) {
            // Nobody but the callers: what an accepted request comes to is not looked at here.
            let bench = Bench::new();
            bench.set_clock(recorded.seconds());
            let seeds = [
                SeedUser::new("nocaps").key("NOCAPSKEY00000000001", "s"),
                SeedUser::new("readcaps").key("READCAPSKEY000000001", "s").caps("users=read".parse().unwrap()),
                SeedUser::new("suspadm").key("SUSPADMKEY0000000001", "s").caps(Caps::admin()).suspended(),
            ];
            for seed in seeds {
                bench.gateway.add_user(seed).unwrap();
            }
            let found = bench.send(recorded.request()).await.verdict();
            let wanted = recorded.answer().verdict();
            // The last two also come of arguments; of signatures only in this section and under a body.
            let by_signature = match wanted.as_str() {
                "400 InvalidArgument" => recorded.file == "036-scope-tail",
                "403 InvalidAccessKeyId" => section == "t6_auth",
                code => REFUSALS.contains(&code),
            };
            let rejected = bench.gateway.rejected_signatures() == 1;
            assert_eq!(rejected, by_signature, "{section}/{}: {found}", recorded.file);
            if by_signature {
                assert_eq!(found, wanted, "{section}/{}", recorded.file);
                counted.1 += 1;
            } else {
                counted.0 += 1;
            }
        }
    }
    assert_eq!(counted, (352, 21));
}

/// `signed` is what was signed, `wire` what is sent: the gateway decodes and encodes again, so that some pairs agree.
#[tokio::test]
async fn the_query_is_verified_as_the_gateway_rebuilds_it() {
    let mismatch = "403 SignatureDoesNotMatch";
    for (wire, signed, verdict) in [
        ("uid=alice&format=json", "format=json&uid=alice", "200"),
        ("uid=%61lice", "uid=alice", "200"),
        ("u%69d=alice", "uid=alice", "200"),
        ("quota&uid=alice&quota-type=user", "quota-type=user&uid=alice&quota=", "200"),
        ("uid=alice&&format=json&", "uid=alice&format=json", "200"),
        ("uid=nobody&uid=alice", "uid=alice", "200"),
        ("uid=a%2fb", "uid=a%2Fb", "404 NoSuchUser"),
        ("uid=a/b", "uid=a%2Fb", "404 NoSuchUser"),
        ("uid=a$b", "uid=a%24b", "404 NoSuchUser"),
        ("uid=a=b", "uid=a%3Db", "404 NoSuchUser"),
        ("uid=a+b", "uid=a%20b", "404 NoSuchUser"),
        ("uid=%zz", "uid=", "400 InvalidArgument"),
        ("uid=nobody&uid=alice", "uid=nobody", mismatch),
        ("uid=a+b", "uid=a%2Bb", mismatch),
        ("uid=alice&stats=true", "uid=alice", mismatch),
        ("uid=alice", "uid=alice&stats=true", mismatch),
        ("uid=Alice", "uid=alice", mismatch),
    ] {
        let bench = Bench::new();
        bench.gateway.add_user(SeedUser::new("alice")).unwrap();
        let mut request = bench.signed(&format!("GET user?{signed}"), ADMIN, b"");
        *request.uri_mut() = format!("http://rgw.test:7480/admin/user?{wire}").parse().unwrap();
        assert_eq!(bench.send(request).await.verdict(), verdict, "{wire} signed as {signed}");
    }
}

#[tokio::test]
async fn whatever_is_signed_cannot_be_changed() {
    type Change = fn(&mut Request<Bytes>);
    let mismatch = "403 SignatureDoesNotMatch";
    let changes: [(&str, Change, &str); 12] = [
        ("nothing", |_| {}, "200"),
        ("unsigned header", |request| header(request, "user-agent", "x"), "200"),
        ("method", |request| *request.method_mut() = http::Method::POST, mismatch),
        ("path", |request| set_uri(request, "http://rgw.test:7480/admin/bucket?uid=alice"), mismatch),
        ("host", |request| set_uri(request, "http://other.test/admin/user?uid=alice"), mismatch),
        ("date", |request| header(request, "x-amz-date", "20261122T050402Z"), mismatch),
        ("hash", |request| header(request, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), mismatch),
        ("no date", |request| remove(request, "x-amz-date"), "403 AccessDenied"),
        ("no hash", |request| remove(request, "x-amz-content-sha256"), mismatch),
        ("no signature", |request| remove(request, "authorization"), "403 AccessDenied"),
        ("body", |request| *request.body_mut() = Bytes::from_static(b"x"), "501 NotImplemented"),
        ("chunks", |request| header(request, "transfer-encoding", "chunked"), "501 NotImplemented"),
    ];
    for (what, change, verdict) in changes {
        let bench = Bench::new();
        bench.gateway.add_user(SeedUser::new("alice")).unwrap();
        let mut request = bench.signed("GET user?uid=alice", ADMIN, b"");
        change(&mut request);
        assert_eq!(bench.send(request).await.verdict(), verdict, "{what}");
        assert_eq!(bench.gateway.unsigned_requests(), u64::from(what == "no signature"));
    }
}

#[tokio::test]
async fn malformed_claims_are_refused_by_form() {
    let credential = "Credential=AK/20261122/r/s3/aws4_request";
    for (authorization, verdict) in [
        ("Basic YTpi", "400 InvalidArgument"),
        ("AWS4-HMAC-SHA256", "400 InvalidArgument"),
        ("AWS4-HMAC-SHA256 foo", "400 InvalidArgument"),
        (&format!("AWS4-HMAC-SHA256 {credential},SignedHeaders=host"), "400 InvalidArgument"),
        ("AWS4-HMAC-SHA256 Credential=AK,SignedHeaders=host,Signature=00", "400 InvalidArgument"),
        (
            "AWS4-HMAC-SHA256 Credential=/20261122/r/s3/aws4_request,SignedHeaders=host,Signature=00",
            "400 InvalidArgument",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=A/K/20261122/r/s3/aws4_request,SignedHeaders=host,Signature=00",
            "400 InvalidArgument",
        ),
        (
            &format!("AWS4-HMAC-SHA256   {credential} ,  SignedHeaders=host,Signature=00,More=x"),
            "403 InvalidAccessKeyId",
        ),
        ("AWS AK:signature", "501 NotModelledByFakeRadosGw"),
    ] {
        let bench = Bench::new();
        let mut request = bench.signed("GET user?uid=alice", ADMIN, b"");
        header(&mut request, "authorization", authorization);
        assert_eq!(bench.send(request).await.verdict(), verdict, "{authorization}");
    }
}

#[tokio::test]
async fn the_clocks_may_be_a_quarter_of_an_hour_apart() {
    for (seconds, verdict) in [
        (-900, "404 NoSuchUser"),
        (900, "404 NoSuchUser"),
        (-901, "403 RequestTimeTooSkewed"),
        (901, "403 RequestTimeTooSkewed"),
    ] {
        let bench = Bench::new();
        let request = bench.signed("GET user?uid=alice", ADMIN, b"");
        bench.set_clock(1_795_323_841 + seconds);
        assert_eq!(bench.send(request).await.verdict(), verdict, "{seconds}");
    }
}

#[tokio::test]
async fn a_caller_does_what_its_caps_allow_and_nothing_else() {
    let bench = Bench::with(|builder| builder.admin_caps("users=read;buckets=*".parse().unwrap()));
    for (call, verdict) in [
        ("GET user?uid=admin", "200"),
        ("GET user?list", "200"),
        ("GET user?quota&uid=admin", "200"),
        ("PUT user?uid=a&display-name=a", "403 AccessDenied"),
        ("PUT user?quota&uid=admin&quota-type=user&enabled=true", "403 AccessDenied"),
        ("PUT user?key&uid=nobody", "403 AccessDenied"),
        ("DELETE user?uid=nobody", "403 AccessDenied"),
        ("GET bucket", "200"),
        ("DELETE bucket?bucket=nope", "404 NoSuchBucket"),
        ("GET usage", "403 AccessDenied"),
        ("DELETE usage", "403 AccessDenied"),
        ("GET metadata/user", "403 AccessDenied"),
    ] {
        assert_eq!(bench.verdict(call).await, verdict, "{call}");
    }
    bench.gateway.edit_user("admin", |admin| *admin.suspended = true).unwrap();
    assert_eq!(bench.verdict("GET user?uid=admin").await, "403 UserSuspended");
    // Unknown paths are unknown to everybody.
    assert_eq!(bench.verdict("GET info").await, "405 MethodNotAllowed");
}

fn header(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
}

fn remove(request: &mut Request<Bytes>, name: &str) {
    request.headers_mut().remove(name);
}

fn set_uri(request: &mut Request<Bytes>, uri: &str) {
    *request.uri_mut() = uri.parse().unwrap();
}
