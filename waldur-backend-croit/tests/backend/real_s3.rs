//! Purging against the S3 of a real gateway: croit is the fake one, the buckets are not. Ignored without a gateway in the
//! environment (`dev/radosgw.sh env`).

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use secrecy::SecretString;
use serde_json::json;
use waldur_backend_croit::{
    radosgw::{NewUser, RadosGwClient, S3Key, SigV4, Uid},
    testing::SeedUser,
};
use waldur_sdk::{
    rest::{BaseUrl, Environment, Http, HttpTransport, PlainHttp, RestClient, TransportError},
    types::Timestamp,
};

use crate::common::{Gate, STAMP, UID, delete, usage_components};

/// HTTP/1.0 to a real server, which sends no chunks then; one connection a request.
#[derive(Clone)]
struct Wire;

#[async_trait]
impl HttpTransport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (uri, method) = (request.uri(), request.method());
        let authority = uri.authority().unwrap().as_str();
        let mut head = vec![format!("{method} {} HTTP/1.0", uri.path_and_query().unwrap())];
        let headers = request.headers().iter().filter(|(name, _)| *name != header::HOST);
        head.push(format!("host: {authority}"));
        head.extend(headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        head.extend([format!("content-length: {}", request.body().len()), "connection: close\r\n\r\n".to_owned()]);
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.write_all(head.join("\r\n").as_bytes()).unwrap();
        stream.write_all(request.body()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response::new(Bytes::copy_from_slice(&answer[end + 4..]));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

/// croit is the fake one; everything else is the real gateway, and the fake follows it.
struct Mixed(Gate);

#[async_trait]
impl HttpTransport for Mixed {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().path().starts_with("/api/") {
            return self.0.croit.send(request).await;
        }
        let bucket = request.uri().path().trim_matches('/').to_owned();
        let deletes = request.method() == http::Method::DELETE;
        let answer = Wire.send(request).await?;
        if deletes && answer.status() == StatusCode::NO_CONTENT {
            self.0.fake.delete_bucket(UID, &bucket).unwrap();
        }
        Ok(answer)
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn http() -> Http {
    Http::new(Wire).with_environment(Environment::default().with_wall(Timestamp::now))
}

/// A bucket with old versions, marks of deletions and an unfinished upload; the names are awkward.
async fn fill(s3: &RestClient, bucket: &str) {
    s3.put("test.bucket", "/{bucket}", &[bucket]).send_unit().await.unwrap();
    let on = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
              </VersioningConfiguration>";
    let put = |key: &str| {
        let call = s3.put("test.put", "/{bucket}/{key}", &[bucket, key]);
        call.body("application/octet-stream", "12345".into()).send_unit()
    };
    put("from before versions").await.unwrap();
    let call = s3.put("test.versions", "/{bucket}", &[bucket]).query("versioning", "");
    call.body("application/xml", on.into()).send_unit().await.unwrap();
    for key in ["a+b c", "x&<y>'\"", "ümläut", "100%25", "a+b c"] {
        put(key).await.unwrap();
    }
    s3.delete("test.delete", "/{bucket}/{key}", &[bucket, "a+b c"]).send_unit().await.unwrap();
    s3.post("test.upload", "/{bucket}/{key}", &[bucket, "film"]).query("uploads", "").send().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a running RadosGW"]
async fn s25_a_purge_empties_the_buckets_of_a_real_gateway() {
    let endpoint = BaseUrl::parse("endpoint", &variable("RADOSGW_ENDPOINT"), PlainHttp::LoopbackOnly).unwrap();
    let secret = SecretString::from(variable("RADOSGW_SECRET_KEY"));
    let admin = RadosGwClient::new(http(), &endpoint, &S3Key::new(variable("RADOSGW_ACCESS_KEY"), secret)).unwrap();
    let uid = Uid::new(UID).unwrap();
    drop(admin.users().delete_with_data(&uid).await);
    let made = admin.users().create(&NewUser::new(uid.clone(), "Purged").unwrap().with_generated_key()).await.unwrap();
    let key = made.keys[0].clone();
    let signer = SigV4::new(&key, http().environment().clone()).unwrap();
    let s3 = RestClient::new(http(), endpoint.clone(), signer);
    let s3 = s3.with_header(header::ACCEPT, HeaderValue::from_static("application/xml"));

    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key(&key.access_key, key.secret_key.clone())).unwrap();
    for bucket in ["purged-one", "purged-two"] {
        fill(&s3, bucket).await;
        gate.fake.create_bucket(UID, bucket).unwrap();
    }
    assert_eq!(admin.buckets().names_of_user(&uid).await.unwrap().len(), 2);
    let more = json!({ "delete_mode": "purge", "s3_endpoint": endpoint.to_string() });
    let settings = crate::common::croit_settings(more);
    let backend = waldur_backend_croit::S3Backend::new(
        Http::new(Mixed(gate.clone())).with_environment(Environment::default().with_wall(Timestamp::now)),
        settings,
        &usage_components(),
    );
    delete(&backend.unwrap()).await.unwrap();
    assert!(gate.fake.users().is_empty());
    assert!(admin.buckets().names_of_user(&uid).await.unwrap().is_empty());
    admin.users().delete(&uid).await.unwrap();
}
