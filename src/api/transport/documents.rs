//! Documents: parsed once, measured once, found again by their hash.
//!
//! The hash is the SHA-256 of the text, the same that automatic persisted queries name: a document that anyone sent
//! can be named by its hash from then on. That gives nothing away, since a document says what is asked and not what
//! may be seen. async-graphql validates each execution anew; what is kept is the parse, which is more than half of
//! the time of a small operation, and the shape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use async_graphql::{Positioned, ServerError};
use axum::http::StatusCode;

use super::errors::{Protocol, Refusal};
use super::limits::DocumentLimits;
use super::shape::{Misshapen, Shape, check_brackets, over};
use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};

/// A document that may be executed as far as its shape is concerned.
#[derive(Debug)]
pub struct Document {
    pub executable: ExecutableDocument,
    pub shape: Shape,
    pub trusted: bool,
    bytes: usize,
}

impl Document {
    /// The operation that a request means. GraphQL, section 6.1 (GetOperation).
    pub fn operation(&self, name: Option<&str>) -> Result<(Option<&str>, &Positioned<OperationDefinition>), Refusal> {
        let mut operations = self.executable.operations.iter();
        let found = match name {
            Some(name) => operations.find(|(own, _)| own.is_some_and(|own| own.as_str() == name)),
            None if operations.len() == 1 => operations.next(),
            None => return Err(invalid("The document has several operations: name one in operationName.".to_owned())),
        };
        found
            .map(|(name, operation)| (name.map(|name| name.as_str()), operation))
            .ok_or_else(|| invalid(format!("Unknown operation named {:?}.", name.unwrap_or_default())))
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::Document("GRAPHQL_VALIDATION_FAILED", vec![ServerError::new(message, None)])
}

type Hash = [u8; 32];

fn hash_of(text: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref());
    hash
}

/// The extension `persistedQuery` of Apollo's clients: `{"version": 1, "sha256Hash": "…"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistedQuery(Hash);

const BAD_PERSISTED_QUERY: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new(
        "extensions.persistedQuery 无效：需要 version 为 1，sha256Hash 为 query 的 SHA-256（64 位十六进制）。",
        "extensions.persistedQuery is not valid: version must be 1 and sha256Hash the SHA-256 of query, 64 hexadecimal digits.",
    ),
);

const NO_QUERY: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new(
        "缺少 query：请以字符串给出 GraphQL 文档。",
        "There is no query: give the GraphQL document as the string parameter \"query\".",
    ),
);

impl PersistedQuery {
    pub fn from_extension(extension: &serde_json::Value) -> Result<Self, Protocol> {
        let hash = extension["sha256Hash"].as_str().filter(|_| extension["version"] == 1).and_then(hexadecimal);
        hash.map(Self).ok_or(BAD_PERSISTED_QUERY)
    }
}

fn hexadecimal(text: &str) -> Option<Hash> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// Every document that is known, up to a number of bytes.
pub struct Documents {
    limits: DocumentLimits,
    trusted: HashMap<Hash, Arc<Document>>,
    recent: Mutex<Generations>,
}

/// Two generations: what is asked for moves to the young one, and when that is full the old one is dropped whole.
/// As good as a list by last use here, and without its pointers.
#[derive(Default)]
struct Generations {
    young: HashMap<Hash, Arc<Document>>,
    old: HashMap<Hash, Arc<Document>>,
    young_bytes: usize,
}

impl Generations {
    fn get(&mut self, hash: &Hash, half: usize) -> Option<Arc<Document>> {
        if let Some(document) = self.young.get(hash) {
            return Some(document.clone());
        }
        let document = self.old.remove(hash)?;
        self.insert(*hash, document.clone(), half);
        Some(document)
    }

    fn insert(&mut self, hash: Hash, document: Arc<Document>, half: usize) {
        if self.young_bytes + document.bytes > half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        let bytes = document.bytes;
        if self.young.insert(hash, document).is_none() {
            self.young_bytes += bytes;
        }
    }
}

impl Documents {
    /// Fails where a trusted document cannot be parsed: that is a mistake of ours, to be seen at the start.
    pub fn new(limits: DocumentLimits, trusted: &[String]) -> anyhow::Result<Self> {
        let mut known = HashMap::new();
        for text in trusted {
            let executable = parse_query(text)
                .map_err(|error| anyhow::anyhow!("a trusted document is no GraphQL, correct it: {error}\n{text}"))?;
            let shape = Shape::measure(&executable)
                .map_err(|why| anyhow::anyhow!("a trusted document cannot be measured, {why:?}:\n{text}"))?;
            let document = Document { executable, shape, trusted: true, bytes: text.len() };
            known.insert(hash_of(text), Arc::new(document));
        }
        Ok(Self { limits, trusted: known, recent: Mutex::default() })
    }

