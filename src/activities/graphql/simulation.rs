//! What clients see of a simulation.

use async_graphql::{ComplexObject, Context, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::plans::PrizeObject;
use crate::activities::model::PrizeId;
use crate::activities::simulate::{Point, PrizeOutcome, Simulation};
use crate::api::context::ContextExt;
use crate::api::transport::raise;

/// What an activity would come to.
#[derive(SimpleObject)]
#[graphql(name = "ActivitySimulation")]
pub struct SimulationObject {
    /// How things stood as the draws went on, ready for a chart; as many as were asked for.
    pub points: Vec<SimulationPointObject>,
    /// What became of each prize of each plan.
    pub prizes: Vec<SimulatedPrizeObject>,
    /// When the activity ended with its last piece, if its terms say so and it came to that.
    pub over_at: Option<DateTime<Utc>>,
}

/// How things stood after a part of the draws.
#[derive(SimpleObject)]
#[graphql(name = "ActivitySimulationPoint")]
pub struct SimulationPointObject {
    /// When, in the activity's window.
    pub at: DateTime<Utc>,
    /// Draws made by then.
    pub draws: i64,
    /// Those that won something.
    pub wins: i64,
    /// Tries of people who had no chance left, or not on that day.
    pub refused: i64,
    /// Pieces left.
    pub left: i64,
    /// What the pieces won have cost.
    pub cost_minor: i64,
}

/// What became of a prize.
#[derive(SimpleObject)]
#[graphql(name = "SimulatedPrize", complex)]
pub struct SimulatedPrizeObject {
    #[graphql(skip)]
    pub prize_id: PrizeId,
    /// How often its odds alone would have it won.
    pub expected_wins: f64,
    /// How often a number fell on it.
    pub picked: i64,
    /// How often it was won. What is missing or over against the expectation is its drift.
    pub wins: i64,
    /// How often it was picked and could not be given.
    pub withheld: i64,
    /// Pieces left at the end.
    pub left: i64,
    /// When the last piece was won.
    pub gone_at: Option<DateTime<Utc>>,
}

#[ComplexObject]
impl SimulatedPrizeObject {
    /// The prize.
    async fn prize(&self, ctx: &Context<'_>) -> Result<PrizeObject> {
        ctx.loaders().required(self.prize_id).await.map(PrizeObject).map_err(raise)
    }
}

impl From<Simulation> for SimulationObject {
    fn from(simulation: Simulation) -> Self {
        let point = |point: Point| SimulationPointObject {
            at: point.at,
            draws: point.draws.into(),
            wins: point.wins.into(),
            refused: point.refused.into(),
            left: point.left.into(),
            cost_minor: point.cost_minor,
        };
        let prize = |outcome: PrizeOutcome| SimulatedPrizeObject {
            prize_id: outcome.prize,
            expected_wins: outcome.expected_wins,
            picked: outcome.picked.into(),
            wins: outcome.wins.into(),
            withheld: outcome.withheld.into(),
            left: outcome.left.into(),
            gone_at: outcome.gone_at,
        };
        Self {
            points: simulation.points.into_iter().map(point).collect(),
            prizes: simulation.prizes.into_iter().map(prize).collect(),
            over_at: simulation.over_at,
        }
    }
}
