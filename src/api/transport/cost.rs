//! What an operation costs, declared by the schema and computed before anything is executed.
//!
//! The rules, for whoever reads `extensions.cost`:
//! - a scalar costs nothing, an object 1 and what is asked of it;
//! - a connection costs 1, and what is asked of it times the page size; a list with a page size costs as many objects;
//! - the page size is `first` or `last`, a literal or a variable, else the schema's default, else [`CostLimits::page`];
//!   a list that is asked for by `ids` has as many objects as there are;
//! - a field at the root of a mutation or of a subscription costs 10 and what is asked of it;
//! - `__schema` costs 100 and `__type` 10; every operation costs 1 at least.
//!
//! Fragments are priced once for a request, since a variable may name a page size; figures saturate.

use std::collections::HashMap;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, FieldDefinition, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Value, Variables};

use super::limits::CostLimits;

const EFFECT: u64 = 10;
const SCHEMA: u64 = 100;
const TYPE: u64 = 10;

/// What the schema says about prices.
pub struct Prices {
    types: HashMap<Name, HashMap<Name, FieldPrice>>,
    query: Name,
    mutation: Name,
    subscription: Name,
    page: u64,
}

struct FieldPrice {
    returns: Name,
    /// Whether the field yields objects; scalars and enums cost nothing.
    object: bool,
    list: bool,
    sizing: Sizing,
    /// 10 at the root of a mutation or of a subscription.
    effect: bool,
}

enum Sizing {
    One,
    /// Has `first` or `last`, with the default that the schema declares.
    Page(Option<u64>),
    Ids,
}

impl Prices {
    /// Reads the SDL. Fails where it is no SDL, or where its query type is missing.
    pub fn read(sdl: &str, limits: &CostLimits) -> anyhow::Result<Self> {
        let document = parse_schema(sdl).map_err(|error| anyhow::anyhow!("the SDL cannot be parsed: {error}"))?;
        let (mut query, mut mutation, mut subscription) =
            (Name::new("Query"), Name::new("Mutation"), Name::new("Subscription"));
        let mut definitions = Vec::new();
        for definition in &document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let named = |given: &Option<async_graphql::Positioned<Name>>, other: Name| {
                        given.as_ref().map_or(other, |name| name.node.clone())
                    };
                    query = named(&schema.node.query, query);
                    mutation = named(&schema.node.mutation, mutation);
                    subscription = named(&schema.node.subscription, subscription);
                }
                TypeSystemDefinition::Type(definition) => definitions.push(&definition.node),
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        let composite = |name: &Name| {
            definitions.iter().any(|definition| {
                definition.name.node == *name
                    && matches!(definition.kind, TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_))
            })
        };
        let mut types: HashMap<Name, HashMap<Name, FieldPrice>> = HashMap::new();
        for definition in &definitions {
            let fields = match &definition.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::Interface(interface) => &interface.fields,
                _ => continue,
            };
            let effect = definition.name.node == mutation || definition.name.node == subscription;
            // A type may be extended, so that it comes more than once.
            let prices = types.entry(definition.name.node.clone()).or_default();
            for field in fields {
                let (returns, list) = unwrap(&field.node.ty.node);
                let price =
                    FieldPrice { object: composite(&returns), returns, list, sizing: sizing(&field.node), effect };
                prices.insert(field.node.name.node.clone(), price);
            }
        }
        anyhow::ensure!(types.contains_key(&query), "the SDL has no type {query}: hand over the whole schema");
        Ok(Self { types, query, mutation, subscription, page: u64::from(limits.page) })
    }

    /// The cost of one operation of a document whose shape was checked.
    pub fn cost(&self, document: &ExecutableDocument, operation: &OperationDefinition, variables: &Variables) -> u64 {
        let root = match operation.ty {
            OperationType::Query => &self.query,
            OperationType::Mutation => &self.mutation,
            OperationType::Subscription => &self.subscription,
        };
        let mut till = Till { prices: self, document, operation, variables, fragments: HashMap::new() };
        till.selections(&operation.selection_set.node, root).max(1)
    }
}

fn unwrap(field_type: &Type) -> (Name, bool) {
    match &field_type.base {
        BaseType::Named(name) => (name.clone(), false),
        BaseType::List(inner) => (unwrap(inner).0, true),
    }
}

fn sizing(field: &FieldDefinition) -> Sizing {
    let argument = |name: &str| field.arguments.iter().find(|argument| argument.node.name.node == name);
    let pages: Vec<_> = ["first", "last"].into_iter().filter_map(argument).collect();
    if !pages.is_empty() {
        let default = |value: &Value| page_size(Some(value));
        return Sizing::Page(pages.iter().find_map(|page| default(&page.node.default_value.as_ref()?.node)));
    }
    if argument("ids").is_some() { Sizing::Ids } else { Sizing::One }
}

fn page_size(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_i64().map_or(number.as_u64(), |size| Some(size.max(0) as u64)),
        _ => None,
    }
}

/// Adds up one request.
struct Till<'a> {
    prices: &'a Prices,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    fragments: HashMap<&'a Name, u64>,
}

