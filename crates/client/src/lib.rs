//! A typed client of the Keyferry API.
