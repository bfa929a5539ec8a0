//! Senders who go on sending what nobody reads.
//!
//! An answer that comes before the body has been read must reach a sender who reads only after
//! sending everything, so the rest of the body is listened to and thrown away. actix-http ends
//! that after `client_disconnect_timeout` where the body's length is known; a chunked body it reads
//! for ever (measured). So a connection whose sender was answered early is cut here, whatever was
//! asked.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, ServiceResponse};
use actix_web::http::ConnectionType;

/// The connection's socket, by a descriptor of its own.
struct Socket(Arc<TcpStream>);

/// Ends a connection, unless it has ended by itself.
pub(super) struct Cut(Weak<TcpStream>);

impl Cut {
    pub(super) fn now(&self) {
        if let Some(stream) = self.0.upgrade() {
            // A peer that has just gone makes this fail, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Keeps a handle on a new connection's socket. A connection without one, because descriptors ran
/// out, merely cannot be cut early.
pub(super) fn on_connect(
    connection: &actix_rt::net::TcpStream,
    extensions: &mut Extensions,
) -> Option<Cut> {
    let descriptor = connection.as_fd().try_clone_to_owned().ok()?;
    let stream = Arc::new(TcpStream::from(descriptor));
    // The connection keeps the descriptor; one that has ended by itself has given it back.
    let cut = Cut(Arc::downgrade(&stream));
    extensions.insert(Socket(stream));
    Some(cut)
}

/// What a handler puts with its answer when the request's body has been read to its end.
pub(super) struct BodyRead;

/// Ends the connection of a request whose body nobody read: its sender may go on for `linger`, so
/// that the answer is read.
pub(super) fn end_unread(response: &mut ServiceResponse<BoxBody>, linger: Duration) {
    let request = response.request().clone();
    let read = response.response().extensions().contains::<BodyRead>();
    if read || !has_body(&request) {
        return;
    }
    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    cut_after(&request, linger);
}

/// Whether a body comes with the request.
fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let empty = headers.get("content-length").is_none_or(|length| length.as_bytes() == b"0");
    !empty || headers.contains_key("transfer-encoding")
}

/// The connection is about to be closed, so no other request is hit.
fn cut_after(request: &HttpRequest, linger: Duration) {
    let Some(Socket(stream)) = request.conn_data::<Socket>() else { return };
    let cut = Cut(Arc::downgrade(stream));
    actix_web::rt::spawn(async move {
        tokio::time::sleep(linger).await;
        cut.now();
    });
}
