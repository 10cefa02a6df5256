-- The store, schema version 3; the only DDL. New columns go last in their table, so that a file upgraded by ALTER TABLE and
-- a new one are alike. Integer ids are of this file alone; `hash` is the identity elsewhere. Documents are blobs.
CREATE TABLE request (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  record TEXT NOT NULL                    -- GenRequest as JSON
) STRICT;

CREATE TABLE blob (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,              -- of the bytes before compression
  size INTEGER NOT NULL,                  -- of the same
  data BLOB NOT NULL                      -- one zstd frame
) STRICT;

CREATE TABLE slot (                       -- finished slots
  number INTEGER PRIMARY KEY,
  digest TEXT NOT NULL                    -- over environment, tasks and certificates: equal slots have equal digests
) STRICT;

CREATE TABLE rejection (
  slot INTEGER NOT NULL REFERENCES slot (number),
  gate TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (slot, gate)
) STRICT, WITHOUT ROWID;

CREATE TABLE environment (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  slot INTEGER NOT NULL UNIQUE REFERENCES slot (number),
  schema_class TEXT NOT NULL,
  core_schema_class TEXT NOT NULL,
  selected INTEGER NOT NULL,
  spec INTEGER NOT NULL REFERENCES blob (id),    -- Environment as JSON; its hash is environment.hash
  image INTEGER NOT NULL REFERENCES blob (id)    -- the SQLite image
) STRICT;

CREATE TABLE task (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  environment INTEGER NOT NULL REFERENCES environment (id),
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  certificate_hash TEXT NOT NULL,
  selected INTEGER NOT NULL,
  document INTEGER NOT NULL REFERENCES blob (id),  -- sections: TaskSpec, Verifier, Gold, Certificate
  masked_skeleton TEXT NOT NULL DEFAULT '',
  UNIQUE (environment, number)
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  policy TEXT NOT NULL,
  policy_version TEXT NOT NULL,
  seed TEXT NOT NULL,
  settings TEXT NOT NULL                  -- JSON object
) STRICT;

CREATE TABLE episode (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,              -- of run and trajectory without timings
  run INTEGER NOT NULL REFERENCES run (id),
  task INTEGER NOT NULL REFERENCES task (id),
  sample INTEGER NOT NULL,
  solved INTEGER NOT NULL,
  score REAL NOT NULL,
  tool_calls INTEGER NOT NULL,
  wall_us INTEGER NOT NULL,
  document INTEGER NOT NULL REFERENCES blob (id),  -- sections: Trajectory without timings, evidence, changes
  verdict TEXT,                           -- a later verdict (reverify), where it differs from the trajectory's
  UNIQUE (run, task, sample)
) STRICT;

CREATE TABLE infra_error (                -- keys that wait for another try
  run INTEGER NOT NULL REFERENCES run (id),
  task INTEGER NOT NULL REFERENCES task (id),
  sample INTEGER NOT NULL,
  count INTEGER NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (run, task, sample)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejection_mechanism (        -- the same rejections once for each mechanism of their environment
  slot INTEGER NOT NULL REFERENCES slot (number),
  gate TEXT NOT NULL,
  mechanism TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (slot, gate, mechanism)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue (                      -- what somebody found wrong with a task
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,              -- of task, title and author
  task INTEGER NOT NULL REFERENCES task (id),
  title TEXT NOT NULL,
  author TEXT NOT NULL,                   -- user or program
  status TEXT NOT NULL,                   -- open, resolved or wont_fix
  resolution TEXT NOT NULL,
  revision INTEGER NOT NULL               -- how often status or resolution changed
) STRICT;
