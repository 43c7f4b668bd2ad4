//! What it costs to know who asks: one authenticated request, in microseconds.
//!
//! `make bench-identity` runs it on a throw-away house. All of them are measured in turns, so that a machine that is
//! busy for a while is busy for all of them, and the median of the turns is told.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use async_graphql::Request;
use async_graphql::parser::types::OperationType;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use futures_util::future::{Either, ready, select};
use futures_util::{StreamExt, stream};
use minthouse::api::transport::{Gate, Knock, Visitor};
use minthouse::app::App;
use minthouse::platform::language::Language;
use minthouse::tenancy::model::{EnterpriseId, OperatorId};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::token::Identity;

use super::report::Report;

/// What a request may spend on being known.
const BOUND: f64 = 200.0;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How often all of them have their turn.
    pub turns: usize,
    /// How often each is repeated within a turn.
    pub repeats: usize,
}

impl Size {
    pub const FULL: Size = Size { turns: 60, repeats: 500 };
}

fn knock(token: Option<&str>) -> Knock {
    Knock {
        bearer: token.map(str::to_owned),
        host: Some("mint.example".to_owned()),
        language: Language::English,
        request_id: "bench".to_owned(),
        peer: Some([127, 0, 0, 1].into()),
        agent: None,
        origin: None,
    }
}

/// Microseconds for one of `repeats`.
async fn timed<F: Future<Output = Result<()>>>(repeats: usize, mut once: impl FnMut() -> F) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..repeats {
        once().await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / repeats as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub async fn measure(app: &App, tenant: EnterpriseId, size: &Size) -> Result<Report> {
    let gate = app.gate();
    let identity = Identity::Operator { operator: OperatorId::generate(), role: Role::Owner };
    let (token, _) = app.tokens.mint(tenant, identity, None, TimeDelta::minutes(50))?;
    let admit = async |token: Option<&str>| gate.admit(knock(token)).await.context("the gate admits");

    let (message, signature) = token.rsplit_once('.').context("a JWT has a signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let key = app.tokens.jwks()["keys"][0]["x"].as_str().map(|x| URL_SAFE_NO_PAD.decode(x)).context("a key")??;
    let key = UnparsedPublicKey::new(&ED25519, key);

    // The gate is asked beforehand: what is measured is the executor's part of a request.
    let (signed, stranger) = (admit(Some(&token)).await?, admit(None).await?);
    let query = async |visitor: &Arc<dyn Visitor>| {
        let prepared = visitor.prepare(Request::new("{ viewer { kind } }"), OperationType::Query);
        // As the transport does it: what resolvers wait for is done in between.
        let errands = prepared.errands.unwrap_or_else(|| stream::pending().boxed()).for_each(|()| ready(()));
        let response = match select(pin!(app.schema.execute(prepared.request)), errands).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => anyhow::bail!("errands never end"),
        };
        anyhow::ensure!(response.is_ok(), "{:?}", response.errors);
        black_box(response);
        Ok(())
    };

    let mut turns: [Vec<f64>; 5] = Default::default();
    for _ in 0..size.turns {
        admit(Some(&token)).await?;
        turns[0].push(
            timed(size.repeats, async || admit(Some(&token)).await.map(|visitor| drop(black_box(visitor)))).await?,
        );
        turns[1].push(
            timed(size.repeats, async || {
                key.verify(black_box(message.as_bytes()), &signature).ok().context("the signature holds")
            })
            .await?,
        );
        turns[2].push(timed(size.repeats, async || query(&signed).await).await?);
        turns[3].push(timed(size.repeats, async || query(&stranger).await).await?);
        // Each of these asks the database, so fewer do.
        turns[4].push(
            timed(size.repeats.div_ceil(10), async || {
                app.standings.forget(tenant);
                admit(Some(&token)).await.map(|visitor| drop(black_box(visitor)))
            })
            .await?,
        );
    }
    let [warm, verification, with_token, without_token, cold] = turns.map(median);
    let mut report = Report::default();
    report.figure("the gate, standing known", warm, "µs");
    report.figure("of that, the Ed25519 signature alone", verification, "µs");
    report.figure("{ viewer { kind } } executed, with a token", with_token, "µs");
    report.figure("{ viewer { kind } } executed, without a token", without_token, "µs");
    report.figure("the gate, standing read from the database", cold, "µs");
    report.ratio("200 µs / the gate, standing known", BOUND / warm, 1.0);
    report.ratio("200 µs / the gate and { viewer { kind } } with a token", BOUND / (warm + with_token), 1.0);
    Ok(report)
}
