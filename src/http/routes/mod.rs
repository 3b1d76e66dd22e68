//! The route table.

mod any;
mod audit;
mod chain;
mod docs;
mod events;
mod files;
mod keys;
mod miners;
mod network;
mod on_chain;
mod openai;
mod ops;
mod performance;
mod pull;
mod quarantine;
mod reports;
mod responses;
mod roles;
mod scores;
mod standing;
mod submissions;
mod submit;
mod tasks;
mod validators;
mod voices;
mod webhooks;
mod weights;

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError, Route, guard,
};

use super::error::{ApiError, ApiResult, Code};
use super::openapi::{About, Argument, Signature};

/// One route.
pub(super) struct Entry {
    pub(super) path: &'static str,
    /// Its methods, with commas between.
    pub(super) methods: &'static str,
    /// Its handler, as `module::name`.
    pub(super) name: &'static str,
    /// What the handler's arguments say of it.
    pub(super) signature: Signature,
    /// What it does.
    pub(super) about: About,
    route: Route,
}

/// `method "path" module::name;` makes an entry of the handler `module::name` and of the
/// documentation [`openapi::module::name`](super::openapi), which must be there.
macro_rules! table {
    ($($method:ident $path:literal $module:ident::$name:ident;)*) => {
        vec![$({
            let (methods, route, signature) = $method($module::$name);
            let name = concat!(stringify!($module), "::", stringify!($name));
            let about: About = super::openapi::$module::$name;
            Entry { path: $path, methods, name, signature, about, route }
        },)*]
    };
}

const WORK_OF_A_MINER: &str = "/api/v1/miners/{uid}/tasks";

/// Every route. Literal paths stand before patterns that would match them too.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "the one list of routes, a line for each")]
pub(super) fn entries() -> Vec<Entry> {
    table! {
        // Operators
        probe "/livez" ops::livez;
        probe "/readyz" ops::readyz;
        get "/metrics" ops::metrics;
        get "/api/v1/health" ops::health;
        get "/api/v1/identity" ops::identity;
        get "/openapi.json" docs::openapi;
        get "/docs" docs::page;
        post "/api/v1/admin/drain" ops::drain;
        get "/api/v1/admin/config" ops::config;
        get "/api/v1/admin/keys" keys::list;
        post "/api/v1/admin/keys" keys::create;
        get "/api/v1/admin/keys/{id}" keys::show;
        patch "/api/v1/admin/keys/{id}" keys::update;
        delete "/api/v1/admin/keys/{id}" keys::revoke;
        post "/api/v1/admin/keys/{id}/rotate" keys::rotate;
        get "/api/v1/admin/audit" audit::list;
        get "/api/v1/admin/roles" roles::list;
        get "/api/v1/admin/quarantine" quarantine::list;
        post "/api/v1/admin/quarantine/{hotkey}" quarantine::put;
        delete "/api/v1/admin/quarantine/{hotkey}" quarantine::lift;
        // Clients
        post "/api/v1/transcription" submit::transcription;
        post "/api/v1/tts" submit::tts;
        post "/api/v1/summarization" submit::summarization;
        post "/api/v1/video-transcription" submit::video_transcription;
        post "/api/v1/text-translation" submit::text_translation;
        post "/api/v1/document-translation" submit::document_translation;
        get "/api/v1/tasks" tasks::list;
        post "/api/v1/tasks" any::one;
        post "/api/v1/tasks/batch" any::batch;
        get "/api/v1/tasks/completed" validators::completed;
        get "/api/v1/tasks/{id}" tasks::show;
        delete "/api/v1/tasks/{id}" tasks::cancel;
        post "/api/v1/tasks/{id}/retry" tasks::retry;
        get "/api/v1/tasks/{id}/events" events::events;
        get "/api/v1/task/{id}/status" tasks::status;
        get "/api/v1/task/{id}/responses" tasks::responses;
        get "/api/v1/usage" standing::usage;
        post "/api/v1/files" files::upload;
        get "/api/v1/files/{id}" files::show;
        probe "/api/v1/files/{id}/download" files::download;
        get "/api/v1/voices" voices::list;
        post "/api/v1/voices" voices::create;
        get "/api/v1/voices/{id}" voices::one;
        delete "/api/v1/voices/{id}" voices::remove;
        get "/api/v1/webhooks" webhooks::list;
        post "/api/v1/webhooks" webhooks::create;
        get "/api/v1/webhooks/callback-secret" webhooks::callback_secret;
        get "/api/v1/webhooks/{id}" webhooks::show;
        delete "/api/v1/webhooks/{id}" webhooks::delete;
        post "/api/v1/webhooks/{id}/rotate" webhooks::rotate;
        get "/api/v1/webhooks/{id}/deliveries" webhooks::deliveries;
        post "/api/v1/deliveries/{id}/redeliver" webhooks::redeliver;
        // Clients that speak OpenAI
        get "/v1/models" openai::models;
        get "/v1/models/{id}" openai::model;
        post "/v1/audio/transcriptions" openai::transcriptions;
        post "/v1/audio/speech" openai::speech;
        // Miners
        post "/api/v1/miner/response" responses::respond;
        post "/api/v1/miner/files" files::upload_result;
        post "/api/v1/miner/tts/upload-audio" files::upload_speech;
        post "/api/v1/miner/tasks/{id}/heartbeat" responses::heartbeat;
        post "/api/v1/miner/tasks/{id}/release" responses::release;
        get "/api/v1/miner/{kind}/{id}" miners::content;
        get "/api/v1/miners" network::miners;
        get "/api/v1/miners/network-status" network::network_status;
        get "/api/v1/miners/{uid}/tasks" miners::poll;
        get "/api/v1/miners/{uid}/view" miners::view;
        get "/api/v1/miners/{uid}/stats" network::miner_stats;
        get "/api/v1/miners/{uid}/consensus" network::consensus;
        get "/api/v1/miners/{uid}/consensus/explain" network::explain;
        // Validators
        get "/api/v1/validators" network::validators;
        post "/api/v1/validators/miner-status" reports::take;
        get "/api/v1/validators/consensus-stats" network::consensus_stats;
        post "/api/v1/validators/mark-task-seen" validators::mark_seen;
        get "/api/v1/validators/{hotkey}" network::validator;
        get "/api/v1/validator/integration" pull::integration;
        post "/api/v1/validator/distribute" pull::distribute;
        get "/api/v1/validator/tasks" validators::tasks;
        post "/api/v1/validator/evaluation" validators::evaluate;
        get "/api/v1/validator/{uid}/evaluated_tasks" validators::evaluated;
        post "/api/v1/scores" scores::push;
        get "/api/v1/chain/metagraph" chain::show;
        post "/api/v1/chain/metagraph" chain::put;
        get "/api/v1/weights/submissions" submissions::list;
        post "/api/v1/weights/submissions" submissions::put;
        get "/api/v1/kinds" network::kinds;
        get "/api/v1/leaderboard" standing::leaderboard;
        get "/api/v1/weights/current" weights::current;
        get "/api/v1/weights/export" weights::export;
        get "/api/v1/weights/{uid}" weights::one;
        get "/api/v1/weights/{uid}/explain" weights::explain;
        get "/api/v1/performance-stats" performance::stats;
        // Last, since its first part is a pattern.
        get "/api/v1/{kind}/{id}/result" tasks::result;
    }
}

