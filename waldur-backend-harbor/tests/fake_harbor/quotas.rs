//! quotas
