//! One GET request: timeouts on every wait, redirects followed by hand, the token sent to one host only.

use std::io::Read;

use ureq::http::Uri;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, HeaderMap, LOCATION, RANGE};
use ureq::{Agent, Body};

use crate::{HubConfig, HubError, Proxy, Token};

const MAX_REDIRECTS: usize = 5;

/// Why a request brought no success: whether trying again can help decides what the caller does.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No answer, a broken one, or one that says "later".
    Transient(String),
    /// There is no host of this name, and soon asked again there is none either.
    NoHost,
    /// An answer that stays the same.
    Status { status: u16, with_token: bool },
    /// A redirect to where this program does not go.
    Redirect(String),
}

/// A successful answer: 200 or 206.
pub(crate) struct Answer {
    pub status: u16,
    headers: HeaderMap,
    body: Body,
}

impl Answer {
    /// First byte and total of `Content-Range: bytes 5-9/10`.
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let value = self.headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (span, total) = value.strip_prefix("bytes ")?.split_once('/')?;
        Some((span.split_once('-')?.0.parse().ok()?, total.parse().ok()))
    }

    pub fn into_reader(self) -> impl Read {
        self.body.into_reader()
    }
}

pub(crate) struct Client {
    agent: Agent,
    token: Option<Token>,
    token_origin: String,
}

impl Client {
    pub fn new(config: &HubConfig, token_origin: &str) -> Result<Self, HubError> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(config.user_agent.clone())
            // Given, never taken from the environment: that is the binary's to read.
            .proxy(config.proxy.as_ref().map(proxy).transpose()?)
            .timeout_resolve(Some(config.timeouts.connect))
            .timeout_connect(Some(config.timeouts.connect))
            .timeout_recv_response(Some(config.timeouts.response))
            .timeout_per_read(Some(config.timeouts.idle))
            .timeout_per_write(Some(config.timeouts.idle))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            token: config.token.clone(),
            token_origin: token_origin.into(),
        })
    }

    /// Requests `url`, from byte `from` on when that is not 0.
    pub fn get(&self, url: &str, from: u64) -> Result<Answer, Failure> {
        let mut uri = check(url).map_err(Failure::Redirect)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&uri).header(ACCEPT_ENCODING, "identity");
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let token = self.token.as_ref().filter(|_| origin(&uri) == self.token_origin);
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
            let with_token = token.is_some();
            let answer = request.call().map_err(|error| match error {
                ureq::Error::HostNotFound => Failure::NoHost,
                other => Failure::Transient(reason(&other)),
            })?;
            let status = answer.status().as_u16();
            let (head, body) = answer.into_parts();
            match status {
                200 | 206 => {
                    return Ok(Answer {
                        status,
                        headers: head.headers,
                        body,
                    });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to = head
                        .headers
                        .get(LOCATION)
                        .and_then(|v| v.to_str().ok())
                        .unwrap_or_default();
                    uri = follow(&uri, to).map_err(Failure::Redirect)?;
                }
                408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                    return Err(Failure::Transient(format!("HTTP {status}")));
                }
                _ => return Err(Failure::Status { status, with_token }),
            }
        }
        Err(Failure::Redirect(format!("more than {MAX_REDIRECTS} redirects")))
    }
}

/// A URL as it may be printed: without the user name and password before its host, and without its query, which may be signed.
pub(crate) fn shown(url: &str) -> String {
    let start = url.find("//").map_or(0, |at| at + 2);
    let (scheme, rest) = url.split_at(start);
    // A password that is not encoded may hold any character: everything before the last `@` goes.
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => rest.to_owned(),
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    format!("{scheme}{}", &rest[..end])
}

