//! Waldur's side: its name, the way to it, its clock, our login, our rights, its version.

use std::time::Duration;

use futures_util::future::join;
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;
use waldur_sdk::{
    Error, ErrorKind,
    backend::{Finding, Outcome},
    client::{
        AgentMode, CurrentUser, OfferingState, OrderQuery, OrderState, Permission, ResourceApiKeyQuery, ServerFeatures,
        WaldurClient,
    },
    process::OfferingContext,
    rest::TracingObserver,
    settings::{AgentSettings, OfferingSettings},
    types::CustomerUuid,
};

use super::PATIENCE;
use crate::site::Site;

/// From here on a clock is worth a warning: tokens and signatures live by it.
const NOTABLE_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What ends within this time is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What needs no network.
pub(super) fn local(settings: &AgentSettings, offering: &OfferingSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !offering.verify_ssl {
        let detail = "Waldur's certificate is not verified: anybody on the way can take the token";
        findings.push(warning("verify_ssl", detail).with_remedy("install its authority and remove verify_ssl: false"));
    }
    if offering.has_placeholder() {
        let detail = "waldur_offering_uuid is a placeholder of an example";
        findings.push(failed("settings", detail).with_remedy("write the UUID that Waldur shows for the offering"));
    }
    if settings.global_proxy.is_some() {
        findings.push(Finding::passed("proxy", "every request goes through global_proxy"));
    }
    findings
}

/// What the network tells, and the offering if it can be read.
pub(super) async fn findings(
    site: &Site,
    settings: &AgentSettings,
    offering: &OfferingSettings,
) -> (Vec<Finding>, Option<OfferingContext>) {
    let mut findings = vec![dns(settings, offering).await];
    let client = match site.waldur(settings, offering, AgentMode::Testing, TracingObserver) {
        Ok(client) => client.until(site.environment().instant().checked_add(PATIENCE)),
        Err(error) => {
            findings.push(failed("connection", format!("{error:#}")));
            return (findings, None);
        }
    };
    let reached = connection(&client, || site.environment().now()).await;
    let is_reached = reached.iter().all(|finding| finding.outcome != Outcome::Failed || finding.check != "connection");
    findings.extend(reached);
    if !is_reached {
        return (findings, None);
    }
    let me = client.users().me().await;
    findings.push(token(&me));
    if me.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthenticated) {
        return (findings, None);
    }
    findings.extend(version(&client, offering).await);
    let context = OfferingContext::load(&client, offering.offering_uuid, &offering.components).await;
    findings.push(readable(&context));
    let context = context.ok();
    if let (Ok(me), Some(context)) = (&me, &context) {
        findings.extend(rights(me, offering, context, site.environment().now()));
    }
    if let Some(context) = &context {
        findings.push(on_sale(context));
        findings.push(orders(&client, offering).await);
    }
    (findings, context)
}

async fn dns(settings: &AgentSettings, offering: &OfferingSettings) -> Finding {
    if settings.global_proxy.is_some() {
        return Finding::new("dns", Outcome::Skipped, "the proxy looks names up");
    }
    let uri = offering.api_url.to_string().parse::<http::Uri>().ok();
    let Some(host) = uri.as_ref().and_then(http::Uri::host) else {
        return failed("dns", "the URL has no host");
    };
    let bare = host.trim_matches(['[', ']']).to_owned();
    let found = tokio::time::timeout(Duration::from_secs(10), tokio::net::lookup_host((bare.as_str(), 0))).await;
    match found {
        Ok(Ok(addresses)) => match addresses.count() {
            0 => failed("dns", format!("{host} has no address")).with_remedy("check waldur_api_url and the resolver"),
            1 => Finding::passed("dns", format!("{host} has an address")),
            count => Finding::passed("dns", format!("{host} has {count} addresses")),
        },
        Ok(Err(cause)) => {
            failed("dns", format!("{host}: {cause}")).with_remedy("check waldur_api_url and the resolver")
        }
        Err(_) => failed("dns", format!("{host}: no answer in 10 s")).with_remedy("check the resolver"),
    }
}

