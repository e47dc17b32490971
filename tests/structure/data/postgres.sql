-- Every case of a structure as PostgreSQL has it. Statements end with a semicolon at the end of a line.

CREATE TABLE plain (id serial PRIMARY KEY, v varchar(20) NOT NULL DEFAULT 'it''s');
COMMENT ON TABLE plain IS 'a table''s comment';
INSERT INTO plain (v) VALUES ('a'), ('b');
DELETE FROM plain WHERE id = 2;

CREATE TABLE "Mixed Case.and ""quotes"" 'n' `ticks`" ("Der Schlüssel" int PRIMARY KEY, "select" int, "a.b" int, """" int, "名前" int, "A" int, "a" int, "ä" int);
INSERT INTO "Mixed Case.and ""quotes"" 'n' `ticks`" VALUES (1, 2, 3, 4, 5, 6, 7, 8);
CREATE INDEX "order by" ON "Mixed Case.and ""quotes"" 'n' `ticks`" ("select", "a.b");
CREATE TABLE "group" ("ünïcödé" int PRIMARY KEY, "😀" int, "blank " int);
CREATE TABLE a_table_with_a_name_of_sixty_three_characters_which_is_the_most (id int PRIMARY KEY);

CREATE TABLE key_composite (b text, a bigint, v int, PRIMARY KEY (b, a));
CREATE TABLE key_none (v int, w varchar(10));
CREATE TABLE key_text (code char(3) PRIMARY KEY);
CREATE TABLE key_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), v int);
CREATE TABLE key_decimal (n numeric(20,5) PRIMARY KEY);
CREATE TABLE key_moment (t timestamp PRIMARY KEY);
CREATE TABLE key_bytes (b bytea PRIMARY KEY);
CREATE TABLE key_covering (a int, b int, c int, PRIMARY KEY (a) INCLUDE (b));
CREATE TABLE key_deferred (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, b int UNIQUE DEFERRABLE);

CREATE TABLE indexed (id int PRIMARY KEY, a int, b int, name varchar(100), body text, doc jsonb, span int4range);
CREATE UNIQUE INDEX one_of_many ON indexed (a, b);
CREATE UNIQUE INDEX one_null ON indexed (a, name) NULLS NOT DISTINCT;
CREATE INDEX some_rows ON indexed (a) WHERE b > 0;
CREATE UNIQUE INDEX unique_some ON indexed (name) WHERE (b IS NOT NULL);
CREATE INDEX lowered ON indexed (lower(name), a);
CREATE INDEX backwards ON indexed (a DESC, b);
CREATE INDEX nulls_turned ON indexed (a DESC NULLS LAST, b NULLS FIRST);
CREATE INDEX covering ON indexed (a) INCLUDE (b, name);
CREATE INDEX every_key ON indexed USING gin (doc);
CREATE INDEX by_path ON indexed USING gin (doc jsonb_path_ops);
CREATE INDEX spans ON indexed USING gist (span);
CREATE INDEX blocks ON indexed USING brin (id);
CREATE INDEX hashed ON indexed USING hash (a);
CREATE INDEX patterns ON indexed (name varchar_pattern_ops);
CREATE INDEX other_order ON indexed (name COLLATE "POSIX");
CREATE INDEX words ON indexed USING gin (to_tsvector('english', body));
CREATE INDEX long_text ON indexed (body);
CREATE INDEX noted ON indexed (b);
COMMENT ON INDEX noted IS 'why';
INSERT INTO indexed VALUES (1, NULL, 1, 'a', 'aa', '{}', '[1,2)'), (2, NULL, 1, 'b', 'bb', NULL, NULL);

CREATE TABLE parent (id int PRIMARY KEY, code varchar(10) NOT NULL, part int NOT NULL, CONSTRAINT by_code UNIQUE (code, part));
INSERT INTO parent VALUES (1, 'a', 1), (2, 'b', 2);
CREATE TABLE child (id int PRIMARY KEY, p1 int CONSTRAINT fk_restrict REFERENCES parent ON DELETE RESTRICT ON UPDATE RESTRICT, p2 int CONSTRAINT fk_cascade REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, p3 int CONSTRAINT fk_null REFERENCES parent ON DELETE SET NULL ON UPDATE SET NULL, p4 int CONSTRAINT fk_nothing REFERENCES parent, p5 int DEFAULT 1 CONSTRAINT fk_default REFERENCES parent ON DELETE SET DEFAULT, p6 int CONSTRAINT fk_later REFERENCES parent DEFERRABLE INITIALLY DEFERRED, p7 int CONSTRAINT fk_maybe REFERENCES parent DEFERRABLE, code varchar(10), part int, CONSTRAINT fk_two FOREIGN KEY (code, part) REFERENCES parent (code, part) MATCH FULL, CONSTRAINT fk_part_null FOREIGN KEY (code, part) REFERENCES parent (code, part) ON DELETE SET NULL (part));
INSERT INTO child VALUES (1, 1, 1, 1, 1, 1, 1, 1, 'a', 1), (2, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE unproved (id int PRIMARY KEY, p int);
INSERT INTO unproved VALUES (1, 99);
ALTER TABLE unproved ADD CONSTRAINT fk_unproved FOREIGN KEY (p) REFERENCES parent NOT VALID;
ALTER TABLE unproved ADD CONSTRAINT check_unproved CHECK (p < 10) NOT VALID;
CREATE TABLE oneself (id int PRIMARY KEY, boss int CONSTRAINT to_boss REFERENCES oneself);
INSERT INTO oneself VALUES (1, 2), (2, 1);
CREATE TABLE cycle_a (id int PRIMARY KEY, b int);
CREATE TABLE cycle_b (id int PRIMARY KEY, a int CONSTRAINT b_to_a REFERENCES cycle_a);
ALTER TABLE cycle_a ADD CONSTRAINT a_to_b FOREIGN KEY (b) REFERENCES cycle_b;
INSERT INTO cycle_a VALUES (1, NULL);
INSERT INTO cycle_b VALUES (1, 1);
UPDATE cycle_a SET b = 1;

CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN positive AS int NOT NULL DEFAULT 7 CHECK (VALUE > 0);
CREATE SEQUENCE numbers START 100;
CREATE TABLE defaulted (id int PRIMARY KEY, word text DEFAULT 'it''s \ "so"', empty varchar(5) DEFAULT '', big bigint DEFAULT 9223372036854775807, price numeric(10,2) DEFAULT -1.50, ratio double precision DEFAULT 1.5e10, flag boolean DEFAULT true, bits bit(4) DEFAULT B'1010', day date DEFAULT '2020-02-29', at timestamp DEFAULT now(), fine timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, who uuid DEFAULT gen_random_uuid(), sum int DEFAULT 1 + 2 * 3, joined text DEFAULT 'a' || 'b', m mood DEFAULT 'happy', p positive, raw bytea DEFAULT '\x00ff', doc jsonb DEFAULT '{"a": 1}', t time DEFAULT '12:34:56', today date DEFAULT CURRENT_DATE, who_am_i text DEFAULT CURRENT_USER, next int DEFAULT nextval('numbers'), later timestamp DEFAULT now() + interval '1 day', nothing int DEFAULT NULL);
INSERT INTO defaulted (id) VALUES (1);

CREATE TABLE computed (id int PRIMARY KEY, a int, b int, first varchar(20), last varchar(20), price numeric(10,2), total int GENERATED ALWAYS AS (a + b) STORED, full_name varchar(60) GENERATED ALWAYS AS (first || ' ' || last) STORED, gross numeric(12,2) GENERATED ALWAYS AS (price * 1.2) STORED, low varchar(20) GENERATED ALWAYS AS (lower(first)) STORED, big varchar(5) GENERATED ALWAYS AS (CASE WHEN a > 10 THEN 'big' ELSE 'small' END) STORED, known int GENERATED ALWAYS AS (coalesce(a, 0)) STORED, half int GENERATED ALWAYS AS (a / 2) STORED, size int GENERATED ALWAYS AS (length(first)) STORED, squeezed text GENERATED ALWAYS AS (regexp_replace(first, 'a+', 'a')) STORED);
COMMENT ON COLUMN computed.total IS 'both';
INSERT INTO computed (id, a, b, first, last, price) VALUES (1, 11, 3, 'Ada', 'Lovelace', 10.05), (2, -3, 2, 'Ünï', NULL, 0.99), (3, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE checked (id int PRIMARY KEY, a int CONSTRAINT positive CHECK (a > 0), name varchar(20), CONSTRAINT named CHECK (name <> '' AND char_length(name) < 20), CONSTRAINT listed CHECK (a IN (1, 2, 3)), CONSTRAINT shaped CHECK (name ~ '^[a-z]+$'), CONSTRAINT together CHECK ((a IS NULL) = (name IS NULL)));
INSERT INTO checked VALUES (1, 1, 'abc');
COMMENT ON CONSTRAINT positive ON checked IS 'because';
CREATE TABLE excluded (id int PRIMARY KEY, span int4range, CONSTRAINT no_overlap EXCLUDE USING gist (span WITH &&));

CREATE TABLE commented (id int PRIMARY KEY, v int);
COMMENT ON TABLE commented IS 'unicode: ünï 名';
COMMENT ON COLUMN commented.id IS 'the key';
COMMENT ON COLUMN commented.v IS E'it''s a "comment" \\ with\na line';
CREATE TABLE numbered_always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int);
INSERT INTO numbered_always (v) VALUES (1), (2);
CREATE TABLE numbered_by_default (id bigint GENERATED BY DEFAULT AS IDENTITY (START WITH 1000 INCREMENT BY 10) PRIMARY KEY, v int);
INSERT INTO numbered_by_default (v) VALUES (1);
CREATE TABLE numbered_twice (id serial PRIMARY KEY, n serial, v int);
INSERT INTO numbered_twice (v) VALUES (1);
CREATE TABLE parted (id int, y int, PRIMARY KEY (id, y)) PARTITION BY RANGE (y);
CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (2000);
CREATE TABLE parted_new PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1, 1999), (2, 2020);
CREATE TABLE ancestor (id int PRIMARY KEY, v int CHECK (v > 0));
CREATE TABLE heir (w int) INHERITS (ancestor);
INSERT INTO ancestor VALUES (1, 1);
INSERT INTO heir VALUES (2, 2, 2);
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
CREATE TABLE collated (a text COLLATE "POSIX", b text, c varchar(10) COLLATE "C" UNIQUE);
CREATE TABLE guarded (id int PRIMARY KEY, owner text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON guarded USING (owner = CURRENT_USER);
CREATE TABLE triggered (id int PRIMARY KEY, v int);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER before_it BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION noted();
CREATE RULE no_deletes AS ON DELETE TO triggered DO INSTEAD NOTHING;
CREATE VIEW seen AS SELECT id FROM plain;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM plain;
