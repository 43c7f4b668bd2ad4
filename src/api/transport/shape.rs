//! The shape of a document: how large it is once its fragments are expanded.
//!
//! async-graphql's own limits are checked while fragments are being expanded, so that a document of 3 kB can burn
//! seconds before it is refused. Here a fragment is measured once and its figures are added wherever it is spread:
//! the time is that of reading the document, whatever it expands to, and figures saturate where they would overflow.

use std::collections::HashMap;

use async_graphql::parser::types::{Directive, ExecutableDocument, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

use super::limits::DocumentLimits;
use crate::platform::language::{Language, Text};

/// Brackets within brackets that a text may have. The parser descends once for each. It looks after its own stack by
/// best effort and gives up some 6,000 levels down; what walks the values after it has no such guard, and an overflow
/// would end the process.
const NESTED_BRACKETS: usize = 100;

/// Selection sets within selection sets and fragments; bounds the recursion of everything that walks a document.
const NESTED_SELECTIONS: u64 = 128;

/// Introspection asks for lists of types within types; graphql-js's own query does so once (types, then fields), and
/// each further level multiplies the answer by the size of the schema.
const INTROSPECTION_LISTS: u64 = 2;

/// What the checks found out about a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub nodes: u64,
    pub depth: u64,
    pub aliases: u64,
    pub directives: u64,
    pub roots: u64,
    pub introspects: bool,
    introspection_lists: u64,
}

/// Why a document is not measured further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misshapen {
    /// A fragment spreads itself, at whatever distance.
    Cycle,
    TooLarge {
        what: Text,
        figure: u64,
        limit: u64,
    },
}

const NODES: Text = Text::new("展开后的节点数", "nodes, fragments expanded");
const DEPTH: Text = Text::new("嵌套深度", "depth");
const ALIASES: Text = Text::new("别名数", "aliases");
const DIRECTIVES: Text = Text::new("指令数", "directives");
const ROOTS: Text = Text::new("根字段数", "root fields");
const LISTS: Text = Text::new("内省嵌套", "introspection lists within lists");

/// Names the figure and the limit.
pub fn over(what: Text, figure: u64, limit: u64, language: Language) -> String {
    let what = what.in_language(language);
    match language {
        Language::Chinese => format!("{what}为 {figure}，上限为 {limit}"),
        Language::English => format!("{what}: {figure}, the limit is {limit}"),
    }
}

impl Shape {
    /// Measures every operation and every fragment, since validation looks at all of them.
    pub fn measure(document: &ExecutableDocument) -> Result<Self, Misshapen> {
        let mut walk = Walk { document, fragments: HashMap::new() };
        let mut whole = Shape::default();
        for (_, operation) in document.operations.iter() {
            let mut shape = walk.selections(&operation.node.selection_set.node, 0)?;
            shape.directives = shape.directives.saturating_add(count(&operation.node.directives));
            // Operations exclude each other, so the largest counts; nodes are validated in all of them.
            let nodes = whole.nodes.saturating_add(shape.nodes);
            whole.widen(shape);
            whole.nodes = nodes;
        }
        for (name, fragment) in &document.fragments {
            let shape = walk.fragment(name, fragment, 0)?;
            whole.nodes = whole.nodes.saturating_add(shape.nodes);
            whole.introspects |= shape.introspects;
        }
        Ok(whole)
    }

    pub fn check(&self, limits: &DocumentLimits) -> Result<(), Misshapen> {
        let introspection_lists = if self.introspects { self.introspection_lists } else { 0 };
        for (what, figure, limit) in [
            (NODES, self.nodes, limits.nodes),
            (DEPTH, self.depth, limits.depth),
            (ALIASES, self.aliases, limits.aliases),
            (DIRECTIVES, self.directives, limits.directives),
            (ROOTS, self.roots, limits.roots),
            (LISTS, introspection_lists, INTROSPECTION_LISTS),
        ] {
            if figure > limit {
                return Err(Misshapen::TooLarge { what, figure, limit });
            }
        }
        Ok(())
    }

    fn widen(&mut self, other: Shape) {
        self.nodes = self.nodes.max(other.nodes);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.max(other.aliases);
        self.directives = self.directives.max(other.directives);
        self.roots = self.roots.max(other.roots);
        self.introspects |= other.introspects;
        self.introspection_lists = self.introspection_lists.max(other.introspection_lists);
    }

    fn add(&mut self, other: Shape) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.roots = self.roots.saturating_add(other.roots);
        self.introspects |= other.introspects;
        self.introspection_lists = self.introspection_lists.max(other.introspection_lists);
    }
}

fn count(directives: &[Positioned<Directive>]) -> u64 {
    directives.len() as u64
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being measured: who meets it then has found a cycle.
    fragments: HashMap<&'a Name, Option<Shape>>,
}