/// Puts every route into the application.
pub(super) fn table(app: &mut ServiceConfig) {
    // Methods of one path share one resource, so that the others get 405.
    let mut resources: Vec<(&str, Vec<&str>, actix_web::Resource)> = Vec::new();
    for Entry { path, methods: method, route, .. } in entries() {
        match resources.iter().position(|(known, ..)| *known == path) {
            Some(place) => {
                let (path, mut methods, resource) = resources.swap_remove(place);
                methods.push(method);
                resources.push((path, methods, resource.route(route)));
            }
            None => resources.push((path, vec![method], web::resource(path).route(route))),
        }
    }
    // Patterns are tried one after the other: the one that every miner asks all the time first.
    resources.sort_by_key(|(path, ..)| (path.contains('{'), *path != WORK_OF_A_MINER));
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

/// Methods, the route, and what its handler's arguments say.
type Verb = (&'static str, Route, Signature);

fn signature<Args: Argument>() -> Signature {
    let mut signature = Signature::default();
    Args::tell(&mut signature);
    signature
}

fn get<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + Argument + 'static,
    F::Output: Responder + 'static,
{
    ("GET", web::get().to(handler), signature::<Args>())
}

/// What is asked with HEAD too: by load balancers, and before a download.
fn probe<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + Argument + 'static,
    F::Output: Responder + 'static,
{
    let either = guard::Any(guard::Get()).or(guard::Head());
    ("GET, HEAD", web::route().guard(either).to(handler), signature::<Args>())
}

fn post<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + Argument + 'static,
    F::Output: Responder + 'static,
{
    ("POST", web::post().to(handler), signature::<Args>())
}

fn patch<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + Argument + 'static,
    F::Output: Responder + 'static,
{
    ("PATCH", web::patch().to(handler), signature::<Args>())
}

fn delete<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + Argument + 'static,
    F::Output: Responder + 'static,
{
    ("DELETE", web::delete().to(handler), signature::<Args>())
}
