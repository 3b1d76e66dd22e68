//! Bodies that stream: read within a size and at a pace, files spooled to the disk while they come in.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::error::{ApiError, ApiResult, Code};
use super::fields::{Fields, printable};
use super::{Web, filename, pace};
use crate::domain::ids::{FileId, TaskId};
use crate::domain::kind::{Input, TaskKind};
use crate::domain::limits::NAME_CHARS_MAX;
use crate::outside::blobs::{self, Spool};
use crate::store::{FilePut, FileRow, Idempotency, Nonce, PutFile};

/// Longest text field of a multipart body, in bytes.
const FIELD_BYTES_MAX: usize = 256 * 1024;
/// Fields of a multipart body.
const FIELDS_MAX: usize = 64;

/// A body of at most `bytes_max`.
///
/// # Errors
/// 413, 408 or 400.
pub(super) async fn read_body(mut payload: Payload, bytes_max: usize) -> ApiResult<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The body of a route that takes JSON or a form, read within the limits of size and time.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest for Body {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async { read_body(payload, super::BODY_MAX).await.map(Self) })
    }
}

fn broken(error: PayloadError) -> ApiError {
    match error {
        PayloadError::Overflow => ApiError::new(Code::TooLarge, "the body is too large"),
        slow if pace::is_too_slow(&slow) => {
            ApiError::new(Code::TooSlow, "the body came too slowly: send it again, faster")
        }
        other => ApiError::new(Code::BadBody, format!("the body broke off: {other}")),
    }
}

fn bad_multipart(error: MultipartError) -> ApiError {
    match error {
        MultipartError::Payload(error) if pace::is_too_slow(&error) => broken(error),
        error => ApiError::new(Code::BadBody, format!("the multipart body is bad: {error}")),
    }
}

fn too_large(bytes_max: u64) -> ApiError {
    ApiError::new(Code::TooLarge, format!("at most {bytes_max} bytes are taken here"))
}

/// A file that came with a body, on the disk but not kept yet.
#[derive(Debug)]
pub(super) struct FilePart {
    /// Its field.
    pub field: String,
    name: String,
    declared: String,
    spool: Spool,
}

/// Reads fields and at most one file. The file's field must be one of `file_fields`.
///
/// # Errors
/// 400, 408, 413, 415, or 422 naming the field.
pub(super) async fn receive(
    web: &Web,
    request: &HttpRequest,
    payload: web::Payload,
    file_fields: &[&str],
    bytes_max: u64,
) -> ApiResult<(Fields, Option<FilePart>)> {
    let content_type = request.headers().get("content-type").and_then(|v| v.to_str().ok());
    let multipart = content_type.is_some_and(|t| t.to_ascii_lowercase().starts_with("multipart/"));
    if !multipart {
        let body = read_body(payload.into_inner(), super::BODY_MAX).await?;
        return Ok((Fields::read(request, &body)?, None));
    }
    let shared = Shared(Rc::new(RefCell::new(payload.into_inner())));
    let parts = Multipart::new(request.headers(), shared.clone());
    let received = receive_parts(web, parts, file_fields, bytes_max).await?;
    // What follows the last boundary belongs to the body that was signed.
    let mut rest = shared;
    while let Some(chunk) = rest.next().await {
        chunk.map_err(broken)?;
    }
    Ok(received)
}

async fn receive_parts(
    web: &Web,
    mut parts: Multipart,
    file_fields: &[&str],
    bytes_max: u64,
) -> ApiResult<(Fields, Option<FilePart>)> {
    let (mut fields, mut file, mut count) = (Fields::default(), None, 0);
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(bad_multipart)?;
        count += 1;
        if count > FIELDS_MAX {
            return Err(ApiError::new(Code::TooLarge, format!("at most {FIELDS_MAX} fields")));
        }
        let name: String = part.name().unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
        if file_fields.contains(&name.as_str()) {
            if file.is_some() {
                return Err(ApiError::field(name, "is given twice"));
            }
            file = Some(spool(web, name, &mut part, bytes_max).await?);
        } else {
            let text = text_of(&name, &mut part).await?;
            fields.add(name, text);
        }
    }
    Ok((fields, file))
}