/// The first exchange: connection, TLS, and by the way the server's clock.
async fn connection(client: &WaldurClient, now: impl Fn() -> Timestamp) -> Vec<Finding> {
    let scheme = if client.base().to_string().starts_with("https") { "TLS" } else { "plain http" };
    let passed = Finding::passed("connection", format!("Waldur answers over {scheme}"));
    let before = now();
    let call = client.rest().get("diagnose.me", "/api/users/me/", &[]).query("field", "uuid").secret_answer();
    match call.send_with_headers::<Value>().await {
        Ok((_, headers)) => [Some(passed), clock(&headers, before, now())].into_iter().flatten().collect(),
        // That it answered is all that counts here.
        Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::PermissionDenied) => vec![passed],
        Err(error) => {
            let finding = failed("connection", format!("{error:#}"));
            vec![match remedy(&error) {
                Some(remedy) => finding.with_remedy(remedy),
                None => finding,
            }]
        }
    }
}

/// The server's version, and what it lacks as far as reading tells.
async fn version(client: &WaldurClient, offering: &OfferingSettings) -> Vec<Finding> {
    let mut findings = vec![match client.detect().await.map(ServerFeatures::version) {
        Ok(Some(version)) => Finding::passed("version", format!("Waldur {version}")),
        Ok(None) => Finding::new("version", Outcome::Skipped, "this account is not told the version"),
        Err(error) => Finding::new("version", Outcome::Skipped, format!("{error:#}")),
    }];
    let identity = format!("agent-{}", offering.offering_uuid_text.trim());
    let keys = ResourceApiKeyQuery::offering(offering.offering_uuid);
    let keys = async { client.api_keys().list(&keys).next_page().await.map(drop) };
    let agents = client.agents();
    let identities = async { agents.find_identity(&identity).await.map(drop) };
    let (identities, keys) = join(identities, keys).await;
    for error in [identities, keys].iter().filter_map(|outcome| outcome.as_ref().err()) {
        client.features().note(error);
    }
    let missing = client.features().missing();
    findings.extend(
        missing.into_iter().map(|feature| {
            warning("features", format!("this Waldur does not have {feature}: {}", feature.consequence()))
        }),
    );
    findings
}

fn remedy(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::Connect => "check waldur_api_url, the network and the firewall",
        ErrorKind::Tls => "install the authority that signed Waldur's certificate, or check the host name",
        ErrorKind::Proxy => "check global_proxy",
        ErrorKind::Timeout => "check the network; something on the way swallows requests",
        ErrorKind::WrongContent => "something else than Waldur answers: check waldur_api_url and proxies on the way",
        ErrorKind::Redirected => "write the address that it redirects to into waldur_api_url",
        ErrorKind::NotFound | ErrorKind::Unsupported => "check waldur_api_url: there is no Waldur",
        _ => return None,
    })
}

/// Waldur's clock against ours, by the `Date` of an answer. The answer took some time, and the header has no
/// fractions: within these nothing is said.
fn clock(headers: &HeaderMap, before: Timestamp, after: Timestamp) -> Option<Finding> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let skew = if theirs < before { theirs.duration_since(before) } else { theirs.duration_since(after) };
    let ahead = theirs > after;
    if skew.abs() < NOTABLE_SKEW || (theirs >= before && !ahead) {
        return Some(Finding::passed("clock", "Waldur's clock is ours, within a minute"));
    }
    let way = if ahead { "ahead of" } else { "behind" };
    let detail = format!("Waldur's clock is {} s {way} this machine's", skew.abs().as_secs());
    Some(failed("clock", detail).with_remedy("synchronise this machine's clock: periods of usage and tokens go by it"))
}

fn token(me: &Result<CurrentUser, Error>) -> Finding {
    match me {
        Ok(_) => Finding::passed("credentials", "Waldur knows the account"),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => failed("credentials", format!("{error:#}"))
            .with_remedy("the token is wrong or has expired: make a new one in the profile of the agent's account"),
        Err(error) => failed("credentials", format!("{error:#}")),
    }
}

fn readable(context: &Result<OfferingContext, Error>) -> Finding {
    match context {
        Ok(context) => {
            let name = context.offering.name.as_deref().unwrap_or("without a name");
            let provider = context.offering.customer_name.as_deref().unwrap_or("an unknown provider");
            Finding::passed("offering", format!("{name} of {provider}"))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            failed("offering", format!("{error:#}"))
                .with_remedy("check waldur_offering_uuid, and give the account the role OFFERING.MANAGER")
        }
        Err(error) => failed("offering", format!("{error:#}")),
    }
}

