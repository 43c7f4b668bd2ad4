//! The story: an operator publishes, people draw, claim, buy and give, and somebody watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::activities::verify;
use crate::commands::demo::Options;
use crate::commands::demo::client::{Client, Subscription, key, number, text};
use crate::commands::demo::report::{Outcome, PrizeLine};

/// The designs of the story's draw: name, supply, odds per million. What is left to 1,000,000 is no prize.
const DESIGNS: [(&str, &str, i64, i64); 3] =
    [("金榜", "Gold", 60, 30_000), ("银榜", "Silver", 400, 150_000), ("铜榜", "Bronze", 2_000, 400_000)];
/// Beyond the draw's prizes, for the sale and the airdrop.
const FOR_SALE: i64 = 50;
const FOR_AIRDROP: i64 = 20;
const PRICE: i64 = 1_990;
const CHANCES: i64 = 1;
/// How long deliveries may take after the last claim.
const PATIENCE: Duration = Duration::from_secs(120);

/// One person of the story.
struct Person {
    token: String,
    holder: String,
}

/// Everything the scenes share.
struct Stage<'a> {
    options: &'a Options,
    /// Tells this run's phone numbers and keys from any other's.
    run: String,
    operator: String,
    client: Client,
}

pub async fn play(options: &Options) -> Result<Outcome> {
    let client = Client::new(&options.url)?;
    let operator = sign_in(&client, &options.operator, &options.operator_password).await?;
    let house = sign_in(&client, &options.house, &options.house_password).await?;
    let run = format!("{:x}", crate::platform::id::generate().as_u128() >> 64 & 0xffff_ffff_ffff);
    let stage = Stage { options, run, operator, client };
    let mut outcome = Outcome::default();

    let feed = EventFeed::open(&stage).await?;
    let catalogue = stage.publish_catalogue(&house).await?;
    let draw = stage.publish_draw(&house, &catalogue).await?;
    let (sale, offer) = stage.publish_sale(&house, &catalogue).await?;
    let (airdrop, airdrop_prize) = stage.publish_airdrop(&house, &catalogue).await?;

    let people = stage.sign_on().await?;
    stage.draw(&people, &draw, &mut outcome).await?;
    stage.airdrop(&people, &airdrop, &airdrop_prize, &mut outcome).await?;
    stage.claim(&people, &mut outcome).await?;
    stage.buy(&people, &sale, &offer, &mut outcome).await?;
    stage.deliveries(&[&draw, &airdrop], &mut outcome).await?;
    stage.give(&people, &mut outcome).await?;
    stage.take_stock(&draw, &catalogue, &mut outcome).await?;
    feed.close(&draw, &mut outcome).await?;
    Ok(outcome)
}

async fn sign_in(client: &Client, name: &str, password: &str) -> Result<String> {
    let operation = "mutation($signIn: String!, $password: String!) {
        operatorSignIn(input: {signIn: $signIn, password: $password}) { token userErrors { code message } } }";
    let payload = client.mutate(None, operation, json!({ "signIn": name, "password": password })).await;
    text(&payload.with_context(|| format!("{name} cannot sign in; was tenants/demo.toml applied?"))?["token"])
}

