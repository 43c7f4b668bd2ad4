//! Who may draw, how often, and how chances are earned: objects, inputs, queries and mutations.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::objects::ActivityObject;
use crate::activities::draw_code::{self, CodesRequest};
use crate::activities::grant::{self, GrantRow, Granted};
use crate::activities::loaders::{CodeBatchesOf, DoneOf, RuleOf, RuleTagsOf};
use crate::activities::model::{
    ActivityId, ActivityUserError, ChanceEntry, ChanceEntryId, ChanceReason, DrawCodeBatch, DrawCodeBatchId,
    ParticipationRule, Task, TaskId, TaskKind,
};
use crate::activities::participation::Rule;
use crate::activities::phone_list::{self, PhonesRequest};
use crate::activities::store::tasks::{self, ChanceEntryFilter};
use crate::activities::task::{self, Completed, TaskRequest};
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::text::{LocalizedText, LocalizedTextInput};
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;
use crate::wallets::graphql::{HolderObject, find_holder};
use crate::wallets::model::HolderId;

const CHANCE_ENTRY_PAGES: PageRule = PageRule { list: "chanceEntries", default: 20, maximum: 100 };

pub struct ParticipationRuleObject {
    pub activity: ActivityId,
    pub rule: ParticipationRule,
}

/// What an activity asks of who wants to draw (参与条件).
#[Object(name = "ParticipationRule")]
impl ParticipationRuleObject {
    /// Whether a mobile number must be bound.
    async fn phone_bound(&self) -> bool {
        self.rule.phone_bound
    }

    /// Whether the real name must be verified.
    async fn real_named(&self) -> bool {
        self.rule.real_named
    }

    /// Whether it is only for people who have drawn in no other activity of the enterprise.
    async fn first_time(&self) -> bool {
        self.rule.first_time
    }

    /// Whether it is only for mobile numbers on the activity's list.
    async fn listed(&self) -> bool {
        self.rule.listed
    }

    /// How many points somebody must have, where that is asked.
    async fn points_at_least(&self) -> Option<i64> {
        self.rule.points_at_least
    }

    /// How many points a draw costs, where it costs any.
    async fn points_cost(&self) -> Option<i64> {
        self.rule.points_cost
    }

    /// How many people may draw from one device, where that is limited: then a draw names its device.
    async fn holders_per_device(&self) -> Option<i32> {
        self.rule.holders_per_device
    }

    /// How many people may draw from one network address, where that is limited.
    async fn holders_per_address(&self) -> Option<i32> {
        self.rule.holders_per_address
    }

    /// Whoever has one of these tags may draw; whoever wants, if there are none. To the enterprise alone.
    async fn tags(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        tags(ctx, self.activity, false).await
    }

    /// Whoever has one of these tags may not. To the enterprise alone.
    async fn excluded_tags(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        tags(ctx, self.activity, true).await
    }
}

async fn tags(ctx: &Context<'_>, activity: ActivityId, excluded: bool) -> Result<Option<Vec<String>>> {
    if ctx.request().enterprise().is_err() {
        return Ok(None);
    }
    let tags = ctx.loaders().one(RuleTagsOf(activity)).await.map_err(raise)?.unwrap_or_default();
    Ok(Some(tags.into_iter().filter(|(_, of)| *of == excluded).map(|(tag, _)| tag).collect()))
}

pub async fn rule_of(ctx: &Context<'_>, activity: ActivityId) -> Result<ParticipationRuleObject> {
    let rule = ctx.loaders().one(RuleOf(activity)).await.map_err(raise)?.unwrap_or_default();
    Ok(ParticipationRuleObject { activity, rule })
}

pub struct TaskObject(pub Task);

/// What earns chances to draw (任务).
#[Object(name = "Task")]
impl TaskObject {
    /// Its ID.
    async fn id(&self) -> TaskId {
        self.0.id
    }

