//! Where an issuer's keys come from, a file or a URL, and when they are had anew.
//!
//! A key id that is not known may be a new key, or a stranger's invention: it asks for the set
//! again, but never sooner than [`REFETCH_PAUSE`] after the last time, whoever asks how often.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::Stamp;
use super::key_set::KeySet;

/// Least time between two looks at a URL.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// Least time between two looks at a file.
const REREAD_PAUSE: Duration = Duration::from_secs(1);
/// A set that nobody asked for is had anew after this long, so that a withdrawn key goes.
const REFETCH_AFTER: Duration = Duration::from_secs(600);
/// Time for one fetch, and for whoever waits for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest set that is read.
const SET_BYTES_MAX: usize = 256 * 1024;

/// Where the set lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Url(String),
}

impl Place {
    pub(super) fn parse(text: &str) -> Place {
        if text.starts_with("https://") || text.starts_with("http://") {
            Place::Url(text.to_owned())
        } else {
            Place::File(text.into())
        }
    }

    fn stamp(&self) -> Stamp {
        match self {
            Place::File(path) => super::stamp(path),
            Place::Url(_) => None,
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Place::File(_) => REREAD_PAUSE,
            Place::Url(_) => REFETCH_PAUSE,
        }
    }
}

/// The set as it was last had, and when it may be had again.
#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    tries: u64,
    again_from: Instant,
}

/// Keys that follow their source.
pub(super) struct KeySource {
    known: watch::Receiver<Known>,
    ask: mpsc::Sender<()>,
}

/// Has the set, or says why not.
struct Fetcher {
    place: Place,
    allowed: Vec<Algorithm>,
    tls: Arc<rustls::ClientConfig>,
}

impl KeySource {
    /// Has the set, and follows it from then on. A file that cannot be read is an error; a URL that
    /// does not answer is not: tokens are refused until it does. Must run inside an actix system.
    pub(super) async fn follow(
        place: Place,
        allowed: Vec<Algorithm>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<KeySource, String> {
        let fetcher = Fetcher { place, allowed, tls };
        let seen = fetcher.place.stamp();
        let keys = match (fetcher.fetch().await, &fetcher.place) {
            (Ok(keys), _) => keys,
            (Err(error), Place::File(_)) => return Err(error),
            (Err(error), Place::Url(_)) => {
                tracing::error!(error, "the token issuer's keys cannot be had; going on without");
                KeySet::default()
            }
        };
        let again_from = Instant::now() + fetcher.place.pause();
        let (publish, known) = watch::channel(Known { keys: Arc::new(keys), tries: 1, again_from });
        // One ask is as good as many.
        let (ask, asked) = mpsc::channel(1);
        actix::spawn(keep(fetcher, seen, publish, asked));
        Ok(KeySource { known, ask })
    }

    pub(super) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.known.borrow().keys)
    }

    /// The set after it was had anew, where that may be now; `None` where it may not, or did not
    /// come in time.
    pub(super) async fn keys_anew(&self) -> Option<Arc<KeySet>> {
        let mut known = self.known.clone();
        let before = known.borrow_and_update().clone();
        // A full channel: somebody has asked already.
        let _ = self.ask.try_send(());
        if Instant::now() < before.again_from {
            return None;
        }
        let newer = known.wait_for(|known| known.tries > before.tries);
        let newer = timeout(FETCH_TIMEOUT, newer).await.ok()?.ok()?;
        Some(Arc::clone(&newer.keys))
    }
}

async fn keep(
    fetcher: Fetcher,
    mut seen: Stamp,
    publish: watch::Sender<Known>,
    mut asked: mpsc::Receiver<()>,
) {
    let mut trouble = None;
    loop {
        let again_from = publish.borrow().again_from;
        tokio::time::sleep_until(again_from).await;
        match &fetcher.place {
            Place::File(_) => {
                while fetcher.place.stamp() == seen && asked.try_recv().is_err() {
                    if asked.is_closed() {
                        return;
                    }
                    tokio::time::sleep(REREAD_PAUSE).await;
                }
            }
            Place::Url(_) => {
                // Nobody asked in time, or somebody did: both mean to look. `None`: nobody can.
                if let Ok(None) = timeout_at(again_from + REFETCH_AFTER, asked.recv()).await {
                    return;
                }
            }
        }
        let now = fetcher.place.stamp();
        let fetched = fetcher.fetch().await;
        let said = std::mem::replace(&mut trouble, fetched.as_ref().err().cloned());
        if fetched.is_ok() {
            // Only now: a withdrawn key must not outlive a read that failed.
            seen = now;
        }
        publish.send_modify(|known| {
            known.tries += 1;
            known.again_from = Instant::now() + fetcher.place.pause();
            match fetched {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "the token issuer's keys had anew");
                    known.keys = Arc::new(keys);
                }
                Err(error) if said.as_ref() != Some(&error) => {
                    tracing::error!(error, "the token issuer's keys stay as they were");
                }
                Err(_) => {}
            }
        });
    }
}

impl Fetcher {
    async fn fetch(&self) -> Result<KeySet, String> {
        let json = match &self.place {
            Place::File(path) => std::fs::read(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            Place::Url(url) => self.get(url).await.map_err(|error| format!("{url}: {error}"))?,
        };
        if json.len() > SET_BYTES_MAX {
            return Err(format!("the key set has more than {SET_BYTES_MAX} bytes"));
        }
        KeySet::parse(&json, &self.allowed).map_err(|error| format!("not a JWK set: {error}"))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let connector = awc::Connector::new().rustls_0_23(Arc::clone(&self.tls));
        let client = awc::Client::builder()
            .connector(connector.timeout(FETCH_TIMEOUT))
            .timeout(FETCH_TIMEOUT)
            .disable_redirects()
            .finish();
        let answer = async {
            let mut response = client.get(url).send().await.map_err(|error| error.to_string())?;
            if response.status() != actix_web::http::StatusCode::OK {
                return Err(format!("answered {}", response.status()));
            }
            let body = response.body().limit(SET_BYTES_MAX).await;
            body.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
        };
        timeout(FETCH_TIMEOUT, answer).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}
