//! The customer's page: what a customer's administrator is led through, live.

mod form;

pub(crate) use self::form::Form;
