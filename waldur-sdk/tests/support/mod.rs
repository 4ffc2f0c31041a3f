//! A scripted HTTP server on loopback: a script per connection, down to the bytes and the way it ends.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod tls;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use waldur_sdk::{
    Error,
    rest::{BaseUrl, Environment, Http, HttpOptions, PlainHttp, RestClient, StaticHeader},
};

/// An answer that every call accepts.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// The credential of [`client`]; must appear in no error.
pub const TOKEN: &str = "c4n4ry-token";

/// For query parameters; must appear in no error.
pub const QUERY_CANARY: &str = "c4n4ry-query";

/// For proxies; must appear in no error.
pub const PROXY_PASSWORD: &str = "c4n4ry-proxy";

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
}

impl Received {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What a server saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub requests: Vec<Received>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    fn tcp(&self) -> &TcpStream;

    fn tls_version(&self) -> Option<rustls::ProtocolVersion> {
        None
    }
}

impl Io for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Io for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls_version(&self) -> Option<rustls::ProtocolVersion> {
        self.get_ref().1.protocol_version()
    }
}

/// One accepted connection.
pub struct Connection {
    /// Counts from 1.
    pub number: usize,
    io: Box<dyn Io>,
    seen: Arc<Mutex<Seen>>,
}

impl Connection {
    /// Reads a request with its body; `None` when the client has closed.
    pub async fn request(&mut self) -> Option<Received> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.io.read_u8().await.ok()?);
        }
        let mut received = Received { head: String::from_utf8(head).unwrap(), body: Vec::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        received.body.resize(length, 0);
        self.io.read_exact(&mut received.body).await.ok()?;
        self.seen.lock().unwrap().requests.push(received.clone());
        Some(received)
    }

    /// Reads exactly so many bytes and takes no note of them.
    pub async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        self.io.read_exact(&mut taken).await.unwrap();
        taken
    }

    /// Writes, and says whether the client still listens.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await
    }

    /// Writes one byte every 5 ms until the client goes away.
    pub async fn drip(&mut self, byte: u8) {
        while self.write([byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Answers every request alike until the client closes.
    pub async fn answer_all(&mut self, answer: impl AsRef<[u8]>) {
        while self.request().await.is_some() {
            self.write(answer.as_ref()).await.unwrap();
        }
    }

    /// What the handshake settled on.
    pub fn tls_version(&self) -> Option<rustls::ProtocolVersion> {
        self.io.tls_version()
    }

    /// Neither answers nor closes.
    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Ends with RST instead of FIN.
    pub fn reset(self) {
        self.io.tcp().set_zero_linger().unwrap();
    }

    /// Becomes a tunnel to `target`.
    pub async fn tunnel(&mut self, target: SocketAddr) {
        let mut target = TcpStream::connect(target).await.unwrap();
        // A tunnel ends as its ends please.
        let _end = tokio::io::copy_bidirectional(&mut self.io, &mut target).await;
    }
}

/// A listener with its script. Dropping it closes the port and every connection.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    scheme: &'static str,
    tasks: JoinHandle<()>,
}

impl Server {
    /// Plain HTTP.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Connection) -> F + Send + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// Plain HTTP that answers every request with `answer`.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut connection| {
            let answer = answer.clone();
            async move { connection.answer_all(answer).await }
        })
        .await
    }

    /// Plain HTTP on a listener of the caller.
    pub fn on<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        script: impl Fn(Connection) -> F + Send + 'static,
    ) -> Self {
        Self::run(listener, |_| None, script)
    }

    /// HTTPS; the acceptor of each connection is chosen by its number. Failed handshakes run no script.
    pub async fn start_tls<F: Future<Output = ()> + Send + 'static>(
        acceptor: impl Fn(usize) -> TlsAcceptor + Send + 'static,
        script: impl Fn(Connection) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::run(listener, move |number| Some(acceptor(number)), script)
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        acceptor: impl Fn(usize) -> Option<TlsAcceptor> + Send + 'static,
        script: impl Fn(Connection) -> F + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let log = seen.clone();
        let scheme = if acceptor(0).is_some() { "https" } else { "http" };
        let tasks = tokio::spawn(async move {
            let mut scripts = tokio::task::JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let number = {
                    let mut log = log.lock().unwrap();
                    log.connections += 1;
                    log.connections
                };
                let io: Box<dyn Io> = match acceptor(number) {
                    None => Box::new(tcp),
                    Some(acceptor) => match acceptor.accept(tcp).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue,
                    },
                };
                scripts.spawn(script(Connection { number, io, seen: log.clone() }));
            }
        });
        Self { address, seen, scheme, tasks }
    }

    /// The root, e.g. `http://127.0.0.1:40001/`.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.address)
    }

    /// The root under another name; see [`resolving`].
    pub fn url_as(&self, host: &str) -> String {
        format!("{}://{host}:{}/", self.scheme, self.address.port())
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

/// Real timers for time limits; retries follow at once, since the random fraction of every pause is 0.
pub fn environment() -> Environment {
    Environment::default().with_timer(tokio::time::sleep).with_random(|| 0)
}

pub fn http(options: &HttpOptions) -> Http {
    Http::connect(options).unwrap().with_environment(environment())
}

/// A client that carries [`TOKEN`].
pub fn client(http: Http, url: &str) -> RestClient {
    let base = BaseUrl::parse("api_url", url, PlainHttp::Allowed).unwrap();
    RestClient::new(http, base, StaticHeader::bearer(&SecretString::from(TOKEN)).unwrap())
}

/// Defaults, but for the system's authorities: reading them is most of the time of a short test, and not every machine
/// has any.
pub fn options() -> HttpOptions {
    static NOBODY: LazyLock<Vec<u8>> = LazyLock::new(|| tls::Authority::new("nobody").pem());
    HttpOptions::default().with_ca_certificates(&NOBODY).without_system_roots()
}

/// A client with these options.
pub fn plain_client(url: &str) -> RestClient {
    client(http(&options()), url)
}

/// Answers every name with this address; the port stays that of the URL.
pub fn resolving(address: SocketAddr) -> impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static {
    move |_| Ok(vec![address])
}

/// Everything that an error shows to anybody.
pub fn shown(error: &Error) -> String {
    format!("{error}\n{error:?}\n{error:#?}\n{}", error.chain().join("\n"))
}

/// No canary in anything that an error shows; the base64 of `user:password` counts as well.
pub fn assert_silent(error: &Error) {
    let shown = shown(error);
    for canary in [TOKEN, QUERY_CANARY, PROXY_PASSWORD, "YzRuNHJ5", "M0bjRyeS", "jNG40cn"] {
        assert!(!shown.contains(canary), "{canary} in {shown}");
    }
}

/// Runs one test of this program again in a process of its own, for what belongs to a whole process. The test finds
/// `variables` in its environment and has to tell by them which of the two it is.
pub async fn run_in_child(test: &'static str, variables: Vec<(&'static str, String)>) {
    run(std::process::Command::new(std::env::current_exe().unwrap()), test, variables).await;
}

/// As [`run_in_child`], with so many file descriptors at the most.
pub async fn run_in_child_with_descriptors(limit: u32, test: &'static str, variables: Vec<(&'static str, String)>) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    run(shell, test, variables).await;
}

async fn run(mut command: std::process::Command, test: &'static str, variables: Vec<(&'static str, String)>) {
    let run = move || command.args([test, "--exact", "--nocapture"]).envs(variables).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
