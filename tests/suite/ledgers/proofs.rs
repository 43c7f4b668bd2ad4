//! What a holder takes home: it proves what it says, to anybody, and tells nothing of those who held the piece before.

use minthouse::ledger::checkpoint::Verifier;
use minthouse::ledger::proof::Document;
use minthouse::ledger::verify::{Flaw, verify};
use minthouse::platform::randomness::SystemRandomness;
use minthouse::platform::secrets::Secrets;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::offline::{Folder, run};
use crate::support::play::{GIVE, Person, key};

const PROOF: &str = "query($item: ID!) { ledgerProof(itemId: $item) { document blockCount signedAt keyId } }";

async fn proof(app: &TestApp, token: &str, item: &str) -> Value {
    app.ok(Some(token), PROOF, json!({ "item": item })).await["ledgerProof"].take()
}

/// An item that went from the treasury to one person and on to another.
async fn given_item(app: &TestApp) -> (String, Person, Person) {
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    let (first, second) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let item = app.item(&first, &activity).await;
    app.done(&first.token, GIVE, json!({ "item": item, "to": second.id, "key": key() })).await;
    app.settle().await;
    (item, first, second)
}

fn verifier(app: &TestApp) -> Verifier {
    app.app.ledger_keys.verifier()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_for_those_whom_it_concerns_and_tells_of_nobody_else() {
    let app = TestApp::builder().idle().start().await;
    let (item, first, second) = given_item(&app).await;
    let own = proof(&app, &second.token, &item).await;
    let document = text(&own["document"]);
    let proven = verify(&document, &verifier(&app)).expect("it proves itself");
    assert_eq!(proven.steps.len(), 3, "issued, drawn, given on");
    assert_eq!(proven.holder.map(|holder| holder.to_string()), Some(second.id.clone()));
    assert_eq!((&own["keyId"], &own["blockCount"]), (&json!(verifier(&app).id()), &json!(proven.checkpoint.size)));
    assert_eq!(text(&own["document"]), text(&proof(&app, &app.owner("alpha").await, &item).await["document"]));

    // Nothing in it is the giver's: neither their ID, nor what it is made of, nor the salt that would show them.
    let giver = minthouse::platform::id::parse(&first.id).expect("an ID").1;
    for trace in [first.id.clone(), giver.to_string(), giver.simple().to_string()] {
        assert!(!document.contains(&trace), "{trace}");
    }
    let read: Document = serde_json::from_str(&document).expect("it is a document");
    let salt = &read.holder.as_ref().expect("it is held").salt;
    let last = &read.operations[2].record;
    let meant = |holder: &str| {
        let line = format!("minthouse/account/1\n{holder}\n{salt}\n");
        minthouse::platform::vault::hex(&minthouse::platform::vault::sha256(line.as_bytes()))
    };
    assert!(last.contains(&meant(&second.id)));
    assert!(!read.operations.iter().any(|operation| operation.record.contains(&meant(&first.id))));

    for stranger in [&first.token, &app.person("alpha", 3).await.token, &app.owner("beta").await] {
        assert_eq!(proof(&app, stranger, &item).await, Value::Null);
    }
    let rows = app.sql("SELECT string_agg(payload, '') FROM ledger_operations");
    assert!(!rows.contains(&first.id) && !rows.contains(&second.id) && !rows.contains(&giver.to_string()));

    // What the house holds has a proof too; what is on its way has none until it has arrived.
    let kept = app.sql(
        "SELECT id FROM items JOIN enterprises USING (tenant_id) WHERE slug = 'alpha' AND holder_id IS NULL LIMIT 1",
    );
    let kept = minthouse::platform::id::format("item", kept.parse().expect("a UUID"));
    let owner = app.owner("alpha").await;
    let proven =
        verify(&text(&proof(&app, &owner, &kept).await["document"]), &verifier(&app)).expect("it proves itself");
    assert_eq!((proven.steps.len(), proven.holder), (1, None));
    app.sql("UPDATE items SET holder_id = NULL, acquired_at = NULL WHERE holder_id IS NOT NULL");
    assert_eq!(proof(&app, &owner, &item).await, Value::Null, "the ledger says somebody else has it");
}

/// Every text and every number of the document, changed one at a time.
fn changed(value: &Value, change: &mut dyn FnMut(Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                changed(field, &mut |other| {
                    let mut fields = fields.clone();
                    fields[name] = other;
                    change(Value::Object(fields));
                });
            }
        }
        Value::Array(values) => {
            for (place, element) in values.iter().enumerate() {
                changed(element, &mut |other| {
                    let mut values = values.clone();
                    values[place] = other;
                    change(Value::Array(values));
                });
                let mut fewer = values.clone();
                fewer.remove(place);
                change(Value::Array(fewer));
            }
        }
        Value::String(text) => {
            for (at, letter) in text.char_indices().step_by(7) {
                let other = if letter == '0' { '1' } else { '0' };
                let mut text = text.clone();
                text.replace_range(at..at + letter.len_utf8(), &other.to_string());
                change(json!(text));
            }
        }
        Value::Number(number) => change(json!(number.as_i64().expect("whole numbers") + 1)),
        _ => change(json!("something")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_proof_breaks_it() {
    let app = TestApp::builder().idle().start().await;
    let (item, _, second) = given_item(&app).await;
    let document = text(&proof(&app, &second.token, &item).await["document"]);
    let key = verifier(&app);
    let mut whole: Value = serde_json::from_str(&document).expect("JSON");
    // It only says which key to look for.
    whole.as_object_mut().expect("an object").remove("key");
    let with_key = |mut value: Value| {
        value["key"] = json!(key.to_string());
        value.to_string()
    };
    assert!(verify(&with_key(whole.clone()), &key).is_ok());
    let mut count = 0;
    changed(&whole, &mut |other| {
        count += 1;
        let text = with_key(other);
        assert!(verify(&text, &key).is_err(), "{text}");
    });
    assert!(count > 200, "{count} changes");

    // Two true proofs do not make a third.
    let owner = app.owner("alpha").await;
    let other = app.sql(
        "SELECT id FROM items JOIN enterprises USING (tenant_id) WHERE slug = 'alpha' AND holder_id IS NULL LIMIT 1",
    );
    let other = minthouse::platform::id::format("item", other.parse().expect("a UUID"));
    let other: Value = serde_json::from_str(&text(&proof(&app, &owner, &other).await["document"])).expect("JSON");
    for field in ["operations", "holder"] {
        let mut mixed = whole.clone();
        mixed[field] = other[field].clone();
        assert!(verify(&with_key(mixed), &key).is_err(), "{field}");
    }
    let stranger =
        minthouse::ledger::checkpoint::LedgerKeys::new(&minthouse::platform::vault::SealingKey::new([1; 32]), 1);
    let stranger = stranger.expect("keys can be made").verifier();
    assert!(matches!(verify(&document, &stranger), Err(Flaw::Checkpoint(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_checked_at_home_by_us_and_by_a_program_of_anothers() {
    let app = TestApp::builder().idle().start().await;
    let (item, _, second) = given_item(&app).await;
    let document = text(&proof(&app, &second.token, &item).await["document"]);
    let published: Value = client()
        .get(format!("http://{}/.well-known/ledger-keys.json", app.address))
        .send()
        .await
        .expect("it answers")
        .json()
        .await
        .expect("JSON");
    let key = text(&published["keys"][0]["key"]);
    assert_eq!(published["keys"][0]["signs"], true);
    let folder = Folder::new("proof");
    let good = folder.file("proof.json", &document);
    let last = document.rfind("\\\"to\\\":\\\"").expect("a receiver") + 9;
    let mut forged = document.clone();
    let digit = if &document[last..=last] == "0" { "1" } else { "0" };
    forged.replace_range(last..=last, digit);
    let bad = folder.file("forged.json", &forged);
    let stranger =
        minthouse::ledger::checkpoint::LedgerKeys::new(&minthouse::platform::vault::SealingKey::new([1; 32]), 1);
    let stranger = stranger.expect("keys can be made").verifier().to_string();

    let (good, bad) = (good.to_str().expect("text"), bad.to_str().expect("text"));
    let minthouse = env!("CARGO_BIN_EXE_minthouse");
    let (whole, said) = run(minthouse, &["ledger", "verify", good, "--key", &key]);
    assert!(whole && said.starts_with("ok: ") && said.contains(&second.id), "{said}");
    assert!(!said.contains("that the key is the house's"), "{said}");
    for unproven in ["issued only once", "everybody this same chain", "nothing happened to the piece after"] {
        assert!(said.split("Not proven:").nth(1).is_some_and(|rest| rest.contains(unproven)), "{said}");
    }
    let (whole, said) = run(minthouse, &["ledger", "verify", good]);
    assert!(whole && said.starts_with("consistent: ") && !said.contains("ok:"), "who made it up has a key too: {said}");
    assert!(said.contains("Not proven:\n  that the key is the house's"), "{said}");
    let (whole, said) = run(minthouse, &["ledger", "verify", bad, "--key", &key]);
    assert!(!whole && said.starts_with("WRONG operation 3 does not stand in block"), "{said}");
    let (whole, said) = run(minthouse, &["ledger", "verify", good, "--key", &stranger]);
    assert!(!whole && said.contains("no key of the house"), "{said}");
    let nothing = folder.file("nothing.json", "{}");
    assert!(!run(minthouse, &["ledger", "verify", nothing.to_str().expect("text")]).0);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/verify-proof.mjs");
    let (whole, said) = run("node", &[script, good, &key]);
    assert!(whole && said.starts_with("ok ") && said.contains(&second.id), "{said}");
    for (file, key) in [(bad, &key), (good, &stranger)] {
        let (whole, said) = run("node", &[script, file, key]);
        assert!(!whole && said.starts_with("WRONG"), "{said}");
    }
}

#[test]
fn a_new_key_signs_and_the_old_ones_stay_known() {
    let folder = Folder::new("ledger-keys");
    Secrets::load_or_create(&folder.0, &SystemRandomness).expect("secrets can be made");
    let minthouse = env!("CARGO_BIN_EXE_minthouse");
    let data = folder.0.to_str().expect("text");
    let lines = |more: &[&str]| {
        let (good, said) = run(minthouse, &[&["keys", "ledger", "--data-dir", data], more].concat());
        assert!(good, "{said}");
        said.lines().filter(|line| line.starts_with("minthouse-ledger+")).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = lines(&[]);
    assert!(first.len() == 2 && first[0].ends_with("  signs") && first[1].ends_with("  next"), "{first:?}");
    let rotated = lines(&["--rotate"]);
    let expected = [first[0].replace("  signs", ""), first[1].replace("  next", "  signs")];
    assert_eq!((rotated.len(), &rotated[..2]), (3, &expected[..]));
    assert!(rotated[2].ends_with("  next"));
    assert_eq!(lines(&[]), rotated);
    assert!(Secrets::load_or_create(&folder.0, &SystemRandomness).is_ok(), "still for our own eyes only");
}
