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
ALTER TABLE ONLY public.api_key ALTER COLUMN number SET DEFAULT nextval('public.api_key_number_seq'::regclass);
ALTER TABLE ONLY public.feedback ALTER COLUMN number SET DEFAULT nextval('public.feedback_number_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.api_key VALUES (1, '1f2e3d4c', 'forum', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'score,submit', NULL, '2026-11-20 12:00:00+00', NULL);
INSERT INTO public.feedback VALUES (1, '2026-11-20 12:00:00+00', NULL, 'perspective', NULL, NULL, 'some comment', '{"toxicity": 0.5}', NULL, NULL, NULL);
SELECT pg_catalog.setval('public.api_key_number_seq', 1, true);
SELECT pg_catalog.setval('public.feedback_number_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT pk_api_key PRIMARY KEY (number);
ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT pk_feedback PRIMARY KEY (number);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT uq_api_key_id UNIQUE (id);
CREATE INDEX ix_feedback_received ON public.feedback USING btree (received);
