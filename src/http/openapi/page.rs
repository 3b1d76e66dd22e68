//! The document as a page for people: made here, so that it can be read without scripts and needs
//! nothing from anywhere else. Its one script searches.

use std::fmt::Write;

use base64::Engine;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, and the policy that lets its script and its style run and nothing else.
pub(super) fn page(document: &Value) -> (String, String) {
    let hash = |text: &str| {
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        format!("'sha256-{digest}'")
    };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    );
    let title = escape(&format!("{} {}", text(document, "/info/title"), version(document)));
    let (mut links, mut sections) = (String::new(), String::new());
    for tag in items(document, "/tags") {
        let (name, about) = (text(tag, "/name"), text(tag, "/description"));
        let anchor = anchor(name);
        put(&mut links, format_args!("<a href=\"#{anchor}\">{}</a>", escape(name)));
        let (name, about) = (escape(name), escape(about));
        let head = format_args!("<section id=\"{anchor}\"><h2>{name}</h2><p>{about}</p>");
        put(&mut sections, head);
        routes(&mut sections, document, text(tag, "/name"));
        sections.push_str("</section>");
    }
    schemas(&mut sections, document);
    let about = paragraphs(text(document, "/info/description"));
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><nav>\
         <input id=\"search\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\">{links}\
         <a href=\"#schemas\">Schemas</a><a href=\"/openapi.json\">openapi.json</a></nav>\
         <main><h1>{title}</h1>{about}{sections}</main><script>{SCRIPT}</script></body></html>"
    );
    (html, policy)
}

fn version(document: &Value) -> &str {
    text(document, "/info/version")
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn fields<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Writing into a text cannot fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).ok();
}

/// Text between backticks is code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let shown = parts.map(|(place, part)| match place % 2 {
        1 => format!("<code>{}</code>", escape(part)),
        _ => escape(part),
    });
    shown.collect()
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|text| format!("<p>{}</p>", inline(text))).collect()
}

fn routes(out: &mut String, document: &Value, tag: &str) {
    for (path, methods) in fields(document, "/paths") {
        for (method, operation) in methods.as_object().into_iter().flat_map(Map::iter) {
            if text(operation, "/tags/0") == tag {
                route(out, document, path, method, operation);
            }
        }
    }
}

fn route(out: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let (id, summary) = (text(operation, "/operationId"), text(operation, "/summary"));
    let about = text(operation, "/description");
    let found = escape(&format!("{method} {path} {summary} {about}").to_lowercase());
    let (summary, who) = (inline(summary), escape(text(operation, "/x-callers")));
    put(
        out,
        format_args!(
            "<details class=\"route\" id=\"{}\" data-text=\"{found}\"><summary>\
             <span class=\"who\">{who}</span><span class=\"method {method}\">{}</span>\
             <code>{}</code> {summary}</summary><div>{}",
            escape(id),
            method.to_ascii_uppercase(),
            escape(path),
            paragraphs(about),
        ),
    );
    parameters(out, items(operation, "/parameters"));
    for (media, content) in fields(operation, "/requestBody/content") {
        put(out, format_args!("<h4>Body, <code>{}</code></h4>", escape(media)));
        schema(out, &content["schema"]);
    }
    out.push_str("<h4>Answers</h4><table>");
    for (status, response) in fields(operation, "/responses") {
        let pointer = text(response, "/$ref").trim_start_matches('#');
        let meant = document.pointer(pointer).filter(|_| !pointer.is_empty()).unwrap_or(response);
        let own = text(response, "/description");
        let what = if own.is_empty() { text(meant, "/description") } else { own };
        put(out, format_args!("<tr><td><code>{status}</code></td><td>{}", inline(what)));
        if pointer.is_empty() {
            for (media, content) in fields(response, "/content") {
                put(out, format_args!("<br><code>{}</code>", escape(media)));
                schema(out, &content["schema"]);
            }
        }
        out.push_str("</td></tr>");
    }
    out.push_str("</table></div></details>");
}

