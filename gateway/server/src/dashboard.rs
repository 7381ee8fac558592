//! The dashboard's files, embedded when the binary was built, and its pages: every path that is no file and no API is
//! the dashboard's to draw.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::{AppState, rescue};

/// Name and bytes of every file, sorted by name; empty when the dashboard was not built.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// Only our own scripts and styles run, and only our own addresses are called.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'self'";

/// Paths that are never pages, so that a mistyped API call gets an error a program can read.
const NOT_PAGES: &[&str] = &["/v1", "/backend-api", "/api", "/metrics", "/health", "/ready", "/assets"];

/// What is shown when the binary was built without the dashboard.
const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Switchyard</title>\
    <p>This binary was built without its dashboard. Build it with <code>cargo xtask build</code>; the API works all \
    the same.";

/// Serves a file, a page, or the error for a path that is neither.
pub(crate) async fn page_or_unknown(state: AppState, request: Request) -> Response {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return rescue::unknown_route(&state, &request);
    }
    if let Some(file) = find(path.trim_start_matches('/')).filter(|_| path != "/") {
        return respond(file, request.headers());
    }
    let is_api = NOT_PAGES
        .iter()
        .any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let wants_page = path == "/" || accepts(request.headers(), ACCEPT.as_str(), "text/html");
    if is_api || !wants_page {
        return rescue::unknown_route(&state, &request);
    }
    match find("index.html") {
        Some(index) => respond(index, request.headers()),
        None => page(StatusCode::OK, Body::from(NOT_BUILT)),
    }
}

struct File {
    name: &'static str,
    plain: &'static [u8],
}

fn lookup(name: &str) -> Option<&'static [u8]> {
    FILES
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()
        .and_then(|at| FILES.get(at))
        .map(|(_, bytes)| *bytes)
}

fn find(name: &str) -> Option<File> {
    let at = FILES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    let (name, plain) = *FILES.get(at)?;
    // The compressed siblings are not addresses of their own.
    let is_sibling =
        name.rsplit_once('.').is_some_and(|(stem, end)| matches!(end, "br" | "gz") && lookup(stem).is_some());
    (!is_sibling).then_some(File { name, plain })
}

fn respond(file: File, asked: &HeaderMap) -> Response {
    let compressed = ["br", "gz"].into_iter().find_map(|end| {
        let coding = if end == "gz" { "gzip" } else { end };
        let bytes = lookup(&format!("{}.{end}", file.name))
            .filter(|_| accepts(asked, ACCEPT_ENCODING.as_str(), coding))?;
        Some((coding, bytes))
    });
    let (coding, bytes) = compressed.map_or((None, file.plain), |(coding, bytes)| (Some(coding), bytes));
    let mut response = page(StatusCode::OK, Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(file.name)));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    // Names carry a hash of their content; only the page that names them may change.
    if file.name != "index.html" && file.name.contains('-') {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    response
}

fn page(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn accepts(headers: &HeaderMap, name: &str, token: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(
        |item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(token));
            named && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        },
    )
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        // Without this type browsers do not compile while they load.
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
