//! Makes a server on a socket from any transport, so that a fake can serve clients that are not written in Rust.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time,
};
use waldur_sdk::rest::HttpTransport;

/// The largest request body that is read, in bytes; a larger one is answered with 413.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// Serves `transport` over HTTP/1.1, without TLS. With port 0 the system chooses one.
///
/// Each request is handed on with an absolute URI made of its `Host`, and without the headers that belong to the
/// connection. A transport error closes the connection without an answer, as a broken server would; a transport that
/// never answers keeps the client waiting; a client that goes away drops the future of its request.
///
/// Must be called within a tokio runtime with I/O and time; the server runs there until [`Server::stop`], or until the
/// [`Server`] is dropped.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(transport: impl HttpTransport, address: SocketAddr) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(accept(listener, address, Arc::new(transport), stopped));
    Ok(Server { address, stop: Some(stop), task })
}

/// A running server. Dropping it breaks all connections off.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>/`
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Accepts nothing more, lets requests under way finish for at most `grace`, and breaks off the rest. Returns
    /// whether there was nothing to break off.
    pub async fn stop(mut self, grace: Duration) -> bool {
        // Without a receiver the task has ended already.
        let _told = self.stop.take().is_some_and(|stop| stop.send(()).is_ok());
        time::timeout(grace, &mut self.task).await.is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<T: HttpTransport>(
    listener: TcpListener,
    address: SocketAddr,
    transport: Arc<T>,
    mut stopped: oneshot::Receiver<()>,
) {
    let graceful = GracefulShutdown::new();
    // Owns the connections: they end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let transport = Arc::clone(&transport);
                    let service = service_fn(move |request| exchange(Arc::clone(&transport), address, request));
                    let connection =
                        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection);
                    // What becomes of a connection is its client's business.
                    connections.spawn(async move { connection.await.is_ok() });
                }
                // Out of file descriptors, most likely: without a pause this would spin.
                Err(_) => time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One exchange. An error closes the connection.
async fn exchange<T: HttpTransport>(
    transport: Arc<T>,
    address: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let (mut head, body) = request.into_parts();
    // An announced length is refused before the body comes, so that the client is still there to hear it.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(error) => return Err(error),
    };
    let Some(uri) = absolute(&head.uri, &head.headers, address) else {
        return Ok(refusal(StatusCode::BAD_REQUEST));
    };
    head.uri = uri;
    strip(&mut head.headers);
    head.headers.remove(header::CONTENT_LENGTH);
    let asks_for_head = head.method == Method::HEAD;

    let mut answer = transport.send(Request::from_parts(head, body)).await?;
    strip(answer.headers_mut());
    // The server counts for itself, except where the length is of a body that does not come.
    if !asks_for_head {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(answer.map(Full::new))
}

/// `/path` and `Host` as one URI; `None` when the host cannot be one.
fn absolute(uri: &Uri, headers: &HeaderMap, address: SocketAddr) -> Option<Uri> {
    if uri.scheme().is_some() {
        return Some(uri.clone());
    }
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok()?.to_owned(),
        None => address.to_string(),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().scheme("http").authority(host).path_and_query(path).build().ok()
}

/// Takes out what belongs to one connection (RFC 9110 §7.6.1).
fn strip(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::TRAILER] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
