//! Events in GraphQL: pulled in pages, or pushed over a subscription that resumes.

use async_graphql::types::Json;
use async_graphql::{Context, InputObject, Object, Result, Subscription};
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::transport::raise;
use crate::events::bus::Bus;
use crate::events::model::{Event, EventId, EventType};
use crate::events::{follow, store};
use crate::platform::fault::Fault;
use crate::platform::page::{Page, PageArguments, PageRule, Sort};
use crate::tenancy::permission::Permission;

const EVENT_PAGES: PageRule = PageRule { list: "events", default: 50, maximum: 200 };

pub struct EventObject(pub Event);

/// Something that happened (事件).
#[Object(name = "Event")]
impl EventObject {
    /// Its ID: receivers tell repetitions by it.
    pub async fn id(&self) -> EventId {
        self.0.id
    }

    /// Its place in the enterprise's order of events, without gaps.
    async fn sequence(&self) -> i64 {
        self.0.sequence
    }

    /// Where to go on from: pass it as `after`, to the subscription or to the query.
    async fn cursor(&self) -> Result<String> {
        Ok(place(&PageArguments::default()).map_err(raise)?.cursor(&self.0.sequence))
    }

    /// What happened, such as `transfer.changed`; `eventTypes` lists them.
    #[graphql(name = "type")]
    async fn kind(&self) -> &'static str {
        self.0.type_.as_str()
    }

    /// Counts up with every event of the same subject.
    async fn subject_version(&self) -> i32 {
        self.0.subject_version
    }

    /// What is told of it.
    async fn data(&self) -> Json<serde_json::Value> {
        Json(self.0.data.clone())
    }

    /// When it happened.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }
}

/// Which events to list.
#[derive(InputObject, Default)]
pub struct EventFilterInput {
    /// Only these types.
    pub types: Option<Vec<String>>,
}

#[derive(Default)]
pub struct EventsQuery;

#[Object]
impl EventsQuery {
    /// The types of events that there are.
    async fn event_types(&self) -> Vec<&'static str> {
        EventType::ALL.iter().map(|kind| kind.as_str()).collect()
    }

    /// The enterprise's events, oldest first. Needs `EVENT_READ`.
    async fn events(
        &self,
        ctx: &Context<'_>,
        filter: Option<EventFilterInput>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<EventObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::EventRead)).map_err(raise)?;
        let types = parse_types(filter.unwrap_or_default().types).map_err(raise)?;
        let page = place(&arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::list(&tx, types.as_deref(), &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count(&tx, types.as_deref()).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.sequence, EventObject))
    }
}

#[derive(Default)]
pub struct EventsSubscription;

#[Subscription]
impl EventsSubscription {
    /// The enterprise's events from a place on, or from now on: stored ones first, then each as it happens, with no
    /// gap and no repetition. Needs `EVENT_READ`.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only these types.")] types: Option<Vec<String>>,
        #[graphql(desc = "The `cursor` of the last event that you have; without it, from now on.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = Result<EventObject>>> {
        let scope = ctx.request().enterprise().map_err(raise)?.clone();
        scope.require(Permission::EventRead).map_err(raise)?;
        let types = parse_types(types).map_err(raise)?;
        let after = match after {
            Some(cursor) => {
                let arguments = PageArguments { after: Some(cursor), ..Default::default() };
                place(&arguments).map_err(raise)?.above().unwrap_or(0)
            }
            None => {
                let tx = read(ctx).await?;
                store::last_sequence(&tx).await.map_err(raise)?
            }
        };
        let bus = ctx.data_unchecked::<Bus>().clone();
        let events = follow::tenant(ctx.platform().clone(), bus, scope, types, after);
        Ok(events.map(|event| event.map(EventObject).map_err(raise)))
    }
}

fn place(arguments: &PageArguments) -> Result<Page<i64>, Fault> {
    Page::new(EVENT_PAGES, Sort::Ascending, arguments)
}

fn parse_types(types: Option<Vec<String>>) -> Result<Option<Vec<EventType>>, Fault> {
    let parse = |word: String| {
        word.parse().map_err(|_| Fault::BadRequest(format!("`{word}` is no type of event; `eventTypes` lists them")))
    };
    types.map(|types| types.into_iter().map(parse).collect()).transpose()
}
