//! The history of series and collectibles: who changed what, field by field, with what stood there before.
//!
//! It is no second audit log. The audit log is one chain over everything that happens in an enterprise, is exported and
//! checked as a whole, and therefore holds digests: it proves that something was changed and shows nothing. The history
//! holds the words themselves and belongs to the one object that it is shown with. A change writes into both, in its own
//! transaction, and whoever doubts a history compares it with the chain. The server's roles can add to it and read it,
//! nothing else.

use serde_json::{Value, json};

use crate::catalog::model::design::{Design, FieldChange, SeriesDesign, changes, series_changes};
use crate::catalog::model::{Collectible, CollectibleId, Series};
use crate::catalog::store::changes as store;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;

/// A collectible came, changed its design, or changed its state.
pub async fn record_in(
    tx: &TenantTx,
    action: &str,
    before: Option<&Collectible>,
    after: &Collectible,
) -> Result<(), Fault> {
    let design_before = before.map(Design::of);
    let mut fields = changes(design_before.as_ref(), Some(&Design::of(after)));
    if before.is_none_or(|before| before.state != after.state) {
        let before = before.map_or(Value::Null, |before| json!(before.state));
        fields.push(FieldChange { field: "state".into(), before, after: json!(after.state) });
    }
    store::insert_of_collectible_in(tx, (after.id, after.version), action, json!(fields)).await
}

/// A draft went.
pub async fn record_removal_in(tx: &TenantTx, action: &str, removed: &Collectible) -> Result<(), Fault> {
    let fields = changes(Some(&Design::of(removed)), None);
    let last: (CollectibleId, i32) = (removed.id, removed.version + 1);
    store::insert_of_collectible_in(tx, last, action, json!(fields)).await
}

/// A series came or changed.
pub async fn record_series_in(
    tx: &TenantTx,
    action: &str,
    before: Option<&Series>,
    after: &Series,
) -> Result<(), Fault> {
    let design_before = before.map(SeriesDesign::of);
    let fields = series_changes(design_before.as_ref(), Some(&SeriesDesign::of(after)));
    store::insert_of_series_in(tx, (after.id, after.version), action, json!(fields)).await
}
