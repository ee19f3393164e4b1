//! Private endpoints through the resource manager.

use keyferry_emulator::{Decision, Fault, FaultOrder, Operation, Order, Pace, VaultOptions};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::{Azure, GROUP, HOST, MANAGER, vault_id};

fn connection(endpoint: &Value) -> &Value {
    &endpoint["properties"]["manualPrivateLinkServiceConnections"][0]["properties"]
}

#[tokio::test]
async fn an_endpoint_succeeds_while_its_connection_waits_and_follows_what_the_vaults_owner_decides() {
    let azure = Azure::start().await;
    azure.order(Order::SetPace {
        pace: Pace {
            polls: 2,
            fails: false,
            retry_after: 7,
        },
    });
    let made = azure.put("pe-acme", &azure.wish(&vault_id("acme"))).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["properties"]["provisioningState"], "Updating");
    assert_eq!(made.body["properties"]["customDnsConfigs"], json!([]));
    assert_eq!(made.header("retry-after"), "7");
    let operation = made.header("azure-asyncoperation");
    for state in ["InProgress", "InProgress", "Succeeded", "Succeeded"] {
        let polled = azure.ask(azure.ours, Method::GET, operation, None).await;
        assert_eq!((polled.status.as_u16(), &polled.body["status"]), (200, &json!(state)));
    }
    let status = async || connection(&azure.get("pe-acme").await.body)["privateLinkServiceConnectionState"].clone();
    assert_eq!(
        status().await,
        json!({"status": "Pending", "description": "Awaiting approval", "actionsRequired": "None"})
    );
    for (decision, expected) in [
        (Decision::Approve, "Approved"),
        (Decision::Reject, "Rejected"),
        (Decision::Remove, "Disconnected"),
    ] {
        azure.decide("pe-acme", decision);
        assert_eq!(status().await["status"], expected);
    }
    for id in ["x-ms-request-id", "x-ms-correlation-request-id"] {
        made.header(id).parse::<Uuid>().unwrap();
    }
}

#[tokio::test]
async fn an_address_can_be_kept_back_until_the_connection_is_approved() {
    let azure = Azure::start().await;
    let address = azure.endpoint("pe-acme").await;
    azure.order(Order::SetPendingAddresses { shown: false });
    let shown = async || azure.get("pe-acme").await.body["properties"]["customDnsConfigs"].clone();
    assert_eq!(shown().await, json!([]));
    azure.decide("pe-acme", Decision::Approve);
    assert_eq!(shown().await, json!([{"fqdn": HOST, "ipAddresses": [address]}]));
}

