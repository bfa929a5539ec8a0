//! Refused senders who go on sending.
//!
//! A refusal that comes before the body has been read must reach a sender who reads only after
//! sending everything, so the rest of the body is listened to and thrown away. actix-http ends
//! that after `client_disconnect_timeout` where the body's length is known; a chunked body it reads
//! for ever (measured). So a connection whose sender was refused early is cut here.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;

/// The connection's socket, by a descriptor of its own.
struct Socket(Arc<TcpStream>);

/// Keeps a handle on a new connection's socket. A connection without one, because descriptors ran
/// out, merely cannot be cut early.
pub(super) fn on_connect(connection: &actix_rt::net::TcpStream, extensions: &mut Extensions) {
    if let Ok(descriptor) = connection.as_fd().try_clone_to_owned() {
        extensions.insert(Socket(Arc::new(TcpStream::from(descriptor))));
    }
}

/// Cuts the request's connection when `linger` is over. For refusals that leave the body unread;
/// their answers close the connection, so no other request is hit.
pub(super) fn cut_after(request: &HttpRequest, linger: Duration) {
    let Some(Socket(stream)) = request.conn_data::<Socket>() else { return };
    // The connection keeps the descriptor; one that has ended by itself has given it back.
    let stream = Arc::downgrade(stream);
    actix_web::rt::spawn(async move {
        tokio::time::sleep(linger).await;
        if let Some(stream) = stream.upgrade() {
            // A peer that has just gone makes this fail, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}
