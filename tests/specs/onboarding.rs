//! A customer's way to being a tenant.

mod consent;
mod crashes;
mod elsewhere;
mod endpoint;
mod typed;
mod way;
mod wrong_turns;
