//! The resource manager, the private network, and what can be asked without harm of who may what.

mod azure;
mod endpoints;
mod private_network;
mod probes;
mod vaults;
