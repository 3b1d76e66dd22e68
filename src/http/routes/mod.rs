//! The route table.

mod files;
mod miners;
mod network;
mod ops;
mod pull;
mod reports;
mod responses;
mod submit;
mod tasks;
mod validators;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig, delete, get, post};

use super::error::{ApiError, ApiResult, Code};

/// Every route, on one screen. Literal paths stand before patterns that would match them too.
pub(super) fn table(app: &mut ServiceConfig) {
    let routes: [(&str, actix_web::Route); 47] = [
        // Operators
        ("/livez", get().to(ops::livez)),
        ("/readyz", get().to(ops::readyz)),
        ("/metrics", get().to(ops::metrics)),
        ("/api/v1/health", get().to(ops::health)),
        ("/api/v1/identity", get().to(ops::identity)),
        ("/api/v1/admin/keys", get().to(ops::list_keys)),
        ("/api/v1/admin/keys", post().to(ops::create_key)),
        ("/api/v1/admin/keys/{id}", delete().to(ops::revoke_key)),
        // Clients
        ("/api/v1/transcription", post().to(submit::transcription)),
        ("/api/v1/tts", post().to(submit::tts)),
        ("/api/v1/summarization", post().to(submit::summarization)),
        ("/api/v1/video-transcription", post().to(submit::video_transcription)),
        ("/api/v1/text-translation", post().to(submit::text_translation)),
        ("/api/v1/document-translation", post().to(submit::document_translation)),
        ("/api/v1/tasks", get().to(tasks::list)),
        ("/api/v1/tasks/completed", get().to(validators::completed)),
        ("/api/v1/tasks/{id}", get().to(tasks::show)),
        ("/api/v1/tasks/{id}", delete().to(tasks::cancel)),
        ("/api/v1/task/{id}/status", get().to(tasks::status)),
        ("/api/v1/task/{id}/responses", get().to(tasks::responses)),
        ("/api/v1/files", post().to(files::upload)),
        ("/api/v1/files/{id}", get().to(files::show)),
        ("/api/v1/files/{id}/download", get().to(files::download)),
        // Miners
        ("/api/v1/miner/response", post().to(responses::respond)),
        ("/api/v1/miner/files", post().to(files::upload_result)),
        ("/api/v1/miner/tts/upload-audio", post().to(files::upload_speech)),
        ("/api/v1/miner/tasks/{id}/heartbeat", post().to(responses::heartbeat)),
        ("/api/v1/miner/tasks/{id}/release", post().to(responses::release)),
        ("/api/v1/miner/{kind}/{id}", get().to(miners::content)),
        ("/api/v1/miners", get().to(network::network_status)),
        ("/api/v1/miners/network-status", get().to(network::network_status)),
        ("/api/v1/miners/{uid}/tasks", get().to(miners::poll)),
        ("/api/v1/miners/{uid}/view", get().to(miners::view)),
        ("/api/v1/miners/{uid}/consensus", get().to(network::consensus)),
        ("/api/v1/miners/{uid}/consensus/explain", get().to(network::explain)),
        // Validators
        ("/api/v1/validators", get().to(network::validators)),
        ("/api/v1/validators/miner-status", post().to(reports::take)),
        ("/api/v1/validators/consensus-stats", get().to(network::consensus_stats)),
        ("/api/v1/validators/mark-task-seen", post().to(validators::mark_seen)),
        ("/api/v1/validators/{hotkey}", get().to(network::validator)),
        ("/api/v1/validator/integration", get().to(pull::integration)),
        ("/api/v1/validator/distribute", post().to(pull::distribute)),
        ("/api/v1/validator/tasks", get().to(validators::tasks)),
        ("/api/v1/validator/evaluation", post().to(validators::evaluate)),
        ("/api/v1/validator/{uid}/evaluated_tasks", get().to(validators::evaluated)),
        ("/api/v1/kinds", get().to(network::kinds)),
        // Last, since its first part is a pattern.
        ("/api/v1/{kind}/{id}/result", get().to(tasks::result)),
    ];
    // Methods of one path share one resource, so that the others get 405.
    let mut resources: Vec<(&str, actix_web::Resource)> = Vec::new();
    for (path, route) in routes {
        match resources.iter().position(|(known, _)| *known == path) {
            Some(place) => {
                let (path, resource) = resources.swap_remove(place);
                resources.push((path, resource.route(route)));
            }
            None => resources.push((path, web::resource(path).route(route))),
        }
    }
    resources.sort_by_key(|(path, _)| path.contains('{'));
    for (_, resource) in resources {
        app.service(resource.default_service(web::to(wrong_method)));
    }
}

/// 404 for everything that is no route.
pub(super) async fn no_such_route(request: HttpRequest) -> ApiResult {
    let path = super::fields::printable(request.path());
    Err(ApiError::new(Code::NotFound, format!("`{} {path}` is no route", request.method())))
}

async fn wrong_method(request: HttpRequest) -> ApiResult {
    let method = request.method();
    let hint = if *method == Method::GET { "POST" } else { "another method" };
    let detail = format!("`{method}` is not for this path; try {hint}");
    Err(ApiError::new(Code::MethodNotAllowed, detail))
}
