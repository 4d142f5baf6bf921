BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE api_key (
	number INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	roles VARCHAR(100) NOT NULL, 
	rate FLOAT, 
	created DATETIME NOT NULL, 
	revoked DATETIME, 
	CONSTRAINT pk_api_key PRIMARY KEY (number), 
	CONSTRAINT uq_api_key_id UNIQUE (id)
);
INSERT INTO "api_key" VALUES(1,'1f2e3d4c','forum','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','score,submit',NULL,'2026-11-20 12:00:00.000000',NULL);
CREATE TABLE feedback (
	number INTEGER NOT NULL, 
	received DATETIME NOT NULL, 
	key_id VARCHAR(16), 
	source VARCHAR(32) NOT NULL, 
	community TEXT, 
	client_token TEXT, 
	text TEXT NOT NULL, 
	scores JSON NOT NULL, 
	spans JSON, 
	context JSON, 
	languages JSON, 
	CONSTRAINT pk_feedback PRIMARY KEY (number)
);
INSERT INTO "feedback" VALUES(1,'2026-11-20 12:00:00.000000',NULL,'perspective',NULL,NULL,'some comment','{"toxicity": 0.5}',NULL,NULL,NULL);
CREATE INDEX ix_feedback_received ON feedback (received);
COMMIT;