fn parameters(out: &mut String, parameters: &[Value]) {
    if parameters.is_empty() {
        return;
    }
    out.push_str("<h4>Parameters</h4><table>");
    for parameter in parameters {
        let (name, place) = (escape(text(parameter, "/name")), text(parameter, "/in"));
        let what = inline(text(parameter, "/schema/description"));
        let form = inline(&form(&parameter["schema"]));
        let row = format!("<td><code>{name}</code></td><td>{place}</td><td>{form}</td>");
        put(out, format_args!("<tr>{row}<td>{what}</td></tr>"));
    }
    out.push_str("</table>");
}

/// What a value may be, in a few words.
fn form(schema: &Value) -> String {
    if let Some(to) = schema["$ref"].as_str() {
        return to.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(form).collect::<Vec<_>>().join(" or ");
    }
    let mut words = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    if let Some(all) = schema["enum"].as_array() {
        let all: Vec<_> =
            all.iter().map(|one| format!("`{}`", one.as_str().unwrap_or("null"))).collect();
        words = all.join(", ");
    }
    for (key, word) in [
        ("const", "always"),
        ("format", "format"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("minLength", "at least"),
        ("maxLength", "at most"),
        ("maxItems", "at most"),
        ("pattern", "like"),
    ] {
        if let Some(value) = schema.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words = format!("{words}, {word} `{value}`");
        }
    }
    if schema["type"] == "array" {
        words = format!("{words} of {}", form(&schema["items"]));
    }
    words
}

/// An object as a table of its fields, anything else in a few words.
fn schema(out: &mut String, schema: &Value) {
    let inner = if schema["type"] == "array" { &schema["items"] } else { schema };
    let Some(fields) = inner["properties"].as_object() else {
        let name = form(inner);
        let known = inner["$ref"].as_str().is_some();
        let shown = if known {
            format!("<a href=\"#schema-{0}\">{0}</a>", escape(&name))
        } else {
            inline(&form(schema))
        };
        let list = if schema["type"] == "array" && known { "a list of " } else { "" };
        return put(out, format_args!("<p>{list}{shown}</p>"));
    };
    let needed = items(inner, "/required");
    out.push_str("<table>");
    for (name, field) in fields {
        let star = if needed.iter().any(|one| one == name.as_str()) { "" } else { "?" };
        let what = inline(field["description"].as_str().unwrap_or_default());
        let shown = inline(&form(field));
        let row = format!("<td><code>{}</code>{star}</td><td>{shown}</td>", escape(name));
        put(out, format_args!("<tr>{row}<td>{what}</td></tr>"));
        let nested = if field["type"] == "array" { &field["items"] } else { field };
        if nested["properties"].is_object() {
            out.push_str("<tr><td></td><td colspan=\"2\">");
            self::schema(out, nested);
            out.push_str("</td></tr>");
        }
    }
    out.push_str("</table>");
}

fn schemas(out: &mut String, document: &Value) {
    out.push_str("<section id=\"schemas\"><h2>Schemas</h2>");
    for (name, of) in fields(document, "/components/schemas") {
        let name = escape(name);
        put(
            out,
            format_args!(
                "<details class=\"route\" id=\"schema-{name}\" data-text=\"{}\"><summary>\
                 <code>{name}</code></summary><div>",
                name.to_lowercase(),
            ),
        );
        schema(out, of);
        out.push_str("</div></details>");
    }
    out.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_shown_as_text() {
        let document = serde_json::json!({
            "info": { "title": "<b>&\"'", "description": "`<i>` & <u>\n\nmore" },
            "tags": [{ "name": "<t>", "description": "<d>" }],
            "paths": { "/<p>": { "get": {
                "operationId": "\"><x>", "tags": ["<t>"], "summary": "<s>",
                "responses": { "200": { "description": "<r>", "content": { "<m>": {
                    "schema": { "properties": { "<f>": { "type": "string", "enum": ["<e>"] } } },
                }}}},
            }}},
        });
        let (html, _) = page(&document);
        for bad in [
            "<b>", "<i>", "<u>", "<t>", "<d>", "<p>/", "/<p>", "<x>", "<s>", "<r>", "<m>", "<f>",
            "<e>",
        ] {
            assert!(!html.contains(bad), "{bad} is markup");
        }
        assert!(html.contains("<code>&lt;i&gt;</code> &amp; &lt;u&gt;</p><p>more"));
    }
}
