-- Every case of a structure as MariaDB has it. Statements end with a semicolon at the end of a line.

CREATE TABLE plain (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) NOT NULL DEFAULT 'it''s') COMMENT='a table''s comment';
INSERT INTO plain VALUES (1, 'a'), (7, 'b');
DELETE FROM plain WHERE id = 7;

CREATE TABLE `Mixed Case.and "quotes" 'n' ``ticks``` (`Der Schlüssel` INT PRIMARY KEY, `select` INT, `a.b` INT, `"` INT, `名前` INT, ctid INT, KEY `order by` (`select`, `a.b`));
INSERT INTO `Mixed Case.and "quotes" 'n' ``ticks``` VALUES (1, 2, 3, 4, 5, 6);
CREATE TABLE `group` (`ünïcödé` INT PRIMARY KEY);
CREATE TABLE `läääääääääääääääääääääääääääääääääääääääääääääääääääääääääääng_a` (`spääääääääääääääääääääääääääääääääääääääääääääääääääääääääälte_a` INT PRIMARY KEY, `spääääääääääääääääääääääääääääääääääääääääääääääääääääääääälte_b` INT);
CREATE TABLE `läääääääääääääääääääääääääääääääääääääääääääääääääääääääääääng_b` (id INT PRIMARY KEY, up INT, CONSTRAINT `a_constraint_with_a_name_of_sixty_four_characters_that_is_all_it` FOREIGN KEY (up) REFERENCES `läääääääääääääääääääääääääääääääääääääääääääääääääääääääääääng_a` (`spääääääääääääääääääääääääääääääääääääääääääääääääääääääääälte_a`));

CREATE TABLE key_composite (b VARCHAR(10) COLLATE utf8mb4_bin, a BIGINT UNSIGNED, v INT, PRIMARY KEY (b, a));
CREATE TABLE key_none (v INT, w VARCHAR(10));
CREATE TABLE key_text (code CHAR(3) PRIMARY KEY);
CREATE TABLE key_uuid (id UUID PRIMARY KEY DEFAULT uuid(), v INT);
CREATE TABLE key_decimal (n DECIMAL(20,5) PRIMARY KEY);
CREATE TABLE key_moment (t DATETIME(6) PRIMARY KEY);
CREATE TABLE key_bytes (b VARBINARY(16) PRIMARY KEY);

CREATE TABLE indexed (id INT PRIMARY KEY, a INT, b INT, name VARCHAR(100), body TEXT, place POINT NOT NULL, UNIQUE KEY one_of_many (a, b), KEY beginning (body(10)), UNIQUE KEY unique_beginning (name(5)), KEY backwards (a DESC, b), FULLTEXT KEY words (body), SPATIAL KEY places (place), KEY hashed (b) USING HASH, KEY unseen (name) IGNORED, KEY noted (a) COMMENT 'why');
INSERT INTO indexed VALUES (1, NULL, 1, 'a', 'aa', POINT(1, 2)), (2, NULL, 1, 'b', 'bb', POINT(3, 4));

CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(10) NOT NULL, part INT NOT NULL, UNIQUE KEY by_code (code, part));
INSERT INTO parent VALUES (1, 'a', 1), (2, 'b', 2);
CREATE TABLE child (id INT PRIMARY KEY, p1 INT, p2 INT, p3 INT, p4 INT, code VARCHAR(10), part INT, CONSTRAINT fk_restrict FOREIGN KEY (p1) REFERENCES parent (id) ON DELETE RESTRICT ON UPDATE RESTRICT, CONSTRAINT fk_cascade FOREIGN KEY (p2) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE, CONSTRAINT fk_null FOREIGN KEY (p3) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE SET NULL, CONSTRAINT fk_nothing FOREIGN KEY (p4) REFERENCES parent (id) ON DELETE NO ACTION, CONSTRAINT fk_two FOREIGN KEY (code, part) REFERENCES parent (code, part));
INSERT INTO child VALUES (1, 1, 1, 1, 1, 'a', 1), (2, 2, NULL, NULL, NULL, 'b', NULL);
CREATE TABLE oneself (id INT PRIMARY KEY, boss INT, CONSTRAINT to_boss FOREIGN KEY (boss) REFERENCES oneself (id));
INSERT INTO oneself VALUES (1, NULL), (2, 1);
UPDATE oneself SET boss = 2 WHERE id = 1;
CREATE TABLE cycle_a (id INT PRIMARY KEY, b INT);
CREATE TABLE cycle_b (id INT PRIMARY KEY, a INT, CONSTRAINT b_to_a FOREIGN KEY (a) REFERENCES cycle_a (id));
ALTER TABLE cycle_a ADD CONSTRAINT a_to_b FOREIGN KEY (b) REFERENCES cycle_b (id);
INSERT INTO cycle_a VALUES (1, NULL);
INSERT INTO cycle_b VALUES (1, 1);
UPDATE cycle_a SET b = 1;

