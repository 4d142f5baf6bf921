SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_key (
    number integer NOT NULL,
    id character varying(16) NOT NULL,
    name character varying(200) NOT NULL,
    hash character varying(64) NOT NULL,
    roles character varying(100) NOT NULL,
    rate double precision,
    created timestamp with time zone NOT NULL,
    revoked timestamp with time zone
);
CREATE SEQUENCE public.api_key_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.api_key_number_seq OWNED BY public.api_key.number;
CREATE TABLE public.desk_appeal (
    number integer NOT NULL,
    statement integer NOT NULL,
    decision integer NOT NULL,
    item integer NOT NULL,
    text text,
    state character varying(16) NOT NULL,
    answer text,
    staff integer,
    created timestamp with time zone NOT NULL,
    decided timestamp with time zone
);
CREATE SEQUENCE public.desk_appeal_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_appeal_number_seq OWNED BY public.desk_appeal.number;
CREATE TABLE public.desk_attempt (
    key character varying(64) NOT NULL,
    failures integer NOT NULL,
    last timestamp with time zone NOT NULL
);
CREATE TABLE public.desk_bar (
    task integer NOT NULL,
    staff integer NOT NULL,
    reason character varying(16) NOT NULL
);
CREATE TABLE public.desk_chain (
    id integer NOT NULL,
    seq integer NOT NULL,
    hash character varying(64) NOT NULL
);
CREATE TABLE public.desk_community (
    id character varying(64) NOT NULL,
    name text NOT NULL,
    language character varying(35) NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE TABLE public.desk_decision (
    number integer NOT NULL,
    id character varying(32) NOT NULL,
    batch character varying(32) NOT NULL,
    item integer NOT NULL,
    version integer NOT NULL,
    task integer,
    kind character varying(16) NOT NULL,
    outcome character varying(16) NOT NULL,
    rule character varying(64),
    rulebook integer,
    note text,
    staff integer,
    before character varying(16) NOT NULL,
    supersedes integer,
    effective boolean NOT NULL,
    overturned boolean DEFAULT false NOT NULL,
    seconds double precision,
    created timestamp with time zone NOT NULL,
    release timestamp with time zone NOT NULL,
    undone timestamp with time zone
);
CREATE SEQUENCE public.desk_decision_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_decision_number_seq OWNED BY public.desk_decision.number;
CREATE TABLE public.desk_delivery (
    number integer NOT NULL,
    message integer NOT NULL,
    webhook integer NOT NULL,
    item integer,
    state character varying(16) NOT NULL,
    attempts integer NOT NULL,
    status integer,
    error character varying(200),
    next_try timestamp with time zone NOT NULL,
    delivered timestamp with time zone
);
CREATE SEQUENCE public.desk_delivery_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_delivery_number_seq OWNED BY public.desk_delivery.number;
CREATE TABLE public.desk_event (
    seq integer NOT NULL,
    at character varying(32) NOT NULL,
    kind character varying(32) NOT NULL,
    actor character varying(64) NOT NULL,
    item integer,
    data text NOT NULL,
    previous character varying(64) NOT NULL,
    hash character varying(64) NOT NULL
);
CREATE TABLE public.desk_invitation (
    hash character varying(64) NOT NULL,
    role character varying(16) NOT NULL,
    staff integer,
    created timestamp with time zone NOT NULL,
    expires timestamp with time zone NOT NULL,
    used timestamp with time zone
);
CREATE TABLE public.desk_item (
    number integer NOT NULL,
    id character varying(32) NOT NULL,
    community character varying(64) NOT NULL,
    external character varying(200),
    author character varying(200),
    url text,
    parent text,
    title text,
    language character varying(35) NOT NULL,
    source character varying(64) NOT NULL,
    state character varying(16) NOT NULL,
    version integer NOT NULL,
    fingerprint character varying(64),
    reports integer NOT NULL,
    posted character varying(10) NOT NULL,
    created timestamp with time zone NOT NULL,
    updated timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_item_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_item_number_seq OWNED BY public.desk_item.number;
CREATE TABLE public.desk_known (
    item integer NOT NULL,
    outcome character varying(16) NOT NULL,
    rule character varying(64),
    staff integer NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE TABLE public.desk_message (
    number integer NOT NULL,
    id character varying(32) NOT NULL,
    item integer,
    statement integer,
    kind character varying(32) NOT NULL,
    payload json NOT NULL,
    not_before timestamp with time zone NOT NULL,
    cancelled boolean DEFAULT false NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_message_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_message_number_seq OWNED BY public.desk_message.number;
CREATE TABLE public.desk_note (
    number integer NOT NULL,
    item integer NOT NULL,
    staff integer NOT NULL,
    text text,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_note_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_note_number_seq OWNED BY public.desk_note.number;
CREATE TABLE public.desk_policy (
    number integer NOT NULL,
    community character varying(64) NOT NULL,
    version integer NOT NULL,
    config json NOT NULL,
    staff integer,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_policy_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_policy_number_seq OWNED BY public.desk_policy.number;
CREATE TABLE public.desk_report (
    number integer NOT NULL,
    item integer NOT NULL,
    version integer NOT NULL,
    reporter character varying(200),
    kind character varying(16) NOT NULL,
    reason text,
    created timestamp with time zone NOT NULL,
    told timestamp with time zone
);
CREATE SEQUENCE public.desk_report_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_report_number_seq OWNED BY public.desk_report.number;
CREATE TABLE public.desk_rulebook (
    number integer NOT NULL,
    community character varying(64) NOT NULL,
    version integer NOT NULL,
    rules json NOT NULL,
    staff integer,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_rulebook_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_rulebook_number_seq OWNED BY public.desk_rulebook.number;
CREATE TABLE public.desk_session (
    hash character varying(64) NOT NULL,
    staff integer NOT NULL,
    agent text NOT NULL,
    created timestamp with time zone NOT NULL,
    seen timestamp with time zone NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE TABLE public.desk_setting (
    name character varying(32) NOT NULL,
    value json NOT NULL
);
CREATE TABLE public.desk_staff (
    number integer NOT NULL,
    name character varying(64) NOT NULL,
    role character varying(16) NOT NULL,
    password text NOT NULL,
    totp character varying(64),
    totp_step integer DEFAULT 0 NOT NULL,
    preferences json NOT NULL,
    created timestamp with time zone NOT NULL,
    disabled timestamp with time zone
);
CREATE SEQUENCE public.desk_staff_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_staff_number_seq OWNED BY public.desk_staff.number;
CREATE TABLE public.desk_statement (
    number integer NOT NULL,
    decision integer NOT NULL,
    item integer NOT NULL,
    audience character varying(16) NOT NULL,
    report integer,
    token character varying(64) NOT NULL,
    language character varying(35) NOT NULL,
    facts json NOT NULL,
    void boolean DEFAULT false NOT NULL,
    created timestamp with time zone NOT NULL,
    told timestamp with time zone
);
CREATE SEQUENCE public.desk_statement_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_statement_number_seq OWNED BY public.desk_statement.number;
CREATE TABLE public.desk_task (
    number integer NOT NULL,
    kind character varying(16) NOT NULL,
    item integer NOT NULL,
    decision integer,
    appeal integer,
    community character varying(64) NOT NULL,
    attribute character varying(32) NOT NULL,
    language character varying(35) NOT NULL,
    source character varying(64) NOT NULL,
    rank double precision NOT NULL,
    open boolean DEFAULT true NOT NULL,
    for_lead boolean DEFAULT false NOT NULL,
    "only" integer,
    lease_by integer,
    lease_from timestamp with time zone,
    lease_until timestamp with time zone,
    created timestamp with time zone NOT NULL,
    closed timestamp with time zone
);
CREATE SEQUENCE public.desk_task_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_task_number_seq OWNED BY public.desk_task.number;
CREATE TABLE public.desk_version (
    number integer NOT NULL,
    item integer NOT NULL,
    version integer NOT NULL,
    text text,
    salt character varying(32),
    digest character varying(64) NOT NULL,
    scores json NOT NULL,
    action character varying(16) NOT NULL,
    attribute character varying(32) NOT NULL,
    score double precision NOT NULL,
    why character varying(16) NOT NULL,
    model text NOT NULL,
    policy integer NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.desk_version_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_version_number_seq OWNED BY public.desk_version.number;
CREATE TABLE public.desk_webhook (
    number integer NOT NULL,
    name character varying(64) NOT NULL,
    url text NOT NULL,
    secret character varying(100) NOT NULL,
    created timestamp with time zone NOT NULL,
    disabled timestamp with time zone
);
CREATE SEQUENCE public.desk_webhook_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.desk_webhook_number_seq OWNED BY public.desk_webhook.number;
CREATE TABLE public.feedback (
    number integer NOT NULL,
    received timestamp with time zone NOT NULL,
    key_id character varying(16),
    source character varying(32) NOT NULL,
    community text,
    client_token text,
    text text NOT NULL,
    scores json NOT NULL,
    spans json,
    context json,
    languages json
);
CREATE SEQUENCE public.feedback_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.feedback_number_seq OWNED BY public.feedback.number;
CREATE TABLE public.hook_message (
    id character varying(100) NOT NULL,
    received timestamp with time zone NOT NULL
);
CREATE TABLE public.model_bundle (
    digest character varying(64) NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    added timestamp with time zone NOT NULL,
    error text
);
CREATE TABLE public.model_candidate (
    id integer NOT NULL,
    digest character varying(64) NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE TABLE public.model_flip (
    number integer NOT NULL,
    at timestamp with time zone NOT NULL,
    active character varying(64) NOT NULL,
    candidate character varying(64) NOT NULL,
    item character varying(32) NOT NULL,
    before character varying(16) NOT NULL,
    after character varying(16) NOT NULL
);
CREATE SEQUENCE public.model_flip_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.model_flip_number_seq OWNED BY public.model_flip.number;
CREATE TABLE public.model_promotion (
    number integer NOT NULL,
    digest character varying(64) NOT NULL,
    actor character varying(64) NOT NULL,
    created timestamp with time zone NOT NULL,
    undone timestamp with time zone
);
CREATE SEQUENCE public.model_promotion_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.model_promotion_number_seq OWNED BY public.model_promotion.number;
CREATE TABLE public.model_shadow (
    day character varying(10) NOT NULL,
    active character varying(64) NOT NULL,
    candidate character varying(64) NOT NULL,
    attribute character varying(32) NOT NULL,
    measure character varying(16) NOT NULL,
    bin integer NOT NULL,
    value double precision NOT NULL
);
ALTER TABLE ONLY public.api_key ALTER COLUMN number SET DEFAULT nextval('public.api_key_number_seq'::regclass);
ALTER TABLE ONLY public.desk_appeal ALTER COLUMN number SET DEFAULT nextval('public.desk_appeal_number_seq'::regclass);
ALTER TABLE ONLY public.desk_decision ALTER COLUMN number SET DEFAULT nextval('public.desk_decision_number_seq'::regclass);
ALTER TABLE ONLY public.desk_delivery ALTER COLUMN number SET DEFAULT nextval('public.desk_delivery_number_seq'::regclass);
ALTER TABLE ONLY public.desk_item ALTER COLUMN number SET DEFAULT nextval('public.desk_item_number_seq'::regclass);
ALTER TABLE ONLY public.desk_message ALTER COLUMN number SET DEFAULT nextval('public.desk_message_number_seq'::regclass);
ALTER TABLE ONLY public.desk_note ALTER COLUMN number SET DEFAULT nextval('public.desk_note_number_seq'::regclass);
ALTER TABLE ONLY public.desk_policy ALTER COLUMN number SET DEFAULT nextval('public.desk_policy_number_seq'::regclass);
ALTER TABLE ONLY public.desk_report ALTER COLUMN number SET DEFAULT nextval('public.desk_report_number_seq'::regclass);
ALTER TABLE ONLY public.desk_rulebook ALTER COLUMN number SET DEFAULT nextval('public.desk_rulebook_number_seq'::regclass);
ALTER TABLE ONLY public.desk_staff ALTER COLUMN number SET DEFAULT nextval('public.desk_staff_number_seq'::regclass);
ALTER TABLE ONLY public.desk_statement ALTER COLUMN number SET DEFAULT nextval('public.desk_statement_number_seq'::regclass);
ALTER TABLE ONLY public.desk_task ALTER COLUMN number SET DEFAULT nextval('public.desk_task_number_seq'::regclass);
ALTER TABLE ONLY public.desk_version ALTER COLUMN number SET DEFAULT nextval('public.desk_version_number_seq'::regclass);
ALTER TABLE ONLY public.desk_webhook ALTER COLUMN number SET DEFAULT nextval('public.desk_webhook_number_seq'::regclass);
ALTER TABLE ONLY public.feedback ALTER COLUMN number SET DEFAULT nextval('public.feedback_number_seq'::regclass);
ALTER TABLE ONLY public.model_flip ALTER COLUMN number SET DEFAULT nextval('public.model_flip_number_seq'::regclass);
ALTER TABLE ONLY public.model_promotion ALTER COLUMN number SET DEFAULT nextval('public.model_promotion_number_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0006');
INSERT INTO public.api_key VALUES (1, '1f2e3d4c', 'forum', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'score,submit', NULL, '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.desk_community VALUES ('default', 'Our community', 'en', '2026-11-29 10:40:04.58625+00');
INSERT INTO public.desk_decision VALUES (1, 'eeeeeeeeeeeeeeeeeeeeeeee', 'eeeeeeeeeeeeeeeeeeeeeeee', 1, 1, 1, 'first', 'remove', 'insults', 0, NULL, 1, 'review', NULL, true, false, NULL, '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.desk_item VALUES (1, 'aaaaaaaaaaaaaaaaaaaaaaaa', 'default', '42', 'u-7', NULL, NULL, NULL, 'en', 'forum', 'removed', 1, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 0, '2026-11-20', '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00');
INSERT INTO public.desk_staff VALUES (1, 'mira', 'admin', 'no hash', NULL, 0, '{}', '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.desk_task VALUES (1, 'first', 1, NULL, NULL, 'default', 'toxicity', 'en', 'forum', -1.5, true, false, NULL, NULL, NULL, NULL, '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.desk_version VALUES (1, 1, 1, 'You idiot', 'cccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '{"toxicity": 0.9}', 'review', 'toxicity', 0.9, 'threshold', 'small', 0, '2026-11-20 12:00:00+00');
INSERT INTO public.feedback VALUES (1, '2026-11-20 12:00:00+00', NULL, 'perspective', NULL, NULL, 'some comment', '{"toxicity": 0.5}', NULL, NULL, NULL);
INSERT INTO public.hook_message VALUES ('msg-1', '2026-11-20 12:00:00+00');
INSERT INTO public.model_bundle VALUES ('ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'small', '1', '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.model_candidate VALUES (1, 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', '2026-11-20 12:00:00+00');
INSERT INTO public.model_flip VALUES (1, '2026-11-20 12:00:00+00', '0000000000000000000000000000000000000000000000000000000000000000', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'aaaaaaaaaaaaaaaaaaaaaaaa', 'allow', 'review');
INSERT INTO public.model_promotion VALUES (1, 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'staff:1', '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.model_shadow VALUES ('2026-11-20', '0000000000000000000000000000000000000000000000000000000000000000', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'toxicity', 'moved', 1, 2);
SELECT pg_catalog.setval('public.api_key_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_appeal_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_decision_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_delivery_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_item_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_message_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_note_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_policy_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_report_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_rulebook_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_staff_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_statement_number_seq', 1, false);
SELECT pg_catalog.setval('public.desk_task_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_version_number_seq', 1, true);
SELECT pg_catalog.setval('public.desk_webhook_number_seq', 1, false);
SELECT pg_catalog.setval('public.feedback_number_seq', 1, true);
SELECT pg_catalog.setval('public.model_flip_number_seq', 1, true);
SELECT pg_catalog.setval('public.model_promotion_number_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT pk_api_key PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT pk_desk_appeal PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_attempt
    ADD CONSTRAINT pk_desk_attempt PRIMARY KEY (key);
ALTER TABLE ONLY public.desk_bar
    ADD CONSTRAINT pk_desk_bar PRIMARY KEY (task, staff);
ALTER TABLE ONLY public.desk_chain
    ADD CONSTRAINT pk_desk_chain PRIMARY KEY (id);
ALTER TABLE ONLY public.desk_community
    ADD CONSTRAINT pk_desk_community PRIMARY KEY (id);
ALTER TABLE ONLY public.desk_decision
    ADD CONSTRAINT pk_desk_decision PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_delivery
    ADD CONSTRAINT pk_desk_delivery PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_event
    ADD CONSTRAINT pk_desk_event PRIMARY KEY (seq);
ALTER TABLE ONLY public.desk_invitation
    ADD CONSTRAINT pk_desk_invitation PRIMARY KEY (hash);
ALTER TABLE ONLY public.desk_item
    ADD CONSTRAINT pk_desk_item PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_known
    ADD CONSTRAINT pk_desk_known PRIMARY KEY (item);
ALTER TABLE ONLY public.desk_message
    ADD CONSTRAINT pk_desk_message PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_note
    ADD CONSTRAINT pk_desk_note PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_policy
    ADD CONSTRAINT pk_desk_policy PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_report
    ADD CONSTRAINT pk_desk_report PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_rulebook
    ADD CONSTRAINT pk_desk_rulebook PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_session
    ADD CONSTRAINT pk_desk_session PRIMARY KEY (hash);
ALTER TABLE ONLY public.desk_setting
    ADD CONSTRAINT pk_desk_setting PRIMARY KEY (name);
ALTER TABLE ONLY public.desk_staff
    ADD CONSTRAINT pk_desk_staff PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_statement
    ADD CONSTRAINT pk_desk_statement PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_task
    ADD CONSTRAINT pk_desk_task PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_version
    ADD CONSTRAINT pk_desk_version PRIMARY KEY (number);
ALTER TABLE ONLY public.desk_webhook
    ADD CONSTRAINT pk_desk_webhook PRIMARY KEY (number);
ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT pk_feedback PRIMARY KEY (number);
ALTER TABLE ONLY public.hook_message
    ADD CONSTRAINT pk_hook_message PRIMARY KEY (id);
ALTER TABLE ONLY public.model_bundle
    ADD CONSTRAINT pk_model_bundle PRIMARY KEY (digest);
ALTER TABLE ONLY public.model_candidate
    ADD CONSTRAINT pk_model_candidate PRIMARY KEY (id);
ALTER TABLE ONLY public.model_flip
    ADD CONSTRAINT pk_model_flip PRIMARY KEY (number);
ALTER TABLE ONLY public.model_promotion
    ADD CONSTRAINT pk_model_promotion PRIMARY KEY (number);
ALTER TABLE ONLY public.model_shadow
    ADD CONSTRAINT pk_model_shadow PRIMARY KEY (day, active, candidate, attribute, measure, bin);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT uq_api_key_id UNIQUE (id);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT uq_desk_appeal_statement UNIQUE (statement);
ALTER TABLE ONLY public.desk_decision
    ADD CONSTRAINT uq_desk_decision_id UNIQUE (id);
ALTER TABLE ONLY public.desk_item
    ADD CONSTRAINT uq_desk_item_community_external UNIQUE (community, external);
ALTER TABLE ONLY public.desk_item
    ADD CONSTRAINT uq_desk_item_id UNIQUE (id);
ALTER TABLE ONLY public.desk_message
    ADD CONSTRAINT uq_desk_message_id UNIQUE (id);
ALTER TABLE ONLY public.desk_policy
    ADD CONSTRAINT uq_desk_policy_community_version UNIQUE (community, version);
ALTER TABLE ONLY public.desk_rulebook
    ADD CONSTRAINT uq_desk_rulebook_community_version UNIQUE (community, version);
ALTER TABLE ONLY public.desk_staff
    ADD CONSTRAINT uq_desk_staff_name UNIQUE (name);
ALTER TABLE ONLY public.desk_statement
    ADD CONSTRAINT uq_desk_statement_token UNIQUE (token);
ALTER TABLE ONLY public.desk_version
    ADD CONSTRAINT uq_desk_version_item_version UNIQUE (item, version);
CREATE INDEX ix_desk_appeal_created ON public.desk_appeal USING btree (created);
CREATE INDEX ix_desk_appeal_decision ON public.desk_appeal USING btree (decision);
CREATE INDEX ix_desk_appeal_item ON public.desk_appeal USING btree (item);
CREATE INDEX ix_desk_decision_batch ON public.desk_decision USING btree (batch);
CREATE INDEX ix_desk_decision_created ON public.desk_decision USING btree (created);
CREATE INDEX ix_desk_decision_item ON public.desk_decision USING btree (item);
CREATE INDEX ix_desk_decision_staff ON public.desk_decision USING btree (staff, created);
CREATE INDEX ix_desk_delivery_due ON public.desk_delivery USING btree (state, next_try);
CREATE INDEX ix_desk_delivery_message ON public.desk_delivery USING btree (message);
CREATE INDEX ix_desk_delivery_order ON public.desk_delivery USING btree (webhook, item, state);
CREATE INDEX ix_desk_event_item ON public.desk_event USING btree (item);
CREATE INDEX ix_desk_item_author ON public.desk_item USING btree (community, author);
CREATE INDEX ix_desk_item_created ON public.desk_item USING btree (created);
CREATE INDEX ix_desk_item_fingerprint ON public.desk_item USING btree (community, fingerprint);
CREATE INDEX ix_desk_message_item ON public.desk_message USING btree (item);
CREATE INDEX ix_desk_note_item ON public.desk_note USING btree (item);
CREATE INDEX ix_desk_report_item ON public.desk_report USING btree (item);
CREATE INDEX ix_desk_session_staff ON public.desk_session USING btree (staff);
CREATE INDEX ix_desk_statement_decision ON public.desk_statement USING btree (decision);
CREATE INDEX ix_desk_statement_item ON public.desk_statement USING btree (item);
CREATE INDEX ix_desk_task_attribute ON public.desk_task USING btree (open, attribute, rank);
CREATE INDEX ix_desk_task_community ON public.desk_task USING btree (open, community, rank);
CREATE INDEX ix_desk_task_count ON public.desk_task USING btree (open, kind, community, attribute, language, source, for_lead, "only", lease_until, created, number);
CREATE INDEX ix_desk_task_item ON public.desk_task USING btree (item);
CREATE INDEX ix_desk_task_kind ON public.desk_task USING btree (open, kind, rank);
CREATE INDEX ix_desk_task_language ON public.desk_task USING btree (open, language, rank);
CREATE INDEX ix_desk_task_lease ON public.desk_task USING btree (open, lease_by);
CREATE INDEX ix_desk_task_source ON public.desk_task USING btree (open, source, rank);
CREATE INDEX ix_desk_task_waiting ON public.desk_task USING btree (open, rank);
CREATE INDEX ix_desk_version_created ON public.desk_version USING btree (created);
CREATE INDEX ix_feedback_received ON public.feedback USING btree (received);
CREATE INDEX ix_hook_message_received ON public.hook_message USING btree (received);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT fk_desk_appeal_decision_desk_decision FOREIGN KEY (decision) REFERENCES public.desk_decision(number);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT fk_desk_appeal_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT fk_desk_appeal_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_appeal
    ADD CONSTRAINT fk_desk_appeal_statement_desk_statement FOREIGN KEY (statement) REFERENCES public.desk_statement(number);
ALTER TABLE ONLY public.desk_bar
    ADD CONSTRAINT fk_desk_bar_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_bar
    ADD CONSTRAINT fk_desk_bar_task_desk_task FOREIGN KEY (task) REFERENCES public.desk_task(number);
ALTER TABLE ONLY public.desk_decision
    ADD CONSTRAINT fk_desk_decision_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_decision
    ADD CONSTRAINT fk_desk_decision_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_decision
    ADD CONSTRAINT fk_desk_decision_task_desk_task FOREIGN KEY (task) REFERENCES public.desk_task(number);
ALTER TABLE ONLY public.desk_delivery
    ADD CONSTRAINT fk_desk_delivery_message_desk_message FOREIGN KEY (message) REFERENCES public.desk_message(number);
ALTER TABLE ONLY public.desk_delivery
    ADD CONSTRAINT fk_desk_delivery_webhook_desk_webhook FOREIGN KEY (webhook) REFERENCES public.desk_webhook(number);
ALTER TABLE ONLY public.desk_invitation
    ADD CONSTRAINT fk_desk_invitation_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_item
    ADD CONSTRAINT fk_desk_item_community_desk_community FOREIGN KEY (community) REFERENCES public.desk_community(id);
ALTER TABLE ONLY public.desk_known
    ADD CONSTRAINT fk_desk_known_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_known
    ADD CONSTRAINT fk_desk_known_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_note
    ADD CONSTRAINT fk_desk_note_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_note
    ADD CONSTRAINT fk_desk_note_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_policy
    ADD CONSTRAINT fk_desk_policy_community_desk_community FOREIGN KEY (community) REFERENCES public.desk_community(id);
ALTER TABLE ONLY public.desk_policy
    ADD CONSTRAINT fk_desk_policy_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_report
    ADD CONSTRAINT fk_desk_report_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_rulebook
    ADD CONSTRAINT fk_desk_rulebook_community_desk_community FOREIGN KEY (community) REFERENCES public.desk_community(id);
ALTER TABLE ONLY public.desk_rulebook
    ADD CONSTRAINT fk_desk_rulebook_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_session
    ADD CONSTRAINT fk_desk_session_staff_desk_staff FOREIGN KEY (staff) REFERENCES public.desk_staff(number);
ALTER TABLE ONLY public.desk_statement
    ADD CONSTRAINT fk_desk_statement_decision_desk_decision FOREIGN KEY (decision) REFERENCES public.desk_decision(number);
ALTER TABLE ONLY public.desk_statement
    ADD CONSTRAINT fk_desk_statement_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_task
    ADD CONSTRAINT fk_desk_task_community_desk_community FOREIGN KEY (community) REFERENCES public.desk_community(id);
ALTER TABLE ONLY public.desk_task
    ADD CONSTRAINT fk_desk_task_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.desk_version
    ADD CONSTRAINT fk_desk_version_item_desk_item FOREIGN KEY (item) REFERENCES public.desk_item(number);
ALTER TABLE ONLY public.model_candidate
    ADD CONSTRAINT fk_model_candidate_digest_model_bundle FOREIGN KEY (digest) REFERENCES public.model_bundle(digest);
ALTER TABLE ONLY public.model_promotion
    ADD CONSTRAINT fk_model_promotion_digest_model_bundle FOREIGN KEY (digest) REFERENCES public.model_bundle(digest);
