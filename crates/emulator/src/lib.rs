//! Entra and Key Vault as one local program, with faults to order.
