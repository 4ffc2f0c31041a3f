//! From the agent's file to a client; [`BuildEnv::of_settings`](crate::backend::BuildEnv::of_settings) is the same for
//! back ends.

use crate::{
    backend::Connector,
    client::{ClientBuilder, WaldurClient},
    error::Result,
    rest::{CachedToken, ClientCredentials, Http, HttpOptions, PlainHttp},
    settings::{AgentSettings, Credentials, OfferingSettings},
};

impl ClientBuilder {
    /// Begins a client of an offering's Waldur as the agent's file says: its address and credentials, whether its
    /// certificate is verified, and the proxy. Plain `http` is allowed, since the reader of the file has warned of it.
    ///
    /// ```
    /// use waldur_sdk::{
    ///     backend::ReqwestConnector,
    ///     client::{AgentMode, ClientBuilder, WaldurClient},
    ///     settings::AgentSettings,
    /// };
    ///
    /// fn clients(agent: &AgentSettings) -> waldur_sdk::Result<Vec<WaldurClient>> {
    ///     let client = |offering| {
    ///         let client = ClientBuilder::of_settings(agent, offering, &ReqwestConnector)?;
    ///         client.agent_mode(AgentMode::Report).build()
    ///     };
    ///     agent.offerings.iter().map(client).collect()
    /// }
    ///
    /// let (agent, _warnings) = AgentSettings::from_value(&serde_json::json!({
    ///     "offerings": [{
    ///         "name": "Storage",
    ///         "waldur_api_url": "https://waldur.example.org/api/",
    ///         "waldur_api_token": "0123456789abcdef",
    ///         "waldur_offering_uuid": "d47ca5bce71144579df29da3c290027e",
    ///         "backend_type": "ceph_s3",
    ///     }],
    /// }))?;
    /// assert_eq!(clients(&agent)?.len(), 1);
    /// # Ok::<(), waldur_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Config` when the proxy or the credentials cannot be used, or certificates are not to be verified in a build without
    /// the feature `danger-accept-invalid-certs`; as [`Connector::connect`].
    pub fn of_settings(agent: &AgentSettings, offering: &OfferingSettings, connector: &dyn Connector) -> Result<Self> {
        let mut options = HttpOptions::default().verifying(offering.verify_ssl)?;
        if let Some(proxy) = agent.proxy()? {
            options = options.with_proxy(proxy);
        }
        let client = WaldurClient::builder(offering.api_url.to_string())
            .http(Http::new(connector.connect(&options)?))
            .plain_http(PlainHttp::Allowed);
        Ok(match &offering.credentials {
            Credentials::Token(token) => client.token(token.clone()),
            Credentials::Oidc { token_url, client_id, client_secret } => {
                let (field, url) = ("oidc_token_url", token_url.as_url().as_str());
                let (id, secret) = (client_id.as_str(), client_secret.clone());
                let source = ClientCredentials::new(field, url, PlainHttp::Allowed, id, secret)?;
                client.authenticator(CachedToken::bearer(source))
            }
        })
    }
}
