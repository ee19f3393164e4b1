//! What requests are counted as.

use http::Method;

/// One table: the operation, its name in metrics and traces, its method and its path.
macro_rules! operations {
    ($($operation:ident $name:literal $method:ident $path:literal;)*) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation { $(#[doc = $name] $operation,)* /** A customer's page. */ Page, /** A delivery of events. */ Event, /** A path that is none of ours. */ Other }

        impl Operation {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$operation,)* Self::Page, Self::Event, Self::Other];

            /// The operation's name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$operation => $name,)* Self::Page => "onboarding-page", Self::Event => "event", Self::Other => "other" }
            }

            /// The operation at a path's pattern, as the router matched it.
            pub(crate) fn of(method: &Method, path: Option<&str>) -> Self {
                match (method, path) {
                    $((&Method::$method, Some($path)) => Self::$operation,)*
                    (_, Some(crate::events::PATH)) => Self::Event,
                    _ => Self::Other,
                }
            }
        }
    };
}

operations! {
    GenerateDataKey "generate-data-key" POST "/v1/tenants/{tenant}/generate-data-key";
    GenerateDataKeyBatch "generate-data-key-batch" POST "/v1/tenants/{tenant}/generate-data-key/batch";
    Wrap "wrap" POST "/v1/tenants/{tenant}/wrap";
    WrapBatch "wrap-batch" POST "/v1/tenants/{tenant}/wrap/batch";
    Unwrap "unwrap" POST "/v1/tenants/{tenant}/unwrap";
    UnwrapBatch "unwrap-batch" POST "/v1/tenants/{tenant}/unwrap/batch";
    Rewrap "rewrap" POST "/v1/tenants/{tenant}/rewrap";
    RewrapBatch "rewrap-batch" POST "/v1/tenants/{tenant}/rewrap/batch";
    Encrypt "encrypt" POST "/v1/tenants/{tenant}/encrypt";
    EncryptBatch "encrypt-batch" POST "/v1/tenants/{tenant}/encrypt/batch";
    Decrypt "decrypt" POST "/v1/tenants/{tenant}/decrypt";
    DecryptBatch "decrypt-batch" POST "/v1/tenants/{tenant}/decrypt/batch";
    CreateTenant "create-tenant" POST "/v1/admin/tenants";
    ListTenants "list-tenants" GET "/v1/admin/tenants";
    GetTenant "get-tenant" GET "/v1/admin/tenants/{tenant}";
    UpdateTenant "update-tenant" PATCH "/v1/admin/tenants/{tenant}";
    DeleteTenant "delete-tenant" DELETE "/v1/admin/tenants/{tenant}";
    SuspendTenant "suspend-tenant" POST "/v1/admin/tenants/{tenant}/suspend";
    ResumeTenant "resume-tenant" POST "/v1/admin/tenants/{tenant}/resume";
    GetTenantKey "get-tenant-key" GET "/v1/admin/tenants/{tenant}/key";
    LookAtTenantKey "look-at-tenant-key" POST "/v1/admin/tenants/{tenant}/key/look";
    ListTenantKeyEvents "list-tenant-key-events" GET "/v1/admin/tenants/{tenant}/key/events";
    ListTenantKeyAcknowledgements "list-tenant-key-acknowledgements" GET "/v1/admin/tenants/{tenant}/key/events/{revision}/acknowledgements";
    ListReplicas "list-replicas" GET "/v1/admin/replicas";
    OpenOnboarding "open-onboarding" POST "/v1/admin/onboardings";
    ListOnboardings "list-onboardings" GET "/v1/admin/onboardings";
    GetOnboarding "get-onboarding" GET "/v1/admin/onboardings/{tenant}";
    ChangeOnboarding "change-onboarding" PATCH "/v1/admin/onboardings/{tenant}";
    CloseOnboarding "close-onboarding" DELETE "/v1/admin/onboardings/{tenant}";
    MakeOnboardingLink "make-onboarding-link" POST "/v1/admin/onboardings/{tenant}/link";
    RevokeOnboardingLink "revoke-onboarding-link" DELETE "/v1/admin/onboardings/{tenant}/link";
    VerifyOnboarding "verify-onboarding" POST "/v1/admin/onboardings/{tenant}/verify";
    RetryOnboardingEndpoint "retry-onboarding-endpoint" POST "/v1/admin/onboardings/{tenant}/private-endpoint";
    ListOnboardingHistory "list-onboarding-history" GET "/v1/admin/onboardings/{tenant}/history";
    GetOnboardingInstructions "get-onboarding-instructions" GET "/v1/admin/onboardings/{tenant}/instructions/{form}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_the_description_names_is_counted_under_its_name() {
        let description = serde_json::to_value(crate::openapi::description()).unwrap();
        // Three are not described: pages, which are for browsers, events, which are Event Grid's, and what is none of ours.
        let mut seen = 3;
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, described) in methods.as_object().unwrap() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let operation = Operation::of(&method, Some(path));
                assert_eq!(described["operationId"], operation.name().replace('-', "_"), "{path}");
                seen += 1;
            }
        }
        assert_eq!(seen, Operation::ALL.len());
    }
}
