// Package dir keeps checkpoints in a directory of this machine, for servers that
// share its file system.
//
// A value is one file, replaced in whole: written beside, synced, renamed, and
// the directory synced. So a crash at any moment, of the process or the machine,
// leaves the old value or the new one, and what Save has answered is on the
// disk. A save costs two syncs; values that change a thousand times a second
// belong elsewhere.
//
// Any number of processes may use a directory: writers of a key exclude each
// other by flock(2) on one of 64 files, by a hash of the key. That holds on one
// machine; file systems over the network differ in what they make of flock.
//
// A revision is one more than that of the value before. What was deleted, or has
// expired, leaves its revision behind in the file "floor" before it goes, when
// that has a lower one, and a key that is new begins above the floor. So
// revisions grow for each key for ever, as long as the directory is kept whole.
//
// What has expired is removed by later saves, a few files each, be it that the
// disk is full and they fail, and what a crash has left half-written by the next
// Open.
package dir
