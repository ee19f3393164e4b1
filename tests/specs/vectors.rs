//! The golden vectors are what they say: their data keys are wrapped under their customers' keys, and no byte was copied from
//! Keyferry.

use std::{path::PathBuf, process::Command};

use keyferry_emulator::RsaKey;
use keyferry_tests::{needs, repository};
use serde_json::Value;

fn path() -> PathBuf {
    repository().join("tests/vectors/envelope.json")
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn each_data_key_unwraps_with_its_customers_private_key_and_no_other() {
    let vectors: Value = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    let keys = vectors["keys"].as_array().unwrap();
    let key_of = |kek: &Value| RsaKey::from_jwk(keys.iter().find(|key| key["kid"] == *kek).unwrap()).unwrap();
    let sealed = vectors["seal"].as_array().unwrap();
    let rewrap = &vectors["rewrap"];
    let rewrapped = sealed.iter().find(|vector| vector["name"] == rewrap["of"]).unwrap();
    let wrapped = sealed.iter().map(|vector| (vector, vector));
    let mut checked = 0;
    for (wrapping, vector) in wrapped.chain([(rewrap, rewrapped)]) {
        let wrapped = bytes(&wrapping["wrapped"]);
        let unwrapped = key_of(&wrapping["kek"]).decrypt("RSA-OAEP-256", &wrapped);
        assert_eq!(unwrapped.unwrap(), bytes(&vector["data_key"]), "{}", wrapping["name"]);
        let others = keys.iter().filter(|key| key["kid"] != wrapping["kek"]);
        for other in others {
            let other = RsaKey::from_jwk(other).unwrap();
            assert!(other.decrypt("RSA-OAEP-256", &wrapped).is_err(), "{}", wrapping["name"]);
        }
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} checked");
}

#[test]
fn the_vectors_are_what_the_specification_gives() {
    let Some(python) = needs("KEYFERRY_PYTHON", "Python with cbor2 and cryptography") else {
        return;
    };
    let generated = Command::new(python)
        .arg(repository().join("tests/vectors/generate.py"))
        .output()
        .unwrap();
    assert!(
        generated.status.success(),
        "{}",
        String::from_utf8_lossy(&generated.stderr)
    );
    if std::env::var_os("KEYFERRY_WRITE_VECTORS").is_some() {
        std::fs::write(path(), &generated.stdout).unwrap();
    }
    assert!(
        std::fs::read(path()).unwrap() == generated.stdout,
        "tests/vectors/generate.py gives others: set KEYFERRY_WRITE_VECTORS to write them"
    );
}