impl<'a> Till<'a> {
    fn selections(&mut self, set: &'a SelectionSet, on: &Name) -> u64 {
        let mut sum = 0u64;
        for item in &set.items {
            sum = sum.saturating_add(match &item.node {
                Selection::Field(field) => self.field(&field.node, on),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map_or(on, |condition| &condition.node.on.node);
                    self.selections(&inline.node.selection_set.node, on)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            });
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name) -> u64 {
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        let cost = self.selections(&fragment.node.selection_set.node, &fragment.node.type_condition.node.on.node);
        self.fragments.insert(name, cost);
        cost
    }

    fn field(&mut self, field: &'a Field, on: &Name) -> u64 {
        match field.name.node.as_str() {
            "__schema" => return SCHEMA,
            "__type" => return TYPE,
            _ => {}
        }
        let prices = self.prices;
        // Validation will refuse a field that the schema does not know.
        let Some(price) = prices.types.get(on).and_then(|fields| fields.get(&field.name.node)) else { return 0 };
        let own = if price.effect { EFFECT } else { u64::from(price.object) };
        if !price.object {
            return own;
        }
        let asked = self.selections(&field.selection_set.node, &price.returns);
        let size = match price.sizing {
            Sizing::One => 1,
            Sizing::Page(default) => self.page(field).or(default).unwrap_or(prices.page),
            Sizing::Ids => self.ids(field),
        };
        if price.list && !matches!(price.sizing, Sizing::One) && !price.effect {
            size.saturating_mul(asked.saturating_add(1))
        } else {
            size.saturating_mul(asked).saturating_add(own)
        }
    }

    /// The larger of `first` and `last`: which of the two is refused is for the resolver to say.
    fn page(&self, field: &Field) -> Option<u64> {
        ["first", "last"].into_iter().filter_map(|name| page_size(self.argument(field, name).as_ref())).max()
    }

    fn ids(&self, field: &Field) -> u64 {
        match self.argument(field, "ids") {
            Some(Value::List(ids)) => ids.len() as u64,
            _ => 1,
        }
    }

    /// An argument with its variables filled in.
    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        let value = field.get_argument(name)?.node.clone();
        value.into_const_with(|name| self.variable(&name).cloned().ok_or(())).ok()
    }

    fn variable(&self, name: &Name) -> Option<&Value> {
        self.variables.get(name).or_else(|| {
            let definitions = &self.operation.variable_definitions;
            let definition = definitions.iter().find(|definition| definition.node.name.node == *name)?;
            definition.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    const SDL: &str = "
        schema { query: Root mutation: Change subscription: Watch }
        interface Node { id: ID! }
        type Root { node(id: ID!): Node nodes(ids: [ID!]!): [Node]! orders(first: Int, last: Int): OrderConnection!
            recent(first: Int = 5): [Order!]! one: Order size: Int! }
        type OrderConnection { edges: [OrderEdge!]! totalCount: Int! }
        type OrderEdge { node: Order! cursor: String! }
        type Order implements Node { id: ID! holder: Holder! orders(first: Int): OrderConnection! tags: [String!]! }
        type Holder { name: String! }
        type Change { touch: Int! place: Order! }
        type Watch { order: Order! }
    ";

    fn cost_with(text: &str, variables: serde_json::Value) -> u64 {
        let prices = Prices::read(SDL, &CostLimits::default()).unwrap();
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        prices.cost(&document, &operation.node, &Variables::from_json(variables))
    }

    fn cost(text: &str) -> u64 {
        cost_with(text, serde_json::json!({}))
    }

    #[test]
    fn the_rules_are_kept() {
        assert_eq!(cost("{ size __typename }"), 1);
        assert_eq!(cost("{ one { id tags holder { name } } }"), 2);
        assert_eq!(cost("{ orders(first: 10) { totalCount edges { cursor node { id } } } }"), 1 + 10 * 2);
        assert_eq!(cost("{ orders { edges { node { id } } } }"), 1 + 20 * 2);
        assert_eq!(cost("{ recent { id holder { name } } }"), 5 * 2);
        assert_eq!(cost("{ recent(first: 7) { id } }"), 7);
        assert_eq!(cost("{ nodes(ids: [1, 2, 3]) { id ... on Order { holder { name } } } }"), 3 * 2);
        assert_eq!(cost("mutation { touch }"), 10);
        assert_eq!(cost("mutation { a: touch b: place { holder { name } } }"), 10 + 11);
        assert_eq!(cost("subscription { order { holder { name } } }"), 11);
        assert_eq!(cost("{ __schema { types { name } } }"), 100);
        assert_eq!(cost("{ unknown { deeper } }"), 1);
    }

    #[test]
    fn variables_and_their_defaults_are_page_sizes() {
        let text = "query A($n: Int = 3) { orders(last: $n) { edges { cursor } } }";
        assert_eq!(cost(text), 1 + 3);
        assert_eq!(cost_with(text, serde_json::json!({"n": 8})), 1 + 8);
        assert_eq!(cost_with(text, serde_json::json!({"n": null})), 1 + 20);
        assert_eq!(cost_with(text, serde_json::json!({"n": -8})), 1);
        assert_eq!(cost_with("query A($i: [ID!]!) { nodes(ids: $i) { id } }", serde_json::json!({"i": [1, 2]})), 2);
    }

    #[test]
    fn nested_pages_multiply_and_saturate() {
        let spread = "{ orders(first: 100) { ...C } } fragment C on OrderConnection { edges { node { orders(first: 50) { edges { cursor } } } } }";
        assert_eq!(cost(spread), 1 + 100 * (1 + 1 + 1 + 50));
        let huge = "{ orders(first: 9223372036854775807) { edges { node { orders(first: 9223372036854775807) { edges { cursor } } } } } }";
        assert_eq!(cost(huge), u64::MAX);
    }

    #[test]
    fn a_text_that_is_no_schema_is_refused() {
        assert!(Prices::read("type Query {", &CostLimits::default()).is_err());
        assert!(Prices::read("type Other { a: Int }", &CostLimits::default()).is_err());
    }
}