    /// What is to be done.
    async fn kind(&self) -> TaskKind {
        self.0.kind
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// Where people go to do it.
    async fn link(&self) -> Option<&str> {
        self.0.link.as_deref()
    }

    /// How many chances each time gives.
    async fn chances(&self) -> i32 {
        self.0.chances
    }

    /// How often it counts on one day in Shanghai, where that is limited.
    async fn times_per_day(&self) -> Option<i32> {
        self.0.times_per_day
    }

    /// How often it counts in all, where that is limited.
    async fn times_per_holder(&self) -> Option<i32> {
        self.0.times_per_holder
    }

    /// Whether a holder's own word will do (`taskComplete`). Otherwise a code proves it (`drawCodeEnter`), or the
    /// enterprise tells (`chancesGrant`).
    async fn on_trust(&self) -> bool {
        self.0.on_trust
    }

    /// The codes that were made for it, to the enterprise alone; at most a hundred batches.
    async fn code_batches(&self, ctx: &Context<'_>) -> Result<Option<Vec<DrawCodeBatchObject>>> {
        if ctx.request().enterprise().is_err() {
            return Ok(None);
        }
        let batches = ctx.loaders().one(CodeBatchesOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(Some(batches.into_iter().map(DrawCodeBatchObject).collect()))
    }

    /// How often the holder who asks has done it today. Nothing where the caller is no holder.
    async fn viewer_done_today(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        Ok(done(ctx, self.0.id).await?.map(|(today, _)| today))
    }

    /// How often the holder who asks has done it. Nothing where the caller is no holder.
    async fn viewer_done(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        Ok(done(ctx, self.0.id).await?.map(|(_, ever)| ever))
    }
}

async fn done(ctx: &Context<'_>, task: TaskId) -> Result<Option<(i64, i64)>> {
    if ctx.request().holder().is_err() {
        return Ok(None);
    }
    let done = ctx.loaders().one(DoneOf(task)).await.map_err(raise)?;
    Ok(Some(done.unwrap_or_default()))
}

pub struct ChanceEntryObject(pub ChanceEntry);

/// A line of the ledger of chances. What somebody has left in an activity is the sum of theirs, with the day's free draws.
#[Object(name = "ChanceEntry")]
impl ChanceEntryObject {
    /// Its ID.
    async fn id(&self) -> ChanceEntryId {
        self.0.id
    }

    /// The activity that the chances are for.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// Whose they are, unless you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.holder_id)).await
    }

    /// Why they changed.
    async fn reason(&self) -> ChanceReason {
        self.0.reason
    }

    /// How many more, or fewer.
    async fn delta(&self) -> i32 {
        self.0.delta
    }

    /// The UUID of what it was for: the draw, the completed task or the activity.
    async fn subject(&self) -> Uuid {
        self.0.subject_id
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct DrawCodeBatchObject(pub DrawCodeBatch);

/// Draw codes (抽奖码) that were made together.
#[Object(name = "DrawCodeBatch")]
impl DrawCodeBatchObject {
    /// Its ID.
    async fn id(&self) -> DrawCodeBatchId {
        self.0.id
    }

    /// How many codes there are.
    async fn count(&self) -> i32 {
        self.0.count
    }

    /// How many people may enter each, each once.
    async fn uses(&self) -> i32 {
        self.0.uses
    }

    /// Where their file is served, with the token of whoever may run activities: a code a line. None for a word of the
    /// enterprise's own.
    async fn path(&self) -> Option<String> {
        draw_code::path(&self.0)
    }

    /// When they were made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// What an activity asks of who wants to draw. What is left out is not asked.
#[derive(InputObject)]
pub struct ParticipationRuleInput {
    /// A mobile number must be bound.
    #[graphql(default)]
    pub phone_bound: bool,
    /// The real name must be verified.
    #[graphql(default)]
    pub real_named: bool,
    /// Only for people who have drawn in no other activity of the enterprise.
    #[graphql(default)]
    pub first_time: bool,
    /// Only for mobile numbers on the activity's list: see `participationPhonesChange`.
    #[graphql(default)]
    pub listed: bool,
    /// Only for holders who have one of these tags, at most 20.
    #[graphql(default)]
    pub tags: Vec<String>,
    /// Not for holders who have one of these tags, at most 20.
    #[graphql(default)]
    pub excluded_tags: Vec<String>,
    /// Only for who has so many points.
    pub points_at_least: Option<i64>,
    /// How many points each draw costs.
    pub points_cost: Option<i64>,
    /// How many people may draw from one device, 1 to 10,000.
    pub holders_per_device: Option<i32>,
    /// How many people may draw from one network address, 1 to 10,000. Mind that offices and homes share one.
    pub holders_per_address: Option<i32>,
}

impl From<ParticipationRuleInput> for Rule {
    fn from(input: ParticipationRuleInput) -> Self {
        Self {
            rule: ParticipationRule {
                phone_bound: input.phone_bound,
                real_named: input.real_named,
                first_time: input.first_time,
                listed: input.listed,
                points_at_least: input.points_at_least,
                points_cost: input.points_cost,
                holders_per_device: input.holders_per_device,
                holders_per_address: input.holders_per_address,
            },
            tags: input.tags,
            excluded_tags: input.excluded_tags,
        }
    }
}

/// What earns chances in a new activity.
#[derive(InputObject)]
pub struct TaskInput {
    /// What is to be done.
    pub kind: TaskKind,
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// Where people go to do it: an https address of at most 500 characters.
    pub link: Option<String>,
    /// How many chances each time gives, 1 to 100.
    #[graphql(default = 1)]
    pub chances: i32,
    /// How often it counts on one day in Shanghai, 1 to 1000.
    pub times_per_day: Option<i32>,
    /// How often it counts in all, 1 to 1000; once for `FOLLOW_ACCOUNT` if left out.
    pub times_per_holder: Option<i32>,
    /// Whether a holder's own word will do: yes for `SHARE` and no for `FOLLOW_ACCOUNT` if left out, never for the others.
    pub on_trust: Option<bool>,
}

impl From<TaskInput> for TaskRequest {
    fn from(input: TaskInput) -> Self {
        Self {
            kind: input.kind,
            name: (input.name.chinese, input.name.english),
            link: input.link,
            chances: input.chances,
            times_per_day: input.times_per_day,
            times_per_holder: input.times_per_holder,
            on_trust: input.on_trust,
        }
    }
}

/// Says that a task was done.
#[derive(InputObject)]
pub struct TaskCompleteInput {
    /// A task that is done on trust, of a running activity.
    pub task_id: TaskId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Enters a draw code.
#[derive(InputObject)]
pub struct DrawCodeEnterInput {
    /// A running activity.
    pub activity_id: ActivityId,
    /// The code; blanks, dashes and small letters do not matter.
    pub code: String,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Gives chances for a task that people did in the enterprise's own system.
#[derive(InputObject)]
pub struct ChancesGrantInput {
    /// A task of a published activity, of any kind but `DRAW_CODE`.
    pub task_id: TaskId,
    /// 1 to 1000.
    pub grants: Vec<ChancesGrantRowInput>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Somebody did the task.
#[derive(InputObject)]
pub struct ChancesGrantRowInput {
    /// Who.
    pub holder_id: HolderId,
    /// The enterprise's own name for it, 1 to 64 visible ASCII characters, used once for ever: what comes again gives nothing
    /// again, whatever the key.
    pub reference: String,
}

/// Makes draw codes.
#[derive(InputObject)]
pub struct DrawCodesGenerateInput {
    /// A task of kind `DRAW_CODE`, whatever its activity's state.
    pub task_id: TaskId,
    /// How many, 1 to 100,000.
    pub count: i32,
    /// How many people may enter each, 1 to 1,000,000, each of them once.
    #[graphql(default = 1)]
    pub uses: i32,
    /// A word of one's own as the one code: 4 to 32 letters or digits. Whoever can guess it can enter it.
    pub word: Option<String>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Changes the list of who is invited to an activity.
#[derive(InputObject)]
pub struct ParticipationPhonesChangeInput {
    /// An activity of kind `DRAW`, whatever its state.
    pub activity_id: ActivityId,
    /// Mobile numbers to put on the list.
    #[graphql(default)]
    pub add: Vec<String>,
    /// Mobile numbers to take off. Both together at most 1000.
    #[graphql(default)]
    pub remove: Vec<String>,
}

/// Changes the black list.
#[derive(InputObject)]
pub struct BlockedPhonesChangeInput {
    /// Mobile numbers that may draw in no activity of the enterprise any more.
    #[graphql(default)]
    pub add: Vec<String>,
    /// Mobile numbers that may again. Both together at most 1000.
    #[graphql(default)]
    pub remove: Vec<String>,
}

/// What came of a task done or a code entered.
#[derive(SimpleObject, Default)]
pub struct ChancesPayload {
    /// The activity, in which `viewerChancesLeft` counts what was given.
    pub activity: Option<ActivityObject>,
    /// The task that was done.
    pub task: Option<TaskObject>,
    /// How many chances it gave.
    pub chances: Option<i32>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was given, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of giving chances.
#[derive(SimpleObject, Default)]
pub struct ChancesGrantPayload {
    /// The task that was done.
    pub task: Option<TaskObject>,
    /// What came of each, in order.
    pub grants: Vec<ChancesGranted>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was given, if nothing was. Then nobody got anything.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of a task that somebody did in the enterprise's system.
#[derive(SimpleObject)]
pub struct ChancesGranted {
    /// Who did it.
    pub holder_id: HolderId,
    /// The enterprise's own name for it.
    pub reference: String,
    /// How many chances it gave; none where the task was done as often as it may be.
    pub chances: i32,
    /// Whether it had given them before.
    pub replayed: bool,
}

/// What came of making draw codes.
#[derive(SimpleObject)]
pub struct DrawCodesGeneratePayload {
    /// The codes.
    pub batch: Option<DrawCodeBatchObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why none were made, if none were.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of changing a list of phones.
#[derive(SimpleObject)]
pub struct PhonesChangePayload {
    /// How many stand on it now.
    pub count: Option<i64>,
    /// Why nothing was changed, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// Which lines of the ledger of chances to list.
#[derive(InputObject, Default)]
pub struct ChanceEntryFilterInput {
    /// Only those for this activity.
    pub activity_id: Option<ActivityId>,
    /// Only those of this holder.
    pub holder_id: Option<HolderId>,
}

#[derive(Default)]
pub struct ChancesQuery;

#[Object]
impl ChancesQuery {
    /// The ledger of chances. A holder sees their own.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn chance_entries(
        &self,
        ctx: &Context<'_>,
        filter: Option<ChanceEntryFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ChanceEntryObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        let page = Page::new(CHANCE_ENTRY_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = ChanceEntryFilter { activity: filter.activity_id, holder: filter.holder_id };
        let tx = read(ctx).await?;
        let rows = tasks::list_chance_entries(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { tasks::count_chance_entries(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, ChanceEntryObject))
    }
}

#[derive(Default)]
pub struct ChancesMutation;

#[Object]
impl ChancesMutation {
    /// Says that a task was done which takes the holder's word, such as sharing. For holders.
    async fn task_complete(&self, ctx: &Context<'_>, input: TaskCompleteInput) -> Result<ChancesPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            task::complete(ctx.platform(), scope, input.task_id, &key)
        })
        .await?;
        earned(ctx, outcome.value, outcome.user_errors).await
    }

    /// Enters a draw code (抽奖码), which gives chances. Whoever keeps guessing waits longer each time. For holders.
    async fn draw_code_enter(&self, ctx: &Context<'_>, input: DrawCodeEnterInput) -> Result<ChancesPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            draw_code::enter(ctx.platform(), scope, input.activity_id, &input.code, &key)
        })
        .await?;
        earned(ctx, outcome.value, outcome.user_errors).await
    }

    /// Gives chances for a task that people did in the enterprise's own system, all of the list or nobody. Needs
    /// `ACTIVITY_MANAGE`.
    async fn chances_grant(&self, ctx: &Context<'_>, input: ChancesGrantInput) -> Result<ChancesGrantPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let row = |row: ChancesGrantRowInput| GrantRow { holder: row.holder_id, reference: row.reference };
        let rows: Vec<GrantRow> = input.grants.into_iter().map(row).collect();
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            grant::grant(ctx.platform(), scope, input.task_id, &rows, &key)
        })
        .await?;
        let granted = |row: Granted| ChancesGranted {
            holder_id: row.holder,
            reference: row.reference,
            chances: row.chances,
            replayed: row.replayed,
        };
        let Some(done) = outcome.value else {
            return Ok(ChancesGrantPayload { user_errors: outcome.user_errors, ..ChancesGrantPayload::default() });
        };
        let task = ctx.loaders().required(input.task_id).await.map(TaskObject).map_err(raise)?;
        Ok(ChancesGrantPayload {
            task: Some(task),
            grants: done.rows.into_iter().map(granted).collect(),
            replayed: done.replayed,
            user_errors: outcome.user_errors,
        })
    }

    /// Makes draw codes (抽奖码) for a task, to be given out by whatever way. Needs `ACTIVITY_MANAGE`.
    async fn draw_codes_generate(
        &self,
        ctx: &Context<'_>,
        input: DrawCodesGenerateInput,
    ) -> Result<DrawCodesGeneratePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let request = CodesRequest { task: input.task_id, count: input.count, uses: input.uses, word: input.word };
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            draw_code::generate(ctx.platform(), scope, &request, &key)
        })
        .await?;
        let (batch, replayed) = outcome.value.map_or((None, false), |done| (Some(done.batch), done.replayed));
        Ok(DrawCodesGeneratePayload {
            batch: batch.map(DrawCodeBatchObject),
            replayed,
            user_errors: outcome.user_errors,
        })
    }

    /// Changes the list of mobile numbers that are invited to an activity; it counts where `participation.listed` is set.
    /// Needs `ACTIVITY_MANAGE`.
    async fn participation_phones_change(
        &self,
        ctx: &Context<'_>,
        input: ParticipationPhonesChangeInput,
    ) -> Result<PhonesChangePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = PhonesRequest { add: input.add, remove: input.remove };
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            phone_list::change_invited(ctx.platform(), scope, input.activity_id, &request)
        })
        .await?;
        Ok(PhonesChangePayload { count: outcome.value.map(|list| list.count), user_errors: outcome.user_errors })
    }

    /// Changes the enterprise's black list (黑名单): who stands on it draws in none of its activities. Needs
    /// `ACTIVITY_MANAGE`.
    async fn blocked_phones_change(
        &self,
        ctx: &Context<'_>,
        input: BlockedPhonesChangeInput,
    ) -> Result<PhonesChangePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = PhonesRequest { add: input.add, remove: input.remove };
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            phone_list::change_blocked(ctx.platform(), scope, &request)
        })
        .await?;
        Ok(PhonesChangePayload { count: outcome.value.map(|list| list.count), user_errors: outcome.user_errors })
    }
}

async fn earned(
    ctx: &Context<'_>,
    done: Option<Completed>,
    user_errors: Vec<ActivityUserError>,
) -> Result<ChancesPayload> {
    let Some(done) = done else { return Ok(ChancesPayload { user_errors, ..ChancesPayload::default() }) };
    let activity = ctx.loaders().required(done.activity).await.map(ActivityObject).map_err(raise)?;
    let task = ctx.loaders().required(done.task).await.map(TaskObject).map_err(raise)?;
    Ok(ChancesPayload {
        activity: Some(activity),
        task: Some(task),
        chances: Some(done.chances),
        replayed: done.replayed,
        user_errors,
    })
}
