//! Who acts, for which enterprise, and what they may do.
//!
//! Everything else starts here: a request becomes a [`scope::Caller`], the caller a scope, and only a scope opens a
//! transaction. To add a permission, name it in `permission.rs` and give it to roles in the one table there. To add a
//! kind of caller, give it a scope type and a database role with policies of its own; do not widen an existing one.

pub mod audit;
pub mod branch;
pub mod branch_token;
pub mod branch_view;
pub mod client;
pub mod client_grant;
pub mod device;
pub mod document;
pub mod enterprise;
pub mod filing;
pub mod graphql;
pub mod hosts;
pub mod idempotency;
pub mod invitation;
pub mod loaders;
pub mod model;
pub mod operator;
pub mod operator_change;
pub mod password;
pub mod password_change;
pub mod permission;
pub mod qualification;
pub mod reader;
pub mod registration;
pub mod review;
pub mod rotate;
pub mod scope;
pub mod sealed;
pub mod second_factor;
pub mod session;
pub mod sign_in;
pub mod sso;
pub mod standing;
pub mod store;
pub mod suspension;
pub mod sweep;
pub mod throttle;
pub mod token;
pub mod totp;
pub mod worker;

use model::{OperatorId, SsoConnectionId, SsoKeyId};
use sealed::{KeyKind, Purpose, SealedColumn};

/// What is sealed here, each for the row that it stands in.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn::by_id(
        "operators",
        "totp_sealed",
        Purpose::OfRow(|id| second_factor::purpose(OperatorId::from_uuid(id))),
    ),
    SealedColumn::by_id(
        "sso_connections",
        "client_secret_sealed",
        Purpose::OfRow(|id| sso::oidc::secret_purpose(SsoConnectionId::from_uuid(id))),
    ),
    SealedColumn::by_id(
        "sso_keys",
        "secret_sealed",
        Purpose::OfRow(|id| sso::vouch::secret_purpose(SsoKeyId::from_uuid(id))),
    ),
    // An attempt is over after some minutes.
    SealedColumn {
        table: "sso_attempts",
        column: "verifier_sealed",
        key: &[("state_hash", KeyKind::Bytes)],
        purpose: Purpose::Fixed(sso::oidc::VERIFIER),
        passing: true,
    },
];
