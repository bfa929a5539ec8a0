//! The proxy on actix-web and awc: takes the form, uploads the clip, posts the message, answers
//! 201.

use std::net::SocketAddr;

use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::StreamExt;

use super::form;

const WORKERS: usize = 2;

pub fn run(listen: SocketAddr, upstream: &str) {
    let upstream = upstream.to_owned();
    actix_rt::System::new().block_on(async move {
        let authorization = token(&upstream).await;
        HttpServer::new(move || {
            let proxy = Proxy {
                client: awc::Client::default(),
                upload_url: format!("{upstream}/api/v2/media/attachments/upload"),
                post_url: format!("{upstream}/api/v2/conversations/messages"),
                authorization: authorization.clone(),
            };
            let route = web::post().to(deliver);
            App::new().app_data(Data::new(proxy)).route("/v1/voice-messages", route)
        })
        .workers(WORKERS)
        .bind(listen)
        .unwrap()
        .run()
        .await
        .unwrap();
    });
}

struct Proxy {
    client: awc::Client,
    upload_url: String,
    post_url: String,
    authorization: String,
}

async fn token(upstream: &str) -> String {
    let request = awc::Client::default()
        .post(format!("{upstream}/oauth/token"))
        .insert_header(("authorization", "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ="))
        .insert_header(("content-type", "application/x-www-form-urlencoded"));
    let mut response = request.send_body("grant_type=client_credentials").await.unwrap();
    let token: serde_json::Value = serde_json::from_slice(&response.body().await.unwrap()).unwrap();
    format!("Bearer {}", token["access_token"].as_str().unwrap())
}

impl Proxy {
    async fn call(&self, request: awc::ClientRequest, body: Bytes) -> Bytes {
        let request = request.insert_header(("authorization", self.authorization.as_str()));
        let mut response = request.send_body(body).await.unwrap();
        assert!(response.status().is_success());
        response.body().await.unwrap()
    }
}

async fn deliver(proxy: Data<Proxy>, mut payload: Payload) -> HttpResponse {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.unwrap());
    }
    let body = body.freeze();
    let upload = proxy
        .client
        .post(&proxy.upload_url)
        .insert_header(("content-type", "audio/ogg"))
        .insert_header(("content-disposition", "attachment; filename=\"hello.ogg\""));
    let uploaded = proxy.call(upload, body.slice(form::clip(&body))).await;
    let uploaded = serde_json::from_slice(&uploaded).unwrap();
    let post =
        proxy.client.post(&proxy.post_url).insert_header(("content-type", "application/json"));
    let posted = proxy.call(post, form::post(&body, &uploaded).into()).await;
    HttpResponse::Created().content_type("application/json").body(posted)
}
