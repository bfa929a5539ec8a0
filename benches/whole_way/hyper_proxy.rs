//! The proxy on hyper: takes the form, uploads the clip, posts the message, answers 201.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::form;

/// Threads, each with a runtime and a client of its own: one for each core that is there.
const THREADS: usize = 2;

pub fn run(listen: SocketAddr, upstream: &str) {
    let listener = TcpListener::bind(listen).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let listener = listener.try_clone().unwrap();
            scope.spawn(move || serve(listener, upstream));
        }
    });
}

fn serve(listener: TcpListener, upstream: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let proxy = Rc::new(Proxy::new(upstream).await);
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let proxy = Rc::clone(&proxy);
            let service = service_fn(move |request| {
                let proxy = Rc::clone(&proxy);
                async move { Ok::<_, Infallible>(proxy.deliver(request).await) }
            });
            tokio::task::spawn_local(async move {
                // A client that hangs up is none of the proxy's business.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upload_url: String,
    post_url: String,
    authorization: String,
}

impl Proxy {
    async fn new(upstream: &str) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let mut proxy = Proxy {
            client,
            upload_url: format!("{upstream}/api/v2/media/attachments/upload"),
            post_url: format!("{upstream}/api/v2/conversations/messages"),
            authorization: "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ=".to_owned(),
        };
        let request = Request::post(format!("{upstream}/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded");
        let token = proxy.call(request, "grant_type=client_credentials".into()).await;
        let token: serde_json::Value = serde_json::from_slice(&token).unwrap();
        proxy.authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
        proxy
    }

    async fn call(&self, request: hyper::http::request::Builder, body: Bytes) -> Bytes {
        let request = request.header("authorization", &self.authorization);
        let response = self.client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
        assert!(response.status().is_success());
        response.into_body().collect().await.unwrap().to_bytes()
    }

    async fn deliver(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let upload = Request::post(&self.upload_url)
            .header("content-type", "audio/ogg")
            .header("content-disposition", "attachment; filename=\"hello.ogg\"");
        let uploaded = self.call(upload, body.slice(form::clip(&body))).await;
        let uploaded = serde_json::from_slice(&uploaded).unwrap();
        let post = Request::post(&self.post_url).header("content-type", "application/json");
        let posted = self.call(post, form::post(&body, &uploaded).into()).await;
        let response = Response::builder().status(StatusCode::CREATED);
        response.header("content-type", "application/json").body(Full::new(posted)).unwrap()
    }
}
