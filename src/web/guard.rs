//! Stands before every route that strangers can reach: nobody comes past it without being known,
//! but to what is signed.
//!
//! Every path is closed but those that `web/mod.rs` names, letter by letter: a router may read
//! `/%761` as `/v1`, so a list of closed paths would have holes.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::client_address::client_address;
use super::{
    OPEN_PATHS, PROBE_PATHS, Site, answers, cors, headers, is_signed, linger, problem, quota,
};
use crate::access::{Caller, Denied, Quotas, Shown, Standing};
use crate::domain::{Code, Problem};

/// Finds out who asks and how much, and lets them on. Whatever comes of it, the answer has its
/// headers: a page has to be able to read why it was refused.
pub(super) async fn admit(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let site = answers::site(request.request());
    let origin = site.cors.allowed(request.request());
    let mut response = match site.cors.preflight(request.request()) {
        Some(preflight) => {
            let beyond = beyond_quota(request.request(), &site);
            request.into_response(beyond.unwrap_or(preflight))
        }
        None => pass(request, next, &site).await?,
    };
    finish(&mut response, origin, &site);
    Ok(response)
}

/// Counts a request that shows nothing by its address; its refusal, where that is beyond the quota.
fn beyond_quota(request: &HttpRequest, site: &Site) -> Option<HttpResponse> {
    let standing = site.quotas.address(client_address(request, site.proxy_hops)?)?;
    standing.used_up.then(|| quota::refusal(request, standing))
}

/// Stands before the listener that has nothing but signed addresses: nobody is asked who they are.
pub(super) async fn admit_signed(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let site = answers::site(request.request());
    let origin = site.cors.allowed(request.request());
    let mut response = pass_signed(request, next, &site, site.outside_hops).await?;
    finish(&mut response, origin, &site);
    Ok(response)
}

/// Lets a request on that has to prove itself by its address or its body. One that does not counts
/// against its address, and beyond the quota nothing that comes from there is read.
async fn pass_signed(
    request: ServiceRequest,
    next: Next<BoxBody>,
    site: &Site,
    proxy_hops: usize,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(address) = client_address(request.request(), proxy_hops) else {
        return next.call(request).await;
    };
    if let Some(standing) = site.quotas.shut(address) {
        let refusal = quota::refusal(request.request(), standing);
        return Ok(request.into_response(refusal));
    }
    // Counted also where the connection breaks before there is an answer.
    let proof = Proof::default();
    let unproven = Unproven { quotas: &site.quotas, address, proof: proof.clone() };
    request.extensions_mut().insert(proof);
    let response = next.call(request).await?;
    if !proves_nothing(response.status()) {
        unproven.proof.is_given();
    }
    Ok(response)
}

/// Whether a request has proved itself, for whoever sees it first.
#[derive(Clone, Default)]
pub(super) struct Proof(Rc<Cell<bool>>);

impl Proof {
    /// From now on the request counts against nobody, whatever becomes of it.
    pub(super) fn is_given(&self) {
        self.0.set(true);
    }
}

/// A request that has not proved itself yet: counted when it ends so.
struct Unproven<'a> {
    quotas: &'a Quotas,
    address: IpAddr,
    proof: Proof,
}

impl Drop for Unproven<'_> {
    fn drop(&mut self) {
        if !self.proof.0.get() {
            self.quotas.unproven(self.address);
        }
    }
}

/// Whether what is answered so need not have been signed. An address of ours may have ended, and
/// may be asked for a range that its clip does not have.
fn proves_nothing(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(status, StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE)
}

fn finish(response: &mut ServiceResponse<BoxBody>, origin: Option<HeaderValue>, site: &Site) {
    linger::end_unread(response, site.patience.linger);
    site.cors.open(origin, response.headers_mut());
    headers::make_strict(response.headers_mut());
}

async fn pass(
    request: ServiceRequest,
    next: Next<BoxBody>,
    site: &Site,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if is_signed(request.path()) {
        return pass_signed(request, next, site, site.proxy_hops).await;
    }
    if PROBE_PATHS.contains(&request.path()) {
        return next.call(request).await;
    }
    let mut standing = None;
    let mut response = match enter(request.request(), site, &mut standing).await {
        Ok(()) => next.call(request).await?,
        Err(turned) => {
            let refusal = match turned {
                Turned::Unknown(denied) => unauthorized(request.request(), denied),
                Turned::Refused(problem) => problem::respond(request.request(), problem),
            };
            request.into_response(refusal)
        }
    };
    if let Some(standing) = standing {
        quota::tell(standing, response.headers_mut());
    }
    Ok(response)
}

/// Why a request is turned away.
enum Turned {
    Unknown(Denied),
    Refused(Problem),
}

/// Counts the request and finds its caller. A backend is known by one digest and held to its own
/// quota; everybody else to that of their address, before a token of theirs is verified.
async fn enter(
    request: &HttpRequest,
    site: &Site,
    standing: &mut Option<Standing>,
) -> Result<(), Turned> {
    let authorization = request.headers().get_all(AUTHORIZATION);
    let shown = site.access.shown(authorization.map(|value| value.to_str().ok()));
    if !matches!(shown, Ok(Shown::Key(_)))
        && let Some(address) = client_address(request, site.proxy_hops)
    {
        *standing = site.quotas.address(address);
        within(*standing)?;
    }
    if OPEN_PATHS.contains(&request.path()) {
        return Ok(());
    }
    let now = site.pipeline.clock().now();
    let shown = shown.map_err(Turned::Unknown)?;
    if shown == Shown::Nothing && may_be_a_strange_page(request, site) {
        let detail = "without authentication only pages of cors.origins may send, and only to an \
                      address";
        return Err(Turned::Refused(Problem::new(Code::Forbidden, detail)));
    }
    let caller = site.access.identify(shown, now).await.map_err(Turned::Unknown)?;
    if site.access.is_on() {
        *standing = site.quotas.caller(&caller).or(*standing);
        within(*standing)?;
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// Behind a proxy the name that is called is the proxy's affair.
fn may_be_a_strange_page(request: &HttpRequest, site: &Site) -> bool {
    let strange = cors::is_from_elsewhere(request) && site.cors.allowed(request).is_none();
    strange || (site.proxy_hops == 0 && !cors::is_called_by_address(request))
}

fn within(standing: Option<Standing>) -> Result<(), Turned> {
    match standing {
        Some(standing) if standing.used_up => Err(Turned::Refused(quota::beyond(&standing))),
        _ => Ok(()),
    }
}

/// 401, with what is asked for (RFC 6750 §3).
fn unauthorized(request: &HttpRequest, denied: Denied) -> HttpResponse {
    let mut response =
        problem::respond(request, Problem::new(Code::Unauthorized, denied.to_string()));
    let challenge = match denied {
        Denied::Missing => "Bearer realm=\"voicepost\"",
        Denied::Malformed => "Bearer realm=\"voicepost\", error=\"invalid_request\"",
        Denied::UnknownKey | Denied::Token(_) => {
            "Bearer realm=\"voicepost\", error=\"invalid_token\""
        }
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// Who asks. There is one wherever the guard stands before.
pub(super) fn caller(request: &HttpRequest) -> Caller {
    let extensions = request.extensions();
    extensions.get::<Caller>().cloned().expect("the guard lets nobody in who is not known")
}