async fn text_of(name: &str, part: &mut Field) -> ApiResult<String> {
    let mut text = Vec::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(bad_multipart)?;
        if text.len() + chunk.len() > FIELD_BYTES_MAX {
            return Err(ApiError::field(
                name,
                format!("must have at most {FIELD_BYTES_MAX} bytes"),
            ));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| ApiError::field(name, "must be UTF-8 text"))
}

async fn spool(web: &Web, field: String, part: &mut Field, bytes_max: u64) -> ApiResult<FilePart> {
    let declared = part.content_type().map(|mime| mime.essence_str().to_owned());
    let name = filename::clean(&given_name(part));
    let mut spool = web.blobs.spool();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(bad_multipart)?;
        if spool.size() + chunk.len() as u64 > bytes_max {
            return Err(too_large(bytes_max));
        }
        spool.write(&chunk).await?;
    }
    if spool.size() == 0 {
        return Err(ApiError::field(field, "is empty"));
    }
    Ok(FilePart { field, name, declared: declared.unwrap_or_default(), spool })
}

/// The name that the sender gave: of the two forms, the one that can say everything first.
fn given_name(part: &Field) -> String {
    let Some(disposition) = part.content_disposition() else { return String::new() };
    let extended = disposition.get_filename_ext();
    let extended = extended.and_then(|name| String::from_utf8(name.value.clone()).ok());
    extended.or_else(|| disposition.get_filename().map(str::to_owned)).unwrap_or_default()
}

impl FilePart {
    /// Bytes received.
    pub(super) const fn size(&self) -> u64 {
        self.spool.size()
    }

    /// The content type, from the bytes where they tell, else as declared. Sound and film that
    /// nobody knows are believed unless they read as text, and text unless it does not.
    ///
    /// # Errors
    /// 415 when it is not what this input takes.
    pub(super) fn content_type(&self, input: Input) -> ApiResult<String> {
        let head = self.spool.head();
        let sniffed = infer::get(head).map(|found| found.mime_type());
        let found = match (sniffed, input) {
            (Some(sniffed), _) => sniffed,
            (None, Input::Audio | Input::Video) if reads_as_text(head) => "text/plain",
            (None, Input::Document | Input::Text) if !reads_as_text(head) => {
                "application/octet-stream"
            }
            (None, _) => self.declared.as_str(),
        };
        if takes(input, found, sniffed.is_some()) {
            return Ok(found.to_owned());
        }
        Err(ApiError::new(
            Code::UnsupportedMedia,
            format!(
                "`{}` looks like `{}`; {} is taken here",
                self.field,
                printable(if found.is_empty() { "something unknown" } else { found }),
                match input {
                    Input::Audio => "audio",
                    Input::Video => "video",
                    Input::Document => "a text document",
                    Input::Text => "text",
                },
            ),
        ))
    }

    /// Makes the bytes durable. The row that is answered is still to be written; no sweep takes the
    /// bytes while the pin lives.
    ///
    /// # Errors
    /// 503 when the disk refuses.
    pub(super) async fn bytes(
        self,
        web: &Web,
        keep: &Keep<'_>,
    ) -> ApiResult<(FileRow, blobs::Pin)> {
        let kept = web.blobs.keep(self.spool).await?;
        let now = web.clock.now();
        let days = keep.kind.and_then(|kind| kind.files_days);
        let file = FileRow {
            id: FileId(uuid::Uuid::now_v7()),
            owner: keep.owner.clone(),
            sha256: kept.sha256,
            size: kept.size,
            content_type: keep.content_type.clone(),
            name: self.name,
            created_at: now,
            task: keep.task,
            expires_at: Some(now.plus(web.config.retention.files_millis(days))),
        };
        Ok((file, kept.pin))
    }