CREATE SEQUENCE numbers START WITH 100;
CREATE TABLE defaulted (id INT PRIMARY KEY, word VARCHAR(40) DEFAULT 'it''s \\ "so"', empty VARCHAR(5) DEFAULT '', big BIGINT UNSIGNED DEFAULT 18446744073709551615, price DECIMAL(10,2) DEFAULT -1.50, ratio DOUBLE DEFAULT 1.5e10, flag TINYINT(1) DEFAULT 1, bits BIT(4) DEFAULT b'1010', day DATE DEFAULT '2020-02-29', at DATETIME DEFAULT CURRENT_TIMESTAMP, fine TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), who UUID DEFAULT uuid(), someone VARCHAR(36) DEFAULT (uuid()), sum INT DEFAULT (1 + 2 * 3), text TEXT DEFAULT (concat('a', 'b')), kind ENUM('a','b') DEFAULT 'b', some SET('x','y') DEFAULT 'x,y', raw VARBINARY(4) DEFAULT x'00ff', doc JSON DEFAULT '{"a": 1}', y YEAR DEFAULT 2020, t TIME DEFAULT '12:34:56', today DATE DEFAULT (curdate()), next INT DEFAULT (NEXT VALUE FOR numbers), nothing INT DEFAULT NULL);
INSERT INTO defaulted (id) VALUES (1);

CREATE TABLE computed (id INT PRIMARY KEY, a INT, b INT, first VARCHAR(20), last VARCHAR(20), price DECIMAL(10,2), total INT AS (a + b) STORED, twice INT AS (a * 2) VIRTUAL, full_name VARCHAR(60) AS (concat(first, ' ', last)) STORED, gross DECIMAL(12,2) AS (price * 1.2) STORED, low VARCHAR(20) AS (lower(first)) STORED, big VARCHAR(5) AS (if(a > 10, 'big', 'small')) STORED, known INT AS (coalesce(a, 0)) STORED, half INT AS (a DIV 2) STORED, share DOUBLE AS (a / b) STORED, y INT AS (year('2020-01-01')) STORED, size INT AS (length(first)) STORED, label VARCHAR(20) AS (case when a is null then 'none' else 'some' end) STORED COMMENT 'what a is');
INSERT INTO computed (id, a, b, first, last, price) VALUES (1, 11, 3, 'Ada', 'Lovelace', 10.05), (2, -3, 2, 'Ünï', NULL, 0.99), (3, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE checked (id INT PRIMARY KEY, a INT, name VARCHAR(20), CONSTRAINT positive CHECK (a > 0), CONSTRAINT named CHECK (name <> '' and char_length(name) < 20), CONSTRAINT listed CHECK (a in (1, 2, 3)), CONSTRAINT shaped CHECK (name regexp '^[a-z]+$'));
INSERT INTO checked VALUES (1, 1, 'abc');

CREATE TABLE commented (id INT PRIMARY KEY COMMENT 'the key', v INT COMMENT 'it''s a "comment" \\ with\na line') COMMENT='unicode: ünï 名';
CREATE TABLE numbered (n INT UNSIGNED AUTO_INCREMENT, v INT, PRIMARY KEY (v, n), KEY (n));
INSERT INTO numbered VALUES (5, 1), (41, 1);
ALTER TABLE numbered AUTO_INCREMENT = 1000;
CREATE TABLE parted (id INT, y INT, PRIMARY KEY (id, y)) PARTITION BY RANGE (y) (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parted VALUES (1, 1999), (2, 2020);
CREATE TABLE hidden (id INT PRIMARY KEY, seen INT, unseen INT INVISIBLE DEFAULT 5);
INSERT INTO hidden VALUES (1, 2);
CREATE TABLE versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
INSERT INTO versioned VALUES (1, 1);
UPDATE versioned SET v = 2;
CREATE TABLE versioned_openly (id INT PRIMARY KEY, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, till TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, till)) WITH SYSTEM VERSIONING;
INSERT INTO versioned_openly (id, v) VALUES (1, 1);
CREATE TABLE collated (a VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_german1_ci, b VARCHAR(10) COLLATE utf8mb4_bin, c VARCHAR(10) COLLATE utf8mb4_unicode_ci, UNIQUE KEY (c));
CREATE TABLE old_engine (id INT PRIMARY KEY) ENGINE=MyISAM;
CREATE TABLE periodic (id INT PRIMARY KEY, d1 DATE NOT NULL, d2 DATE NOT NULL, PERIOD FOR valid (d1, d2));
CREATE TABLE triggered (id INT PRIMARY KEY, v INT);
CREATE TRIGGER before_it BEFORE INSERT ON triggered FOR EACH ROW SET NEW.v = NEW.v + 1;
CREATE VIEW seen AS SELECT id FROM plain;
CREATE PROCEDURE done() SELECT 1;
CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1;