/// A URL this program may request: http or https, with a host, without a user name in it.
pub(crate) fn check(url: &str) -> Result<Uri, String> {
    let uri: Uri = url
        .parse()
        .map_err(|_| format!("`{}` is not a URL", shown(url)))?;
    let authority = uri
        .authority()
        .ok_or_else(|| format!("`{}` has no host", shown(url)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("`{}` is not http or https", shown(url)));
    }
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err("user names in URLs are not allowed".into());
    }
    Ok(uri)
}

/// Where a `Location` leads. The same parser reads the address here and when connecting.
fn follow(from: &Uri, location: &str) -> Result<Uri, String> {
    let to = if location.starts_with("//") {
        format!("{}:{location}", from.scheme_str().unwrap_or("https"))
    } else if location.starts_with('/') {
        format!("{}{location}", origin(from))
    } else {
        location.to_owned()
    };
    let to = check(&to)?;
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err(format!("from https to plain http at {}", origin(&to)));
    }
    Ok(to)
}

/// Scheme, host and port in one spelling: what two addresses must share to be the same party.
pub(crate) fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("").to_ascii_lowercase();
    let host = uri.host().unwrap_or("").to_ascii_lowercase();
    match (uri.port_u16(), scheme.as_str()) {
        (None, _) | (Some(443), "https") | (Some(80), "http") => format!("{scheme}://{host}"),
        (Some(port), _) => format!("{scheme}://{host}:{port}"),
    }
}

fn proxy(given: &Proxy) -> Result<ureq::Proxy, HubError> {
    let parsed = ureq::Proxy::new(&given.url).map_err(|_| HubError::BadProxy)?;
    let mut builder = ureq::Proxy::builder(parsed.protocol())
        .host(parsed.host())
        .port(parsed.port());
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in &given.bypass {
        builder = builder.no_proxy(host);
    }
    builder.build().map_err(|_| HubError::BadProxy)
}

/// A short sentence for the failures users meet; the library's own text for the rest.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::ConnectionFailed => "the connection was refused".into(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::BadUri(_) => "the address is not a URL".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TOKEN_ORIGIN;

    #[test]
    fn redirects() {
        let from = check("https://huggingface.co/a/b").unwrap();
        let cases = [
            ("/c", Ok("https://huggingface.co/c")),
            ("https://cdn.example/x?y=1", Ok("https://cdn.example/x?y=1")),
            ("//cdn.example/x", Ok("https://cdn.example/x")),
            ("http://cdn.example/x", Err(())),
            ("https://user@cdn.example/x", Err(())),
            ("file:///etc/passwd", Err(())),
            ("c", Err(())),
            ("", Err(())),
        ];
        for (location, expected) in cases {
            let found = follow(&from, location).map(|uri| uri.to_string()).map_err(|_| ());
            assert_eq!(found, expected.map(str::to_owned), "{location}");
        }
    }

    #[test]
    fn what_is_secret_in_a_url_is_not_shown() {
        for (url, expected) in [
            ("https://hub.example/a", "https://hub.example/a"),
            (
                "https://me:secret@hub.example/a?sig=secret",
                "https://***@hub.example/a",
            ),
            ("ftp://me:sec/r#e?t@secret@hub", "ftp://***@hub"),
            ("me:secret@hub", "***@hub"),
            ("", ""),
        ] {
            assert_eq!(shown(url), expected);
            if let Err(reason) = check(url) {
                assert!(!reason.contains("secret"), "{reason}");
            }
        }
    }

    #[test]
    fn only_the_official_host_over_https_has_the_token_s_origin() {
        let cases = [
            ("https://huggingface.co/api", true),
            ("https://HuggingFace.co:443/api", true),
            ("http://huggingface.co/api", false),
            ("https://huggingface.co:8443/api", false),
            ("https://huggingface.co.example/api", false),
            ("https://cdn.huggingface.co/api", false),
            ("https://hf-mirror.com/api", false),
        ];
        for (url, expected) in cases {
            assert_eq!(origin(&check(url).unwrap()) == TOKEN_ORIGIN, expected, "{url}");
        }
    }
}
