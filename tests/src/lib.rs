//! What Keyferry promises, tried on real parts.
