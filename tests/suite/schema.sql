-- Prints src/schema.rs from the database's catalogue, so that the two can be compared and the file made anew.
WITH columns AS (
    SELECT c.relname AS table_name, a.attnum,
           CASE WHEN a.attname = 'type' THEN E'        #[sql_name = "type"]\n        type_' ELSE '        ' || a.attname END
           || ' -> '
           || CASE WHEN a.attnotnull THEN kind ELSE 'Nullable<' || kind || '>' END || ',' AS line
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
      JOIN (VALUES ('uuid', 'Uuid'), ('text', 'Text'), ('int4', 'Integer'), ('int8', 'BigInt'), ('bool', 'Bool'),
                   ('bytea', 'Bytea'), ('json', 'Json'), ('timestamptz', 'Timestamptz')) AS kinds (name, kind)
        ON kinds.name = t.typname
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname <> '__diesel_schema_migrations'
), keys AS (
    SELECT c.relname AS table_name, string_agg(a.attname, ', ' ORDER BY k.position) AS list
      FROM pg_constraint p
      JOIN pg_class c ON c.oid = p.conrelid
      CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (attnum, position)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE p.contype = 'p' AND c.relnamespace = 'public'::regnamespace
     GROUP BY c.relname
), tables AS (
    SELECT columns.table_name,
           E'diesel::table! {\n    ' || columns.table_name || ' (' || keys.list || E') {\n'
           || string_agg(columns.line, E'\n' ORDER BY attnum) || E'\n    }\n}\n' AS text
      FROM columns JOIN keys USING (table_name)
     GROUP BY columns.table_name, keys.list
)
-- Which tables stand together in a query is said beside the query: of all of them, the compiler would compare each pair.
SELECT E'//! The tables as diesel sees them. Printed from the database (migrations/README.md); do not edit.\n\n'
       || string_agg(text, E'\n' ORDER BY table_name)
  FROM tables;
