//! Files out: whole or one range of them, streamed from where they are kept.
//!
//! A request for several ranges at once is answered with the whole file, as RFC 9110 allows.

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};

use super::Web;
use super::error::{ApiError, ApiResult, Code};
use super::filename::attachment;
use crate::store::FileRow;

/// What a request wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From the first byte to before the second.
    Part(u64, u64),
    /// It has the file already.
    Nothing,
    /// A range that begins behind the end.
    Beyond,
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// RFC 9110, sections 13.2.2 and 14.2: `If-None-Match`, then `If-Range`, then `Range`.
fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    if let Some(known) = text(headers, header::IF_NONE_MATCH) {
        let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
        if known.split(',').map(str::trim).any(same) {
            return Wanted::Nothing;
        }
    }
    // A date says less than the hash, so it never matches.
    if headers.contains_key(header::IF_RANGE) && text(headers, header::IF_RANGE) != Some(etag) {
        return Wanted::Whole;
    }
    text(headers, header::RANGE).map_or(Wanted::Whole, |range| part(range, size))
}

/// A range that cannot be read is no range.
fn part(range: &str, size: u64) -> Wanted {
    let spec = range.trim().split_once('=').filter(|(unit, _)| unit.trim() == "bytes");
    let Some((from, to)) = spec.and_then(|(_, spec)| spec.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number that does not fit lies behind every end.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (from, to, number(from), number(to)) {
        ("", _, _, Some(0)) => Wanted::Beyond,
        ("", _, _, Some(_)) if size == 0 => Wanted::Beyond,
        ("", _, _, Some(last)) => Wanted::Part(size.saturating_sub(last), size),
        (_, "", Some(from), _) if from < size => Wanted::Part(from, size),
        (_, _, Some(from), Some(to)) if from > to => Wanted::Whole,
        (_, _, Some(from), Some(to)) if from < size => {
            Wanted::Part(from, to.saturating_add(1).min(size))
        }
        (_, "", Some(_), _) | (_, _, Some(_), Some(_)) => Wanted::Beyond,
        _ => Wanted::Whole,
    }
}

/// Answers with a file as an attachment.
///
/// # Errors
/// 503 when its bytes cannot be read.
pub(super) async fn download(web: &Web, request: &HttpRequest, row: &FileRow) -> ApiResult {
    let name = if row.name.is_empty() { row.id.to_string() } else { row.name.clone() };
    let mut response = send(web, request, row).await?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(&name));
    Ok(response)
}

/// Answers with the bytes of a file.
///
/// # Errors
/// 503 when they cannot be read.
pub(super) async fn send(web: &Web, request: &HttpRequest, row: &FileRow) -> ApiResult {
    let (etag, size) = (format!("\"{}\"", row.sha256), row.size);
    // Conditions and ranges are for what can be asked again without an effect.
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let wanted = if safe { wanted(request.headers(), &etag, size) } else { Wanted::Whole };
    let (status, start, end) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Nothing => {
            return Ok(tell(StatusCode::NOT_MODIFIED, &etag).finish());
        }
        Wanted::Beyond => {
            let error = ApiError::new(Code::BadRange, format!("the file has {size} bytes"));
            let mut response = error.error_response();
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            return Ok(response);
        }
    };
    let mut response = tell(status, &etag);
    let content_type = HeaderValue::try_from(row.content_type.as_str());
    let unknown = HeaderValue::from_static("application/octet-stream");
    response.insert_header((header::CONTENT_TYPE, content_type.unwrap_or(unknown)));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", end - 1);
        response.insert_header((header::CONTENT_RANGE, range));
    }
    // With HEAD nothing is read but whether there is something to read.
    let read_to = if request.method() == Method::HEAD { start } else { end };
    if read_to == start {
        web.blobs.size(&row.sha256).await?;
    }
    let bytes = web.blobs.read(&row.sha256, start, read_to).await?;
    Ok(response.body(SizedStream::new(end - start, bytes)))
}

/// What every answer about these bytes says.
fn tell(status: StatusCode, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_what_is_none_is_passed_over() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=2-5", Wanted::Part(2, 6)),
            ("bytes=2-", Wanted::Part(2, 10)),
            ("bytes=2-99999999999999999999999", Wanted::Part(2, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-30", Wanted::Part(0, 10)),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=10-11", Wanted::Beyond),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=50-20", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=-1", 0), Wanted::Beyond);
    }

    #[test]
    fn what_the_client_has_decides_before_the_range() {
        let ask = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                let name = header::HeaderName::from_static(name);
                headers.insert(name, HeaderValue::from_static(value));
            }
            wanted(&headers, "\"abc\"", 10)
        };
        let range = ("range", "bytes=0-3");
        assert_eq!(ask(&[range]), Wanted::Part(0, 4));
        assert_eq!(ask(&[range, ("if-none-match", "\"abc\"")]), Wanted::Nothing);
        assert_eq!(ask(&[("if-none-match", "\"x\", W/\"abc\"")]), Wanted::Nothing);
        assert_eq!(ask(&[("if-none-match", "*")]), Wanted::Nothing);
        assert_eq!(ask(&[range, ("if-none-match", "\"x\"")]), Wanted::Part(0, 4));
        assert_eq!(ask(&[range, ("if-range", "\"abc\"")]), Wanted::Part(0, 4));
        assert_eq!(ask(&[range, ("if-range", "W/\"abc\"")]), Wanted::Whole);
        assert_eq!(ask(&[range, ("if-range", "\"x\"")]), Wanted::Whole);
        assert_eq!(ask(&[range, ("if-range", "Sat, 21 Nov 2026 12:00:00 GMT")]), Wanted::Whole);
    }
}
