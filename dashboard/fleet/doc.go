// Package fleet lets anybody at the broker see what all servers do, as it
// happens. Each server has an [Announcer], and whoever displays the fleet has a
// [View].
//
// A View that is in use says so on the broker's feed ([broker.Feed]) every few
// seconds. A server that hears it announces all that it does at once and every
// few seconds, and what changes as it changes, at most twenty times a second, or
// less often where there are many. A server that nobody watches announces nothing but that it has come and goes, and
// has no timer running.
//
// What servers announce is kept nowhere and confirmed by nobody. What is missed
// comes with the next full state. A View takes nothing that it hears on trust:
// it is bounded in number and size, and its texts may be anything.
package fleet
