//! Connections of HTTP. `axum::serve` would let a client keep one for ever by half a request, or by not reading: a thousand
//! such, which cost nothing, would be all that a process may usually have.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::Control;

/// How long it waits if the system has no room for another connection.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted: with 128, which is usual, others of a crowd that comes at once wait a second.
const BACKLOG: u32 = 1024;

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves those who connect, as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, control: Arc<Control>) {
    let service = TowerToHyperService::new(super::router(Arc::clone(&control)));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(requests(stream, service.clone(), control.limits.requests_within));
            }
            // Of one that has gone already, or of files that are short: it passes.
            Err(_) => sleep(RETRY_AFTER).await,
        }
    }
}

/// Answers the requests of a connection, until it is over or becomes a WebSocket.
async fn requests(stream: TcpStream, service: TowerToHyperService<axum::Router>, within: Duration) {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    if timeout(within, connection.as_mut()).await.is_err() {
        // What is being answered may still be read.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(within, connection).await;
    }
}

/// Lets the process have as many files as it is allowed: of 1024, which is usual, connections take most.
pub(crate) fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
