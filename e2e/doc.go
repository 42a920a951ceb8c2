// Package e2e tests the page in a real browser, against servers that are
// processes of their own. It has tests only; scripts/e2e runs them.
package e2e
