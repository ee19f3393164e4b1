//! Where our private endpoints are made.

use std::{borrow::Cow, fmt, num::NonZero, str::FromStr};

use keyferry_crypto::id::{DirectoryId, ResourceGroup, SubscriptionId};
use serde::{Deserialize, Deserializer, de};

use crate::http::HTTPS;

/// Our own side of private endpoints: a subnet, from which they have their addresses, and a resource group to make them in.
/// They are of the cloud that `cloud` names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateEndpointsConfig {
    /// Our own directory, which the subscription belongs to. The application has a principal there, with the right to make,
    /// read and remove private endpoints in the resource group, and to join the subnet.
    pub directory: DirectoryId,
    /// Our own subscription.
    pub subscription: SubscriptionId,
    /// The resource group that endpoints are made in. Best one for nothing else.
    pub resource_group: ResourceGroup,
    /// Azure's region of the subnet.
    pub location: Location,
    /// The subnet, by its resource id.
    pub subnet: SubnetId,
    /// The port at the endpoints' addresses. 443; another for the emulator only.
    #[serde(default = "https")]
    pub port: NonZero<u16>,
}

/// An Azure region's short name: 1 to 64 lower-case letters and digits. `westeurope`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location(Box<str>);

/// A subnet's resource id:
/// `/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{network}/subnets/{name}`.
/// Printed in that spelling, whatever was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubnetId {
    subscription: SubscriptionId,
    resource_group: ResourceGroup,
    network: Box<str>,
    name: Box<str>,
}

/// Why a name of our own network was refused. The text is for whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkIdError {
    /// Not a region.
    #[error("not a region: expected a short name of letters and digits, such as westeurope")]
    Location,
    /// Not a subnet's resource id.
    #[error(
        "not a subnet's resource id: expected /subscriptions/…/resourceGroups/…/providers/Microsoft.Network/virtualNetworks/…/subnets/…"
    )]
    Subnet,
}

fn https() -> NonZero<u16> {
    HTTPS
}

impl FromStr for Location {
    type Err = NetworkIdError;

    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        let is_plain =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if is_plain {
            Ok(Self(text.into()))
        } else {
            Err(NetworkIdError::Location)
        }
    }
}

impl FromStr for SubnetId {
    type Err = NetworkIdError;

    /// Parses a resource id. Keywords are taken in any case, as the resource manager takes them.
    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        let segments: Vec<_> = text.splitn(12, '/').collect();
        let [
            "",
            subscriptions,
            subscription,
            groups,
            group,
            providers,
            provider,
            networks,
            network,
            subnets,
            name,
        ] = segments[..]
        else {
            return Err(NetworkIdError::Subnet);
        };
        let keywords = [
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
            (provider, "Microsoft.Network"),
            (networks, "virtualNetworks"),
            (subnets, "subnets"),
        ];
        let is_subnet = keywords
            .iter()
            .all(|(found, keyword)| found.eq_ignore_ascii_case(keyword));
        if !is_subnet || !is_resource_name(network, 64) || !is_resource_name(name, 80) {
            return Err(NetworkIdError::Subnet);
        }
        Ok(Self {
            subscription: subscription.parse().map_err(|_| NetworkIdError::Subnet)?,
            resource_group: group.parse().map_err(|_| NetworkIdError::Subnet)?,
            network: network.into(),
            name: name.into(),
        })
    }
}

/// How resources of a network are named: letters, digits, `_`, `.` and `-`, the first a letter or digit, the last no `.` or
/// `-`. <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork>
pub(crate) fn is_resource_name(name: &str, longest: usize) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=longest).contains(&name.len())
        && name.bytes().all(is_inner)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_')
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SubnetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subscription,
            resource_group,
            network,
            name,
        } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network/virtualNetworks/{network}/subnets/{name}"
        )
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SubnetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBNET: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/keyferry-network/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints_1";

    fn config(changed: &str) -> Result<PrivateEndpointsConfig, String> {
        let mut table: toml::Table = toml::from_str(&format!(
            "directory = \"11111111-1111-4111-8111-111111111111\"\n\
             subscription = \"5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11\"\n\
             resource_group = \"keyferry-endpoints\"\nlocation = \"westeurope\"\nsubnet = \"{SUBNET}\""
        ))
        .unwrap();
        table.extend(toml::from_str::<toml::Table>(changed).unwrap());
        table
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn endpoints_are_at_port_443_unless_told_otherwise() {
        assert_eq!(config("").unwrap().port.get(), 443);
        assert_eq!(config("port = 8443").unwrap().port.get(), 8443);
    }

    #[test]
    fn what_is_no_name_of_a_network_is_refused() {
        for (changed, said) in [
            ("port = 0", "nonzero"),
            ("location = \"West Europe\"", "not a region"),
            ("location = \"\"", "not a region"),
            ("subnet = \"endpoints\"", "not a subnet"),
            ("resource_group = \"two words\"", "not a resource group"),
            ("subscription = \"keyferry\"", "UUID"),
            ("subnets = 1", "unknown field"),
        ] {
            let error = config(changed).unwrap_err();
            assert!(error.contains(said), "{changed}: {error}");
        }
    }

    #[test]
    fn a_subnet_reads_in_any_case_and_prints_in_one() {
        let shouted = SUBNET
            .replace("resourceGroups", "RESOURCEGROUPS")
            .replace("Microsoft.Network/virtualNetworks", "microsoft.network/virtualnetworks");
        assert_eq!(shouted.parse::<SubnetId>().unwrap().to_string(), SUBNET);
    }

    #[test]
    fn what_is_not_the_id_of_a_subnet_is_refused() {
        for text in [
            String::new(),
            SUBNET.trim_start_matches('/').to_owned(),
            format!("{SUBNET}/"),
            format!("{SUBNET}?api-version=1"),
            format!("{SUBNET}."),
            format!("https://management.azure.com{SUBNET}"),
            SUBNET.replace("hub", ".."),
            SUBNET.replace("hub", "a%2Fb"),
            SUBNET.replace("hub", ""),
            SUBNET.replace("/subnets/", "/peerings/"),
            SUBNET.replace("Microsoft.Network", "Microsoft.KeyVault"),
            SUBNET.replace("endpoints_1", &"s".repeat(81)),
        ] {
            assert_eq!(text.parse::<SubnetId>(), Err(NetworkIdError::Subnet), "{text}");
        }
    }
}
