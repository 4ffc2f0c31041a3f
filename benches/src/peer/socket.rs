//! The fakes behind sockets, on a thread of their own, with a network that takes time.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::oneshot;
use waldur_examples::serve::{Server, serve};
use waldur_sdk::{
    rest::{Environment, HttpTransport, TransportError},
    testing::{Counting, Counts, Latency},
};

use crate::Result;

/// A transport that is served: where, and what came through.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its URL, with a slash at the end.
    pub url: String,
    calls: Counting,
    refusals: Refusals<Arc<dyn HttpTransport>>,
}

impl Door {
    /// What came since the last [`Self::forget`].
    pub fn counts(&self) -> Counts {
        self.calls.counts()
    }

    /// `STATUS METHOD path` of what was answered with 400 or more since the last [`Self::forget`].
    pub fn refused(&self) -> Vec<String> {
        self.refusals.seen()
    }

    /// Counts from here on.
    pub fn forget(&self) {
        self.calls.reset();
        self.refusals.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Servers on a thread of their own, as long as this lives: neither agent shares a processor's time with them by
/// sharing a thread.
pub struct Sockets {
    doors: Vec<Door>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sockets {
    /// Serves each of `transports` on a port of its own on the loopback interface. Every exchange takes `round_trip`
    /// beside what the fake itself takes; connections cost nothing extra.
    ///
    /// # Errors
    /// When the thread or a socket cannot be had.
    pub fn open(transports: impl IntoIterator<Item = Arc<dyn HttpTransport>>, round_trip: Duration) -> Result<Self> {
        let mut doors = Vec::new();
        let mut networks = Vec::new();
        for transport in transports {
            let refusals = Refusals::new(transport);
            let calls = Counting::new(refusals.clone());
            networks.push(network(calls.clone(), round_trip));
            doors.push(Door { url: String::new(), calls, refusals });
        }
        let (ready, opened) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("sockets".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let told = match runtime {
                Ok(runtime) => runtime.block_on(hold(networks, ready, stopped)),
                Err(error) => ready.send(Err(error.into())),
            };
            // Whoever asked has gone away.
            drop(told);
        })?;
        for (door, address) in doors.iter_mut().zip(opened.recv()??) {
            door.url = format!("http://{address}/");
        }
        Ok(Self { doors, stop: Some(stop), thread: Some(thread) })
    }

    /// The transports, in the order in which they were given.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }
}

type Ready = mpsc::Sender<Result<Vec<SocketAddr>>>;

/// A sleep of nothing takes a while too, so there is none.
fn network(server: Counting, round_trip: Duration) -> Arc<dyn HttpTransport> {
    let environment = Environment::default().with_timer(tokio::time::sleep);
    if round_trip.is_zero() { Arc::new(server) } else { Arc::new(Latency::new(server, environment, round_trip)) }
}

async fn hold(
    networks: Vec<Arc<dyn HttpTransport>>,
    ready: Ready,
    stopped: oneshot::Receiver<()>,
) -> Result<(), mpsc::SendError<Result<Vec<SocketAddr>>>> {
    let mut servers = Vec::new();
    for network in networks {
        match serve(network, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).await {
            Ok(server) => servers.push(server),
            Err(error) => return ready.send(Err(error.into())),
        }
    }
    let told = ready.send(Ok(servers.iter().map(Server::address).collect()));
    // An error means that the other end was dropped, which says the same.
    let _stopped = stopped.await.is_ok();
    told
}

impl Drop for Sockets {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed already.
            let _ended = thread.join().is_ok();
        }
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("doors", &self.doors).finish_non_exhaustive()
    }
}

/// Lists what was refused. Clones share the list.
#[derive(Clone)]
struct Refusals<T> {
    inner: T,
    list: Arc<Mutex<Vec<String>>>,
}

impl<T> Refusals<T> {
    fn new(inner: T) -> Self {
        Self { inner, list: Arc::default() }
    }

    fn seen(&self) -> Vec<String> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T> fmt::Debug for Refusals<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("list", &self.seen()).finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Refusals<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let answer = self.inner.send(request).await?;
        if answer.status().as_u16() >= 400 {
            let line = format!("{} {line}", answer.status().as_u16());
            self.list.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
        Ok(answer)
    }
}