impl<'a> Walk<'a> {
    fn selections(&mut self, set: &'a SelectionSet, level: u64) -> Result<Shape, Misshapen> {
        if level > NESTED_SELECTIONS {
            return Err(Misshapen::TooLarge { what: DEPTH, figure: level, limit: NESTED_SELECTIONS });
        }
        let mut sum = Shape::default();
        for item in &set.items {
            let mut shape = match &item.node {
                Selection::Field(field) => {
                    let mut shape = self.selections(&field.node.selection_set.node, level + 1)?;
                    shape.depth += 1;
                    shape.roots = 1;
                    shape.aliases = shape.aliases.saturating_add(u64::from(field.node.alias.is_some()));
                    match field.node.name.node.as_str() {
                        "__schema" | "__type" => shape.introspects = true,
                        "fields" | "inputFields" | "interfaces" | "possibleTypes" => shape.introspection_lists += 1,
                        _ => {}
                    }
                    shape
                }
                Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set.node, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    match self.document.fragments.get_key_value(&spread.node.fragment_name.node) {
                        Some((name, fragment)) => self.fragment(name, fragment, level + 1)?,
                        // Validation says so better.
                        None => Shape::default(),
                    }
                }
            };
            shape.nodes = shape.nodes.saturating_add(1);
            shape.directives = shape.directives.saturating_add(count(item.node.directives()));
            sum.add(shape);
        }
        Ok(sum)
    }

    fn fragment(
        &mut self,
        name: &'a Name,
        fragment: &'a Positioned<FragmentDefinition>,
        level: u64,
    ) -> Result<Shape, Misshapen> {
        match self.fragments.get(name) {
            Some(Some(shape)) => return Ok(*shape),
            Some(None) => return Err(Misshapen::Cycle),
            None => {}
        }
        self.fragments.insert(name, None);
        let mut shape = self.selections(&fragment.node.selection_set.node, level)?;
        shape.directives = shape.directives.saturating_add(count(&fragment.node.directives));
        self.fragments.insert(name, Some(shape));
        Ok(shape)
    }
}

/// Refuses a text whose brackets are nested too deep for the parser's stack.
///
/// Strings and comments are passed over. Where a string is not closed the parser stops at its end of line, and so
/// does this: it never sees fewer brackets than the parser.
pub fn check_brackets(text: &str) -> Result<(), Misshapen> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > NESTED_BRACKETS {
                    let (figure, limit) = (depth as u64, NESTED_BRACKETS as u64);
                    return Err(Misshapen::TooLarge { what: DEPTH, figure, limit });
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => {
                while at + 1 < bytes.len() && !matches!(bytes[at + 1], b'\n' | b'\r') {
                    at += 1;
                }
            }
            b'"' if bytes[at..].starts_with(b"\"\"\"") => {
                at += 3;
                while at < bytes.len() && !bytes[at..].starts_with(b"\"\"\"") {
                    at += if bytes[at..].starts_with(b"\\\"\"\"") { 4 } else { 1 };
                }
                at += 2;
            }
            b'"' => {
                at += 1;
                while at < bytes.len() && !matches!(bytes[at], b'"' | b'\n' | b'\r') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn shape(text: &str) -> Result<Shape, Misshapen> {
        Shape::measure(&parse_query(text).unwrap())
    }

    #[test]
    fn fragments_are_counted_wherever_they_are_spread() {
        let shape = shape("{ a { ...F } b: a { ...F @include(if: true) } } fragment F on T { x y: z { w } }").unwrap();
        // a, b, two spreads, two times x, y, w; and the fragment itself once more.
        assert_eq!(shape.nodes, 2 + 2 + 2 * 3 + 3);
        assert_eq!((shape.depth, shape.aliases, shape.directives, shape.roots), (3, 3, 1, 2));
        assert!(!shape.introspects);
    }

    #[test]
    fn doublings_saturate_and_cycles_end() {
        for (levels, least) in [(25, 1 << 25), (70, u64::MAX)] {
            let mut text = format!("{{ ...F0 }} fragment F{levels} on Query {{ __typename }} ");
            for level in 0..levels {
                text += &format!("fragment F{level} on Query {{ ...F{0} ...F{0} }} ", level + 1);
            }
            let shape = shape(&text).unwrap();
            assert!(shape.nodes >= least, "{}", shape.nodes);
            assert!(shape.check(&DocumentLimits::default()).is_err());
        }
        assert_eq!(
            shape("{ ...A } fragment A on Query { ...B } fragment B on Query { a { ...A } }"),
            Err(Misshapen::Cycle)
        );
        assert_eq!(shape("{ a } fragment A on Query { ...A }"), Err(Misshapen::Cycle));
    }

    #[test]
    fn a_long_chain_of_fragments_does_not_exhaust_the_stack() {
        let mut text = "{ ...F0 } fragment F2000 on Query { __typename } ".to_owned();
        for level in 0..2000 {
            text += &format!("fragment F{level} on Query {{ ...F{} }} ", level + 1);
        }
        assert!(matches!(shape(&text), Err(Misshapen::TooLarge { .. })));
    }

    #[test]
    fn introspection_is_seen_inside_fragments_and_its_lists_are_counted() {
        let once = shape("{ ...F } fragment F on Query { __schema { types { fields { name } } } }").unwrap();
        assert!(once.introspects && once.check(&DocumentLimits::default()).is_ok());
        let nested = "{ __schema { types { fields { type { fields { type { possibleTypes { name } } } } } } } }";
        assert!(shape(nested).unwrap().check(&DocumentLimits::default()).is_err());
    }

    #[test]
    fn brackets_are_counted_outside_strings_and_comments_only() {
        assert!(check_brackets(&"[".repeat(101)).is_err());
        assert!(check_brackets(&"{a}".repeat(1_000)).is_ok());
        let many = "[".repeat(200);
        assert!(check_brackets(&format!("{{ a(b: \"{many}\", c: \"\"\"\\\"\"\" {many}\"\"\") }} # {many}")).is_ok());
        assert!(check_brackets(&format!("{{ a(b: \"\n{many}")).is_err());
        assert!(check_brackets(&format!("{{ a(b: \"\\\"\" {many}")).is_err());
        assert!(check_brackets(&format!("# comment\n{many}")).is_err());
        for unfinished in ["\"", "\"\"\"", "\"\\", "\"\"\"\\", "#"] {
            assert!(check_brackets(unfinished).is_ok());
        }
    }
}