/// The roles that let an account work for the offering.
fn rights(me: &CurrentUser, offering: &OfferingSettings, context: &OfferingContext, now: Timestamp) -> Vec<Finding> {
    let here = |permission: &&Permission| {
        let scope = permission.scope_uuid;
        scope == Some(offering.offering_uuid.uuid())
            || scope.is_some() && scope == context.offering.customer_uuid.map(CustomerUuid::uuid)
    };
    let roles: Vec<_> = me.permissions.iter().filter(here).collect();
    let mut findings = Vec::new();
    if roles.is_empty() && me.is_staff != Some(true) {
        let finding = warning("roles", "the account has no role in the offering or its provider");
        findings.push(finding.with_remedy("give it the role OFFERING.MANAGER in the offering"));
    } else {
        let mut names: Vec<_> = roles.iter().filter_map(|role| role.role_name.as_deref()).collect();
        if me.is_staff == Some(true) {
            names.push("staff, which is more than an agent needs");
        }
        findings.push(Finding::passed("roles", names.join(", ")));
    }
    findings.extend(roles.into_iter().filter_map(|role| ending(role, now)));
    findings
}

/// A role that ends soon takes the agent's rights with it (security.md S10).
fn ending(role: &Permission, now: Timestamp) -> Option<Finding> {
    let end = role.expiration_time.filter(|end| end.duration_since(now) < SOON)?;
    let name = role.role_name.as_deref().unwrap_or("a role");
    Some(warning("roles", format!("{name} ends at {end}")).with_remedy("prolong it"))
}

fn on_sale(context: &OfferingContext) -> Finding {
    match &context.offering.state {
        Some(OfferingState::Active | OfferingState::Paused) | None => {
            Finding::passed("state", "the offering is on sale")
        }
        Some(state) => warning("state", format!("the offering is {state}: nothing can be ordered"))
            .with_remedy("activate it in Waldur"),
    }
}

/// Reading orders is what every agent must be able to do.
async fn orders(client: &WaldurClient, offering: &OfferingSettings) -> Finding {
    let query =
        OrderQuery::offering(offering.offering_uuid).states([OrderState::PendingProvider, OrderState::Executing]);
    match client.orders().list(&query).collect().await {
        Ok(orders) => Finding::passed("orders", format!("{} waiting or under way", orders.items().len())),
        Err(error) => failed("orders", format!("{error:#}")).with_remedy("give the account the role OFFERING.MANAGER"),
    }
}

fn failed(check: &str, detail: impl Into<String>) -> Finding {
    Finding::new(check, Outcome::Failed, detail)
}

fn warning(check: &str, detail: impl Into<String>) -> Finding {
    Finding::new(check, Outcome::Warning, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn sec10_a_role_that_ends_within_a_fortnight_is_warned_of() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let role = |end: Option<&str>| -> Permission {
            serde_json::from_value(serde_json::json!({ "role_name": "OFFERING.MANAGER", "expiration_time": end }))
                .unwrap()
        };
        let warning = ending(&role(Some("2026-03-14T12:00:00Z")), now).unwrap();
        assert_eq!((warning.outcome, warning.check.as_str()), (Outcome::Warning, "roles"));
        assert!(warning.detail.contains("OFFERING.MANAGER ends at 2026-03-14"), "{warning:?}");
        assert!(ending(&role(Some("2026-02-01T00:00:00Z")), now).is_some(), "it has ended");
        assert!(ending(&role(Some("2026-04-01T00:00:00Z")), now).is_none());
        assert!(ending(&role(None), now).is_none());
    }

    #[test]
    fn clocks_are_compared_by_the_minute() {
        let headers = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, text.parse().unwrap());
            headers
        };
        let (before, after): (Timestamp, Timestamp) =
            ("2026-03-01T12:00:00Z".parse().unwrap(), "2026-03-01T12:00:20Z".parse().unwrap());
        let found = |text: &str| clock(&headers(text), before, after).map(|finding| finding.outcome);
        for same in ["Sun, 01 Mar 2026 12:00:10 GMT", "Sun, 01 Mar 2026 11:59:05 GMT", "Sun, 01 Mar 2026 12:01:10 GMT"]
        {
            assert_eq!(found(same), Some(Outcome::Passed), "{same}");
        }
        for off in ["Sun, 01 Mar 2026 11:58:50 GMT", "Sun, 01 Mar 2026 12:01:30 GMT"] {
            assert_eq!(found(off), Some(Outcome::Failed), "{off}");
        }
        assert_eq!(found("yesterday"), None);
        assert_eq!(clock(&HeaderMap::new(), before, after), None);
    }
}
