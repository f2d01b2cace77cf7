//! Keeps the pages of the world from reading the admin listener through somebody's browser: a name under an attacker's
//! control may lead to 127.0.0.1 (DNS rebinding), but the browser still says in `Host` which name it was.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::refusal::refuse;

/// Lets through who asks by address or as `localhost`.
pub(super) async fn check_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_local) {
        return next.run(request).await;
    }
    let text = "ask by address or as localhost: other names may be led here by others";
    refuse(StatusCode::MISDIRECTED_REQUEST, text)
}

fn is_local(host: &str) -> bool {
    let Ok(uri) = host.parse::<Uri>() else { return false };
    let Some(name) = uri.host() else { return false };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_ours() {
        for host in ["127.0.0.1:8053", "127.0.0.1", "[::1]:8053", "192.0.2.1", "localhost:8053", "LOCALHOST"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8053", "localhost.evil.example", "", "a b", "[::1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
