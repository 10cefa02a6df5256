-- The store as schema version 1 had it: what --upgrade is tested with.
PRAGMA application_id = 0x53626564;
PRAGMA user_version = 1;
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
  UNIQUE (run, task, sample)
) STRICT;
