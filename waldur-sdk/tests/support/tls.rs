//! Certificates made for the test, and servers that use them.

use std::{net::IpAddr, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::StoresServerSessions,
};
use tokio_rustls::TlsAcceptor;

/// The name that the certificates of [`Authority::server`] are for.
pub const NAME: &str = "storage.test";

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key and what is sent along.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        Self(CertifiedIssuer::signed_by(authority_params(name), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A valid certificate for [`NAME`] and 127.0.0.1.
    pub fn server(&self) -> Identity {
        self.issue(|_| {})
    }

    /// A certificate that differs from [`Self::server`] by `change`.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2020, 1, 1);
        // OpenSSL and the like refuse nothing here; some platforms cap lifetimes, and none of them is tested.
        params.not_after = date_time_ymd(2120, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

impl Identity {
    /// Sends `certificate` after what is sent already.
    pub fn with(mut self, certificate: CertificateDer<'static>) -> Self {
        self.chain.push(certificate);
        self
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_for(rustls::ALL_VERSIONS)
    }

    /// An acceptor that takes the first of `protocols` that the client offers.
    pub fn acceptor_offering(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = self.config(rustls::ALL_VERSIONS);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// An acceptor that goes on with any session of `sessions`, whoever's certificate it began with.
    pub fn acceptor_resuming(&self, sessions: &Arc<dyn StoresServerSessions>) -> TlsAcceptor {
        let mut config = self.config(rustls::ALL_VERSIONS);
        config.session_storage = sessions.clone();
        TlsAcceptor::from(Arc::new(config))
    }

    pub fn acceptor_for(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.config(versions)))
    }

    fn config(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap()
    }
}

/// A set-up for clients that are made without the SDK.
pub fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
