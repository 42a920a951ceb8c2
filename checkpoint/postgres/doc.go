// Package postgres keeps checkpoints in a table of PostgreSQL 11 or later, for
// those whose broker keeps no such things, as RabbitMQ does not.
//
// A revision is the next number of a sequence, which never gives one twice, and
// is taken while the key is locked (by an advisory lock that ends with the
// transaction), so those of a key grow in the order of its writes. A save is one
// round trip. What it has answered is as durable as the database makes a commit;
// a fail-over to a replica that lags can lose it, and the sequence with it.
//
// The store wants the default isolation, read committed, and a primary: where
// several hosts are named, add target_session_attrs=read-write to the address.
// Behind a PgBouncer that pools transactions, add
// default_query_exec_mode=exec.
//
// What has expired is removed by later saves, a hundred rows at a time.
package postgres
