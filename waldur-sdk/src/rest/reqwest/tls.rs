//! Which certificates are believed: TLS 1.2 or newer, one way for each library.

#[cfg(any(feature = "rustls", feature = "rustls-ring"))]
use std::sync::Arc;

use ::reqwest::ClientBuilder;
#[cfg(any(feature = "rustls", feature = "rustls-ring"))]
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{HttpOptions, TlsBackend};
#[cfg(any(feature = "rustls", feature = "rustls-ring", feature = "native-tls"))]
use crate::error::BoxError;
use crate::error::{Error, Result};

/// Sets up TLS by `backend`, or nothing where the build has none.
pub(super) fn apply(
    builder: ClientBuilder,
    options: &HttpOptions,
    backend: Option<TlsBackend>,
) -> Result<ClientBuilder> {
    let Some(backend) = backend else {
        return if options.ca_certificates.is_empty() && options.system_roots {
            Ok(builder)
        } else {
            Err(Error::config("ca_certificates: this build has no TLS"))
        };
    };
    if options.ca_certificates.is_empty() && !options.system_roots && options.verifies_tls() {
        return Err(Error::config("ca_certificates: must not be empty when the system's are not trusted"));
    }
    match backend {
        #[cfg(feature = "rustls-ring")]
        TlsBackend::RustlsRing => {
            let provider = rustls::crypto::ring::default_provider();
            Ok(builder.tls_backend_preconfigured(rustls_config(options, provider.into())?))
        }
        #[cfg(feature = "rustls")]
        TlsBackend::Rustls => {
            let provider = rustls::crypto::CryptoProvider::get_default()
                .cloned()
                .unwrap_or_else(|| rustls::crypto::aws_lc_rs::default_provider().into());
            Ok(builder.tls_backend_preconfigured(rustls_config(options, provider)?))
        }
        #[cfg(feature = "native-tls")]
        TlsBackend::Native => native(builder, options),
    }
}

#[cfg(any(feature = "rustls", feature = "rustls-ring"))]
fn rustls_config(options: &HttpOptions, provider: Arc<CryptoProvider>) -> Result<ClientConfig> {
    let verifier = verifier(options, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::config("tls_backend: its provider has neither TLS 1.3 nor 1.2").with_source(cause))?
        // rustls calls this door dangerous because anything may come through it; see `verifier` for what does.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Whoever goes on with an earlier session shows no certificate: one that was replaced meanwhile would pass unseen.
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(any(feature = "rustls", feature = "rustls-ring"))]
fn verifier(options: &HttpOptions, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    #[cfg(feature = "danger-accept-invalid-certs")]
    if !options.verifies_tls() {
        return Ok(Arc::new(super::unverified::Unverified(provider.clone())));
    }
    let extra: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&options.ca_certificates).collect::<Result<_, _>>().map_err(unreadable)?;
    check_count(options, extra.len())?;
    if options.system_roots {
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone());
        return Ok(Arc::new(verifier.map_err(unreadable)?));
    }
    let mut roots = RootCertStore::empty();
    for certificate in extra {
        roots.add(certificate).map_err(unreadable)?;
    }
    Ok(WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build().map_err(unreadable)?)
}

#[cfg(feature = "native-tls")]
fn native(builder: ClientBuilder, options: &HttpOptions) -> Result<ClientBuilder> {
    use ::reqwest::{Certificate, tls::Version};

    let extra = Certificate::from_pem_bundle(&options.ca_certificates).map_err(unreadable)?;
    check_count(options, extra.len())?;
    let builder = builder.tls_backend_native().tls_version_min(Version::TLS_1_2);
    let builder = if options.system_roots { builder.tls_certs_merge(extra) } else { builder.tls_certs_only(extra) };
    #[cfg(feature = "danger-accept-invalid-certs")]
    let builder = builder.tls_danger_accept_invalid_certs(!options.verifies_tls());
    Ok(builder)
}

#[cfg(any(feature = "rustls", feature = "rustls-ring", feature = "native-tls"))]
fn unreadable(cause: impl Into<BoxError>) -> Error {
    Error::config("ca_certificates: not usable as trusted authorities").with_source(cause)
}

/// A bundle in which nothing was found would otherwise pass for no bundle.
#[cfg(any(feature = "rustls", feature = "rustls-ring", feature = "native-tls"))]
fn check_count(options: &HttpOptions, found: usize) -> Result<()> {
    if found == 0 && !options.ca_certificates.trim_ascii().is_empty() {
        return Err(Error::config("ca_certificates: holds no certificate in PEM"));
    }
    Ok(())
}
