//! The media endpoints: upload, retention, deletion.

use std::fmt::Write;

use bytes::Bytes;
use ring::digest;
use serde::{Deserialize, Serialize};

use super::account::{Retention, Upload};
use super::core::{Call, Sandbox};
use super::multipart;
use super::oauth::media_type_is;
use super::wire::{Problem, Reply, Request};

/// The media types of the contract, and the extension of a file name that agrees with each.
const MEDIA_TYPES: [(&str, &str); 3] =
    [("audio/mp3", ".mp3"), ("audio/wav", ".wav"), ("audio/ogg", ".ogg")];
const FILE_STEM_LENGTH_MAX: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UploadAnswer<'a> {
    media_id: &'a str,
    media_url: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionCall {
    retention: RetentionPeriod,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionPeriod {
    duration: String,
}

/// A clip as its upload describes it.
struct Clip {
    media_type: &'static str,
    file_name: String,
    audio: Bytes,
}

impl Sandbox {
    /// `POST /api/v2/media/attachments/upload`: keeps the clip, answers its id and signed address.
    pub(super) fn upload(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        let clip = read_clip(call.request, self.settings.upload_bytes_max)?;
        let media_id = self.next_media_id();
        let url_life_ms = i64::from(self.settings.media_url_seconds) * 1_000;
        let url_expires_at_ms = call.now_ms.saturating_add(url_life_ms);
        let media_url = self.signed_url(&media_id, url_expires_at_ms);
        let answer = UploadAnswer { media_id: &media_id, media_url: &media_url };
        let reply = Reply::json(200, &answer);
        let sha256 = match self.settings.keep_hash {
            true => hex(digest::digest(&digest::SHA256, &clip.audio).as_ref()),
            false => String::new(),
        };
        self.account.record_upload(Upload {
            media_id,
            media_url,
            media_type: clip.media_type.to_owned(),
            file_name: clip.file_name,
            bytes: clip.audio.len(),
            sha256,
            arrived_at_ms: call.now_ms,
            url_expires_at_ms,
            deleted_at_ms: None,
            delete_attempts: 0,
            posts: 0,
            audio: if self.settings.keep_audio { clip.audio } else { Bytes::new() },
        });
        Ok(reply)
    }

    /// `POST /api/v2/media/recordings/{mediaId}/retention`: a period in whole minutes.
    pub(super) fn retain(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        let duration = serde_json::from_slice::<RetentionCall>(&call.request.body)
            .map(|body| body.retention.duration)
            .ok()
            .filter(|duration| is_minutes(duration))
            .ok_or_else(|| Problem::bad_request("Invalid retention duration format."))?;
        let upload = self.account.upload(&call.media_id);
        if upload.is_none_or(|upload| upload.deleted_at_ms.is_some()) {
            return Err(media_not_found(&call.media_id));
        }
        let (media_id, arrived_at_ms) = (call.media_id.clone(), call.now_ms);
        let reply = Reply::json(200, &serde_json::json!({"retention": {"duration": duration}}));
        self.account.record_retention(Retention { media_id, duration, arrived_at_ms });
        Ok(reply)
    }

    /// `DELETE /api/v2/media/attachments/{mediaId}`: 204 once, then 404.
    pub(super) fn delete(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        match self.account.delete(&call.media_id, call.now_ms) {
            true => Ok(Reply::new(204)),
            false => Err(media_not_found(&call.media_id)),
        }
    }
}

fn media_not_found(media_id: &str) -> Problem {
    Problem::not_found(format!("Media {media_id} not found."))
}

fn read_clip(request: &Request, bytes_max: usize) -> Result<Clip, Problem> {
    let length = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    match length {
        None => return Err(Problem::new(411, "length.required", "Content-Length missing.")),
        Some(length) if length != request.body.len() => {
            return Err(Problem::bad_request("Content-Length disagrees with the body."));
        }
        Some(length) if length > bytes_max => {
            let message = format!("Upload of {length} bytes is over the limit of {bytes_max}.");
            return Err(Problem::new(413, "request.entity.too.large", message));
        }
        Some(_) => {}
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let (disposition, form, named_type, audio) =
        if media_type_is(content_type, "multipart/form-data") {
            let part = multipart::single_file(content_type, &request.body)?;
            (part.disposition, "form-data", part.media_type, part.body)
        } else {
            let disposition = request.header("content-disposition").unwrap_or_default().to_owned();
            (disposition, "attachment", content_type.to_owned(), request.body.clone())
        };
    let (media_type, extension) = MEDIA_TYPES
        .into_iter()
        .find(|(media_type, _)| *media_type == named_type)
        .ok_or_else(|| unsupported(&named_type))?;
    if audio.is_empty() {
        return Err(Problem::bad_request("The clip is empty."));
    }
    if !media_type_is(&disposition, form) {
        return Err(Problem::bad_request(format!("Content-Disposition must be {form}.")));
    }
    let file_name = multipart::parameter(&disposition, "filename").unwrap_or_default();
    if !file_name.strip_suffix(extension).is_some_and(is_file_stem) {
        let message = format!(
            "Content-Disposition must carry filename=\"name{extension}\", the name of 1 to \
             {FILE_STEM_LENGTH_MAX} of A-Z a-z 0-9 . _ -"
        );
        return Err(Problem::bad_request(message));
    }
    Ok(Clip { media_type, file_name: file_name.to_owned(), audio })
}

fn unsupported(named_type: &str) -> Problem {
    let message = format!("Content-Type {named_type:?} is not audio/mp3, audio/wav or audio/ogg.");
    Problem::new(415, "unsupported.media.type", message)
}

fn is_file_stem(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=FILE_STEM_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whole minutes without a leading zero, as in `15m`.
fn is_minutes(text: &str) -> bool {
    text.strip_suffix('m').is_some_and(|digits| {
        (1..=9).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
