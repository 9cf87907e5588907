//! Who may read. On loopback whoever is on this host, but no page of another site: neither by a name
//! that leads here (DNS rebinding) nor by a request across sites. Elsewhere whoever has the token.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Form,
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

use super::{Dashboard, assets, attempts::Attempts, connections::Peer};

/// Of a session; ends with the browser, and with this process.
const COOKIE: &str = "redirector";

/// A secret of at least [`Token::SHORTEST`] bytes.
#[derive(Clone)]
pub struct Token(String);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token has {0} characters; take {least} or more, for example from `openssl rand -hex 32`", least = Token::SHORTEST)]
    Short(usize),
    #[error("the token has characters that HTTP does not carry; letters and digits always work")]
    Characters,
    #[error("cannot read the token from {path}")]
    Unreadable { path: String, source: io::Error },
    #[error("cannot get random bytes from the kernel")]
    Random(#[source] io::Error),
}

pub struct Access {
    token: Option<Token>,
    /// What a browser holds instead of the token.
    session: Token,
    attempts: Attempts,
}

pub enum Refusal {
    OtherHost,
    OtherSite,
    NoToken,
    ToLogin,
    TooOften(Duration),
}

impl Token {
    pub const SHORTEST: usize = 16;

    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() < Self::SHORTEST {
            return Err(TokenError::Short(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = fs::read_to_string(path).map_err(|source| TokenError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Self::new(&text)
    }

    fn random() -> Result<Self, TokenError> {
        use io::Read;
        let mut bytes = [0; 32];
        fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut bytes))
            .map_err(TokenError::Random)?;
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// In a time that tells nothing about how much of it is right.
    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Access {
    /// Without a token only names of this host's loopback lead in.
    pub fn new(token: Option<Token>) -> Result<Self, TokenError> {
        let session = Token::random()?;
        Ok(Self {
            token,
            session,
            attempts: Attempts::default(),
        })
    }

    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        let path = request.uri().path();
        let headers = request.headers();
        if is_of_another_site(headers) {
            return Err(Refusal::OtherSite);
        }
        let Some(token) = &self.token else {
            return if names_loopback(request) {
                Ok(())
            } else {
                Err(Refusal::OtherHost)
            };
        };
        let is_public = assets::is_public(path) || ["/login", "/healthz"].contains(&path);
        if is_public || self.knows(token, headers, request.extensions())? {
            Ok(())
        } else if path == "/" {
            Err(Refusal::ToLogin)
        } else {
            Err(Refusal::NoToken)
        }
    }

    fn knows(
        &self,
        token: &Token,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<bool, Refusal> {
        // Nobody guesses 32 random bytes, and whoever has them is not kept out.
        if cookie(headers).is_some_and(|given| self.session.is(given)) {
            return Ok(true);
        }
        let given = text(headers, header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        given.map_or(Ok(false), |(_, given)| self.is(token, given, extensions))
    }

    fn is(&self, token: &Token, given: &str, extensions: &Extensions) -> Result<bool, Refusal> {
        let peer = extensions.get().copied();
        let Peer(from) = peer.unwrap_or(Peer(Ipv4Addr::UNSPECIFIED.into()));
        self.attempts
            .attempt(from, Instant::now(), || token.is(given.trim()))
            .map_err(Refusal::TooOften)
    }
}

#[derive(serde::Deserialize)]
pub struct Login {
    token: String,
}

pub async fn form() -> Html<String> {
    Html(page(""))
}

pub async fn login(
    State(dashboard): State<Arc<Dashboard>>,
    extensions: Extensions,
    Form(login): Form<Login>,
) -> Response {
    let access = &dashboard.access;
    let answer = match &access.token {
        Some(token) => access.is(token, &login.token, &extensions),
        None => Ok(true),
    };
    match answer {
        Ok(true) => {}
        Ok(false) => {
            let again = "<p role=\"alert\">That is not the token.</p>";
            return (StatusCode::UNAUTHORIZED, Html(page(again))).into_response();
        }
        Err(refusal) => return refusal.into_response(),
    }
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict",
        access.session.0
    );
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn page(note: &str) -> String {
    include_str!("../../assets/dashboard/login.html").replace("<!-- note -->", note)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::OtherHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "reach the dashboard as localhost, 127.0.0.1 or [::1]; by another name it wants a token\n",
            )
                .into_response(),
            Self::OtherSite => {
                (StatusCode::FORBIDDEN, "not for pages of other sites\n").into_response()
            }
            Self::TooOften(rest) => {
                let seconds = rest.as_secs() + 1;
                let words = format!(
                    "too many wrong tokens from your address; try again in {seconds} seconds\n"
                );
                let after = [(header::RETRY_AFTER, seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, after, words).into_response()
            }
            Self::ToLogin => Redirect::to("/login").into_response(),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Bearer")],
                "this wants the token: `Authorization: Bearer TOKEN`, or log in at /login\n",
            )
                .into_response(),
        }
    }
}

/// Browsers say so (Fetch Metadata); following a link is no harm.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    let is_elsewhere = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    is_elsewhere && !is("sec-fetch-mode", "navigate")
}

fn names_loopback(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    named.is_some_and(is_loopback)
}

/// `HOST[:PORT]`; the port may be that of a tunnel.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || address
            .unwrap_or(host)
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = text(headers, header::COOKIE)?.split(';');
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
