//! What a manifest may say. tenants/README.md explains it to its writers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::value::Datetime;

use crate::tenancy::model::EnterpriseKind;
use crate::tenancy::permission::Role;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub house: Option<Person>,
    #[serde(default, rename = "enterprise")]
    pub enterprises: Vec<Enterprise>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub sign_in: String,
    pub name: String,
    pub password: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enterprise {
    pub slug: Spanned<String>,
    pub name: Text,
    #[serde(default = "standard")]
    pub kind: EnterpriseKind,
    #[serde(rename = "operator")]
    pub operators: Vec<Operator>,
    #[serde(default, rename = "branch")]
    pub branches: Vec<Branch>,
    #[serde(default, rename = "merchant")]
    pub merchants: Vec<Merchant>,
    #[serde(default, rename = "domain")]
    pub domains: Vec<Domain>,
    #[serde(default)]
    pub series: Vec<Series>,
    #[serde(default, rename = "draw")]
    pub draws: Vec<Draw>,
    #[serde(default, rename = "sale")]
    pub sales: Vec<Sale>,
    #[serde(default, rename = "airdrop")]
    pub airdrops: Vec<Airdrop>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub chinese: String,
    pub english: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub sign_in: Spanned<String>,
    pub name: String,
    pub role: Role,
    pub password: String,
}

