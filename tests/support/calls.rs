//! Requests as the gateway sends them (host contract 3.3).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use latchkey::pb::full::plugin::{AuthRequest, PluginContext, PluginRequest};

/// Text in a header and in a body that no log line may repeat.
pub const HEADER_CANARY: &str = "Qx7hVt2LmZr9sWpK4n";
pub const BODY_CANARY: &str = "Ub3eYd8GcJf6oTzA1k";

static REQUESTS: AtomicU64 = AtomicU64::new(1);

pub fn slug(llm: u32) -> String {
    format!("llm-{llm}")
}

/// The context of a new request.
pub fn context(llm: u32) -> PluginContext {
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    PluginContext {
        request_id: format!("req_{number:019}"),
        llm_id: llm,
        llm_slug: slug(llm),
        ..PluginContext::default()
    }
}

pub fn body() -> Vec<u8> {
    format!(r#"{{"model":"any","messages":[{{"role":"user","content":"{BODY_CANARY}"}}]}}"#).into_bytes()
}

pub fn request(headers: &[(&str, &str)], body: Vec<u8>, context: PluginContext) -> PluginRequest {
    let mut all: HashMap<String, String> =
        [("Content-Type", "application/json"), ("User-Agent", "conformance/1"), ("X-Note", HEADER_CANARY)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    PluginRequest {
        method: "POST".to_owned(),
        path: format!("/llm/rest/{}/v1/messages", slug(context.llm_id)),
        headers: all,
        body,
        context: Some(context),
        remote_addr: "203.0.113.7:40312".to_owned(),
    }
}

/// The whole message of one `Authenticate` call.
pub fn auth_request(credential: &str, llm: u32, body: Vec<u8>) -> AuthRequest {
    let context = context(llm);
    let bearer = format!("Bearer {credential}");
    AuthRequest {
        credential: credential.to_owned(),
        auth_type: "bearer".to_owned(),
        request: Some(request(&[("Authorization", &bearer)], body, context.clone())),
        context: Some(context),
    }
}

/// A number as the hosts print it into settings (Go's `%v` of a float64; host contract 2.1, hazard H13).
pub fn go_float(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..6).contains(&exponent) || value == 0.0 {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[test]
fn numbers_print_as_in_go() {
    for (value, text) in [
        (999_999.0, "999999"),
        (1_000_000.0, "1e+06"),
        (21_600_000.0, "2.16e+07"),
        (123_456_789.0, "1.23456789e+08"),
        (0.5, "0.5"),
        (0.0, "0"),
        (0.000_01, "1e-05"),
    ] {
        assert_eq!(go_float(value), text);
    }
}
