//! Where the gateway is reached: sockets are bound before anything else is done, so that a taken
//! port ends the start early.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::{StartError, housekeeping};
use crate::domain::RouteName;
use crate::settings::Settings;
use crate::web::{Certificates, Listener, Listeners};

/// Where a running gateway is reached, with the ports it was given.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// By senders.
    pub public: SocketAddr,
    /// By whoever comes to a signed address; `None`: where senders are.
    pub outside: Option<SocketAddr>,
    /// By operators.
    pub admin: SocketAddr,
}

impl Addresses {
    pub(super) fn tell(&self, route: RouteName) {
        let (public_addr, admin_addr) = (self.public, self.admin);
        let outside_addr = self.outside.map(tracing::field::display);
        tracing::info!(%public_addr, %admin_addr, outside_addr, %route, "gateway started");
    }
}

/// Binds all that the settings name.
pub(super) fn bind(settings: &Settings) -> Result<(Listeners, Addresses), StartError> {
    let tls = own_certificate(settings)?;
    let open = |address: SocketAddr, tls: Option<&Arc<ServerConfig>>| {
        let (socket, bound) = listen(address)?;
        Ok::<_, StartError>((Listener { socket, tls: tls.cloned() }, bound))
    };
    let (public, public_addr) = open(settings.server.listen, tls.as_ref())?;
    let (outside, outside_addr) = match settings.public.listen {
        Some(address) => {
            open(address, tls.as_ref()).map(|(one, bound)| (Some(one), Some(bound)))?
        }
        None => (None, None),
    };
    let admin_tls = tls.as_ref().filter(|_| settings.admin_speaks_tls());
    let (admin, admin_addr) = open(settings.admin.listen, admin_tls)?;
    let addresses = Addresses { public: public_addr, outside: outside_addr, admin: admin_addr };
    Ok((Listeners { public, outside, admin }, addresses))
}

/// How TLS is spoken, where there is a certificate; it is renewed for as long as the system runs.
fn own_certificate(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, StartError> {
    let (Some(cert_file), Some(key_file)) = (&settings.tls.cert_file, &settings.tls.key_file)
    else {
        return Ok(None);
    };
    let certificates = Certificates::read(Path::new(cert_file), Path::new(key_file))?;
    housekeeping::follow_certificate(&certificates);
    Ok(Some(certificates.config()?))
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