#[tokio::test]
async fn the_same_again_makes_nothing_and_anything_else_is_refused() {
    let azure = Azure::start().await;
    let address = azure.endpoint("pe-acme").await;
    let wish = azure.wish(&vault_id("acme"));
    let again = azure.put("PE-acme", &wish).await;
    assert_eq!(
        (again.status.as_u16(), again.headers.get("azure-asyncoperation")),
        (200, None)
    );
    let mut tagged = wish.clone();
    tagged["tags"] = json!({"tenant": "acme"});
    assert_eq!(azure.put("pe-acme", &tagged).await.body["tags"], tagged["tags"]);

    azure.vault("other.vault.azure.net", VaultOptions::default());
    let elsewhere = azure.put("pe-acme", &azure.wish(&vault_id("other"))).await;
    assert_eq!(
        elsewhere.refusal(),
        (400, "CannotChangePrivateLinkConnectionOnPrivateEndpoint")
    );
    let mut moved = wish.clone();
    moved["properties"]["subnet"]["id"] = json!(azure.subnet.replace("endpoints", "others"));
    let moved = azure.put("pe-acme", &moved).await;
    assert_eq!(moved.refusal(), (400, "CannotChangeSubnetOnExistingPrivateEndpoint"));
    assert_eq!(azure.emulator.private_addresses(HOST), [address]);
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_by_its_name() {
    let azure = Azure::start().await;
    azure.vault("gone.vault.azure.net", VaultOptions::default());
    azure.vault("china.vault.azure.cn", VaultOptions::default());
    azure.order(Order::SetVaultDeleted {
        host: "gone.vault.azure.net".into(),
        deleted: true,
    });
    for name in ["nowhere", "gone", "china"] {
        let refused = azure.put("pe", &azure.wish(&vault_id(name))).await;
        assert_eq!(refused.refusal(), (400, "InvalidResourceReference"), "{name}");
    }
    let wish = azure.wish(&vault_id("acme"));
    let change = |pointer: &str, value: Value| {
        let mut changed = wish.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let connection = "/properties/manualPrivateLinkServiceConnections/0/properties";
    let storage = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a";
    let cases = [
        (
            change(
                "/properties/subnet/id",
                json!(azure.subnet.replace("endpoints", "none")),
            ),
            "InvalidResourceReference",
        ),
        (change("/location", json!("northeurope")), "InvalidResourceReference"),
        (change("/location", json!("")), "LocationRequired"),
        (
            change(&format!("{connection}/requestMessage"), json!("é".repeat(141))),
            "InvalidRequestMessage",
        ),
        (
            change(&format!("{connection}/groupIds"), json!([])),
            "MissingParameterOnPrivateLinkServiceConnection",
        ),
        (
            change(&format!("{connection}/groupIds"), json!(["sites"])),
            "InvalidPrivateLinkServiceGroupId",
        ),
        (
            change(&format!("{connection}/privateLinkServiceId"), json!(storage)),
            "InvalidPrivateLinkServiceIdType",
        ),
        (
            change(&format!("{connection}/privateLinkServiceId"), json!("acme")),
            "LinkedInvalidPropertyId",
        ),
        (
            change("/properties/manualPrivateLinkServiceConnections", json!([])),
            "InvalidPrivateEndpointConnections",
        ),
        (json!({"location": "westeurope"}), "InvalidRequestContent"),
    ];
    for (wish, code) in cases {
        assert_eq!(azure.put("pe", &wish).await.refusal(), (400, code), "{wish}");
    }
    assert_eq!(azure.get("pe").await.refusal(), (404, "ResourceNotFound"));
    let message = change(&format!("{connection}/requestMessage"), json!("é".repeat(140)));
    assert_eq!(azure.put("pe", &message).await.status, 201);
}

#[tokio::test]
async fn a_vault_takes_sixty_four_endpoints() {
    let azure = Azure::start().await;
    let wish = azure.wish(&vault_id("acme"));
    for number in 0..64 {
        assert_eq!(azure.put(&format!("pe-{number}"), &wish).await.status, 201);
    }
    let refused = azure.put("pe-64", &wish).await;
    assert_eq!(refused.refusal(), (400, "PrivateEndpointConnectionLimitReached"));
    azure.decide("pe-0", Decision::Remove);
    assert_eq!(azure.put("pe-64", &wish).await.status, 201);
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_when_its_operation_is_over_and_deleting_it_again_is_no_error() {
    let azure = Azure::start().await;
    azure.endpoint("pe-acme").await;
    let url = azure.endpoint_url("pe-acme");
    let deleted = azure.ask(azure.ours, Method::DELETE, &url, None).await;
    assert_eq!(deleted.status, 202);
    let again = azure.ask(azure.ours, Method::DELETE, &url, None).await;
    assert_eq!(
        again.header("azure-asyncoperation"),
        deleted.header("azure-asyncoperation")
    );
    let put = azure.put("pe-acme", &azure.wish(&vault_id("acme"))).await;
    assert_eq!(put.refusal(), (429, "AnotherOperationInProgress"));

    assert_eq!(
        azure.get("pe-acme").await.body["properties"]["provisioningState"],
        "Deleting"
    );
    assert_eq!(azure.get("pe-acme").await.refusal(), (404, "ResourceNotFound"));
    let operation = azure
        .ask(azure.ours, Method::GET, deleted.header("azure-asyncoperation"), None)
        .await;
    assert_eq!(operation.body["status"], "Succeeded");
    let result = azure
        .ask(azure.ours, Method::GET, deleted.header("location"), None)
        .await;
    assert_eq!(result.status, 204);
    assert_eq!(azure.ask(azure.ours, Method::DELETE, &url, None).await.status, 204);
    assert!(azure.emulator.private_addresses(HOST).is_empty());
}

#[tokio::test]
async fn an_endpoint_that_failed_is_made_when_it_is_put_again() {
    let azure = Azure::start().await;
    let pace = |fails| Order::SetPace {
        pace: Pace {
            polls: 0,
            fails,
            ..Pace::default()
        },
    };
    azure.order(pace(true));
    let wish = azure.wish(&vault_id("acme"));
    let made = azure.put("pe-acme", &wish).await;
    let operation = azure
        .ask(azure.ours, Method::GET, made.header("azure-asyncoperation"), None)
        .await;
    assert_eq!(operation.body["status"], "Failed");
    assert_eq!(operation.body["error"]["code"], "InternalServerError");
    assert_eq!(
        azure.get("pe-acme").await.body["properties"]["provisioningState"],
        "Failed"
    );
    azure.order(pace(false));
    let again = azure.put("pe-acme", &wish).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        azure.get("pe-acme").await.body["properties"]["provisioningState"],
        "Succeeded"
    );
}

#[tokio::test]
async fn a_list_is_of_one_resource_group() {
    let azure = Azure::start().await;
    azure.endpoint("pe-1").await;
    azure.endpoint("pe-2").await;
    let url = azure.endpoint_url("x").replace("/x?", "?");
    let names = |listed: &Value| {
        let all = listed["value"].as_array().unwrap();
        all.iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let listed = azure.ask(azure.ours, Method::GET, &url, None).await;
    assert_eq!(names(&listed.body), ["pe-1", "pe-2"]);
    azure.order(Order::SetNetworkContributor {
        subscription: azure.subscription,
        resource_group: "keyferry-2".into(),
        principal: azure.ours.oid,
        holds: true,
    });
    let url = url.replace(&format!("/{GROUP}/"), "/keyferry-2/");
    let listed = azure.ask(azure.ours, Method::GET, &url, None).await;
    assert!(names(&listed.body).is_empty(), "{listed:?}");
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let azure = Azure::start().await;
    let url = azure.endpoint_url("pe-acme");
    let wish = azure.wish(&vault_id("acme"));
    let with = async |token: Option<&str>, url: &str| azure.ask_with(token, Method::PUT, url, Some(&wish)).await;

    let anonymous = with(None, &url).await;
    assert_eq!(anonymous.refusal(), (401, "AuthenticationFailed"));
    assert!(
        anonymous
            .header("www-authenticate")
            .contains(&azure.ours.directory.to_string())
    );
    let for_vaults = azure.token(azure.ours, "https://vault.azure.net").await;
    assert_eq!(
        with(Some(&for_vaults), &url).await.refusal(),
        (401, "InvalidAuthenticationTokenAudience")
    );
    let of_china = azure.token(azure.ours, "https://management.chinacloudapi.cn").await;
    assert_eq!(
        with(Some(&of_china), &url).await.refusal(),
        (401, "InvalidAuthenticationTokenAudience")
    );
    assert_eq!(
        with(Some("x.y.z"), &url).await.refusal(),
        (401, "InvalidAuthenticationToken")
    );
    let of_customer = azure.token(azure.customer, "https://management.azure.com").await;
    let foreign = with(Some(&of_customer), &url).await;
    assert_eq!(foreign.refusal(), (401, "InvalidAuthenticationTokenTenant"));

    // The older name of the same resource, with a slash.
    let token = azure.token(azure.ours, "https://management.core.windows.net/").await;
    let unknown = url.replace(&azure.subscription.to_string(), &Uuid::new_v4().to_string());
    assert_eq!(
        with(Some(&token), &unknown).await.refusal(),
        (404, "SubscriptionNotFound")
    );
    let bare = url.split('?').next().unwrap();
    assert_eq!(
        with(Some(&token), bare).await.refusal(),
        (400, "MissingApiVersionParameter")
    );
    let old = format!("{bare}?api-version=2012-01-01");
    assert_eq!(with(Some(&token), &old).await.refusal(), (400, "InvalidResourceType"));

    let elsewhere = url.replace(&format!("/{GROUP}/"), "/others/");
    let refused = with(Some(&token), &elsewhere).await;
    assert_eq!(refused.refusal(), (403, "AuthorizationFailed"));
    let message = refused.body["error"]["message"].as_str().unwrap();
    let (client, oid) = (azure.ours.client_id, azure.ours.oid);
    let begins = format!(
        "The client '{client}' with object id '{oid}' does not have authorization to perform action 'Microsoft.Network/privateEndpoints/write' over scope '/subscriptions/"
    );
    assert!(message.starts_with(&begins), "{message}");
    assert_eq!(with(Some(&token), &url).await.status, 201);
}

#[tokio::test]
async fn what_lies_elsewhere_wants_a_right_there_too() {
    let azure = Azure::start().await;
    let mut automatic = azure.wish(&vault_id("acme"));
    let connections = automatic["properties"]["manualPrivateLinkServiceConnections"].take();
    automatic["properties"]["privateLinkServiceConnections"] = connections;
    let refused = azure.put("pe-acme", &automatic).await;
    assert_eq!(refused.refusal(), (403, "LinkedAuthorizationFailed"));

    let network = |resource_group: &str| Order::CreateNetwork {
        subscription: azure.subscription,
        resource_group: resource_group.into(),
        virtual_network: "vn".into(),
        subnet: "endpoints".into(),
        location: "westeurope".into(),
    };
    azure.order(network("hub"));
    let mut joined = azure.wish(&vault_id("acme"));
    joined["properties"]["subnet"]["id"] = json!(azure.subnet.replace(&format!("/{GROUP}/"), "/hub/"));
    let refused = azure.put("pe-acme", &joined).await;
    assert_eq!(refused.refusal(), (403, "LinkedAuthorizationFailed"));
    azure.order(Order::SetNetworkContributor {
        subscription: azure.subscription,
        resource_group: "HUB".into(),
        principal: azure.ours.oid,
        holds: true,
    });
    assert_eq!(azure.put("pe-acme", &joined).await.status, 201);
}

#[tokio::test]
async fn throttling_is_ordered_and_calls_are_counted_as_of_any_other_service() {
    let azure = Azure::start().await;
    azure.order(Order::Fault {
        fault: FaultOrder {
            times: Some(1),
            ..FaultOrder::always(
                MANAGER,
                Some(Operation::PutPrivateEndpoint),
                Fault::Throttle { retry_after: Some(17) },
            )
        },
    });
    let wish = azure.wish(&vault_id("acme"));
    let throttled = azure.put("pe-acme", &wish).await;
    assert_eq!(throttled.refusal(), (429, "SubscriptionRequestsThrottled"));
    assert_eq!(throttled.header("retry-after"), "17");
    throttled.header("x-ms-request-id").parse::<Uuid>().unwrap();
    assert_eq!(azure.get("pe-acme").await.status, 404);
    assert_eq!(azure.put("pe-acme", &wish).await.status, 201);
    assert_eq!(azure.emulator.count(MANAGER, Operation::PutPrivateEndpoint), 2);
    assert_eq!(azure.emulator.count(MANAGER, Operation::GetPrivateEndpoint), 1);

    for (host, operation) in [(MANAGER, Operation::UnwrapKey), (HOST, Operation::PutPrivateEndpoint)] {
        let fault = FaultOrder::always(host, Some(operation), Fault::Reset);
        azure.emulator.order(Order::Fault { fault }).unwrap_err();
    }
}
