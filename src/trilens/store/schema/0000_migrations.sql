-- Which of these files have been run here; this one is run at every start.
-- written by  store/migrate.py, after the last statement of a file
-- one row     one file, or more of them when two programs ran it at the same time
-- distributed: migrations by rand()
CREATE TABLE IF NOT EXISTS trilens.migrations{{shard}} {{on_cluster}}
(
    number UInt32,
    name String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {{MergeTree}}
ORDER BY number
;