    /// Keeps the file and writes its row. With an idempotency key that was used for the same bytes,
    /// it is the row of then.
    ///
    /// # Errors
    /// 422 for a key of another request, 503 when the disk or the database refuses.
    pub(super) async fn keep(self, web: &Web, keep: Keep<'_>) -> ApiResult<FileRow> {
        let (file, pin) = self.bytes(web, &keep).await?;
        let idempotency = keep.key.map(|key| {
            let body_hash = Sha256::digest(format!("file {}", file.sha256)).into();
            Idempotency { key, body_hash }
        });
        let command = PutFile { file: file.clone(), idempotency, nonce: keep.nonce };
        let put = web.store.put_file(command).await?;
        // The row is there, so no sweep can take the bytes.
        drop(pin);
        match put {
            FilePut::New => Ok(file),
            FilePut::Existing(id) => {
                web.store.file(id).await?.ok_or_else(|| ApiError::not_found("file"))
            }
            FilePut::Mismatch => Err(ApiError::key_of_another()),
        }
    }
}

/// How a file is kept.
pub(super) struct Keep<'a> {
    /// As [`FilePart::content_type`] told.
    pub(super) content_type: String,
    /// Who may see it.
    pub(super) owner: String,
    /// Task that it is an output of.
    pub(super) task: Option<TaskId>,
    /// Kind of the task that it is for; it says how long files stay.
    pub(super) kind: Option<&'a TaskKind>,
    /// The request's idempotency key.
    pub(super) key: Option<String>,
    /// Of a signed request.
    pub(super) nonce: Option<Nonce>,
}

impl Keep<'_> {
    /// For an owner, and for nothing in particular.
    pub(super) const fn new(content_type: String, owner: String) -> Self {
        Self { content_type, owner, task: None, kind: None, key: None, nonce: None }
    }
}

/// Whether the beginning of a file could be text: in UTF-16 with a mark, or in anything that has no
/// control characters but those of lines and pages.
fn reads_as_text(head: &[u8]) -> bool {
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    // MPEG sound begins with one of these bytes too, but never with two that are a mark and a letter.
    let wide = marked && head.iter().skip(2).take(64).any(|byte| *byte == 0);
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\x0b\x0c\r\x1b".contains(byte);
    wide || !head.iter().any(is_control)
}

/// Containers such as MP4, WebM and Ogg carry sound alone too, and are sniffed as video.
pub(super) fn takes(input: Input, found: &str, sniffed: bool) -> bool {
    let class = found.split('/').next().unwrap_or_default();
    match input {
        Input::Audio => class == "audio" || (class == "video" && sniffed),
        Input::Video => class == "video",
        Input::Document | Input::Text => {
            class == "text"
                || matches!(
                    found,
                    "application/pdf"
                        | "application/msword"
                        | "application/rtf"
                        | "application/json"
                        | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
                        | "application/vnd.oasis.opendocument.text"
                )
        }
    }
}

/// One payload that two readers share, one after the other.
#[derive(Clone)]
struct Shared(Rc<RefCell<Payload>>);

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_no_control_characters() {
        let wide: Vec<u8> = "\u{feff}text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (head, text) in [
            (&b"import os\nprint('hello')\n"[..], true),
            (b"gr\xf6\xdfe\r\n", true),
            (&wide, true),
            (b"\xff\xfe\x12", false),
            (b"\xff\xfb\x90\x00", false),
            (b"RIFF\x00", false),
        ] {
            assert_eq!(reads_as_text(head), text, "{head:?}");
        }
    }

    #[test]
    fn a_picture_is_no_audio_whatever_it_is_called() {
        assert!(takes(Input::Audio, "audio/x-wav", true));
        assert!(takes(Input::Audio, "video/mp4", true));
        assert!(!takes(Input::Audio, "video/mp4", false));
        assert!(!takes(Input::Audio, "image/png", true));
        assert!(!takes(Input::Video, "audio/mpeg", true));
        assert!(takes(Input::Document, "text/plain", false));
    }
}
