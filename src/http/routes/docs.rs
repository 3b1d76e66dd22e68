//! The contract itself: as OpenAPI, and as a page.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::Web;

/// `GET /openapi.json`.
pub(super) async fn openapi(web: Data<Web>) -> HttpResponse {
    let made = web.documents.of(&web.kinds);
    HttpResponse::Ok().content_type("application/json").body(made.json.clone())
}

/// `GET /docs`: needs nothing from anywhere else.
pub(super) async fn page(web: Data<Web>) -> HttpResponse {
    let made = web.documents.of(&web.kinds);
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", made.policy.as_str()))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .body(made.html.clone())
}