/// A branch of an enterprise of kind PLATFORM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    pub corp_open_id: Spanned<String>,
    pub name: Text,
    pub slug: Option<String>,
    pub owner: Option<Person>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    pub key: Spanned<String>,
    pub name: String,
    pub number: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    pub host: Spanned<String>,
    pub filing_number: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub key: Spanned<String>,
    pub name: Text,
    pub description: Text,
    /// A picture's file, from the manifest's folder on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Spanned<String>>,
    #[serde(default, rename = "collectible", skip_serializing)]
    pub collectibles: Vec<Collectible>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collectible {
    pub key: Spanned<String>,
    pub name: Text,
    pub description: Text,
    pub author: String,
    #[serde(default)]
    pub image_url: String,
    /// The work itself and a picture that stands for it: files, from the manifest's folder on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Spanned<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Spanned<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filing_number: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "attribute")]
    pub attributes: Vec<Attribute>,
    pub supply: i32,
    #[serde(default = "one")]
    pub first_serial: i32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    pub key: Spanned<String>,
    pub name: Text,
    pub rules: Text,
    pub opens_at: Spanned<Datetime>,
    pub closes_at: Spanned<Datetime>,
    pub chances_per_holder: i32,
    pub claim_days: i32,
    #[serde(rename = "prize")]
    pub prizes: Vec<Prize>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prize {
    pub collectible: Spanned<String>,
    pub level: i32,
    pub name: Text,
    #[serde(default)]
    pub odds_per_million: i32,
    pub quantity: i32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    pub key: Spanned<String>,
    pub name: Text,
    pub rules: Text,
    pub opens_at: Spanned<Datetime>,
    pub closes_at: Spanned<Datetime>,
    #[serde(rename = "offer")]
    pub offers: Vec<Offer>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    pub collectible: Spanned<String>,
    pub merchant: Spanned<String>,
    pub price_minor: i64,
    pub quantity: i32,
    pub limit_per_holder: i32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Airdrop {
    pub key: Spanned<String>,
    pub name: Text,
    pub rules: Text,
    pub opens_at: Spanned<Datetime>,
    pub closes_at: Spanned<Datetime>,
    pub claim_days: i32,
    #[serde(rename = "prize")]
    pub prizes: Vec<Prize>,
}

fn one() -> i32 {
    1
}

fn standard() -> EnterpriseKind {
    EnterpriseKind::Standard
}

/// A manifest's text, kept so that a mistake can be shown where it stands.
pub struct Source {
    pub name: String,
    folder: PathBuf,
    text: String,
}

impl Source {
    pub fn read(file: &Path) -> Result<(Self, Manifest)> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the manifest {name}"))?;
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let source = Self { name, folder, text };
        let manifest = match toml::from_str::<Manifest>(&source.text) {
            Ok(manifest) => manifest,
            Err(error) => {
                let line = error.span().map_or(1, |span| source.line(span.start));
                bail!("{}:{line}: {}", source.name, error.message());
            }
        };
        source.check(&manifest)?;
        Ok((source, manifest))
    }

    /// `file:line` of something in the manifest.
    pub fn at<T>(&self, spanned: &Spanned<T>) -> String {
        format!("{}:{}", self.name, self.line(spanned.span().start))
    }

    /// A file that the manifest names.
    pub fn file(&self, named: &Spanned<String>) -> PathBuf {
        self.folder.join(named.get_ref())
    }

    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// An instant; a date without an offset could mean any.
    pub fn instant(&self, datetime: &Spanned<Datetime>) -> Result<DateTime<Utc>> {
        let text = datetime.get_ref().to_string();
        DateTime::parse_from_rfc3339(&text).map(|instant| instant.to_utc()).map_err(|_| {
            anyhow::anyhow!("{}: `{text}` names no instant; write it like 2026-01-01T00:00:00+08:00", self.at(datetime))
        })
    }

    // What needs no database to be seen: doubled keys and references to what is not there.
    fn check(&self, manifest: &Manifest) -> Result<()> {
        self.no_doubles("enterprise", manifest.enterprises.iter().map(|enterprise| &enterprise.slug))?;
        for enterprise in &manifest.enterprises {
            let owners = enterprise.operators.iter().filter(|operator| operator.role == Role::Owner).count();
            if owners == 0 {
                bail!(
                    "{}: `{}` has no operator with the role OWNER",
                    self.at(&enterprise.slug),
                    enterprise.slug.get_ref()
                );
            }
            self.no_doubles("branch", enterprise.branches.iter().map(|branch| &branch.corp_open_id))?;
            if let Some(branch) = enterprise.branches.first().filter(|_| enterprise.kind != EnterpriseKind::Platform) {
                bail!("{}: only an enterprise of kind PLATFORM has branches", self.at(&branch.corp_open_id));
            }
            let covers = enterprise.series.iter().filter_map(|series| series.cover.as_ref());
            let shown = enterprise.series.iter().flat_map(|series| &series.collectibles);
            let shown = shown.flat_map(|design| [design.media.as_ref(), design.cover.as_ref()]).flatten();
            if let Some(missing) = covers.chain(shown).find(|named| !self.file(named).is_file()) {
                bail!("{}: there is no file {}", self.at(missing), self.file(missing).display());
            }
            let collectibles = || enterprise.series.iter().flat_map(|series| &series.collectibles);
            self.no_doubles("series", enterprise.series.iter().map(|series| &series.key))?;
            self.no_doubles("collectible", collectibles().map(|collectible| &collectible.key))?;
            self.no_doubles("merchant", enterprise.merchants.iter().map(|merchant| &merchant.key))?;
            let draws = enterprise.draws.iter().map(|draw| &draw.key);
            let sales = enterprise.sales.iter().map(|sale| &sale.key);
            let airdrops = enterprise.airdrops.iter().map(|airdrop| &airdrop.key);
            self.no_doubles("activity", draws.chain(sales).chain(airdrops))?;

            let windows = enterprise.draws.iter().map(|draw| (&draw.opens_at, &draw.closes_at));
            let windows = windows.chain(enterprise.sales.iter().map(|sale| (&sale.opens_at, &sale.closes_at)));
            for (opens_at, closes_at) in
                windows.chain(enterprise.airdrops.iter().map(|drop| (&drop.opens_at, &drop.closes_at)))
            {
                self.instant(opens_at)?;
                self.instant(closes_at)?;
            }
            let mut dropped = enterprise.airdrops.iter().flat_map(|airdrop| &airdrop.prizes);
            if let Some(prize) = dropped.find(|prize| prize.odds_per_million != 0) {
                bail!(
                    "{}: an airdrop leaves nothing to chance; take `odds_per_million` out",
                    self.at(&prize.collectible)
                );
            }

            let prizes = enterprise.draws.iter().flat_map(|draw| &draw.prizes);
            let prizes = prizes.chain(enterprise.airdrops.iter().flat_map(|airdrop| &airdrop.prizes));
            let offers = || enterprise.sales.iter().flat_map(|sale| &sale.offers);
            let named = prizes.map(|prize| &prize.collectible).chain(offers().map(|offer| &offer.collectible));
            self.all_known("collectible", named, collectibles().map(|collectible| &collectible.key))?;
            let merchants = enterprise.merchants.iter().map(|merchant| &merchant.key);
            self.all_known("merchant", offers().map(|offer| &offer.merchant), merchants)?;
        }
        Ok(())
    }

    fn no_doubles<'a>(&self, what: &str, keys: impl Iterator<Item = &'a Spanned<String>>) -> Result<()> {
        let mut seen: Vec<&Spanned<String>> = Vec::new();
        for key in keys {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == key.get_ref()) {
                bail!("{}: the {what} key `{}` stands already at {}", self.at(key), key.get_ref(), self.at(first));
            }
            seen.push(key);
        }
        Ok(())
    }

    fn all_known<'a>(
        &self,
        what: &str,
        named: impl Iterator<Item = &'a Spanned<String>>,
        known: impl Iterator<Item = &'a Spanned<String>>,
    ) -> Result<()> {
        let known: Vec<&str> = known.map(|key| key.get_ref().as_str()).collect();
        for name in named {
            if !known.contains(&name.get_ref().as_str()) {
                bail!(
                    "{}: there is no {what} `{}` in this enterprise; there are: {}",
                    self.at(name),
                    name.get_ref(),
                    known.join(", ")
                );
            }
        }
        Ok(())
    }
}