    /// Finds the document that a request sends or names.
    pub fn find(
        &self,
        text: Option<&str>,
        persisted: Option<PersistedQuery>,
        language: Language,
    ) -> Result<Arc<Document>, Refusal> {
        let text = text.filter(|text| !text.is_empty());
        let hash = match (text, persisted) {
            (None, None) => return Err(NO_QUERY.into()),
            (None, Some(PersistedQuery(hash))) => {
                return self.known(&hash).ok_or(Refusal::PersistedQueryNotFound);
            }
            (Some(text), persisted) => {
                let hash = hash_of(text);
                if persisted.is_some_and(|PersistedQuery(claimed)| claimed != hash) {
                    return Err(BAD_PERSISTED_QUERY.into());
                }
                hash
            }
        };
        if let Some(document) = self.known(&hash) {
            return Ok(document);
        }
        let document = Arc::new(self.read(text.unwrap_or_default(), language)?);
        self.recent().insert(hash, document.clone(), self.limits.cached_bytes / 2);
        Ok(document)
    }

    fn known(&self, hash: &Hash) -> Option<Arc<Document>> {
        let trusted = self.trusted.get(hash).cloned();
        trusted.or_else(|| self.recent().get(hash, self.limits.cached_bytes / 2))
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Generations> {
        // A panic while the lock was held can have lost entries at worst.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, text: &str, language: Language) -> Result<Document, Refusal> {
        let refuse = |why| match why {
            Misshapen::Cycle => invalid("A fragment spreads itself: break the cycle.".to_owned()),
            Misshapen::TooLarge { what, figure, limit } => {
                Fault::TooComplex(over(what, figure, limit, language)).into()
            }
        };
        check_brackets(text).map_err(refuse)?;
        let executable =
            parse_query(text).map_err(|error| Refusal::Document("GRAPHQL_PARSE_FAILED", vec![error.into()]))?;
        let shape = Shape::measure(&executable).map_err(refuse)?;
        shape.check(&self.limits).map_err(refuse)?;
        Ok(Document { executable, shape, trusted: false, bytes: text.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(cached_bytes: usize) -> Documents {
        let limits = DocumentLimits { cached_bytes, ..DocumentLimits::default() };
        Documents::new(limits, &["query Known { a }".to_owned()]).unwrap()
    }

    fn named(text: &str) -> Option<PersistedQuery> {
        Some(PersistedQuery(hash_of(text)))
    }

    #[test]
    fn a_document_is_parsed_once_and_the_cache_is_bounded() {
        let documents = documents(40);
        let first = documents.find(Some("{ aaaaaaaa }"), None, Language::English).unwrap();
        assert!(Arc::ptr_eq(&first, &documents.find(Some("{ aaaaaaaa }"), None, Language::English).unwrap()));
        assert!(Arc::ptr_eq(&first, &documents.find(None, named("{ aaaaaaaa }"), Language::English).unwrap()));
        // Asked for again and again, it survives what passes by; left alone, it goes.
        for passing in ["{ bbbbbbbb }", "{ cccccccc }"] {
            documents.find(Some(passing), None, Language::English).unwrap();
            assert!(documents.find(None, named("{ aaaaaaaa }"), Language::English).is_ok());
        }
        for passing in ["{ dddddddd }", "{ eeeeeeee }", "{ ffffffff }"] {
            documents.find(Some(passing), None, Language::English).unwrap();
        }
        let gone = documents.find(None, named("{ aaaaaaaa }"), Language::English);
        assert!(matches!(gone, Err(Refusal::PersistedQueryNotFound)));
        assert!(documents.find(None, named("query Known { a }"), Language::English).unwrap().trusted);
    }

    #[test]
    fn a_hash_must_be_that_of_the_text() {
        let wrong = documents(1_000).find(Some("{ a }"), named("{ b }"), Language::English);
        assert!(matches!(wrong, Err(Refusal::Protocol(_))));
        for bad in [
            serde_json::json!({"version": 1, "sha256Hash": "+f".repeat(32)[..63].to_owned() + "é"}),
            serde_json::json!({"version": 2, "sha256Hash": "0".repeat(64)}),
            serde_json::json!({"version": 1, "sha256Hash": "0".repeat(63)}),
            serde_json::json!({"version": 1}),
            serde_json::json!("hash"),
        ] {
            assert!(PersistedQuery::from_extension(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_operation_is_found_by_its_name() {
        let documents = documents(1_000);
        let read = |text: &str| documents.find(Some(text), None, Language::English).unwrap();
        assert_eq!(read("query A { a } query B { b }").operation(Some("B")).unwrap().0, Some("B"));
        assert!(read("query A { a } query B { b }").operation(None).is_err());
        assert!(read("query A { a }").operation(Some("B")).is_err());
        assert!(read("{ a }").operation(Some("B")).is_err());
        assert_eq!(read("query A { a }").operation(None).unwrap().0, Some("A"));
    }
}
