//! `/configurations`.

use serde_json::{Map, Value, json};

use super::{
    access::Call,
    body::Body,
    refused::Refused,
    state::State,
    wire::{Outcome, Reply},
};

/// What 2.9.0 has there after its installation, beside what [`Settings`](super::Settings) holds.
const DEFAULTS: &str = r#"{
    "audit_log_forward_endpoint": "", "banner_message": "", "http_authproxy_admin_groups": "",
    "http_authproxy_admin_usernames": "", "http_authproxy_endpoint": "", "http_authproxy_server_certificate": "",
    "http_authproxy_skip_search": false, "http_authproxy_tokenreview_endpoint": "", "http_authproxy_verify_cert": true,
    "ldap_base_dn": "", "ldap_filter": "", "ldap_group_admin_dn": "", "ldap_group_attribute_name": "",
    "ldap_group_base_dn": "", "ldap_group_membership_attribute": "memberof", "ldap_group_search_filter": "",
    "ldap_group_search_scope": 2, "ldap_scope": 2, "ldap_search_dn": "", "ldap_timeout": 5, "ldap_uid": "cn",
    "ldap_url": "", "ldap_verify_cert": true, "notification_enable": true, "oidc_admin_group": "",
    "oidc_auto_onboard": false, "oidc_client_id": "", "oidc_endpoint": "", "oidc_extra_redirect_parms": "{}",
    "oidc_group_filter": "", "oidc_groups_claim": "", "oidc_name": "", "oidc_scope": "", "oidc_user_claim": "",
    "oidc_verify_cert": true, "primary_auth_mode": false, "robot_token_duration": 30,
    "scanner_skip_update_pulltime": false, "self_registration": false, "session_timeout": 60,
    "skip_audit_log_database": false, "token_expiration": 30, "uaa_client_id": "", "uaa_client_secret": "",
    "uaa_endpoint": "", "uaa_verify_cert": false
}"#;

impl State {
    fn configuration(&self) -> Map<String, Value> {
        let mut values: Map<String, Value> = serde_json::from_str(DEFAULTS).unwrap_or_default();
        values.extend(self.configured.clone());
        let settings = &self.settings;
        let live = json!({
            "auth_mode": settings.auth_mode,
            "project_creation_restriction": settings.project_creation_restriction,
            "quota_per_project_enable": settings.quota_per_project,
            "read_only": settings.read_only,
            "robot_name_prefix": settings.robot_prefix,
            "storage_per_project": settings.storage_per_project,
        });
        values.extend(live.as_object().cloned().unwrap_or_default());
        values
    }

    /// How people log in cannot be changed once there are some.
    pub(super) fn get_configuration(&self, call: &Call<'_>) -> Outcome {
        self.require(call, "configuration", "read")?;
        let has_users = self.users.len() > 1;
        let entry = |(name, value): (String, Value)| {
            let editable = name != "auth_mode" || !has_users;
            (name, json!({ "editable": editable, "value": value }))
        };
        let mut answer: Map<String, Value> = self.configuration().into_iter().map(entry).collect();
        answer.insert("scan_all_policy".to_owned(), json!({}));
        Ok(Reply::Json(Value::Object(answer)))
    }

    pub(super) fn update_configuration(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "configurations", "Configurations")?;
        self.require(call, "configuration", "update")?;
        let text = |name: &str| body.text(name).map(|text| (!text.is_empty()).then(|| text.to_owned()));
        let (mode, prefix) = (text("auth_mode")?, text("robot_name_prefix")?);
        let restriction = text("project_creation_restriction")?;
        let (quotas, storage) = (body.flag("quota_per_project_enable")?, body.integer("storage_per_project")?);
        let read_only = body.flag("read_only")?;
        if mode.as_deref().is_some_and(|mode| mode != self.settings.auth_mode) && self.users.len() > 1 {
            return Err(Refused::bad("the auth mode cannot be modified as new users have been inserted into database"));
        }
        let settings = &mut self.settings;
        settings.auth_mode = mode.unwrap_or_else(|| settings.auth_mode.clone());
        settings.robot_prefix = prefix.unwrap_or_else(|| settings.robot_prefix.clone());
        settings.project_creation_restriction =
            restriction.unwrap_or_else(|| settings.project_creation_restriction.clone());
        settings.quota_per_project = quotas.unwrap_or(settings.quota_per_project);
        settings.storage_per_project = storage.unwrap_or(settings.storage_per_project);
        settings.read_only = read_only.unwrap_or(settings.read_only);
        self.configured.extend(body.members().clone());
        Ok(Reply::Empty)
    }
}
