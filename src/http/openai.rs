//! Errors under `/v1` as the OpenAI SDKs read them, so that they raise the exceptions that people
//! know.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};
use serde_json::json;

use super::error::ApiError;

/// Middleware: rewrites what is refused under `/v1`.
pub(super) async fn speak_openai(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.path().starts_with("/v1/") {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    match next.call(request).await {
        Ok(answer) => {
            let rewritten = answer.response().error().and_then(|e| e.as_error()).map(rewrite);
            Ok(match rewritten {
                Some(response) => answer.into_response(response),
                None => answer.map_into_boxed_body(),
            })
        }
        Err(error) => Err(match error.as_error::<ApiError>() {
            Some(refused) => InternalError::from_response("", rewrite(refused)).into(),
            None => error,
        }),
    }
}

/// `{"error": {message, type, param, code}}` with the headers of the problem that it was.
fn rewrite(error: &ApiError) -> HttpResponse {
    let problem = error.error_response();
    // OpenAI answers 400 for every wrong parameter.
    let status = match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            StatusCode::BAD_REQUEST
        }
        other => other,
    };
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let body = json!({ "error": {
        "message": error.message(),
        "type": kind,
        "param": error.first_field(),
        "code": error.code().as_str(),
    }});
    let mut response = HttpResponse::build(status).json(body);
    for (name, value) in problem.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    // What could not be read whole would be asked again without end.
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        response.headers_mut().insert(
            header::HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        );
    }
    response
}
