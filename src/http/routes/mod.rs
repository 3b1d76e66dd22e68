//! The route table.

mod any;
mod events;
mod files;
mod miners;
mod network;
mod openai;
mod ops;
mod pull;
mod reports;
mod responses;
mod standing;
mod submit;
mod tasks;
mod validators;
mod voices;
mod webhooks;

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError, Route, guard,
};

use super::error::{ApiError, ApiResult, Code};

/// A path with its method and handler.
type Entry = (&'static str, (&'static str, Route));

/// Routes of operators and clients. Literal paths stand before patterns that would match them too.
fn for_clients() -> Vec<Entry> {
    vec![
        // Operators
        ("/livez", probe(ops::livez)),
        ("/readyz", probe(ops::readyz)),
        ("/metrics", get(ops::metrics)),
        ("/api/v1/health", get(ops::health)),
        ("/api/v1/identity", get(ops::identity)),
        ("/api/v1/admin/drain", post(ops::drain)),
        ("/api/v1/admin/keys", get(ops::list_keys)),
        ("/api/v1/admin/keys", post(ops::create_key)),
        ("/api/v1/admin/keys/{id}", delete(ops::revoke_key)),
        // Clients
        ("/api/v1/transcription", post(submit::transcription)),
        ("/api/v1/tts", post(submit::tts)),
        ("/api/v1/summarization", post(submit::summarization)),
        ("/api/v1/video-transcription", post(submit::video_transcription)),
        ("/api/v1/text-translation", post(submit::text_translation)),
        ("/api/v1/document-translation", post(submit::document_translation)),
        ("/api/v1/tasks", get(tasks::list)),
        ("/api/v1/tasks", post(any::one)),
        ("/api/v1/tasks/batch", post(any::batch)),
        ("/api/v1/tasks/completed", get(validators::completed)),
        ("/api/v1/tasks/{id}", get(tasks::show)),
        ("/api/v1/tasks/{id}", delete(tasks::cancel)),
        ("/api/v1/tasks/{id}/retry", post(tasks::retry)),
        ("/api/v1/tasks/{id}/events", get(events::events)),
        ("/api/v1/task/{id}/status", get(tasks::status)),
        ("/api/v1/task/{id}/responses", get(tasks::responses)),
        ("/api/v1/usage", get(standing::usage)),
        ("/api/v1/files", post(files::upload)),
        ("/api/v1/files/{id}", get(files::show)),
        ("/api/v1/files/{id}/download", probe(files::download)),
        ("/api/v1/voices", get(voices::list)),
        ("/api/v1/voices", post(voices::create)),
        ("/api/v1/voices/{id}", get(voices::one)),
        ("/api/v1/voices/{id}", delete(voices::remove)),
        ("/api/v1/webhooks", get(webhooks::list)),
        ("/api/v1/webhooks", post(webhooks::create)),
        ("/api/v1/webhooks/callback-secret", get(webhooks::callback_secret)),
        ("/api/v1/webhooks/{id}", get(webhooks::show)),
        ("/api/v1/webhooks/{id}", delete(webhooks::delete)),
        ("/api/v1/webhooks/{id}/rotate", post(webhooks::rotate)),
        ("/api/v1/webhooks/{id}/deliveries", get(webhooks::deliveries)),
        ("/api/v1/deliveries/{id}/redeliver", post(webhooks::redeliver)),
        // Clients that speak OpenAI
        ("/v1/models", get(openai::models)),
        ("/v1/models/{id}", get(openai::model)),
        ("/v1/audio/transcriptions", post(openai::transcriptions)),
        ("/v1/audio/speech", post(openai::speech)),
    ]
}

/// Routes of miners and validators.
fn for_workers() -> Vec<Entry> {
    vec![
        // Miners
        ("/api/v1/miner/response", post(responses::respond)),
        ("/api/v1/miner/files", post(files::upload_result)),
        ("/api/v1/miner/tts/upload-audio", post(files::upload_speech)),
        ("/api/v1/miner/tasks/{id}/heartbeat", post(responses::heartbeat)),
        ("/api/v1/miner/tasks/{id}/release", post(responses::release)),
        ("/api/v1/miner/{kind}/{id}", get(miners::content)),
        ("/api/v1/miners", get(network::network_status)),
        ("/api/v1/miners/network-status", get(network::network_status)),
        ("/api/v1/miners/{uid}/tasks", get(miners::poll)),
        ("/api/v1/miners/{uid}/view", get(miners::view)),
        ("/api/v1/miners/{uid}/stats", get(network::miner_stats)),
        ("/api/v1/miners/{uid}/consensus", get(network::consensus)),
        ("/api/v1/miners/{uid}/consensus/explain", get(network::explain)),
        // Validators
        ("/api/v1/validators", get(network::validators)),
        ("/api/v1/validators/miner-status", post(reports::take)),
        ("/api/v1/validators/consensus-stats", get(network::consensus_stats)),
        ("/api/v1/validators/mark-task-seen", post(validators::mark_seen)),
        ("/api/v1/validators/{hotkey}", get(network::validator)),
        ("/api/v1/validator/integration", get(pull::integration)),
        ("/api/v1/validator/distribute", post(pull::distribute)),
        ("/api/v1/validator/tasks", get(validators::tasks)),
        ("/api/v1/validator/evaluation", post(validators::evaluate)),
        ("/api/v1/validator/{uid}/evaluated_tasks", get(validators::evaluated)),
        ("/api/v1/kinds", get(network::kinds)),
        ("/api/v1/leaderboard", get(standing::leaderboard)),
        // Last, since its first part is a pattern.
        ("/api/v1/{kind}/{id}/result", get(tasks::result)),
    ]
}

/// Puts every route into the application.
pub(super) fn table(app: &mut ServiceConfig) {
    let routes = for_clients().into_iter().chain(for_workers());
    // Methods of one path share one resource, so that the others get 405.
    let mut resources: Vec<(&str, Vec<&str>, actix_web::Resource)> = Vec::new();
    for (path, (method, route)) in routes {
        match resources.iter().position(|(known, ..)| *known == path) {
            Some(place) => {
                let (path, mut methods, resource) = resources.swap_remove(place);
                methods.push(method);
                resources.push((path, methods, resource.route(route)));
            }
            None => resources.push((path, vec![method], web::resource(path).route(route))),
        }
    }
    resources.sort_by_key(|(path, ..)| path.contains('{'));
    for (_, methods, resource) in resources {
        let allowed = methods.join(", ");
        let refuse = move |request| std::future::ready(wrong_method(&request, &allowed));
        app.service(resource.default_service(web::to(refuse)));
    }
}

/// 404 for everything that is no route.
pub(super) async fn no_such_route(request: HttpRequest) -> ApiResult {
    let path = super::fields::printable(request.path());
    Err(ApiError::new(Code::NotFound, format!("`{} {path}` is no route", request.method())))
}

fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let detail = format!("`{}` is not for this path; use {allowed}", request.method());
    let mut response = ApiError::new(Code::MethodNotAllowed, detail).error_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

fn get<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    ("GET", web::get().to(handler))
}

/// What is asked with HEAD too: by load balancers, and before a download.
fn probe<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let either = guard::Any(guard::Get()).or(guard::Head());
    ("GET, HEAD", web::route().guard(either).to(handler))
}

fn post<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    ("POST", web::post().to(handler))
}

fn delete<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    ("DELETE", web::delete().to(handler))
}
