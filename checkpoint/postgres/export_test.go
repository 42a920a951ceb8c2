package postgres

// Scrub is scrub.
var Scrub = scrub
