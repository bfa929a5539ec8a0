//! Carries agents' answers to the webhook: the part of the shell that is a client.
//!
//! It decides nothing: the core says what is due, and what an end means.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::rt;
use awc::Connector;
use rustls::{ClientConfig, RootCertStore};

use super::answers::{WebhookCall, WebhookEnd};
use super::core::Sandbox;
use super::shell::{lock, now_ms};

/// How soon an answer that is due is seen.
const LOOK: Duration = Duration::from_millis(20);

/// Makes the calls that are due, each by itself, for as long as it is polled.
pub(super) async fn carry(sandbox: Arc<Mutex<Sandbox>>) {
    let mut client: Option<Rc<awc::Client>> = None;
    loop {
        let call = lock(&sandbox).webhook_call_due(now_ms());
        let Some(call) = call else {
            rt::time::sleep(LOOK).await;
            continue;
        };
        // Made late: most sandboxes never answer anybody, and reading the roots takes its time.
        let client = Rc::clone(client.get_or_insert_with(|| Rc::new(new_client())));
        let sandbox = Arc::clone(&sandbox);
        rt::spawn(async move {
            let end = post(&client, &call).await;
            lock(&sandbox).webhook_called(&call.answer_id, &end, now_ms());
        });
    }
}

fn new_client() -> awc::Client {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    awc::Client::builder()
        .connector(Connector::new().rustls_0_23(Arc::new(tls)))
        .max_http_version(awc::http::Version::HTTP_11)
        .disable_redirects()
        .finish()
}

async fn post(client: &awc::Client, call: &WebhookCall) -> WebhookEnd {
    let within = Duration::from_millis(call.answer_within_ms);
    let request = client
        .post(&call.url)
        .insert_header(("content-type", "application/json"))
        .insert_header(("x-hub-signature-256", call.signature.as_str()))
        .timeout(within);
    match rt::time::timeout(within, request.send_body(call.body.clone())).await {
        Ok(Ok(response)) => WebhookEnd::Status(response.status().as_u16()),
        Ok(Err(error)) => WebhookEnd::NoAnswer(error.to_string()),
        Err(_) => WebhookEnd::NoAnswer(format!("no answer within {within:?}")),
    }
}
