//! Personal data in GraphQL: shown in clear, and erased.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::tenancy::scope::Caller;
use crate::tenancy::standing::Standings;
use crate::wallets::erase::{self, Unfinished};
use crate::wallets::graphql::HolderObject;
use crate::wallets::graphql::holders::HolderPayload;
use crate::wallets::model::{HolderId, HolderUserError, PersonalField};
use crate::wallets::reveal::{self, Revealed};

/// What to show of whom.
#[derive(InputObject)]
pub struct HolderRevealInput {
    /// The holder.
    pub id: HolderId,
    /// What is needed, and no more: the audit log keeps what was looked at.
    pub fields: Vec<PersonalField>,
}

/// Personal data in clear. What was not asked for or is not known is left out.
#[derive(SimpleObject)]
pub struct PersonalData {
    /// The mobile number.
    pub phone: Option<String>,
    /// The real name.
    pub name: Option<String>,
    /// The identity number.
    pub id_number: Option<String>,
}

/// What came of looking.
#[derive(SimpleObject)]
pub struct HolderRevealPayload {
    /// What was asked for.
    pub personal_data: Option<PersonalData>,
    /// Why nothing is shown, if nothing is.
    pub user_errors: Vec<HolderUserError>,
}

/// Names a holder.
#[derive(InputObject)]
pub struct HolderEraseInput {
    /// Whose personal data to erase.
    pub id: HolderId,
}

/// Confirms that it is the holder who asks.
#[derive(InputObject)]
pub struct HolderEraseMyselfInput {
    /// The newest code sent for `ERASE` to the holder's phone. Only who has no phone leaves it out.
    pub code: Option<String>,
}

#[derive(Default)]
pub struct PersonalMutation;

#[Object]
impl PersonalMutation {
    /// Shows a holder's personal data in clear, and records who looked at what. Needs `HOLDER_REVEAL`; for people only.
    async fn holder_reveal(&self, ctx: &Context<'_>, input: HolderRevealInput) -> Result<HolderRevealPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            reveal::reveal(ctx.platform(), scope, input.id, &input.fields)
        })
        .await?;
        let personal_data =
            outcome.value.map(|Revealed { phone, name, id_number }| PersonalData { phone, name, id_number });
        Ok(HolderRevealPayload { personal_data, user_errors: outcome.user_errors })
    }

    /// Erases a holder's personal data, for good; what they have stays in the ledgers under a nameless holder. Refused
    /// while an order, a claim or a transfer of theirs is open. Needs `HOLDER_ERASE`.
    async fn holder_erase(&self, ctx: &Context<'_>, input: HolderEraseInput) -> Result<HolderPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let (standings, unfinished) =
            (ctx.data_unchecked::<Arc<Standings>>(), ctx.data_unchecked::<Arc<dyn Unfinished>>());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            erase::erase(ctx.platform(), standings, &**unfinished, scope, input.id)
        })
        .await?;
        Ok(HolderPayload { holder: outcome.value.map(HolderObject), user_errors: outcome.user_errors })
    }

    /// Erases the holder's own personal data, for good, and with it the way back to what they have here. Refused while an
    /// order, a claim or a transfer of theirs is open. For holders, in whatever state the enterprise is.
    async fn holder_erase_myself(&self, ctx: &Context<'_>, input: HolderEraseMyselfInput) -> Result<HolderPayload> {
        let scope = match &ctx.request().caller {
            Caller::Holder(scope) => scope,
            Caller::Anonymous => return Err(raise(Fault::NO_TOKEN)),
            _ => return Err(raise(Fault::wrong_caller("用户的令牌", "a holder's token"))),
        };
        let (standings, unfinished) =
            (ctx.data_unchecked::<Arc<Standings>>(), ctx.data_unchecked::<Arc<dyn Unfinished>>());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            let address = ctx.request().visit.address;
            erase::erase_myself(ctx.platform(), standings, &**unfinished, scope, input.code.as_deref(), address)
        })
        .await?;
        Ok(HolderPayload { holder: outcome.value.map(HolderObject), user_errors: outcome.user_errors })
    }
}