impl Stage<'_> {
    /// A series of three designs, reviewed and issued, with the issuance watched as it goes on.
    async fn publish_catalogue(&self, house: &str) -> Result<Vec<String>> {
        let operation = "mutation($name: LocalizedTextInput!, $empty: LocalizedTextInput!) {
            seriesCreate(input: {name: $name, description: $empty}) { series { id } userErrors { code message } } }";
        let empty = json!({ "chinese": "", "english": "" });
        let name = json!({ "chinese": format!("演示 {}", self.run), "english": format!("Demo {}", self.run) });
        let payload = self.operate(operation, json!({ "name": name, "empty": empty })).await?;
        let series = text(&payload["series"]["id"])?;

        let mut ids = Vec::new();
        for (chinese, english, supply, _) in DESIGNS {
            let operation = "mutation($input: CollectibleCreateInput!) {
                collectibleCreate(input: $input) { collectible { id } userErrors { code message } } }";
            let supply = supply + FOR_SALE + FOR_AIRDROP;
            let input = json!({ "seriesId": series, "name": { "chinese": chinese, "english": english },
                "description": empty, "author": "Demo", "supply": supply });
            let payload = self.operate(operation, json!({ "input": input })).await?;
            let id = text(&payload["collectible"]["id"])?;
            let operation =
                "mutation($id: ID!) { collectibleSubmit(input: {id: $id}) { userErrors { code message } } }";
            self.operate(operation, json!({ "id": id })).await?;
            self.approve(house, &id).await?;
            let operation = "mutation($id: ID!, $key: String!) {
                collectibleIssue(input: {id: $id, idempotencyKey: $key}) { userErrors { code message } } }";
            self.operate(operation, json!({ "id": id, "key": key("issue", &self.run) })).await?;
            self.watch_issuance(&id, english, supply).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    async fn watch_issuance(&self, id: &str, name: &str, supply: i64) -> Result<()> {
        let bar = bar(supply as u64, &format!("issuing {name}"));
        let operation = "subscription($id: ID!) { issuanceProgress(id: $id) { state issuedCount } }";
        let mut progress =
            Subscription::open(&self.options.url, &self.operator, operation, json!({ "id": id })).await?;
        let mut last = String::new();
        while let Some(data) = progress.next().await? {
            last = text(&data["issuanceProgress"]["state"])?;
            bar.set_position(number(&data["issuanceProgress"]["issuedCount"])? as u64);
        }
        bar.finish();
        if last != "ISSUED" {
            bail!("the issuance of {name} ended as {last}")
        }
        Ok(())
    }

    async fn publish_draw(&self, house: &str, catalogue: &[String]) -> Result<String> {
        let prizes: Vec<Value> = DESIGNS
            .iter()
            .zip(catalogue)
            .enumerate()
            .map(|(level, ((chinese, english, quantity, odds), collectible))| {
                json!({ "collectibleId": collectible, "level": level, "name": { "chinese": chinese, "english": english },
                    "oddsPerMillion": odds, "quantity": quantity })
            })
            .collect();
        self.publish(house, "DRAW", json!({ "chancesPerHolder": CHANCES, "prizes": prizes })).await
    }

    async fn publish_sale(&self, house: &str, catalogue: &[String]) -> Result<(String, String)> {
        let merchants = self.ask("{ merchants(first: 20) { nodes { id state } } }", json!({})).await?;
        let merchant = merchants["merchants"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|merchant| merchant["state"] == "ACTIVE");
        let merchant = text(&merchant.context("the enterprise has no active merchant")?["id"])?;
        let activity = self.create("SALE", json!({})).await?;
        let operation = "mutation($input: OfferCreateInput!) { offerCreate(input: $input) { offer { id } userErrors { code message } } }";
        let input = json!({ "activityId": activity, "collectibleId": catalogue[0], "merchantId": merchant,
            "priceMinor": PRICE, "quantity": FOR_SALE, "limitPerHolder": 2 });
        let payload = self.operate(operation, json!({ "input": input })).await?;
        let offer = text(&payload["offer"]["id"])?;
        self.go_live(house, &activity).await?;
        Ok((activity, offer))
    }

    async fn publish_airdrop(&self, house: &str, catalogue: &[String]) -> Result<(String, String)> {
        let prize = json!({ "collectibleId": catalogue[1], "level": 0, "name": { "chinese": "空投", "english": "Airdrop" }, "quantity": FOR_AIRDROP });
        let activity = self.publish(house, "AIRDROP", json!({ "prizes": [prize] })).await?;
        let found =
            self.ask("query($id: ID!) { activity(id: $id) { prizes { id } } }", json!({ "id": activity })).await?;
        Ok((activity, text(&found["activity"]["prizes"][0]["id"])?))
    }

    async fn publish(&self, house: &str, kind: &str, more: Value) -> Result<String> {
        let activity = self.create(kind, more).await?;
        self.go_live(house, &activity).await?;
        Ok(activity)
    }

    async fn create(&self, kind: &str, more: Value) -> Result<String> {
        let mut input = json!({ "kind": kind,
            "name": { "chinese": format!("演示 {kind} {}", self.run), "english": format!("Demo {kind} {}", self.run) },
            "rules": { "chinese": "演示活动，先到先得。", "english": "A demonstration: first come, first served." },
            "opensAt": "2026-01-01T00:00:00Z", "closesAt": "2036-01-01T00:00:00Z", "claimDays": 30 });
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let operation = "mutation($input: ActivityCreateInput!) {
            activityCreate(input: $input) { activity { id } userErrors { code field message } } }";
        text(&self.operate(operation, json!({ "input": input })).await?["activity"]["id"])
    }

    /// Submitted, approved by the house, published.
    async fn go_live(&self, house: &str, activity: &str) -> Result<()> {
        let submit = "mutation($id: ID!) { activitySubmit(input: {id: $id}) { userErrors { code message } } }";
        self.operate(submit, json!({ "id": activity })).await?;
        self.approve(house, activity).await?;
        let publish = "mutation($id: ID!, $key: String!) {
            activityPublish(input: {id: $id, idempotencyKey: $key}) { activity { state } userErrors { code message } } }";
        self.operate(publish, json!({ "id": activity, "key": key("publish", &self.run) })).await?;
        Ok(())
    }

    /// The house finds the submission in its queue and approves it.
    async fn approve(&self, house: &str, subject: &str) -> Result<()> {
        let mut after = Value::Null;
        let review = loop {
            let operation = "query($after: String) { reviews(first: 100, after: $after, filter: {state: PENDING}) {
                nodes { id subjectId } pageInfo { hasNextPage endCursor } } }";
            let page = self.client.send(Some(house), operation, json!({ "after": after })).await?;
            let nodes = page["reviews"]["nodes"].as_array().cloned().unwrap_or_default();
            if let Some(found) = nodes.iter().find(|node| node["subjectId"] == subject) {
                break text(&found["id"])?;
            }
            if page["reviews"]["pageInfo"]["hasNextPage"] != true {
                bail!("{subject} is not in the house's review queue");
            }
            after = page["reviews"]["pageInfo"]["endCursor"].clone();
        };
        let operation = "mutation($id: ID!) { reviewDecide(input: {id: $id, verdict: APPROVE}) { review { state } userErrors { code message } } }";
        self.client.mutate(Some(house), operation, json!({ "id": review })).await?;
        Ok(())
    }

    /// The enterprise's own system vouches for each person.
    async fn sign_on(&self) -> Result<Vec<Person>> {
        let operation = "mutation($phone: String!) { holderSignOn(input: {phone: $phone, nickname: \"demo\"}) {
            token holder { id } userErrors { code message } } }";
        let seed = u64::from_str_radix(&self.run, 16)? % 10_000;
        let phones: Vec<Value> = (0..self.options.people)
            .map(|number| json!({ "phone": format!("139{seed:04}{:04}", number % 10_000) }))
            .collect();
        if self.options.people > 10_000 {
            bail!("the demonstration's phone numbers reach for 10,000 people");
        }
        let answers = self.crowd("signing people on", phones, |client, variables| {
            let operator = self.operator.clone();
            async move { client.mutate(Some(&operator), operation, variables).await }
        });
        let mut people = Vec::new();
        for (answer, _) in answers.await? {
            people.push(Person { token: text(&answer["token"])?, holder: text(&answer["holder"]["id"])? });
        }
        Ok(people)
    }

    /// Everybody draws at once.
    async fn draw(&self, people: &[Person], activity: &str, outcome: &mut Outcome) -> Result<()> {
        let operation = "mutation($activity: ID!, $key: String!) {
            activityDraw(input: {activityId: $activity, idempotencyKey: $key}) {
                draw { id sequence awardedPrize { id } } replayed userErrors { code message } } }";
        let turns: Vec<Value> = people
            .iter()
            .map(|person| json!({ "token": person.token, "variables": { "activity": activity, "key": key("draw", &self.run) } }))
            .collect();
        let (first_token, first_variables) = (text(&turns[0]["token"])?, turns[0]["variables"].clone());
        let began = Instant::now();
        let answers = self
            .crowd("drawing", turns, |client, turn| async move {
                client.mutate(turn["token"].as_str(), operation, turn["variables"].clone()).await
            })
            .await?;
        outcome.drawing = began.elapsed();
        outcome.draws = answers.len() as i64;
        outcome.latencies = answers.iter().map(|(_, took)| *took).collect();
        // The same key again is the same draw, not a second one.
        let again = self.client.mutate(Some(&first_token), operation, first_variables).await?;
        outcome.replays_agreed = again["draw"]["id"] == answers[0].0["draw"]["id"] && again["replayed"] == true;
        Ok(())
    }

    async fn airdrop(&self, people: &[Person], activity: &str, prize: &str, outcome: &mut Outcome) -> Result<()> {
        let seed = u64::from_str_radix(&self.run, 16)? % 10_000;
        let count = (FOR_AIRDROP as usize).min(people.len());
        let phones: Vec<String> = (0..count).map(|number| format!("+86139{seed:04}{number:04}")).collect();
        let operation = "mutation($input: AirdropStartInput!) { airdropStart(input: $input) { airdrop { id } userErrors { code message } } }";
        let input = json!({ "activityId": activity, "prizeId": prize, "phones": phones, "idempotencyKey": key("airdrop", &self.run) });
        self.operate(operation, json!({ "input": input })).await?;
        outcome.airdropped = count as i64;
        Ok(())
    }

    /// Everybody looks at what they are owed and takes it up.
    async fn claim(&self, people: &[Person], outcome: &mut Outcome) -> Result<()> {
        let list = "{ claims(first: 50, filter: {states: [PENDING]}) { nodes { id } } }";
        let take = "mutation($id: ID!, $key: String!) { claimTake(input: {id: $id, idempotencyKey: $key}) {
            claim { state } userErrors { code message } } }";
        let turns: Vec<Value> = people.iter().map(|person| json!({ "token": person.token })).collect();
        let run = &self.run;
        let answers = self
            .crowd("claiming", turns, |client, turn| async move {
                let mut taken = 0;
                let owed = client.send(turn["token"].as_str(), list, json!({})).await?;
                for claim in owed["claims"]["nodes"].as_array().into_iter().flatten() {
                    let variables = json!({ "id": claim["id"], "key": key("claim", run) });
                    client.mutate(turn["token"].as_str(), take, variables).await?;
                    taken += 1;
                }
                Ok(json!(taken))
            })
            .await?;
        for (taken, _) in answers {
            outcome.claims_taken += number(&taken)?;
        }
        Ok(())
    }

    /// Ten people buy.
    async fn buy(&self, people: &[Person], sale: &str, offer: &str, outcome: &mut Outcome) -> Result<()> {
        let place = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { order { id state } userErrors { code message } } }";
        let pay = "mutation($id: ID!, $key: String!) { sandboxPay(input: {orderId: $id, idempotencyKey: $key}) {
            order { id state } userErrors { code message } } }";
        let mut orders = Vec::new();
        for (number, person) in people.iter().take(10).enumerate() {
            let quantity = 1 + (number % 2) as i64;
            let input = json!({ "activityId": sale, "lines": [{ "offerId": offer, "quantity": quantity }], "idempotencyKey": key("order", &self.run) });
            let placed = self.client.mutate(Some(&person.token), place, json!({ "input": input })).await?;
            let id = text(&placed["order"]["id"])?;
            self.client.mutate(Some(&person.token), pay, json!({ "id": id, "key": key("pay", &self.run) })).await?;
            outcome.pieces_bought += quantity;
            orders.push(id);
        }
        let deadline = Instant::now() + PATIENCE;
        for id in orders {
            loop {
                let order = self.ask("query($id: ID!) { order(id: $id) { state } }", json!({ "id": id })).await?;
                if order["order"]["state"] == "COMPLETED" {
                    outcome.orders_completed += 1;
                    break;
                }
                if Instant::now() > deadline {
                    bail!("the order {id} is still {} after {PATIENCE:?}", order["order"]["state"]);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Waits until everything that was taken has arrived.
    async fn deliveries(&self, activities: &[&String], outcome: &mut Outcome) -> Result<()> {
        let bar = bar(outcome.claims_taken as u64, "delivering");
        let deadline = Instant::now() + PATIENCE;
        loop {
            outcome.claims_delivered = 0;
            for activity in activities {
                let operation = "query($id: ID!) { claims(first: 0, filter: {activityId: $id, states: [DELIVERED]}) { totalCount } }";
                let page = self.ask(operation, json!({ "id": activity })).await?;
                outcome.claims_delivered += number(&page["claims"]["totalCount"])?;
            }
            bar.set_position(outcome.claims_delivered as u64);
            if outcome.claims_delivered >= outcome.claims_taken {
                bar.finish();
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} of {} claims have arrived after {PATIENCE:?}",
                    outcome.claims_delivered,
                    outcome.claims_taken
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A buyer gives an item to somebody else, while a subscriber prints each status.
    async fn give(&self, people: &[Person], outcome: &mut Outcome) -> Result<()> {
        let giver = &people[0];
        let mine = self
            .client
            .send(
                Some(&giver.token),
                "{ items(first: 1) { nodes { id serialText collectible { name { text } } } } }",
                json!({}),
            )
            .await?;
        let item = &mine["items"]["nodes"][0];
        let to = people.get(1).map_or(&giver.holder, |person| &person.holder);
        let operation = "mutation($input: TransferStartInput!) { transferStart(input: $input) { transfer { id state } userErrors { code message } } }";
        let input = json!({ "itemId": item["id"], "toHolderId": to, "idempotencyKey": key("gift", &self.run) });
        let started = self.client.mutate(Some(&giver.token), operation, json!({ "input": input })).await?;
        println!("\n{} {} is given away:", text(&item["collectible"]["name"]["text"])?, text(&item["serialText"])?);
        let operation = "subscription($id: ID!) { transferStatus(id: $id) { state version } }";
        let variables = json!({ "id": started["transfer"]["id"] });
        let mut statuses = Subscription::open(&self.options.url, &giver.token, operation, variables).await?;
        while let Some(data) = statuses.next().await? {
            let state = text(&data["transferStatus"]["state"])?;
            println!("  {state:<10} version {}", data["transferStatus"]["version"]);
            outcome.transfer_statuses.push(state);
        }
        Ok(())
    }

    /// Reads back what the house has on record.
    async fn take_stock(&self, draw: &str, catalogue: &[String], outcome: &mut Outcome) -> Result<()> {
        let operation = "query($id: ID!) {
            activity(id: $id) { prizes { id name { english } oddsPerMillion quantity stock { available reserved issued } } }
            draws(first: 0, filter: {activityId: $id}) { totalCount } }";
        let found = self.ask(operation, json!({ "id": draw })).await?;
        outcome.draws_listed = number(&found["draws"]["totalCount"])?;
        for prize in found["activity"]["prizes"].as_array().into_iter().flatten() {
            let operation = "query($activity: ID!, $prize: ID!) { draws(first: 0, filter: {activityId: $activity, awardedPrizeId: $prize}) { totalCount } }";
            let won = self.ask(operation, json!({ "activity": draw, "prize": prize["id"] })).await?;
            outcome.prizes.push(PrizeLine {
                name: text(&prize["name"]["english"])?,
                odds_per_million: number(&prize["oddsPerMillion"])?,
                quantity: number(&prize["quantity"])?,
                wins: number(&won["draws"]["totalCount"])?,
                available: number(&prize["stock"]["available"])?,
                reserved: number(&prize["stock"]["reserved"])?,
                issued: number(&prize["stock"]["issued"])?,
            });
        }
        for collectible in catalogue {
            let operation = "query($id: ID!) { items(first: 0, filter: {collectibleId: $id}) { totalCount } }";
            outcome.items_held +=
                number(&self.ask(operation, json!({ "id": collectible })).await?["items"]["totalCount"])?;
        }
        outcome.draws_verified = self.verify(draw).await?;
        let rival = sign_in(&self.client, "owner@rival.example", "glaze-under-a-quiet-moon").await;
        if let Ok(rival) = rival {
            let seen = self.client.send(Some(&rival), "query($id: ID!) { activity(id: $id) { id } draws(first: 0, filter: {activityId: $id}) { totalCount } }", json!({ "id": draw })).await?;
            outcome.rival_saw = number(&seen["draws"]["totalCount"])? + i64::from(!seen["activity"].is_null());
        }
        Ok(())
    }

    /// Ends and settles the draw, and makes every draw again from its public record, as anybody may.
    async fn verify(&self, draw: &str) -> Result<i64> {
        let end = "mutation($id: ID!) { activityEnd(input: {id: $id}) { userErrors { code message } } }";
        self.operate(end, json!({ "id": draw })).await?;
        let settle = "mutation($id: ID!) { activitySettle(input: {id: $id}) { activity { drawRecordPath } userErrors { code message } } }";
        let settled = self.operate(settle, json!({ "id": draw })).await?;
        let record = self.client.get(&text(&settled["activity"]["drawRecordPath"])?).await?;
        let verified = verify::verify(&record)?;
        ensure!(verified.from_seed, "the record of a settled draw shows no seed");
        Ok(i64::try_from(verified.draws)?)
    }

    async fn operate(&self, operation: &str, variables: Value) -> Result<Value> {
        self.client.mutate(Some(&self.operator), operation, variables).await
    }

    async fn ask(&self, operation: &str, variables: Value) -> Result<Value> {
        self.client.send(Some(&self.operator), operation, variables).await
    }

    /// Plays one scene for many, over as many connections as the options say. Answers come back in order, each with
    /// the time it took.
    async fn crowd<F, Fut>(&self, what: &str, turns: Vec<Value>, scene: F) -> Result<Vec<(Value, Duration)>>
    where
        F: Fn(Client, Value) -> Fut + Clone,
        Fut: Future<Output = Result<Value>>,
    {
        let bar = bar(turns.len() as u64, what);
        let connections = (self.options.clients as usize).min(turns.len()).max(1);
        let next = AtomicU64::new(0);
        let answers = Mutex::new(vec![None; turns.len()]);
        let one_after_another = || async {
            let client = Client::new(&self.options.url)?;
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed) as usize;
                let Some(variables) = turns.get(turn).cloned() else { return Ok::<_, anyhow::Error>(()) };
                let began = Instant::now();
                let answer = scene(client.clone(), variables).await?;
                answers.lock().await[turn] = Some((answer, began.elapsed()));
                bar.inc(1);
            }
        };
        futures_util::future::try_join_all((0..connections).map(|_| one_after_another())).await?;
        bar.finish();
        answers.into_inner().into_iter().map(|answer| answer.ok_or_else(|| anyhow!("a turn was left out"))).collect()
    }
}

/// Somebody who listens to everything from the beginning on.
struct EventFeed {
    heard: Arc<Mutex<Heard>>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    last_sequence: Option<i64>,
    gap: Option<(i64, i64)>,
    events: i64,
    draws: BTreeMap<String, i64>,
    transfers_succeeded: i64,
}

impl EventFeed {
    async fn open(stage: &Stage<'_>) -> Result<Self> {
        let operation = "subscription { events { sequence type data } }";
        let mut feed = Subscription::open(&stage.options.url, &stage.operator, operation, json!({})).await?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (notes, mut tasks) = (heard.clone(), JoinSet::new());
        tasks.spawn(async move {
            loop {
                match feed.next().await {
                    Ok(Some(data)) => notes.lock().await.hear(&data["events"]),
                    Ok(None) => return,
                    Err(error) => return eprintln!("the event feed ended: {error:#}"),
                }
            }
        });
        Ok(Self { heard, tasks })
    }

    /// Waits for the last draw's event, then sums up.
    async fn close(mut self, draw: &str, outcome: &mut Outcome) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.heard.lock().await.draws.get(draw).copied().unwrap_or(0) < outcome.draws && Instant::now() < deadline
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        let heard = self.heard.lock().await;
        outcome.draw_events = heard.draws.get(draw).copied().unwrap_or(0);
        outcome.events = heard.events;
        outcome.event_gap = heard.gap;
        outcome.transfers_succeeded = heard.transfers_succeeded;
        Ok(())
    }
}

impl Heard {
    fn hear(&mut self, event: &Value) {
        let sequence = event["sequence"].as_i64().unwrap_or_default();
        if let Some(last) = self.last_sequence
            && sequence != last + 1
        {
            self.gap.get_or_insert((last, sequence));
        }
        self.last_sequence = Some(sequence);
        self.events += 1;
        match event["type"].as_str() {
            Some("draw.recorded") => {
                *self.draws.entry(event["data"]["activityId"].as_str().unwrap_or_default().to_owned()).or_default() +=
                    1;
            }
            Some("transfer.changed") if event["data"]["state"] == "SUCCEEDED" => self.transfers_succeeded += 1,
            _ => {}
        }
    }
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<22} {bar:32} {pos:>6}/{len} {elapsed:>4}");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what.to_owned())
}
