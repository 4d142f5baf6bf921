CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
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
CREATE TABLE desk_appeal (
	number INTEGER NOT NULL, 
	statement INTEGER NOT NULL, 
	decision INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	text TEXT, 
	state VARCHAR(16) NOT NULL, 
	answer TEXT, 
	staff INTEGER, 
	created DATETIME NOT NULL, 
	decided DATETIME, 
	CONSTRAINT pk_desk_appeal PRIMARY KEY (number), 
	CONSTRAINT fk_desk_appeal_decision_desk_decision FOREIGN KEY(decision) REFERENCES desk_decision (number), 
	CONSTRAINT fk_desk_appeal_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT fk_desk_appeal_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number), 
	CONSTRAINT fk_desk_appeal_statement_desk_statement FOREIGN KEY(statement) REFERENCES desk_statement (number), 
	CONSTRAINT uq_desk_appeal_statement UNIQUE (statement)
);
CREATE TABLE desk_attempt (
	"key" VARCHAR(64) NOT NULL, 
	failures INTEGER NOT NULL, 
	last DATETIME NOT NULL, 
	CONSTRAINT pk_desk_attempt PRIMARY KEY ("key")
);
CREATE TABLE desk_bar (
	task INTEGER NOT NULL, 
	staff INTEGER NOT NULL, 
	reason VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_desk_bar PRIMARY KEY (task, staff), 
	CONSTRAINT fk_desk_bar_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number), 
	CONSTRAINT fk_desk_bar_task_desk_task FOREIGN KEY(task) REFERENCES desk_task (number)
);
CREATE TABLE desk_chain (
	id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_desk_chain PRIMARY KEY (id)
);
CREATE TABLE desk_community (
	id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	language VARCHAR(35) NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_community PRIMARY KEY (id)
);
INSERT INTO "desk_community" VALUES('default','Our community','en',strftime('%Y-%m-%d %H:%M:%f000', 'now'));
CREATE TABLE desk_decision (
	number INTEGER NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	batch VARCHAR(32) NOT NULL, 
	item INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	task INTEGER, 
	kind VARCHAR(16) NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	rule VARCHAR(64), 
	rulebook INTEGER, 
	note TEXT, 
	staff INTEGER, 
	"before" VARCHAR(16) NOT NULL, 
	supersedes INTEGER, 
	effective BOOLEAN NOT NULL, 
	overturned BOOLEAN DEFAULT 0 NOT NULL, 
	seconds FLOAT, 
	created DATETIME NOT NULL, 
	release DATETIME NOT NULL, 
	undone DATETIME, 
	CONSTRAINT pk_desk_decision PRIMARY KEY (number), 
	CONSTRAINT fk_desk_decision_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT fk_desk_decision_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number), 
	CONSTRAINT fk_desk_decision_task_desk_task FOREIGN KEY(task) REFERENCES desk_task (number), 
	CONSTRAINT uq_desk_decision_id UNIQUE (id)
);
CREATE TABLE desk_delivery (
	number INTEGER NOT NULL, 
	message INTEGER NOT NULL, 
	webhook INTEGER NOT NULL, 
	item INTEGER, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	status INTEGER, 
	error VARCHAR(200), 
	next_try DATETIME NOT NULL, 
	delivered DATETIME, 
	CONSTRAINT pk_desk_delivery PRIMARY KEY (number), 
	CONSTRAINT fk_desk_delivery_message_desk_message FOREIGN KEY(message) REFERENCES desk_message (number), 
	CONSTRAINT fk_desk_delivery_webhook_desk_webhook FOREIGN KEY(webhook) REFERENCES desk_webhook (number)
);
CREATE TABLE desk_event (
	seq INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	item INTEGER, 
	data TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_desk_event PRIMARY KEY (seq)
);
CREATE TABLE desk_invitation (
	hash VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	staff INTEGER, 
	created DATETIME NOT NULL, 
	expires DATETIME NOT NULL, 
	used DATETIME, member INTEGER, 
	CONSTRAINT pk_desk_invitation PRIMARY KEY (hash), 
	CONSTRAINT fk_desk_invitation_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number)
);
CREATE TABLE desk_item (
	number INTEGER NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	community VARCHAR(64) NOT NULL, 
	external VARCHAR(200), 
	author VARCHAR(200), 
	url TEXT, 
	parent TEXT, 
	title TEXT, 
	language VARCHAR(35) NOT NULL, 
	source VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	fingerprint VARCHAR(64), 
	reports INTEGER NOT NULL, 
	posted VARCHAR(10) NOT NULL, 
	created DATETIME NOT NULL, 
	updated DATETIME NOT NULL, 
	CONSTRAINT pk_desk_item PRIMARY KEY (number), 
	CONSTRAINT fk_desk_item_community_desk_community FOREIGN KEY(community) REFERENCES desk_community (id), 
	CONSTRAINT uq_desk_item_community_external UNIQUE (community, external), 
	CONSTRAINT uq_desk_item_id UNIQUE (id)
);
CREATE TABLE desk_known (
	item INTEGER NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	rule VARCHAR(64), 
	staff INTEGER NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_known PRIMARY KEY (item), 
	CONSTRAINT fk_desk_known_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT fk_desk_known_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number)
);
CREATE TABLE desk_message (
	number INTEGER NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	item INTEGER, 
	statement INTEGER, 
	kind VARCHAR(32) NOT NULL, 
	payload JSON NOT NULL, 
	not_before DATETIME NOT NULL, 
	cancelled BOOLEAN DEFAULT 0 NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_message PRIMARY KEY (number), 
	CONSTRAINT uq_desk_message_id UNIQUE (id)
);
CREATE TABLE desk_note (
	number INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	staff INTEGER NOT NULL, 
	text TEXT, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_note PRIMARY KEY (number), 
	CONSTRAINT fk_desk_note_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT fk_desk_note_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number)
);
CREATE TABLE desk_policy (
	number INTEGER NOT NULL, 
	community VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	config JSON NOT NULL, 
	staff INTEGER, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_policy PRIMARY KEY (number), 
	CONSTRAINT fk_desk_policy_community_desk_community FOREIGN KEY(community) REFERENCES desk_community (id), 
	CONSTRAINT fk_desk_policy_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number), 
	CONSTRAINT uq_desk_policy_community_version UNIQUE (community, version)
);
CREATE TABLE desk_report (
	number INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	reporter VARCHAR(200), 
	kind VARCHAR(16) NOT NULL, 
	reason TEXT, 
	created DATETIME NOT NULL, 
	told DATETIME, 
	CONSTRAINT pk_desk_report PRIMARY KEY (number), 
	CONSTRAINT fk_desk_report_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number)
);
CREATE TABLE desk_rulebook (
	number INTEGER NOT NULL, 
	community VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	rules JSON NOT NULL, 
	staff INTEGER, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_rulebook PRIMARY KEY (number), 
	CONSTRAINT fk_desk_rulebook_community_desk_community FOREIGN KEY(community) REFERENCES desk_community (id), 
	CONSTRAINT fk_desk_rulebook_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number), 
	CONSTRAINT uq_desk_rulebook_community_version UNIQUE (community, version)
);
CREATE TABLE desk_session (
	hash VARCHAR(64) NOT NULL, 
	staff INTEGER NOT NULL, 
	agent TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	seen DATETIME NOT NULL, 
	expires DATETIME NOT NULL, 
	CONSTRAINT pk_desk_session PRIMARY KEY (hash), 
	CONSTRAINT fk_desk_session_staff_desk_staff FOREIGN KEY(staff) REFERENCES desk_staff (number)
);
CREATE TABLE desk_setting (
	name VARCHAR(32) NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_desk_setting PRIMARY KEY (name)
);
CREATE TABLE desk_staff (
	number INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	password TEXT NOT NULL, 
	totp VARCHAR(64), 
	totp_step INTEGER DEFAULT '0' NOT NULL, 
	preferences JSON NOT NULL, 
	created DATETIME NOT NULL, 
	disabled DATETIME, 
	CONSTRAINT pk_desk_staff PRIMARY KEY (number), 
	CONSTRAINT uq_desk_staff_name UNIQUE (name)
);
CREATE TABLE desk_statement (
	number INTEGER NOT NULL, 
	decision INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	audience VARCHAR(16) NOT NULL, 
	report INTEGER, 
	token VARCHAR(64) NOT NULL, 
	language VARCHAR(35) NOT NULL, 
	facts JSON NOT NULL, 
	void BOOLEAN DEFAULT 0 NOT NULL, 
	created DATETIME NOT NULL, 
	told DATETIME, 
	CONSTRAINT pk_desk_statement PRIMARY KEY (number), 
	CONSTRAINT fk_desk_statement_decision_desk_decision FOREIGN KEY(decision) REFERENCES desk_decision (number), 
	CONSTRAINT fk_desk_statement_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT uq_desk_statement_token UNIQUE (token)
);
CREATE TABLE desk_task (
	number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	item INTEGER NOT NULL, 
	decision INTEGER, 
	appeal INTEGER, 
	community VARCHAR(64) NOT NULL, 
	attribute VARCHAR(32) NOT NULL, 
	language VARCHAR(35) NOT NULL, 
	source VARCHAR(64) NOT NULL, 
	rank FLOAT NOT NULL, 
	open BOOLEAN DEFAULT 1 NOT NULL, 
	for_lead BOOLEAN DEFAULT 0 NOT NULL, 
	only INTEGER, 
	lease_by INTEGER, 
	lease_from DATETIME, 
	lease_until DATETIME, 
	created DATETIME NOT NULL, 
	closed DATETIME, 
	CONSTRAINT pk_desk_task PRIMARY KEY (number), 
	CONSTRAINT fk_desk_task_community_desk_community FOREIGN KEY(community) REFERENCES desk_community (id), 
	CONSTRAINT fk_desk_task_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number)
);
CREATE TABLE desk_version (
	number INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	text TEXT, 
	salt VARCHAR(32), 
	digest VARCHAR(64) NOT NULL, 
	scores JSON NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	attribute VARCHAR(32) NOT NULL, 
	score FLOAT NOT NULL, 
	why VARCHAR(16) NOT NULL, 
	model TEXT NOT NULL, 
	policy INTEGER NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_desk_version PRIMARY KEY (number), 
	CONSTRAINT fk_desk_version_item_desk_item FOREIGN KEY(item) REFERENCES desk_item (number), 
	CONSTRAINT uq_desk_version_item_version UNIQUE (item, version)
);
CREATE TABLE desk_webhook (
	number INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	url TEXT NOT NULL, 
	secret VARCHAR(100) NOT NULL, 
	created DATETIME NOT NULL, 
	disabled DATETIME, 
	CONSTRAINT pk_desk_webhook PRIMARY KEY (number)
);
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
CREATE TABLE hook_message (
	id VARCHAR(100) NOT NULL, 
	received DATETIME NOT NULL, 
	CONSTRAINT pk_hook_message PRIMARY KEY (id)
);
CREATE TABLE model_bundle (
	digest VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	added DATETIME NOT NULL, 
	error TEXT, 
	CONSTRAINT pk_model_bundle PRIMARY KEY (digest)
);
CREATE TABLE model_candidate (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_model_candidate PRIMARY KEY (id), 
	CONSTRAINT fk_model_candidate_digest_model_bundle FOREIGN KEY(digest) REFERENCES model_bundle (digest)
);
CREATE TABLE model_flip (
	number INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	active VARCHAR(64) NOT NULL, 
	candidate VARCHAR(64) NOT NULL, 
	item VARCHAR(32) NOT NULL, 
	"before" VARCHAR(16) NOT NULL, 
	"after" VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_model_flip PRIMARY KEY (number)
);
CREATE TABLE model_promotion (
	number INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	created DATETIME NOT NULL, 
	undone DATETIME, 
	CONSTRAINT pk_model_promotion PRIMARY KEY (number), 
	CONSTRAINT fk_model_promotion_digest_model_bundle FOREIGN KEY(digest) REFERENCES model_bundle (digest)
);
CREATE TABLE model_shadow (
	day VARCHAR(10) NOT NULL, 
	active VARCHAR(64) NOT NULL, 
	candidate VARCHAR(64) NOT NULL, 
	attribute VARCHAR(32) NOT NULL, 
	measure VARCHAR(16) NOT NULL, 
	bin INTEGER NOT NULL, 
	value FLOAT NOT NULL, 
	CONSTRAINT pk_model_shadow PRIMARY KEY (day, active, candidate, attribute, measure, bin)
);
CREATE INDEX ix_feedback_received ON feedback (received);
CREATE INDEX ix_desk_event_item ON desk_event (item);
CREATE INDEX ix_desk_message_item ON desk_message (item);
CREATE INDEX ix_desk_delivery_due ON desk_delivery (state, next_try);
CREATE INDEX ix_desk_delivery_message ON desk_delivery (message);
CREATE INDEX ix_desk_delivery_order ON desk_delivery (webhook, item, state);
CREATE INDEX ix_desk_item_author ON desk_item (community, author);
CREATE INDEX ix_desk_item_created ON desk_item (created);
CREATE INDEX ix_desk_item_fingerprint ON desk_item (community, fingerprint);
CREATE INDEX ix_desk_session_staff ON desk_session (staff);
CREATE INDEX ix_desk_note_item ON desk_note (item);
CREATE INDEX ix_desk_report_item ON desk_report (item);
CREATE INDEX ix_desk_task_attribute ON desk_task (open, attribute, rank);
CREATE INDEX ix_desk_task_community ON desk_task (open, community, rank);
CREATE INDEX ix_desk_task_item ON desk_task (item);
CREATE INDEX ix_desk_task_lease ON desk_task (open, lease_by);
CREATE INDEX ix_desk_task_waiting ON desk_task (open, rank);
CREATE INDEX ix_desk_version_created ON desk_version (created);
CREATE INDEX ix_desk_decision_batch ON desk_decision (batch);
CREATE INDEX ix_desk_decision_created ON desk_decision (created);
CREATE INDEX ix_desk_decision_item ON desk_decision (item);
CREATE INDEX ix_desk_decision_staff ON desk_decision (staff, created);
CREATE INDEX ix_desk_statement_decision ON desk_statement (decision);
CREATE INDEX ix_desk_statement_item ON desk_statement (item);
CREATE INDEX ix_desk_appeal_created ON desk_appeal (created);
CREATE INDEX ix_desk_appeal_decision ON desk_appeal (decision);
CREATE INDEX ix_desk_appeal_item ON desk_appeal (item);
CREATE INDEX ix_hook_message_received ON hook_message (received);
CREATE INDEX ix_desk_task_kind ON desk_task (open, kind, rank);
CREATE INDEX ix_desk_task_language ON desk_task (open, language, rank);
CREATE INDEX ix_desk_task_source ON desk_task (open, source, rank);
CREATE INDEX ix_desk_task_count ON desk_task (open, kind, community, attribute, language, source, for_lead, only, lease_until, created, number);
CREATE INDEX ix_desk_decision_kind ON desk_decision (kind, created, staff, undone, outcome, item, version, seconds);
CREATE INDEX ix_desk_decision_overturned ON desk_decision (overturned, created);
CREATE INDEX ix_desk_bar_staff ON desk_bar (staff, reason);
